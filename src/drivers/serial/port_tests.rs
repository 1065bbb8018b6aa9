//! Ports over pseudo terminals: both ends here.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The far end of a line, and the path of ours.
fn pty() -> (SerialStream, PathBuf) {
    let (far, near) = SerialStream::pair().unwrap();
    let path = PathBuf::from(near.name().unwrap());
    (far, path)
}

#[tokio::test]
async fn a_port_passes_bytes_both_ways_and_drains_what_is_late() {
    let (mut far, path) = pty();
    let mut port = Port::open(&Address::Device(path), Line::at(9600)).await.unwrap();
    port.write_all(b"?\xff\0\r\n").await.unwrap();
    let mut got = [0; 5];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"?\xff\0\r\n");
    far.write_all(b"late").await.unwrap();
    port.drain().unwrap();
    far.write_all(b"\x11\x13new").await.unwrap();
    port.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"\x11\x13new");
    port.set(Line { baud: 300, format: "7E1".parse().unwrap(), rts_cts: false }).unwrap();
}

#[tokio::test]
async fn a_port_in_use_says_by_whom() {
    let (_far, path) = pty();
    let address = Address::Device(path);
    let _held = Port::open(&address, Line::at(9600)).await.unwrap();
    let error = Port::open(&address, Line::at(9600)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.cause.contains("is in use by this program itself"), "{error}");
}

#[tokio::test]
async fn a_line_that_hangs_up_is_an_error_and_not_an_empty_read() {
    let (far, path) = pty();
    let mut port = Port::open(&Address::Device(path), Line::at(9600)).await.unwrap();
    assert!(far.as_raw_fd() >= 0);
    drop(far);
    let error = port.read(&mut [0; 8]).await.unwrap_err();
    let told = port.gone(&error);
    assert_eq!(told.kind, ErrorKind::Unreachable);
    assert!(told.fix.contains("opened anew at the next poll"), "{told}");
}

#[tokio::test]
async fn a_device_server_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string());
    drop(listener);
    let error = Port::open(&address, Line::at(9600)).await.unwrap_err();
    assert!(error.cause.starts_with("no connection to tcp:127.0.0.1:"), "{error}");
}
