//! Names of pods from a kubelet and an API server, played by a real web server over HTTPS that asks for a token.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use wattribute::workloads::kubernetes::{Settings, Trust, Whom};

use super::{Host, ID, POD, find};

const TOKEN: &str = "the-token-of-the-test";
const SANDBOX: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// As `kubectl get pods -o json` shows it, cut to what tells who is who.
fn pods() -> String {
    format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[{{"metadata":{{"name":"shop-7c9d","namespace":"shop","uid":"{POD}",
        "labels":{{"app":"shop"}}}},"spec":{{"nodeName":"node-1","containers":[{{"name":"web","image":"x",
        "resources":{{"limits":{{"cpu":"4"}},"requests":{{"cpu":"1600m","memory":"256Mi"}}}}}}]}},
        "status":{{"phase":"Running","qosClass":"Burstable","containerStatuses":[{{"name":"web","ready":true,
        "containerID":"containerd://{ID}"}}]}}}}]}}"#
    )
}

/// A running nginx; ends with this value.
struct Kubelet {
    child: Child,
    dir: TempDir,
    url: String,
}

impl Kubelet {
    fn serve(pods: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        put("tls.crt", &cert.pem());
        put("tls.key", &signing_key.serialize_pem());
        put("token", &format!("{TOKEN}\n"));
        put("pods", pods);
        for _ in 0..5 {
            // Another test may take the free port first: then nginx ends, and another one is tried.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            put("nginx.conf", &configuration(port, dir.path()));
            if let Some(child) = start(dir.path()) {
                return Self { child, url: format!("https://127.0.0.1:{port}"), dir };
            }
        }
        panic!("nginx does not serve: {:?}", fs::read_to_string(dir.path().join("error.log")));
    }

