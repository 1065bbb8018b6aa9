//! What the pages say, held against what there is: links, commands, flags, the schema, drivers, licences.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wattribute::{config, drivers};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// Every file of the repository, relative to its root; build results and hidden folders but `.ci` are left out.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && name != ".ci" && name != ".editorconfig";
            if hidden || ["target", "__pycache__"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found
}

/// Every Markdown page with its text.
fn pages() -> BTreeMap<PathBuf, String> {
    let pages = files().into_iter().filter(|f| f.extension().is_some_and(|e| e == "md"));
    pages.map(|page| (page.clone(), read(page))).collect()
}

/// A heading's anchor, as code hosts make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

fn anchors(page: &str) -> BTreeSet<String> {
    page.lines().filter(|l| l.starts_with('#')).map(|l| anchor(l.trim_start_matches('#'))).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("http") {
                continue;
            }
            seen += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{}: {link} leads nowhere", page.display()));
            } else if !fragment.is_empty() && !anchors(&read(&target)).contains(fragment) {
                wrong.push(format!("{}: {link}: no such heading", page.display()));
            }
        }
    }
    assert!(seen > 20, "{seen} links found");
    assert_none(&wrong);
}

#[test]
fn every_page_is_in_the_readme() {
    let readme = read("README.md");
    let of_docs = pages().into_keys().filter(|p| p.starts_with("docs"));
    let missing: Vec<_> = of_docs
        .filter(|p| !readme.contains(&format!("({})", p.display())))
        .map(|p| format!("README.md does not link {}", p.display()))
        .collect();
    assert_none(&missing);
}

#[test]
fn every_make_target_named_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<_> =
        makefile.lines().filter_map(|l| l.split_once(':')).map(|(target, _)| target).collect();
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        // As code only: "make sure" is no command.
        for named in ["`make ", "    make "].iter().flat_map(|before| text.split(before).skip(1)) {
            let target: String = named.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !targets.contains(target.as_str()) {
                wrong.push(format!("{}: make {target}", page.display()));
            }
        }
    }
    assert_none(&wrong);
    let readme = read("README.md");
    assert!(readme.contains("make demo") && readme.contains("make test"));
}

fn help(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_wattribute")).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{arguments:?} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// What stands behind `before` in code, up to the first character that `is_part` refuses.
fn named<'a>(text: &'a str, before: &'a str, is_part: fn(char) -> bool) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).map(move |rest| &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())])
}

#[test]
fn every_command_and_flag_named_exists() {
    let all = help(&[]);
    let commands: Vec<&str> = all
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"serve"), "{commands:?}");
    let mut flags: String = commands.iter().filter(|c| **c != "help").map(|c| help(&[c])).collect();
    flags += &help(&["profile", "test"]);
    let flags: BTreeSet<&str> = flags.split_whitespace().map(|w| w.trim_end_matches(',')).collect();
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for command in named(&text, "wattribute ", |c| c.is_ascii_lowercase() || c == '-')
            .filter(|c| ["`", "\n", "    "].iter().any(|b| text.contains(&format!("{b}wattribute {c}"))))
            .filter(|c| !c.is_empty() && !c.starts_with('-'))
        {
            if !commands.contains(&command) {
                wrong.push(format!("{}: wattribute {command}", page.display()));
            }
        }
        // Flags on lines about this program; other programs have flags of their own.
        for line in
            text.lines().filter(|l| l.contains("wattribute ") || l.contains("| `--") || l.starts_with("`--"))
        {
            for flag in named(line, "--", |c| c.is_ascii_lowercase() || c == '.' || c == '-') {
                let flag = format!("--{}", flag.trim_end_matches(['.', '-']));
                let of_others =
                    ["cargo ", "useradd ", "systemctl ", "usermod "].iter().any(|p| line.contains(p));
                if flag.len() > 2 && !of_others && !flags.contains(flag.as_str()) {
                    wrong.push(format!("{}: {flag}", page.display()));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_json_schemas_are_up_to_date() {
    let of_profiles = drivers::profiles::json_schema();
    for (path, now) in
        [("docs/wattribute.schema.json", config::json_schema()), ("docs/profile.schema.json", of_profiles)]
    {
        schema_is_written(path, &(now + "\n"));
    }
}

fn schema_is_written(path: &str, now: &str) {
    if std::env::var_os("WATTRIBUTE_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(root().join(path), now).unwrap();
    }
    let written = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(written == now, "{path} is out of date: `make docs` renews it");
}

#[test]
fn every_driver_has_its_page() {
    let without = |kind: &&drivers::Kind| !root().join(format!("docs/drivers/{}.md", kind.name)).is_file();
    let missing: Vec<_> = drivers::REGISTRY.iter().filter(without).map(|k| k.name.to_owned()).collect();
    assert_none(&missing);
}

#[test]
fn every_dependency_has_its_line() {
    let page = read("docs/dependencies.md");
    let words: BTreeSet<&str> = page
        .lines()
        .filter_map(|l| l.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .collect();
    let manifest = read("Cargo.toml");
    let mut section = "";
    let mut wrong = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
            && !words.contains(name)
        {
            wrong.push(format!("{name} has no line in docs/dependencies.md"));
        }
    }
    assert_none(&wrong);
}

/// Whether an SPDX expression (`/` is an old form of OR) can be met with the `allowed` licences.
fn allows(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain =
        expression.replace(['(', ')'], " ").replace('/', " OR ").replace(" WITH LLVM-exception", "-LLVM");
    let one = |name: &str| allowed.contains(name.trim());
    // "(A OR B) AND C" without its parentheses reads as every AND part having one of its ORs allowed.
    plain.split(" AND ").all(|part| part.split(" OR ").any(one))
}

#[test]
fn licences_of_all_dependencies_are_allowed() {
    let list = read("deny.toml");
    let list = list.split_once("allow = [").unwrap().1.split_once(']').unwrap().0;
    let allowed: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    let refused = packages.iter().filter(|p| !p["license"].as_str().is_some_and(|l| allows(l, &allowed)));
    let refused: Vec<_> = refused.map(|p| format!("{}: {}", p["name"], p["license"])).collect();
    assert_none(&refused);
}

#[test]
fn the_repository_names_no_place_of_one_machine() {
    // In two parts, so that this file does not name them either.
    let words = [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"], ["../sh", "ared/"]]
        .map(|w| w.concat());
    let mut wrong = Vec::new();
    for file in files().iter().filter(|f| !f.starts_with(".ci")) {
        let text = String::from_utf8_lossy(&fs::read(root().join(file)).unwrap()).into_owned();
        for word in words.iter().filter(|w| text.contains(*w)) {
            wrong.push(format!("{}: {word}", file.display()));
        }
    }
    assert_none(&wrong);
}
