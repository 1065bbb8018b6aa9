//! HTTP as drivers and sources of workloads need it: one exchange at a time, under limits of time and size, with a device or
//! service that may be hostile.
//!
//! `tls` says how a certificate is trusted, `digest` and `login` how to be let in, `fault` what a failure means, `client` does the
//! exchange. What is asked and what an answer says is the business of who asks.

mod client;
mod digest;
pub(crate) mod fault;
mod login;
pub(crate) mod tls;

use std::path::PathBuf;

pub(crate) use client::{Ask, Body, Client, Limits};
pub(crate) use login::Login;

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
