//! A list of pods as the kubelet and the API server write it: pure. Only what names a container and what it requests is read.
//!
//! Source: Kubernetes API reference, `PodList` v1; quantities by `k8s.io/apimachinery/pkg/api/resource`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

/// More pods no node runs (the kubelet's own default is 110).
const MAX_PODS: usize = 5_000;
/// The longest name of anything in Kubernetes (RFC 1123 subdomain).
const MAX_NAME: usize = 253;
/// A static pod's uid on the node, where its mirror in the API server has another.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// What a pod or container is called, and what it requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::workloads) struct Named {
    pub(in crate::workloads) namespace: String,
    pub(in crate::workloads) pod: String,
    /// Empty for the whole pod.
    pub(in crate::workloads) container: String,
    /// CPU request, thousandths of a CPU.
    pub(in crate::workloads) cpu_millis: Option<u64>,
    /// Memory request, bytes.
    pub(in crate::workloads) memory_bytes: Option<u64>,
}

impl Named {
    /// `namespace/pod/container`.
    pub(in crate::workloads) fn full(&self) -> String {
        let Self { namespace, pod, container, .. } = self;
        if container.is_empty() {
            format!("{namespace}/{pod}")
        } else {
            format!("{namespace}/{pod}/{container}")
        }
    }
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) whole: Arc<Named>,
    /// By the runtime's id, without its scheme.
    pub(super) containers: HashMap<String, Arc<Named>>,
}

/// Every pod by its uid.
pub(super) type Pods = HashMap<String, Arc<Pod>>;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    kind: String,
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    annotations: Option<HashMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    resources: Resources,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    requests: Option<HashMap<String, Quantity>>,
}

/// Text by the API's own rules, but a bare number in hand-written manifests.
#[derive(Deserialize)]
#[serde(untagged)]
enum Quantity {
    Text(String),
    Number(f64),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
    ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

/// Reads a list; none if it is none. A pod whose names cannot be names is left out.
pub(super) fn read(json: &[u8]) -> Option<Pods> {
    let list: List = serde_json::from_slice(json).ok()?;
    if !matches!(list.kind.as_str(), "PodList" | "") {
        return None;
    }
    let items = list.items.unwrap_or_default();
    let mut pods = Pods::new();
    for item in items.into_iter().take(MAX_PODS) {
        let hash = item.metadata.annotations.as_ref().and_then(|all| all.get(CONFIG_HASH)).cloned();
        let uid = item.metadata.uid.clone();
        let Some(pod) = pod(item).map(Arc::new) else { continue };
        for uid in hash.into_iter().chain([uid]).filter(|uid| is_name(uid)) {
            pods.insert(uid, Arc::clone(&pod));
        }
    }
    Some(pods)
}

fn pod(item: Item) -> Option<Pod> {
    let Item { metadata: Metadata { name, namespace, .. }, spec, status } = item;
    if !is_name(&name) || !is_name(&namespace) {
        return None;
    }
    let containers = spec.containers.unwrap_or_default();
    let sum =
        |read: fn(&Container) -> Option<u64>| containers.iter().filter_map(read).reduce(u64::saturating_add);
    let whole = Named {
        cpu_millis: sum(Container::cpu_millis),
        memory_bytes: sum(Container::memory_bytes),
        namespace,
        pod: name,
        container: String::new(),
    };
    let specs: Vec<Container> =
        containers.into_iter().chain(spec.init_containers.unwrap_or_default()).collect();
    let lists =
        [status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses];
    let statuses = lists.into_iter().flatten().flatten();
    let named = |status: ContainerStatus| {
        let id = status.container_id?;
        let id = id.split_once("://").map_or(id.as_str(), |(_, id)| id).to_owned();
        let spec = specs.iter().find(|spec| spec.name == status.name);
        let named = Named {
            container: status.name,
            cpu_millis: spec.and_then(Container::cpu_millis),
            memory_bytes: spec.and_then(Container::memory_bytes),
            ..whole.clone()
        };
        (is_name(&id) && is_name(&named.container)).then(|| (id, Arc::new(named)))
    };
    let containers = statuses.filter_map(named).collect();
    Some(Pod { whole: Arc::new(whole), containers })
}

impl Container {
    fn request(&self, name: &str) -> Option<f64> {
        match self.resources.requests.as_ref()?.get(name)? {
            Quantity::Text(text) => quantity(text),
            Quantity::Number(number) => Some(*number),
        }
    }

