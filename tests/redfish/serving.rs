//! How the BMC of `bmc` reads a request and answers it, right or wrong.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Expand, Fault, Inner, Shared, Tags};
use crate::nginx::{PASSWORD, USER};

/// Serves every connection until the test ends.
pub async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        shared.inner.lock().unwrap().connections += 1;
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            // A client that does not trust us ends the handshake: nothing to do then.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, shared).await;
            }
        });
    }
}

struct Request {
    line: String,
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

async fn read(stream: &mut TlsStream<TcpStream>) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let mut request = Request { line, head, body: bytes[end..].to_vec() };
    let length = request.header("content-length").map_or(0, |l| l.parse::<usize>().unwrap());
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

async fn serve(mut stream: TlsStream<TcpStream>, shared: Arc<Shared>) {
    let mut held: Option<Vec<u8>> = None;
    while let Some(request) = read(&mut stream).await {
        let fault = {
            let mut inner = shared.inner.lock().unwrap();
            inner.asked.push(request.line.clone());
            let at = inner.faults.iter().position(|(what, _)| request.line.contains(what));
            at.map(|at| inner.faults.remove(at).1)
        };
        if fault.is_none() && request.line.starts_with("GET /redfish/v1/SSE") {
            assert_eq!(request.header("accept"), Some("text/event-stream"));
            return events(&mut stream, &shared).await;
        }
        let (status, headers, body) = tagged(&shared, &request, answer(&shared, &request, fault.as_ref()));
        let mut bytes = held.take().unwrap_or_default();
        bytes.extend(response(status, &headers, &body));
        match fault {
            None | Some(Fault::NoToken) => {}
            Some(Fault::Status(304, headers)) => bytes = response(304, &headers, b""),
            Some(Fault::Status(status, headers)) => bytes = response(status, &headers, b"{}"),
            Some(Fault::Page) => bytes = response(200, "", b"<html>It works!</html>"),
            Some(Fault::Twice) => bytes = [bytes.clone(), bytes].concat(),
            Some(Fault::TwiceLater) => held = Some(bytes.clone()),
            Some(Fault::Late) => shared.released.acquire().await.unwrap().forget(),
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::HangUp) => return,
            Some(Fault::Garbage) => {
                let _sent = stream.write_all(&[0xA5; 300]).await;
                return;
            }
            Some(Fault::Truncated) => {
                let _sent = stream.write_all(&bytes[..bytes.len() - body.len() / 2]).await;
                let _ended = stream.shutdown().await;
                return;
            }
            Some(Fault::Oversized) => return endless(&mut stream, &shared, 16 << 10, None).await,
            Some(Fault::Drip) => {
                return endless(&mut stream, &shared, 1, Some(Duration::from_millis(10))).await;
            }
        }
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// The stream of events, as long as the client listens.
async fn events(stream: &mut TlsStream<TcpStream>, shared: &Shared) {
    let mut piece = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec();
    while stream.write_all(&piece).await.is_ok() && stream.flush().await.is_ok() {
        piece = loop {
            let next = {
                let mut inner = shared.inner.lock().unwrap();
                let next = inner.events.get(inner.streamed).cloned();
                inner.streamed += usize::from(next.is_some());
                next
            };
            match next {
                Some(Some(piece)) => break piece,
                Some(None) => {
                    let _ended = stream.shutdown().await;
                    return;
                }
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        };
    }
}

/// A body without end, in pieces of `size`, until the client has enough.
async fn endless(stream: &mut TlsStream<TcpStream>, shared: &Shared, size: usize, pause: Option<Duration>) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n{\"a\":\"";
    let mut piece = head.to_vec();
    while stream.write_all(&piece).await.is_ok() && stream.flush().await.is_ok() {
        shared.inner.lock().unwrap().sent += piece.len();
        piece = vec![b' '; size];
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.into_bytes(), body.to_vec()].concat()
}

fn answer(shared: &Shared, request: &Request, fault: Option<&Fault>) -> (u16, String, Vec<u8>) {
    let mut inner = shared.inner.lock().unwrap();
    let (method, path) = request.line.split_once(' ').unwrap();
    // "root:calvin-of-the-test" in base64, made with base64(1).
    let basic = request.header("authorization") == Some("Basic cm9vdDpjYWx2aW4tb2YtdGhlLXRlc3Q=");
    let token = request.header("x-auth-token");
    let known = basic || token.is_some_and(|token| inner.sessions.contains_key(token));
    let nothing = |status| (status, String::new(), b"{}".to_vec());
    match method {
        "POST" => {
            let said: Value = serde_json::from_slice(&request.body).unwrap();
            // A fault of status means that nothing was done either.
            if said != json!({ "UserName": USER, "Password": PASSWORD })
                || matches!(fault, Some(Fault::Status(..)))
            {
                return nothing(401);
            }
            inner.opened += 1;
            let number = inner.opened;
            let (token, uri) =
                (format!("token-{number}"), format!("/redfish/v1/SessionService/Sessions/{number}"));
            inner.sessions.insert(token.clone(), uri.clone());
            let location = format!("Location: https://bmc-by-another-name{uri}\r\n");
            let token = if fault == Some(&Fault::NoToken) {
                String::new()
            } else {
                format!("X-Auth-Token: {token}\r\n")
            };
            (201, format!("{location}{token}"), b"{}".to_vec())
        }
        "DELETE" if !known => nothing(401),
        "DELETE" => {
            let before = inner.sessions.len();
            inner.sessions.retain(|_, uri| uri != path);
            inner.deleted += before - inner.sessions.len();
            nothing(204)
        }
        _get if !known && path != "/redfish/v1/" => nothing(401),
        _get if path.contains("$expand") => expanded(&inner, path.split_once('?').unwrap().0),
        _get if inner.resources.contains_key(path) => match &inner.resources[path] {
            Value::Null => nothing(404),
            Value::Bool(false) => nothing(500),
            document => (200, String::new(), document.to_string().into_bytes()),
        },
        _get => {
            let file: PathBuf = inner.tree.join(path.trim_matches('/')).join("index.json");
            let Ok(body) = fs::read(file) else { return nothing(404) };
            let mut body: Value = serde_json::from_slice(&body).unwrap();
            if path.contains("/Chassis/") && path.ends_with("/EnvironmentMetrics") {
                body["PowerWatts"]["Reading"] = json!(inner.watts);
            }
            (200, String::new(), body.to_string().into_bytes())
        }
    }
}

fn expanded(inner: &Inner, path: &str) -> (u16, String, Vec<u8>) {
    let mut collection = inner.resources[path].clone();
    let members = collection["Members"].as_array_mut().unwrap();
    let last = members.len() - 1;
    for (at, member) in members.iter_mut().enumerate() {
        let whole = inner.resources[member["@odata.id"].as_str().unwrap()].clone();
        match inner.expand {
            Expand::Refused => return (500, String::new(), b"{}".to_vec()),
            Expand::AllButTheLast if at == last => {}
            Expand::Works | Expand::AllButTheLast => *member = whole,
            Expand::Ignored => {}
            Expand::Garbage => *member = json!({ "Members": [whole], "Name": 7 }),
        }
    }
    (200, String::new(), collection.to_string().into_bytes())
}

/// Adds a tag to an answer, or leaves all but the tag away if the client has it.
fn tagged(
    shared: &Shared,
    request: &Request,
    (status, headers, body): (u16, String, Vec<u8>),
) -> (u16, String, Vec<u8>) {
    let mut inner = shared.inner.lock().unwrap();
    let state = body.iter().fold(0_u64, |state, byte| state.wrapping_mul(31).wrapping_add((*byte).into()));
    let tag = match inner.tags {
        Tags::None => return (status, headers, body),
        Tags::Honest => format!("W/\"{state}\""),
        Tags::Fickle => format!("\"{state}-{}\"", inner.asked.len()),
    };
    let headers = format!("{headers}ETag: {tag}\r\n");
    if status == 200 && request.header("if-none-match") == Some(&tag) {
        inner.unchanged += 1;
        return (304, headers, Vec::new());
    }
    (status, headers, body)
}
