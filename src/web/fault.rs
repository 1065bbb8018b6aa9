//! What lies below an error of the HTTP library: the certificate that was refused, the connection that was not made.

use std::error::Error;
use std::io;

use super::tls::Refused;

/// The longest piece of a lower layer's message that enters ours.
const MAX_DETAIL_CHARS: usize = 200;

/// The error and all below it. `io::Error` hides the one it wraps from `source`, so it is asked for it.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next
        && found.len() < 16
    {
        found.push(error);
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|e| e as &(dyn Error + 'static)).or_else(|| error.source());
    }
    found
}

/// The certificate that was refused, if that is what `error` says.
pub(crate) fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refused> {
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => other.0.downcast_ref(),
        _other_tls_error => None,
    }
}

/// The lowest layer's message, short and on one line: it may quote the device.
pub(crate) fn detail(error: &reqwest::Error) -> String {
    line(&causes(error).last().map(ToString::to_string).unwrap_or_default())
}

/// Text from outside, short and on one line.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DETAIL_CHARS).collect()
}