    fn settings(&self, whom: Whom) -> Settings {
        Settings {
            url: self.url.clone(),
            whom,
            token_file: Some(self.dir.path().join("token")),
            trust: Trust::CaFile(self.dir.path().join("tls.crt")),
            timeout: Duration::from_secs(10),
        }
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// How often it was asked, once nginx has written that down: at least `least` times.
    fn asked(&self, least: usize) -> usize {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let lines = fs::read_to_string(self.dir.path().join("access.log")).unwrap().lines().count();
            if lines >= least {
                return lines;
            }
            assert!(Instant::now() < end, "asked {lines} times");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Kubelet {
    /// Ends it; its files stay.
    fn stop(&mut self) {
        // SIGTERM through kill(1): SIGKILL would leave the worker process behind.
        if self.child.try_wait().unwrap().is_none() {
            let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start(dir: &Path) -> Option<Child> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let program = folders
        .map(|folder| folder.join("nginx"))
        .find(|file| file.is_file())
        .expect("nginx is missing; `make test` installs it (Debian package nginx)");
    let mut child = Command::new(program)
        .arg("-p")
        .arg(dir)
        .args(["-c", "nginx.conf", "-e", "error.log"])
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() && Instant::now() < end {
        if fs::metadata(dir.join("nginx.pid")).is_ok_and(|file| file.len() > 0) {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn configuration(port: u16, dir: &Path) -> String {
    // Started by root, nginx would give its workers a user who may not read a temporary folder.
    let user = if fs::metadata(dir).unwrap().uid() == 0 { "user root;" } else { "" };
    let dir = dir.display();
    format!(
        r#"
{user} worker_processes 1; pid {dir}/nginx.pid; daemon off;
events {{ worker_connections 100; }}
http {{
  log_format short '$request_uri $status';
  access_log {dir}/access.log short;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  default_type application/json;
  ssl_certificate {dir}/tls.crt; ssl_certificate_key {dir}/tls.key;
  server {{
    listen 127.0.0.1:{port} ssl;
    root {dir};
    if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}
    location = /pods {{ try_files /pods =404; }}
    location = /api/v1/pods {{
      if ($arg_fieldSelector != "spec.nodeName%3Dnode-1") {{ return 400; }}
      try_files /pods =404;
    }}
    location / {{ return 404; }}
  }}
}}
"#
    )
}

fn host() -> Host {
    let host = Host::bare();
    host.put("cg/cgroup.controllers", "cpu memory\n");
    let pod = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        POD.replace('-', "_")
    );
    for (id, micros) in [(ID, 700_000), (SANDBOX, 1_000)] {
        host.v2("cg", &format!("{pod}/cri-containerd-{id}.scope"), micros);
        host.put(&format!("cg{pod}/cri-containerd-{id}.scope/memory.current"), "5000\n");
    }
    host
}

#[tokio::test]
async fn a_container_is_called_as_kubernetes_calls_it_and_is_its_namespaces() {
    for whom in [Whom::Kubelet, Whom::Api(None), Whom::Api(Some("node-1".into()))] {
        let kubelet = Kubelet::serve(&pods());
        let mut host = host();
        host.kubernetes = Some(kubelet.settings(whom));
        let usage = host.sample().await;
        let web = find(&usage, ID);
        assert_eq!(web.info.name, "shop/shop-7c9d/web");
        assert_eq!(web.info.project_id.as_ref().unwrap().as_str(), "shop");
        assert_eq!(web.info.project_name, "shop");
        // 1600m is two CPUs to the nearest whole one; 256 MiB.
        assert_eq!((web.vcpus, web.memory_bytes, web.details.cpu_allocated), (2, 268_435_456, Some(1.6)));
        // The pod's sandbox has no name of its own, and no request.
        let sandbox = find(&usage, SANDBOX);
        assert_eq!((sandbox.info.name.as_str(), sandbox.vcpus), ("shop/shop-7c9d/ffffffffffff", 0));
        assert_eq!(sandbox.memory_bytes, 5000);
    }
}

#[tokio::test]
async fn nobody_is_asked_for_what_is_known() {
    let kubelet = Kubelet::serve(&pods());
    let mut host = host();
    host.kubernetes = Some(kubelet.settings(Whom::Kubelet));
    for _ in 0..1_000 {
        host.after(1).await;
    }
    // Only for the sandbox, which stays unknown: a few times, further and further apart.
    assert_eq!(kubelet.asked(8), 8);
    // A container that began meanwhile is asked for at once.
    let new = SANDBOX.replace('f', "e");
    host.v2("cg", &format!("/kubepods/besteffort/pod11111111-2222/{new}"), 5);
    kubelet.put("pods", &pods().replace(POD, "11111111-2222").replace(ID, &new));
    assert_eq!(find(&host.after(1).await, &new).info.name, "shop/shop-7c9d/web");
    assert_eq!(
        find(&host.after(1).await, ID).info.name,
        "shop/shop-7c9d/web",
        "though its pod is gone from the list"
    );
}

#[tokio::test]
async fn without_names_ids_stand_and_everything_goes_on() {
    let mut kubelet = Kubelet::serve(&pods());
    let mut host = host();
    host.kubernetes = Some(kubelet.settings(Whom::Kubelet));
    kubelet.put("token", "another\n");
    let name = format!("{POD}/0123456789ab");
    assert_eq!(find(&host.sample().await, ID).info.name, name);
    assert_eq!(find(&host.after(1).await, ID).info.project_id, None);
    assert_eq!(kubelet.asked(1), 1, "after a failure it is left alone for a while");
    // The token is read anew each time, since tokens of service accounts change.
    kubelet.put("token", TOKEN);
    assert_eq!(find(&host.after(11).await, ID).info.name, "shop/shop-7c9d/web");
    for (bad, seconds) in [("{\"kind\":\"Status\"}", 11), ("[", 11)] {
        kubelet.put("pods", bad);
        host.restart();
        assert_eq!(find(&host.after(seconds).await, ID).info.name, name, "{bad}");
    }
    kubelet.stop();
    host.restart();
    assert_eq!(find(&host.after(11).await, ID).info.name, name);
}
