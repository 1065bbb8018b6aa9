//! Every bad configuration in `tests/config_errors/` and the exact words it must cause: `NAME.yaml` and
//! `NAME.expected`, one error a line. `UPDATE_EXPECTED=1` writes what is said now; read it before you commit it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use wattribute::config;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors")
}

/// The only variables there are: one good, one empty.
fn env(name: &str) -> Option<String> {
    match name {
        "BMC_PASSWORD" => Some("correct horse".into()),
        "EMPTY_PASSWORD" => Some(String::new()),
        _ => None,
    }
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    cases
}

/// All errors of a file, as `wattribute check` prints them, with paths from this folder.
fn said(path: &Path) -> String {
    let errors = match config::load(path, &env) {
        Ok(config) => panic!("{} is accepted: {config:?}", path.display()),
        Err(errors) => errors,
    };
    format!("{errors}\n").replace(&format!("{}/", folder().display()), "")
}

#[test]
fn every_bad_file_is_refused_in_exactly_these_words() {
    let mut wrong = Vec::new();
    for path in cases() {
        let said = said(&path);
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if said != wanted {
            wrong.push(format!("{}\nwanted:\n{wanted}said:\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_is_large_enough() {
    assert!(cases().len() >= 25, "{} files", cases().len());
}

#[test]
fn every_message_names_its_place_and_a_remedy_and_no_secret() {
    for path in cases() {
        for line in said(&path).lines() {
            assert!(line.contains("; "), "{line}");
            assert!(line.contains(".yaml:"), "{line}");
            assert!(!line.contains("hunter2"), "{line}");
            assert!(!line.contains("correct horse"), "{line}");
        }
    }
}
