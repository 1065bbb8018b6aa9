//! `http` of a meter, and addresses of web services.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::field::Field;
use crate::config::leaf::{Endpoint, FilePath, Fingerprint, Label};
use crate::config::problem::{Fault, Mark, shown};
use crate::config::schema;
use crate::config::types::Http;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn http(
        &mut self,
        raw: &schema::Http,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Http> {
        let url = self.need(&raw.url, at, "url", "write the address of the meter, such as http://10.0.0.5");
        let url = url.and_then(|_| self.web_url(&raw.url, false));
        let password = self.secret(folder, "password", &raw.password_file, &raw.password_env);
        let given = !raw.password_file.is_absent() || !raw.password_env.is_absent();
        if let (Some((_, at)), false) = (raw.username.located(), given) {
            self.error(at, "`username` without a password", "add `password_file` or `password_env`");
        }
        let trust = self.trust(&raw.ca_file, &raw.fingerprint, folder);
        if let (Some(url), Some((_, at))) = (&url, raw.url.located()) {
            self.plain(url, at, given, (&raw.ca_file, &raw.fingerprint));
        }
        let outer = ("the poll's `timeout`", timeout);
        let request_timeout = self.deadline(&raw.timeout, DEFAULT_TIMEOUT, outer);
        let text = |field: &Field<Label>| field.get().map(|Label(text)| text.clone());
        // A broken secret has been reported: leaving it out would be another login than the file asks for.
        if given && password.is_none() {
            return None;
        }
        Some(Http {
            url: url?,
            profile: text(&raw.profile),
            username: text(&raw.username),
            password,
            trust: trust?,
            request_timeout,
        })
    }

    /// The address of a web service, without a slash at its end. A query may stand in that of a page.
    pub(super) fn web_url(&self, field: &Field<String>, page: bool) -> Option<String> {
        let (text, at) = field.located()?;
        web_url(text, page).map_err(|fault| self.error(at, fault.what, fault.fix)).ok()
    }

    /// What does not fit an address that is not encrypted.
    pub(super) fn plain(
        &self,
        url: &str,
        at: Mark,
        secret: bool,
        (ca_file, fingerprint): (&Field<FilePath>, &Field<Fingerprint>),
    ) {
        let Some(rest) = url.strip_prefix("http://") else { return };
        for (key, absent) in [("ca_file", ca_file.is_absent()), ("fingerprint", fingerprint.is_absent())] {
            if !absent {
                self.error(
                    at,
                    format!("`{key}` is for https"),
                    "write https:// in the address, or remove it",
                );
            }
        }
        let own = ["127.", "localhost", "[::1]"].iter().any(|host| rest.starts_with(host));
        if secret && !own {
            let what = "the address is not encrypted, so that a secret may be read on its way";
            self.problems.borrow_mut().warn(
                at,
                what,
                "use https where it can be had, or a network of its own",
            );
        }
    }
}

/// The value is shown only if it holds no `@`, before which a password may stand.
fn web_url(text: &str, page: bool) -> Result<String, Fault> {
    const FIX: &str = "write http://HOST[:PORT][/PATH], or https";
    if text.contains('@') {
        let fix = "put the user into `username` and the password into a file named by `password_file`";
        return Err(Fault::new("the address holds a user or password", fix));
    }
    let wrong = || Fault::new(format!("`{}` is not the address of a web service", shown(text)), FIX);
    let (scheme, rest) = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?)))
        .ok_or_else(wrong)?;
    let (authority, path) =
        rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len())).ok_or_else(wrong)?;
    let Endpoint((host, port)) = Endpoint::try_from(authority.to_owned()).map_err(|_| wrong())?;
    let plain = |c: char| c.is_ascii_graphic() && c != '#' && (page || c != '?');
    if path.len() > 2000 || !path.chars().all(plain) {
        return Err(wrong());
    }
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let path = if page { path } else { path.trim_end_matches('/') };
    Ok(format!("{scheme}{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_without_secrets() {
        for (text, want) in [
            ("http://10.0.0.5", "http://10.0.0.5"),
            ("https://meter.example:8443/", "https://meter.example:8443"),
            ("http://[fe80::1]:80/shelly/1/", "http://[fe80::1]:80/shelly/1"),
        ] {
            assert_eq!(web_url(text, false).unwrap(), want);
        }
        assert_eq!(web_url("http://n:9100/probe?a=b", true).unwrap(), "http://n:9100/probe?a=b");
        for bad in
            ["10.0.0.5", "ftp://x", "http://", "http://x/?a", "http://x/#a", "http://x y", "http://x:0"]
        {
            assert!(web_url(bad, false).is_err(), "{bad}");
        }
        let said = web_url("http://root:hunter2@x", false).unwrap_err();
        assert!(!format!("{said:?}").contains("hunter2"));
    }
}
