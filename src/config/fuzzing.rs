//! Fuzz target of the configuration: any text is read, or every error in it has a place within the file and a remedy.
//! No file is opened: what the text names is not followed.

#![allow(clippy::panic, reason = "that is how a run fails")]

use std::cell::RefCell;
use std::path::Path;

use super::problem::Problems;
use super::schema::File;
use super::{node, reader};

/// Runs one input.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let problems = RefCell::new(Problems::default());
    let file = problems.borrow_mut().add_file(Path::new("fuzz.yaml"));
    match node::parse(text, file) {
        Ok(node) => {
            let _: Option<File> = reader::read(&node, &problems);
            let _ = node.place("meters[0].redfish.timeout");
        }
        Err((at, fault)) => problems.borrow_mut().fault(at, fault),
    }
    // To YAML 1.1 each of these ends a line; an editor may think otherwise.
    let lines =
        1 + text.chars().filter(|c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')).count();
    let (errors, warnings) = problems.into_inner().finish();
    for problem in errors.iter().chain(&warnings) {
        let shown = problem.to_string();
        assert!(!shown.contains('\n'), "{shown:?}");
        if let Some(at) = problem.position {
            assert!(at.line >= 1 && usize::try_from(at.line).is_ok_and(|line| line <= lines), "{shown}");
        }
    }
}
