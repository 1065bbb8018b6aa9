//! Lists the device profiles of `profiles/`, so that a new one is a file there and nothing else.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for protocol in ["http", "modbus", "snmp"] {
        let folder = root.join("profiles").join(protocol);
        println!("cargo:rerun-if-changed={}", folder.display());
        fs::write(out.join(format!("{protocol}.rs")), list(&folder)?)?;
    }
    Ok(())
}

/// `[("NAME.yaml", include_str!("PATH")), ...]`, in order of names.
fn list(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    let entry = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("({name:?}, include_str!({:?})),\n", path.display().to_string())
    };
    Ok(format!("[\n{}]", files.iter().map(entry).collect::<String>()))
}
