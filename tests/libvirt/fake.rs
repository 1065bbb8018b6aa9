//! A server on a unix socket that speaks libvirt's protocol, and as badly as a test tells it to. It exists because a
//! real libvirtd does not misbehave on demand. Written from the protocol's definition, not with the client's code.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

pub const PROGRAM: u32 = 0x2000_8086;
pub const KEEPALIVE: u32 = 0x6b65_6570;
pub const STATS: u32 = 344;
pub const XML: u32 = 14;

/// A call as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub procedure: u32,
    pub serial: u32,
    pub body: Vec<u8>,
}

impl Call {
    /// The domains a statistics call names, by the number in their UUID; none means all.
    pub fn domains(&self) -> Vec<u8> {
        let mut rest = &self.body[..];
        let mut word = || {
            let (head, tail) = rest.split_at(4);
            rest = tail;
            u32::from_be_bytes(head.try_into().unwrap())
        };
        let count = word();
        (0..count)
            .map(|_| {
                // Names are `vm-NNN`: eight bytes with their padding.
                assert_eq!(word(), 6);
                word();
                word();
                let uuid = (word(), word(), word(), word());
                word();
                u8::try_from(uuid.3).unwrap()
            })
            .collect()
    }

    /// The groups that a statistics call asks for.
    pub fn groups(&self) -> u32 {
        let groups = &self.body[self.body.len() - 8..self.body.len() - 4];
        u32::from_be_bytes(groups.try_into().unwrap())
    }

    /// Whether a statistics call asks for CPU time.
    pub fn wants_cpu(&self) -> bool {
        self.groups() & 2 != 0
    }

    /// Whether a statistics call asks for memory, network and disks.
    pub fn wants_details(&self) -> bool {
        self.groups() & (4 | 16 | 32) != 0
    }

    /// The reply to this call with `body`.
    pub fn reply(&self, body: &[u8]) -> Vec<u8> {
        frame(PROGRAM, self.procedure, 1, self.serial, 0, body)
    }

    /// An error as reply to this call.
    pub fn error(&self, code: i32, message: &str) -> Vec<u8> {
        let body =
            [&code.to_be_bytes()[..], &[0, 0, 0, 10], &[0, 0, 0, 1], &string(message), &[0; 32]].concat();
        frame(PROGRAM, self.procedure, 1, self.serial, 1, &body)
    }
}

/// One frame.
pub fn frame(program: u32, procedure: u32, kind: u32, serial: u32, status: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(28 + body.len()).unwrap();
    let mut out = Vec::new();
    for word in [length, program, 1, procedure, kind, serial, status] {
        out.extend(word.to_be_bytes());
    }
    out.extend(body);
    out
}

