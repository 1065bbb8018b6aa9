//! HTTP as drivers need it: one exchange at a time, under limits of time and size, with a device or service that may be hostile.
//!
//! `tls` says how a certificate is trusted, `digest` and `login` how to be let in, `fault` what a failure means, `client` does the
//! exchange. What is asked and what an answer says is each driver's own business.

mod client;
mod digest;
pub(in crate::drivers) mod fault;
mod login;
pub(in crate::drivers) mod tls;

use std::path::PathBuf;

pub(in crate::drivers) use client::{Ask, Body, Client, Limits};
pub(in crate::drivers) use login::Login;

/// How a server's certificate is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// The public certificate authorities.
    #[default]
    WebPki,
    /// Only the authorities in this PEM file.
    CaFile(PathBuf),
    /// Only the certificate whose SHA-256 digest this is.
    Fingerprint([u8; 32]),
}
