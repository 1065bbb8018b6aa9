//! Where a BMC lives, and the paths of its resources. Nothing here sends anything.
//!
//! Links come from the device, so they are hostile until resolved: a [`ResourcePath`] can only name a resource of the
//! configured host, whatever the link said.

use std::net::IpAddr;

use reqwest::Url;

use crate::model::{ErrorKind, PollError};

/// Longer links than this are not followed.
const MAX_PATH_BYTES: usize = 2048;

/// A resource of this BMC: absolute path and query, without a fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ResourcePath(String);

impl ResourcePath {
    /// The entry point that the Redfish specification fixes.
    pub(super) fn service_root() -> Self {
        Self("/redfish/v1/".to_owned())
    }

    /// A path that this driver knows by itself, for services that leave out a link.
    pub(super) fn well_known(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// The same resource with another query.
    pub(super) fn with_query(&self, query: &'static str) -> Self {
        Self(format!("{}?{query}", self.comparable()))
    }

    /// The text, for messages.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment: by the specification the resource's `Id`.
    pub(super) fn last_segment(&self) -> &str {
        self.comparable().rsplit('/').next().unwrap_or_default()
    }

    /// The last two segments: of which collection, and the `Id`.
    pub(super) fn last_segments(&self) -> [&str; 2] {
        let mut segments = self.comparable().rsplit('/');
        let last = segments.next().unwrap_or_default();
        [segments.next().unwrap_or_default(), last]
    }

    /// The same text for every way to write this path.
    pub(super) fn key(&self) -> String {
        self.comparable().to_ascii_lowercase()
    }

    /// The path without query and closing slash, which services add and drop at will.
    fn comparable(&self) -> &str {
        self.0.split('?').next().unwrap_or_default().trim_end_matches('/')
    }

    /// Whether both name one resource.
    pub(super) fn same_resource(&self, other: &Self) -> bool {
        self.comparable().eq_ignore_ascii_case(other.comparable())
    }
}

/// Scheme, host and port of one BMC.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    url: Url,
    /// Where the host is, so that its name is not resolved again.
    at: Option<IpAddr>,
}

impl Origin {
    /// Reads `https://host[:port]`.
    ///
    /// # Errors
    /// `Unreachable` when it is anything else.
    pub(super) fn parse(url: &str) -> Result<Self, PollError> {
        let bad = |why: &str| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("the address {why}"),
                "write it as https://host[:port]",
            )
        };
        let url = Url::parse(url).map_err(|e| bad(&format!("is not a URL ({e})")))?;
        if url.scheme() != "https" {
            return Err(bad("is not https"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("holds a user name or password"));
        }
        Ok(Self { url, at: None })
    }

    /// The same, found at `at` whatever its name leads to.
    pub(super) fn pinned(&self, at: IpAddr) -> Self {
        Self { url: self.url.clone(), at: Some(at) }
    }

    /// The host's name and where it is, where that is fixed.
    pub(super) fn pin(&self) -> Option<(&str, IpAddr)> {
        Some((self.url.host_str()?, self.at?))
    }

    /// Host and port, for messages.
    pub(super) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The full address of `path`.
    pub(super) fn url(&self, path: &ResourcePath) -> Url {
        let mut url = self.url.clone();
        let (path, query) = path.0.split_once('?').map_or((path.0.as_str(), None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        url.set_fragment(None);
        url
    }

    /// A link of the device, if it stays on this BMC.
    pub(super) fn resolve(&self, link: &str) -> Option<ResourcePath> {
        let url = self.join(link)?;
        (url.origin() == self.url.origin()).then(|| path_of(&url))
    }

    /// The path of a link whose host does not matter: some BMCs name themselves in `Location` as only they can.
    pub(super) fn resolve_path_only(&self, link: &str) -> Option<ResourcePath> {
        self.join(link).map(|url| path_of(&url))
    }

    fn join(&self, link: &str) -> Option<Url> {
        if link.is_empty() || link.len() > MAX_PATH_BYTES {
            return None;
        }
        self.url.join(link).ok().filter(|url| url.scheme() == "https")
    }
}

fn path_of(url: &Url) -> ResourcePath {
    ResourcePath(url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::parse("https://10.0.0.7:8443").unwrap()
    }

    #[test]
    fn a_link_stays_on_the_bmc_or_is_not_followed() {
        for (link, want) in [
            ("/redfish/v1/Chassis/1", Some("/redfish/v1/Chassis/1")),
            ("/redfish/v1/Chassis/1#/PowerControl/0", Some("/redfish/v1/Chassis/1")),
            ("https://10.0.0.7:8443/redfish/v1/Chassis?$skip=2", Some("/redfish/v1/Chassis?$skip=2")),
            ("https://10.0.0.8:8443/redfish/v1/Chassis", None),
            ("http://10.0.0.7:8443/redfish/v1/Chassis", None),
            ("//evil.example/redfish/v1", None),
            ("/\\evil.example/redfish/v1", None),
            ("", None),
        ] {
            assert_eq!(origin().resolve(link).as_ref().map(ResourcePath::as_str), want, "{link}");
        }
        assert_eq!(origin().resolve(&format!("/{}", "x".repeat(3000))), None);
    }

    #[test]
    fn a_path_keeps_its_query_and_escapes_on_the_way_out() {
        let path = origin().resolve("/redfish/v1/Chassis/a%7Cb?$skip=2").unwrap();
        assert_eq!(origin().url(&path).as_str(), "https://10.0.0.7:8443/redfish/v1/Chassis/a%7Cb?$skip=2");
        assert_eq!(path.last_segment(), "a%7Cb");
    }

    #[test]
    fn a_session_elsewhere_is_taken_as_a_path_of_this_bmc() {
        let path =
            origin().resolve_path_only("https://idrac-7/redfish/v1/SessionService/Sessions/3").unwrap();
        assert_eq!(path.as_str(), "/redfish/v1/SessionService/Sessions/3");
    }

    #[test]
    fn an_address_that_is_not_plain_https_is_refused() {
        for url in ["http://10.0.0.7", "10.0.0.7", "https://root:calvin@10.0.0.7", "ftp://x", ""] {
            let error = Origin::parse(url).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unreachable, "{url}");
            assert!(!error.to_string().contains("calvin"), "{error}");
        }
    }
}
