//! What stands in the folder after writes, crashes and damage.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A file is good if it begins with `good`.
fn read(bytes: &[u8]) -> Result<String, String> {
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| "it is no text".to_owned())?;
    if text.starts_with("good") { Ok(text) } else { Err("it is bad".to_owned()) }
}

fn good(folder: &mut Folder) -> Option<String> {
    let found = folder.find(read);
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    found.good.map(|(text, _)| text)
}

#[test]
fn the_latest_is_read_and_the_one_before_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let mut folder = Folder::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(good(&mut folder), None);
    for n in 1..=3 {
        folder.write(format!("good {n}").as_bytes()).unwrap();
        assert_eq!(good(&mut folder), Some(format!("good {n}")));
    }
    assert_eq!(fs::read_to_string(path.join("wattribute.checkpoint.previous")).unwrap(), "good 2");
    assert_eq!(fs::metadata(path.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["wattribute.checkpoint", "wattribute.checkpoint.previous", "wattribute.lock"]);
}

#[test]
fn what_cannot_be_used_is_set_aside_and_the_previous_one_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    folder.write(b"good 1").unwrap();
    folder.write(b"bad").unwrap();
    let found = folder.find(read);
    assert_eq!(found.good.unwrap().0, "good 1");
    let aside = dir.path().join("wattribute.checkpoint.refused-1");
    let wanted =
        Refused { path: dir.path().join(FILE), cause: "it is bad".to_owned(), aside: Some(aside.clone()) };
    assert_eq!(found.refused, [wanted]);
    assert_eq!(fs::read_to_string(aside).unwrap(), "bad");
    // The next write must not push the good one out.
    folder.write(b"worse").unwrap();
    let found = folder.find(read);
    assert_eq!(found.good.unwrap().0, "good 1");
    assert!(dir.path().join("wattribute.checkpoint.refused-2").exists());
}

#[test]
fn neither_is_used_where_both_are_bad_and_both_are_still_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    folder.write(b"bad 1").unwrap();
    folder.write(b"bad 2").unwrap();
    let found = folder.find(read);
    assert!(found.good.is_none());
    let aside: Vec<_> = found.refused.iter().map(|r| fs::read(r.aside.as_ref().unwrap()).unwrap()).collect();
    assert_eq!(aside, [b"bad 2", b"bad 1"]);
}

#[test]
fn a_file_that_cannot_be_read_at_all_is_set_aside_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    fs::create_dir(dir.path().join(FILE)).unwrap();
    let found = folder.find(read);
    assert!(found.good.is_none() && found.refused[0].cause.contains("it cannot be read"));
    assert!(dir.path().join("wattribute.checkpoint.refused-1").is_dir());
}

#[test]
fn a_second_exporter_is_refused_until_the_first_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let first = Folder::open(dir.path()).unwrap();
    let error = Folder::open(dir.path()).unwrap_err().to_string();
    let wanted = format!(
        "{} is in use by another exporter (process {}): two would",
        dir.path().display(),
        std::process::id()
    );
    assert!(error.starts_with(&wanted), "{error}");
    drop(first);
    Folder::open(dir.path()).unwrap();
}

#[test]
fn a_full_disk_leaves_the_old_file_whole_and_is_over_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    folder.write(b"good 1").unwrap();
    symlink("/dev/full", dir.path().join("wattribute.checkpoint.new")).unwrap();
    for _ in 0..3 {
        let error = folder.write(b"good 2").unwrap_err().to_string();
        assert!(error.contains("wattribute.checkpoint.new: No space left on device"), "{error}");
    }
    assert_eq!(good(&mut folder).as_deref(), Some("good 1"));
    fs::remove_file(dir.path().join("wattribute.checkpoint.new")).unwrap();
    folder.write(b"good 3").unwrap();
    assert_eq!(good(&mut folder).as_deref(), Some("good 3"));
}

#[test]
fn a_folder_that_goes_away_is_an_error_and_one_that_comes_back_is_held_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, away) = (dir.path().join("state"), dir.path().join("away"));
    let mut folder = Folder::open(&path).unwrap();
    fs::rename(&path, &away).unwrap();
    assert_eq!(folder.write(b"good").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!path.exists(), "what was mounted there must not be written beneath");
    fs::create_dir(&path).unwrap();
    folder.write(b"good").unwrap();
    assert!(matches!(Folder::open(&path), Err(OpenError::Held { .. })));
    // Meanwhile another exporter may have taken it.
    fs::rename(&path, dir.path().join("again")).unwrap();
    let other = Folder::open(&path).unwrap();
    let error = folder.write(b"good").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    drop(other);
}

#[test]
fn a_crash_between_any_two_steps_leaves_a_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    folder.write(b"good 1").unwrap();
    folder.write(b"good 2").unwrap();
    let at = |suffix: &str| dir.path().join(format!("{FILE}{suffix}"));
    // Half of the new one is written.
    fs::write(at(".new"), b"go").unwrap();
    assert_eq!(good(&mut folder).as_deref(), Some("good 2"));
    // The latest has its second name, and its third.
    fs::hard_link(at(""), at(".old")).unwrap();
    assert_eq!(good(&mut folder).as_deref(), Some("good 2"));
    fs::rename(at(".old"), at(".previous")).unwrap();
    assert_eq!(good(&mut folder).as_deref(), Some("good 2"));
    folder.write(b"good 3").unwrap();
    assert_eq!(good(&mut folder).as_deref(), Some("good 3"));
    assert_eq!(fs::read(at(".previous")).unwrap(), b"good 2");
    // Without second names the latest is away for a moment.
    fs::rename(at(""), at(".previous")).unwrap();
    assert_eq!(good(&mut folder).as_deref(), Some("good 3"));
}

#[test]
fn a_place_that_is_no_folder_is_told_with_the_fix() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Folder::open(&file.path().join("below")).unwrap_err().to_string();
    assert!(error.contains("cannot be made a folder") && error.contains("--storage.path"), "{error}");
}

#[test]
fn a_checkpoint_that_was_not_read_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    folder.write(b"mine").unwrap();
    // As a disk that is mounted over the folder brings it.
    let brought = dir.path().join("brought");
    fs::write(&brought, b"of years").unwrap();
    fs::rename(&brought, dir.path().join(FILE)).unwrap();
    for n in 0..3 {
        folder.write(format!("mine {n}").as_bytes()).unwrap();
    }
    let read = |suffix: &str| fs::read(dir.path().join(format!("{FILE}{suffix}"))).unwrap();
    assert_eq!((read(""), read(".refused-1")), (b"mine 2".to_vec(), b"of years".to_vec()));
}
