//! Digest authentication (RFC 7616): SHA-256 and MD5, with `qop=auth` or the older way without. The password never leaves.

use md5::{Digest as _, Md5};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Challenges longer than this are not read.
const MAX_CHALLENGE_BYTES: usize = 2048;
/// A nonce is asked anew after so many requests.
const MAX_USES: u32 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
}

impl Hash {
    fn of(self, text: &str) -> String {
        match self {
            Self::Md5 => hex::encode(Md5::digest(text.as_bytes())),
            Self::Sha256 => hex::encode(Sha256::digest(text.as_bytes())),
        }
    }
}

/// What a server wants a proof for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// The algorithm as the server wrote it, if it did.
    algorithm: Option<String>,
    hash: Hash,
    /// Whether the password's hash is bound to the session.
    session: bool,
    /// Whether `qop=auth` is offered; without it the older form is used.
    auth: bool,
    stale: bool,
}

/// The client side of one server's digest authentication.
#[derive(Debug)]
pub(crate) struct Digest {
    user: String,
    password: SecretString,
    challenge: Option<Challenge>,
    uses: u32,
}

impl Digest {
    pub(super) const fn new(user: String, password: SecretString) -> Self {
        Self { user, password, challenge: None, uses: 0 }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The value of `Authorization`; none before there is a challenge.
    pub(super) fn proof(&mut self, method: &str, target: &str) -> Option<String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let challenge = self.challenge.as_ref()?;
        if self.uses >= MAX_USES {
            self.challenge = None;
            return None;
        }
        self.uses += 1;
        Some(answer(
            challenge,
            (&self.user, self.password.expose_secret()),
            (method, target),
            (&hex::encode(random), self.uses),
        ))
    }

    /// Takes the head of a 401; whether another try may be let in: the first try, or one whose nonce was only too old.
    pub(super) fn challenged(&mut self, head: &HeaderMap, first: bool) -> bool {
        let offered = head.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let best = offered.flat_map(challenges).max_by_key(|c| (c.hash, c.auth));
        let had = self.challenge.take();
        self.uses = 0;
        let Some(best) = best else { return false };
        let again = first && (had.is_none() || best.stale || had.is_some_and(|had| had.nonce != best.nonce));
        self.challenge = Some(best);
        again
    }
}

