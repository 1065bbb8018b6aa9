//! Devices that take a connection and then say nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::process::{Exporter, get};

/// Far below the devices' deadline of 5 s, far above what a page from memory takes.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Takes connections for as long as the test runs, and counts them.
async fn silent() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            count.store(held.len(), Ordering::SeqCst);
        }
    });
    (at, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_never_waits_for_a_device_and_neither_does_the_end() {
    let ((bmcs, polled), (daemon, sampled)) = (silent().await, silent().await);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("wattribute.yaml");
    let meters: String = (0..8)
        .map(|n| format!("  - {{name: bmc-{n}, redfish: {{url: 'https://{bmcs}', timeout: 5s}}}}\n"))
        .collect();
    let hypervisor = format!("{{libvirt: {{tcp: '{daemon}', timeout: 5s}}}}");
    let text = format!(
        "poll: {{interval: 5s, timeout: 5s}}\nmeters:\n{meters}\
         hosts:\n  - {{name: h, feeds: [bmc-0/input], hypervisor: {hypervisor}}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut exporter = Exporter::start(&config).await;
    let hang = async |_: &_| {
        (polled.load(Ordering::SeqCst) >= 3 && sampled.load(Ordering::SeqCst) >= 1).then_some(())
    };
    exporter.program.until("devices that hang", hang).await;

    let mut slowest = Duration::ZERO;
    for path in ["/metrics", "/", "/-/ready", "/metrics", "/-/healthy", "/metrics"] {
        let began = Instant::now();
        assert_eq!(get(exporter.address, path, "").await.status, 200, "{path}");
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest of 6 pages {slowest:?}");
    assert!(slowest < AT_ONCE, "{slowest:?}");
    let (status, took) = exporter.program.terminate().await;
    println!("ended after {took:?}");
    assert!(status.success() && took < Duration::from_secs(10), "{status} after {took:?}");
}
