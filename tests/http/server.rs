//! A server that answers each connection's requests with bytes of a test's choice: a device, and one that misbehaves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a request was.
#[derive(Debug, Clone)]
pub struct Request {
    pub target: String,
    pub head: String,
}

/// The bytes to send, whether after them the connection ends, and how long to wait before.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub close: bool,
    pub wait: std::time::Duration,
}

pub fn reply(status: &str, head: &str, body: &str) -> Reply {
    let bytes = format!("HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
    Reply { bytes: bytes.into_bytes(), ..Reply::default() }
}

pub fn json(body: &str) -> Reply {
    reply("200 OK", "Content-Type: application/json\r\n", body)
}

type Answer = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// A running server; ends with this value.
pub struct Server {
    pub url: String,
    task: JoinHandle<()>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is given each request, and how many there were before.
    pub async fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, answer): (_, Arc<Answer>) = (Arc::clone(&requests), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&seen)));
            }
        });
        Self { url, task, requests }
    }

    /// Serves the answers of a folder: `/a/b?c` is `a_b?c.json`.
    pub async fn folder(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/answers").join(name);
        Self::start(move |request, _| {
            let file = request.target.trim_start_matches('/').replace('/', "_") + ".json";
            match std::fs::read_to_string(folder.join(file)) {
                Ok(body) => json(&body),
                Err(_) => reply("404 Not Found", "", ""),
            }
        })
        .await
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<Answer>, seen: Arc<Mutex<Vec<Request>>>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
        buffer.drain(..end + 4);
        let length = head
            .to_ascii_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        while buffer.len() < length {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        buffer.drain(..length);
        let request = Request { target: head.split(' ').nth(1)?.to_owned(), head };
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let reply = answer(&request, before);
        tokio::time::sleep(reply.wait).await;
        stream.write_all(&reply.bytes).await.ok()?;
        stream.flush().await.ok()?;
        if reply.close {
            return None;
        }
    }
}