/// The header that proves the password.
fn answer(
    challenge: &Challenge,
    (user, password): (&str, &str),
    (method, target): (&str, &str),
    (own, uses): (&str, u32),
) -> String {
    let Challenge { realm, nonce, hash, .. } = challenge;
    let mut secret = hash.of(&format!("{user}:{realm}:{password}"));
    if challenge.session {
        secret = hash.of(&format!("{secret}:{nonce}:{own}"));
    }
    let request = hash.of(&format!("{method}:{target}"));
    let response = if challenge.auth {
        hash.of(&format!("{secret}:{nonce}:{uses:08x}:{own}:auth:{request}"))
    } else {
        hash.of(&format!("{secret}:{nonce}:{request}"))
    };
    let mut header = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
        quoted(user),
        quoted(realm),
        quoted(nonce),
        quoted(target)
    );
    if let Some(algorithm) = &challenge.algorithm {
        header += &format!(", algorithm={algorithm}");
    }
    if let Some(opaque) = &challenge.opaque {
        header += &format!(", opaque={}", quoted(opaque));
    }
    if challenge.auth {
        header += &format!(", qop=auth, nc={uses:08x}, cnonce=\"{own}\"");
    } else if challenge.session {
        header += &format!(", cnonce=\"{own}\"");
    }
    header
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The digest challenges of one header that can be answered.
fn challenges(header: &str) -> Vec<Challenge> {
    if header.len() > MAX_CHALLENGE_BYTES {
        return Vec::new();
    }
    let mut schemes: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for part in parts(header) {
        let (head, value) = part.split_once('=').map_or((part.as_str(), None), |(k, v)| (k, Some(v)));
        // `Digest realm=...`: a scheme stands before the first of its parameters.
        let (scheme, key) = match head.trim().rsplit_once(char::is_whitespace) {
            Some((scheme, key)) => (Some(scheme.trim()), key),
            None if value.is_none() => (Some(head.trim()), ""),
            None => (None, head.trim()),
        };
        if let Some(scheme) = scheme {
            schemes.push((scheme.to_ascii_lowercase(), Vec::new()));
        }
        if let (Some((_, fields)), Some(value)) = (schemes.last_mut(), value) {
            fields.push((key.to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    schemes
        .iter()
        .filter(|(scheme, _)| scheme == "digest")
        .filter_map(|(_, fields)| challenge(fields))
        .collect()
}

fn challenge(fields: &[(String, String)]) -> Option<Challenge> {
    let field = |wanted: &str| fields.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone());
    let algorithm = field("algorithm");
    let (hash, session) = match algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase().as_str() {
        "MD5" => (Hash::Md5, false),
        "MD5-SESS" => (Hash::Md5, true),
        "SHA-256" => (Hash::Sha256, false),
        "SHA-256-SESS" => (Hash::Sha256, true),
        _unknown => return None,
    };
    let offers = field("qop");
    let auth = offers.as_deref().is_some_and(|q| q.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")));
    if offers.is_some() && !auth {
        return None;
    }
    Some(Challenge {
        realm: field("realm")?,
        nonce: field("nonce")?,
        opaque: field("opaque"),
        algorithm,
        hash,
        session,
        auth,
        stale: field("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })
}

/// Splits at commas that are not in quotes.
fn parts(header: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in header.chars() {
        match c {
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _other => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const OWN: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    /// RFC 7616, 3.9.1.
    #[test]
    fn the_answers_are_those_of_the_standard() {
        let header = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"{NONCE}\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let [challenge] = &challenges(&header(algorithm))[..] else { panic!("{algorithm}") };
            let said = answer(challenge, ("Mufasa", "Circle of Life"), ("GET", "/dir/index.html"), (OWN, 1));
            assert!(said.contains(&format!("response=\"{response}\"")), "{said}");
            assert!(said.contains("nc=00000001") && said.contains("opaque=\"FQhe"), "{said}");
        }
    }

    #[test]
    fn the_stronger_of_two_challenges_is_answered_and_basic_never() {
        let one = "Basic realm=\"x\", Digest realm=\"a, b\", nonce=\"1\", qop=\"auth\", algorithm=MD5, Digest realm=\"a\", nonce=\"2\", \
                   qop=auth, algorithm=SHA-256";
        let found = challenges(one);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].realm, "a, b");
        assert_eq!(found[1].hash, Hash::Sha256);
        let mut digest = Digest::new("admin".into(), "secret".to_owned().into());
        let mut head = HeaderMap::new();
        head.append(WWW_AUTHENTICATE, "Basic realm=\"x\"".parse().unwrap());
        assert!(!digest.challenged(&head, true), "the password must not go out in the clear");
        assert_eq!(digest.proof("GET", "/"), None);
        head.append(WWW_AUTHENTICATE, one.parse().unwrap());
        assert!(digest.challenged(&head, true));
        let proof = digest.proof("GET", "/rpc").unwrap();
        assert!(proof.contains("algorithm=SHA-256") && !proof.contains("secret"), "{proof}");
        // The same nonce once more is a refusal of the password.
        assert!(!digest.challenged(&head, true));
    }

    #[test]
    fn hostile_challenges_are_no_challenges() {
        for header in [
            "",
            "Digest",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"1\", qop=\"auth-int\"",
            "Digest realm=\"x\", nonce=\"1\", algorithm=SHA-512-256",
            "Digest realm=\"x, nonce=\"1\"",
            ",,,===\"\\",
        ] {
            assert_eq!(challenges(header), [], "{header}");
        }
        assert_eq!(challenges(&format!("Digest realm=\"x\", nonce=\"{}\"", "n".repeat(3000))), []);
    }
}
