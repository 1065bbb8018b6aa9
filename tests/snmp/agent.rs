//! An SNMPv2c agent whose every datagram the test decides: a small BER of its own, so that nothing here shares a
//! mistake with the library under test.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

pub type Tree = BTreeMap<Vec<u32>, Val>;

#[derive(Clone, Debug)]
pub enum Val {
    Int(i64),
    Text(&'static str),
    Oid(Vec<u32>),
    Ticks(i64),
    NoSuch,
    End,
}

/// A decoded request.
#[derive(Clone, Debug)]
pub struct Request {
    pub pdu: u8,
    pub id: i64,
    pub max_repetitions: i64,
    pub oids: Vec<Vec<u32>>,
}

pub const GET: u8 = 0xA0;
pub const GET_BULK: u8 = 0xA5;

/// What to do with a request.
pub enum Act {
    /// Send these datagrams, in this order.
    Send(Vec<Vec<u8>>),
    /// Send these from another socket.
    SendForeign(Vec<Vec<u8>>),
    /// Say nothing.
    Silence,
    /// Say nothing now; the right answer goes out before whatever answers the next request.
    HoldForNext,
}

pub type Behaviour = Box<dyn FnMut(&Request, &Tree) -> Act + Send>;

/// A running agent.
pub struct Agent {
    pub address: String,
    pub tree: Arc<Mutex<Tree>>,
    behaviour: Arc<Mutex<Behaviour>>,
    task: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    pub async fn start(tree: Tree) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let foreign = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let tree = Arc::new(Mutex::new(tree));
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Box::new(well)));
        let (its_tree, its_behaviour) = (Arc::clone(&tree), Arc::clone(&behaviour));
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65536];
            let mut held: VecDeque<(Vec<u8>, SocketAddr)> = VecDeque::new();
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let request = decode(&buffer[..length]);
                let (act, right) = {
                    let tree = its_tree.lock().unwrap();
                    let act = its_behaviour.lock().unwrap()(&request, &tree);
                    (act, answer(&request, &tree))
                };
                for (late, to) in held.drain(..) {
                    socket.send_to(&late, to).await.unwrap();
                }
                match act {
                    Act::Send(datagrams) => {
                        for datagram in datagrams {
                            socket.send_to(&datagram, from).await.unwrap();
                        }
                    }
                    Act::SendForeign(datagrams) => {
                        for datagram in datagrams {
                            foreign.send_to(&datagram, from).await.unwrap();
                        }
                    }
                    Act::Silence => {}
                    Act::HoldForNext => held.push_back((right, from)),
                }
            }
        });
        Self { address, tree, behaviour, task }
    }

    pub fn behave(&self, how: impl FnMut(&Request, &Tree) -> Act + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(how);
    }

    pub fn set(&self, oid: &[u32], value: i64) {
        self.tree.lock().unwrap().insert(oid.to_vec(), Val::Int(value));
    }
}

/// The right answer.
pub fn well(request: &Request, tree: &Tree) -> Act {
    Act::Send(vec![answer(request, tree)])
}

pub fn answer(request: &Request, tree: &Tree) -> Vec<u8> {
    let next = |oid: &Vec<u32>| {
        let after = (std::ops::Bound::Excluded(oid.clone()), std::ops::Bound::Unbounded);
        tree.range(after).next().map_or((oid.clone(), Val::End), |(oid, value)| (oid.clone(), value.clone()))
    };
    let rows: Vec<(Vec<u32>, Val)> = match request.pdu {
        GET => {
            request.oids.iter().map(|o| (o.clone(), tree.get(o).cloned().unwrap_or(Val::NoSuch))).collect()
        }
        GET_BULK => {
            let mut rows = Vec::new();
            let mut at = request.oids.clone();
            for _ in 0..request.max_repetitions {
                for at in &mut at {
                    let (oid, value) = next(at);
                    at.clone_from(&oid);
                    rows.push((oid, value));
                }
            }
            rows
        }
        _ => request.oids.iter().map(next).collect(),
    };
    reply(request.id, 0, 0, &rows)
}

/// A response with this request id, error status and index, and rows.
pub fn reply(id: i64, status: i64, index: i64, rows: &[(Vec<u32>, Val)]) -> Vec<u8> {
    let row = |(oid, value): &(Vec<u32>, Val)| {
        tlv(0x30, &[tlv(0x06, &oid_bytes(oid)), value_bytes(value)].concat())
    };
    let rows = tlv(0x30, &rows.iter().flat_map(row).collect::<Vec<u8>>());
    let pdu = tlv(0xA2, &[int(0x02, id), int(0x02, status), int(0x02, index), rows].concat());
    tlv(0x30, &[int(0x02, 1), tlv(0x04, b"public"), pdu].concat())
}

fn value_bytes(value: &Val) -> Vec<u8> {
    match value {
        Val::Int(n) => int(0x02, *n),
        Val::Text(text) => tlv(0x04, text.as_bytes()),
        Val::Oid(oid) => tlv(0x06, &oid_bytes(oid)),
        Val::Ticks(n) => int(0x43, *n),
        Val::NoSuch => tlv(0x81, &[]),
        Val::End => tlv(0x82, &[]),
    }
}

fn int(tag: u8, n: i64) -> Vec<u8> {
    let mut bytes = n.to_be_bytes().to_vec();
    while bytes.len() > 1 && ((bytes[0] == 0 && bytes[1] < 0x80) || (bytes[0] == 0xFF && bytes[1] >= 0x80)) {
        bytes.remove(0);
    }
    tlv(tag, &bytes)
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut out = vec![tag];
    match content.len() {
        0..0x80 => out.push(length[1]),
        0x80..0x100 => out.extend([0x81, length[1]]),
        _ => out.extend([0x82, length[0], length[1]]),
    }
    out.extend(content);
    out
}

fn oid_bytes(oid: &[u32]) -> Vec<u8> {
    let mut out = vec![u8::try_from(oid[0] * 40 + oid[1]).unwrap()];
    for arc in &oid[2..] {
        let mut septets = vec![(arc & 0x7F) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            septets.insert(0, (rest & 0x7F) as u8 | 0x80);
            rest >>= 7;
        }
        out.extend(septets);
    }
    out
}

fn decode(datagram: &[u8]) -> Request {
    let (_, message, _) = read(datagram);
    let (_, _, rest) = read(message);
    let (_, _, rest) = read(rest);
    let (pdu, body, _) = read(rest);
    let (_, id, rest) = read(body);
    let (_, _, rest) = read(rest);
    let (_, repetitions, rest) = read(rest);
    let (_, mut rows, _) = read(rest);
    let mut oids = Vec::new();
    while !rows.is_empty() {
        let (_, row, tail) = read(rows);
        let (_, oid, _) = read(row);
        let mut arcs = vec![u32::from(oid[0]) / 40, u32::from(oid[0]) % 40];
        let mut arc = 0;
        for byte in &oid[1..] {
            arc = (arc << 7) | u32::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                arcs.push(arc);
                arc = 0;
            }
        }
        oids.push(arcs);
        rows = tail;
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| (n << 8) | i64::from(*b));
    Request { pdu, id: number(id), max_repetitions: number(repetitions), oids }
}

/// Tag, content, and what follows.
fn read(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
    let (start, length) = match bytes[1] {
        0x81 => (3, usize::from(bytes[2])),
        0x82 => (4, usize::from(bytes[2]) << 8 | usize::from(bytes[3])),
        short => (2, usize::from(short)),
    };
    (bytes[0], &bytes[start..start + length], &bytes[start + length..])
}
