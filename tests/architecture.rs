//! Who may import whom: the layers of `src/lib.rs` as a table, held against every `use crate::` in the tree.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Each layer with the layers it may import. A new layer or edge is a decision: it is made here.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("checkpoint", &["model"]),
    ("store", &["model"]),
    ("inventory", &["model"]),
    ("sim", &["model"]),
    ("web", &["model"]),
    ("drivers", &["model", "web"]),
    ("workloads", &["model", "web"]),
    ("attribution", &["model", "store", "inventory", "workloads"]),
    ("poller", &["model"]),
    ("exposition", &["model", "store", "inventory", "attribution", "workloads", "poller", "checkpoint"]),
    ("http", &["model", "exposition"]),
    (
        "app",
        &[
            "model",
            "config",
            "checkpoint",
            "store",
            "inventory",
            "drivers",
            "workloads",
            "attribution",
            "poller",
            "exposition",
            "http",
        ],
    ),
    ("fuzzing", &["checkpoint", "config", "drivers", "workloads"]),
    ("cli", &["app", "config", "drivers", "exposition", "http", "model", "sim", "workloads"]),
];

/// The first segments behind `crate::` in every path of a file, `#[cfg(test)]` code included.
struct Imports(BTreeSet<String>);

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|s| s.ident == "crate")
            && let Some(layer) = segments.next()
        {
            self.0.insert(layer.ident.to_string());
        }
        syn::visit::visit_path(self, path);
    }
}

impl Imports {
    fn tree(&mut self, tree: &syn::UseTree) {
        let syn::UseTree::Path(path) = tree else { return };
        if path.ident != "crate" {
            return;
        }
        let mut stack = vec![&*path.tree];
        while let Some(tree) = stack.pop() {
            match tree {
                syn::UseTree::Path(p) => {
                    self.0.insert(p.ident.to_string());
                }
                syn::UseTree::Name(n) => {
                    self.0.insert(n.ident.to_string());
                }
                syn::UseTree::Rename(r) => {
                    self.0.insert(r.ident.to_string());
                }
                syn::UseTree::Group(g) => stack.extend(&g.items),
                syn::UseTree::Glob(_) => panic!("use crate::* hides what it imports"),
            }
        }
    }
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every layer with the layers its files import.
fn imports() -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut found: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let layer = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let layer = layer.trim_end_matches(".rs").to_owned();
        if layer == "main" || layer == "lib" {
            continue;
        }
        let parsed = syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let mut imports = Imports(BTreeSet::new());
        imports.visit_file(&parsed);
        let of_layer = found.entry(layer.clone()).or_default();
        for import in imports.0.into_iter().filter(|i| *i != layer) {
            of_layer.insert(import, file.clone());
        }
    }
    found
}

#[test]
fn layers_import_only_what_the_table_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (layer, imports) in imports() {
        let Some(may) = allowed.get(layer.as_str()) else {
            wrong.push(format!("{layer} is not in the table"));
            continue;
        };
        for (import, file) in imports {
            if !may.contains(&import.as_str()) {
                wrong.push(format!("{layer} must not import {import}: {}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_of_the_table_exists() {
    let found = imports();
    let missing: Vec<_> = ALLOWED.iter().map(|(l, _)| *l).filter(|l| !found.contains_key(*l)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_clock_is_asked_in_one_file_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    for file in files.iter().filter(|f| !f.ends_with("model/clock.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        for call in ["Instant::now()", "SystemTime::now()"] {
            assert!(!text.contains(call), "{} asks the machine's clock: take a model::Clock", file.display());
        }
    }
}