pub fn string(text: &str) -> Vec<u8> {
    let mut out = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    out.extend(text.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// A domain on the wire: `vm-00n`, a UUID that ends in n, id n.
pub fn domain(n: u8) -> Vec<u8> {
    let mut uuid = [0; 16];
    uuid[15] = n;
    [&string(&format!("vm-{n:03}"))[..], &uuid, &[0, 0, 0, n]].concat()
}

/// Statistics: every domain in `domains` runs and has used `cpu` ns.
pub fn stats(domains: &[u8], cpu: u64, with_cpu: bool) -> Vec<u8> {
    let mut out = u32::try_from(domains.len()).unwrap().to_be_bytes().to_vec();
    for n in domains {
        out.extend(domain(*n));
        out.extend([0, 0, 0, if with_cpu { 2 } else { 1 }]);
        out.extend([&string("state.state")[..], &[0, 0, 0, 1], &[0, 0, 0, 1]].concat());
        if with_cpu {
            out.extend([&string("cpu.time")[..], &[0, 0, 0, 4], &cpu.to_be_bytes()].concat());
        }
    }
    out
}

/// Statistics of memory, network and disks: of domain `n` each number is that of its table plus `n`.
pub fn details(domains: &[u8]) -> Vec<u8> {
    const NUMBERS: [(&str, u64); 12] = [
        ("balloon.rss", 10_000),
        ("net.0.rx.bytes", 1_000),
        ("net.0.rx.pkts", 2_000),
        ("net.0.tx.bytes", 3_000),
        ("net.0.tx.pkts", 4_000),
        ("block.0.rd.reqs", 5_000),
        ("block.0.rd.bytes", 6_000),
        ("block.0.wr.reqs", 7_000),
        ("block.0.wr.bytes", 8_000),
        ("block.0.allocation", 20_000),
        ("block.0.capacity", 30_000),
        ("block.0.physical", 40_000),
    ];
    let mut out = u32::try_from(domains.len()).unwrap().to_be_bytes().to_vec();
    for n in domains {
        out.extend(domain(*n));
        out.extend([0, 0, 0, 12]);
        for (name, value) in NUMBERS {
            let value = value + u64::from(*n);
            out.extend([&string(name)[..], &[0, 0, 0, 4], &value.to_be_bytes()].concat());
        }
    }
    out
}

/// What a well-behaved server answers.
pub fn answer(call: &Call, domains: &[u8], cpu: u64) -> Vec<u8> {
    let body = match call.procedure {
        // No authentication needed.
        66 => vec![0, 0, 0, 1, 0, 0, 0, 0],
        1 | 2 => vec![],
        157 => 9_000_000_u64.to_be_bytes().to_vec(),
        60 | 316 => vec![0, 0, 0, 1],
        // 128 bytes of model, 1 GiB, 4 CPUs, 2000 MHz, one of all else.
        6 => {
            let mut body = vec![0; 128];
            body.extend((1_u64 << 20).to_be_bytes());
            [4_u32, 2000, 1, 1, 4, 1].iter().for_each(|w| body.extend(w.to_be_bytes()));
            body
        }
        7 => string(
            "<capabilities><host><cpu><arch>x86_64</arch><model>Opteron_G5</model></cpu></host></capabilities>",
        ),
        59 => string("node-1.example"),
        // One pool; of 1000 bytes 400 are taken.
        281 => [&[0, 0, 0, 1][..], &string("default"), &[7; 16], &[0, 0, 0, 1]].concat(),
        87 => [2, 1000, 400, 600_u64].iter().flat_map(|w| w.to_be_bytes()).skip(4).collect(),
        102 => (1_u64 << 29).to_be_bytes().to_vec(),
        227 => {
            let stat = |name, nanos: u64| [&string(name)[..], &nanos.to_be_bytes()].concat();
            [&[0, 0, 0, 2][..], &stat("kernel", cpu), &stat("user", cpu), &[0; 4]].concat()
        }
        XML => string("<domain type='kvm'><memory unit='MiB'>64</memory><vcpu>2</vcpu></domain>"),
        STATS => {
            let named = call.domains();
            let wanted: Vec<u8> =
                domains.iter().copied().filter(|d| named.is_empty() || named.contains(d)).collect();
            if call.wants_details() { details(&wanted) } else { stats(&wanted, cpu, call.wants_cpu()) }
        }
        other => return call.error(3, &format!("no procedure {other}")),
    };
    call.reply(&body)
}

/// Decides what bytes follow a call. An empty answer is silence.
pub type Script = Box<dyn FnMut(&Call) -> Vec<u8> + Send>;

/// What a connection does with a call.
#[derive(Clone)]
pub struct Fake {
    socket: PathBuf,
    script: Arc<Mutex<Script>>,
    /// Bytes to be sent on every connection as soon as the next call comes in; with what it was answered.
    pub calls: Arc<Mutex<Vec<Call>>>,
    pub connections: Arc<AtomicUsize>,
    /// Pongs that came in.
    pub pongs: Arc<AtomicUsize>,
    /// Every connection's way out, so that a test can send unasked.
    pub senders: Arc<Mutex<Vec<tokio::sync::mpsc::UnboundedSender<Vec<u8>>>>>,
    _dir: Arc<TempDir>,
}

impl Fake {
    /// A server that answers by `script`. An answer of one byte closes the connection.
    pub fn start(script: impl FnMut(&Call) -> Vec<u8> + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("libvirt-sock-ro");
        let listener = UnixListener::bind(&socket).unwrap();
        let fake = Self {
            socket,
            script: Arc::new(Mutex::new(Box::new(script))),
            calls: Arc::default(),
            connections: Arc::default(),
            pongs: Arc::default(),
            senders: Arc::default(),
            _dir: Arc::new(dir),
        };
        let accepting = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        fake
    }

    pub fn address(&self) -> wattribute::workloads::libvirt::Address {
        wattribute::workloads::libvirt::Address::Unix(self.socket.clone())
    }

    /// From now on answers otherwise.
    pub fn now(&self, script: impl FnMut(&Call) -> Vec<u8> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    async fn serve(self, stream: UnixStream) {
        let (mut reader, mut writer) = stream.into_split();
        let (sender, mut queue) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
        self.senders.lock().unwrap().push(sender.clone());
        tokio::spawn(async move {
            while let Some(bytes) = queue.recv().await {
                if bytes.len() == 1 || writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        });
        let mut word = [0; 4];
        while reader.read_exact(&mut word).await.is_ok() {
            let mut rest = vec![0; usize::try_from(u32::from_be_bytes(word)).unwrap() - 4];
            if reader.read_exact(&mut rest).await.is_err() {
                return;
            }
            let at = |i: usize| u32::from_be_bytes(rest[i..i + 4].try_into().unwrap());
            if at(0) == KEEPALIVE {
                self.pongs.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let call = Call { procedure: at(8), serial: at(16), body: rest[24..].to_vec() };
            let bytes = (self.script.lock().unwrap())(&call);
            self.calls.lock().unwrap().push(call);
            if !bytes.is_empty() && sender.send(bytes).is_err() {
                return;
            }
        }
    }
}
