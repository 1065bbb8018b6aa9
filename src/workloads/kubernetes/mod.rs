//! What pods and their containers are called: asked of the kubelet of this node, or of the API server.
//!
//! Lives here: when somebody is asked, and how it goes. Without an answer a container keeps its id for a name, and everything else goes
//! on. `pods` reads the answer.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::procfs::hostname;
use crate::model::{ErrorKind, Moment, PollError};
pub use crate::web::Trust;
use crate::web::{Ask, Client, Limits, Login};

mod pods;

pub(in crate::workloads) use pods::Named;
use pods::Pods;

/// The largest answer: some 5,000 pods.
const MAX_ANSWER: usize = 64 << 20;
/// The largest token.
const MAX_TOKEN: u64 = 64 << 10;
/// A container that is not known yet is asked for after this time, then after twice as long, and so on up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSE: Duration = Duration::from_secs(64);
/// So often a container that stays unknown is asked for: sandboxes of pods have no name.
const MAX_TRIES: u32 = 8;
/// After a failure nobody is asked for this time.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Who knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The kubelet: it knows its own pods, by `/pods`.
    Kubelet,
    /// The API server, asked for the pods of this node; without a name the machine's own.
    Api(Option<String>),
}

/// All that is to know to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `https://host:port`.
    pub url: String,
    /// What answers there.
    pub whom: Whom,
    /// File with a token, read anew for each question, since tokens of service accounts change; none where nobody logs in.
    pub token_file: Option<PathBuf>,
    /// How its certificate is trusted.
    pub trust: Trust,
    /// The longest that a question may take.
    pub timeout: Duration,
}

/// The names as far as they are known.
pub(in crate::workloads) struct Names {
    settings: Settings,
    path: String,
    client: Client,
    pods: Pods,
    /// Containers that are not known, how often they were asked for, and when last.
    unknown: HashMap<String, (u32, Moment)>,
    failed: Option<Moment>,
    /// The failure that was told, so that it is told once.
    told: Option<ErrorKind>,
}

impl Names {
    /// Reads the CA file; asks nobody yet. `proc` tells the machine's name.
    pub(in crate::workloads) fn new(settings: Settings, proc: PathBuf) -> Result<Self, PollError> {
        let server = match settings.whom {
            Whom::Kubelet => "the kubelet",
            Whom::Api(_) => "the API server",
        };
        let limits = Limits { time: settings.timeout, bytes: MAX_ANSWER, server };
        let client = Client::new(&settings.url, None, &settings.trust, Login::Open, limits)?;
        let path = match &settings.whom {
            Whom::Kubelet => "/pods".to_owned(),
            Whom::Api(node) => {
                let node = node.clone().unwrap_or_else(|| hostname(&proc).to_ascii_lowercase());
                let field = format!("spec.nodeName={node}");
                let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair("fieldSelector", &field)
                    .finish();
                format!("/api/v1/pods?{query}")
            }
        };
        let (pods, unknown) = (Pods::new(), HashMap::new());
        Ok(Self { settings, path, client, pods, unknown, failed: None, told: None })
    }

    /// What a container is called, or its pod; none where nobody knows.
    pub(in crate::workloads) fn get(&self, uid: &str, container: Option<&str>) -> Option<Arc<Named>> {
        let pod = self.pods.get(uid)?;
        match container {
            None => Some(Arc::clone(&pod.whole)),
            Some(id) => Some(pod.containers.get(id).map_or_else(
                // A sandbox, or one that has just begun: its pod is known all the same.
                || {
                    Arc::new(Named {
                        container: short(id),
                        cpu_millis: None,
                        memory_bytes: None,
                        ..(*pod.whole).clone()
                    })
                },
                Arc::clone,
            )),
        }
    }

    /// Asks, if one of `wanted` (a pod's uid and a container) is not known and it is time.
    pub(in crate::workloads) async fn learn(&mut self, wanted: Vec<(&str, Option<&str>)>, now: Moment) {
        let key =
            |(uid, container): &(&str, Option<&str>)| format!("{uid}/{}", container.unwrap_or_default());
        let missing: Vec<String> = wanted.iter().filter(|(uid, id)| !self.knows(uid, *id)).map(key).collect();
        self.unknown.retain(|key, _| missing.contains(key));
        let due = |key: &String| match self.unknown.get(key) {
            None => true,
            Some((tries, at)) => *tries < MAX_TRIES && now.since(*at) >= pause(*tries),
        };
        let resting = self.failed.is_some_and(|at| now.since(at) < AFTER_FAILURE);
        if resting || !missing.iter().any(due) {
            return;
        }
        let answer = self.ask().await;
        self.report(answer.as_ref().err());
        match answer {
            Ok(pods) => {
                self.failed = None;
                // A pod that is just ending may be gone from the list before its group is gone.
                let kept =
                    wanted.iter().filter_map(|(uid, _)| self.pods.remove_entry(*uid)).collect::<Vec<_>>();
                self.pods = pods;
                for (uid, pod) in kept {
                    self.pods.entry(uid).or_insert(pod);
                }
                for key in missing {
                    let (tries, at) = self.unknown.entry(key).or_insert((0, now));
                    (*tries, *at) = (tries.saturating_add(1), now);
                }
            }
            Err(_) => self.failed = Some(now),
        }
    }

    fn knows(&self, uid: &str, container: Option<&str>) -> bool {
        self.pods.get(uid).is_some_and(|pod| container.is_none_or(|id| pod.containers.contains_key(id)))
    }

    async fn ask(&mut self) -> Result<Pods, PollError> {
        if let Some(file) = &self.settings.token_file {
            self.client.log_in_by(Login::Bearer(token(file)?));
        }
        let ask = Ask { path: &self.path, accept: "application/json", body: None };
        let body = self.client.get(&ask).await?;
        pods::read(&body).ok_or_else(|| self.client.protocol(&ask, "is no list of pods"))
    }

    /// Says a failure once, and that it is over.
    fn report(&mut self, error: Option<&PollError>) {
        let url = &self.settings.url;
        match error {
            Some(error) if self.told != Some(error.kind) => {
                tracing::warn!(%url, "names of pods are not known: {error}; the user behind the token needs the right to {}", self.right());
            }
            None if self.told.is_some() => tracing::info!(%url, "names of pods are known again"),
            Some(_) | None => {}
        }
        self.told = error.map(|error| error.kind);
    }

    const fn right(&self) -> &'static str {
        match self.settings.whom {
            Whom::Kubelet => "get nodes/proxy",
            Whom::Api(_) => "list pods",
        }
    }
}

/// How long a container that was asked for so often is left alone.
fn pause(tries: u32) -> Duration {
    PAUSE.saturating_mul(1 << tries.min(10)).min(MAX_PAUSE)
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The token in a file; small enough to be read where we stand.
fn token(file: &Path) -> Result<SecretString, PollError> {
    let wrong = |why: String| {
        let cause = format!("the token file {} {why}", file.display());
        PollError::new(
            ErrorKind::Auth,
            cause,
            "let this user read a file with the token of a service account",
        )
    };
    let mut text = String::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text));
    opened.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(wrong("holds no token".to_owned()));
    }
    Ok(text.to_owned().into())
}