    fn cpu_millis(&self) -> Option<u64> {
        whole(self.request("cpu")? * 1000.0)
    }

    fn memory_bytes(&self) -> Option<u64> {
        whole(self.request("memory")?)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}

/// The nearest whole number, of what may be one.
fn whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is seen to be small and not negative"
    )]
    (0.0..9e15).contains(&value).then(|| value.round() as u64)
}

/// `250m`, `1.5`, `128Mi`, `1e3`, in base units; none if it is no quantity.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = text.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return Some(number);
    }
    let (number, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[
        {"metadata":{"name":"shop-7","namespace":"shop","uid":"11111111-2222"},
         "spec":{"containers":[
           {"name":"web","resources":{"requests":{"cpu":"250m","memory":"128Mi"},"limits":{"cpu":"1"}}},
           {"name":"log","resources":{"requests":{"cpu":"2"}}},{"name":"bare"}],
           "initContainers":[{"name":"init","resources":{}}]},
         "status":{"phase":"Running","containerStatuses":[
           {"name":"web","containerID":"containerd://aaaa"},{"name":"log","containerID":"cri-o://bbbb"},{"name":"bare"}],
           "initContainerStatuses":[{"name":"init","containerID":"containerd://cccc"}]}},
        {"metadata":{"name":"etcd-node","namespace":"kube-system","uid":"33333333-4444",
                     "annotations":{"kubernetes.io/config.hash":"0123456789abcdef"}},
         "spec":{"containers":null},"status":{}}]}"#;

    #[test]
    fn containers_are_named_by_their_runtimes_id() {
        let pods = read(LIST.as_bytes()).unwrap();
        let shop = &pods["11111111-2222"];
        // 250 m + 2000 m; 128 MiB = 134217728 bytes.
        assert_eq!((shop.whole.cpu_millis, shop.whole.memory_bytes), (Some(2250), Some(134_217_728)));
        assert_eq!(shop.whole.full(), "shop/shop-7");
        let web = &shop.containers["aaaa"];
        assert_eq!((web.full().as_str(), web.cpu_millis), ("shop/shop-7/web", Some(250)));
        assert_eq!(shop.containers["bbbb"].memory_bytes, None, "no request is not a request of nothing");
        assert_eq!(shop.containers["cccc"].container, "init");
        assert_eq!(shop.containers.len(), 3, "a container that has not begun has no id");
    }

    #[test]
    fn a_static_pod_is_found_by_the_hash_that_its_folder_has() {
        let pods = read(LIST.as_bytes()).unwrap();
        assert_eq!(pods["0123456789abcdef"].whole.pod, "etcd-node");
        assert_eq!(pods["33333333-4444"].whole.namespace, "kube-system");
    }

    #[test]
    fn what_is_no_list_of_pods_is_nothing() {
        for bad in
            ["", "[]", "{\"kind\":\"Status\",\"code\":403}", "{\"items\":[{}]}", "{\"items\":5}", "not json"]
        {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read(br#"{"kind":"PodList","items":null}"#), Some(Pods::new()));
        let hostile = r#"{"items":[{"metadata":{"name":"a\nb","namespace":"x","uid":"u"}}]}"#;
        assert_eq!(read(hostile.as_bytes()), Some(Pods::new()));
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, want) in [
            ("250m", 0.25),
            ("1", 1.0),
            ("0.5", 0.5),
            ("1Ki", 1024.0),
            ("2G", 2e9),
            ("1e3", 1e3),
            ("5E", 5e18),
        ] {
            assert_eq!(quantity(text), Some(want), "{text}");
        }
        for bad in ["", "m", "-1", "inf", "NaN", "1x", "1 Mi x"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
        assert_eq!(whole(5e18), None);
    }
}
