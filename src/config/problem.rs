//! What is wrong with a configuration, where, and what to do: [`Problem`], the sorted list of them that
//! [`load`](super::load) returns, and the collector that the reader and the checks share.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// A line and column, both from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, in characters from 1.
    pub column: u32,
}

/// Where something is defined. Shown as `FILE:LINE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named or included.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One thing that is wrong. Shown as `FILE:LINE:COLUMN: DEVICE: what; fix`. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named or included.
    pub file: PathBuf,
    /// Where in it; none when the file could not be read at all.
    pub position: Option<Position>,
    /// The entry it stands in: `meter pdu-a`, `host compute-1`; none outside of lists.
    pub device: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(at) = self.position {
            write!(f, "{}:{}:", at.line, at.column)?;
        }
        if let Some(device) = &self.device {
            write!(f, " {device}:")?;
        }
        write!(f, " {}; {}", self.what, self.fix)
    }
}

/// Everything that is wrong, sorted by file, line and column; at least one entry. Displays as one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<Problem>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// A place in one of the files being read: cheap to copy, and its order is the order of reading. Line 0 is the file
/// as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark {
    file: u16,
    line: u32,
    column: u32,
}

impl Mark {
    /// Lines and columns beyond this all look like the last one: 24 bits each, so that a mark fits into 64.
    const MOST: u32 = 0x00FF_FFFF;

    /// A place in the file with this number; line and column from 1.
    pub(super) fn new(file: u16, line: u32, column: u32) -> Self {
        Self { file, line: line.min(Self::MOST), column: column.min(Self::MOST) }
    }

    /// The file as a whole.
    pub(super) const fn whole(file: u16) -> Self {
        Self { file, line: 0, column: 0 }
    }

    /// `line 7`, as messages point at another place.
    pub(super) fn line(self) -> String {
        format!("line {}", self.line)
    }

    /// As one number, the only form in which serde lets a place pass.
    pub(super) fn pack(self) -> u64 {
        u64::from(self.file) << 48 | u64::from(self.line) << 24 | u64::from(self.column)
    }

    /// Undoes [`Mark::pack`].
    pub(super) fn unpack(packed: u64) -> Self {
        let part = |shift: u32, mask: u32| u32::try_from(packed >> shift & u64::from(mask)).unwrap_or(mask);
        let file = u16::try_from(part(48, 0xFFFF)).unwrap_or(u16::MAX);
        Self { file, line: part(24, Self::MOST), column: part(0, Self::MOST) }
    }

    fn position(self) -> Option<Position> {
        (self.line > 0).then_some(Position { line: self.line, column: self.column })
    }
}

/// What is wrong and what to do, before it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) fix: String,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

/// `what; fix`: the form in which a fault passes through serde and garde, which know only messages.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

impl std::error::Error for Fault {}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        let (what, fix) = message.split_once("; ").unwrap_or((message, "correct it"));
        Self::new(what, fix)
    }
}

/// Collects errors and warnings of all files while they are read and checked.
#[derive(Debug, Default)]
pub(super) struct Problems {
    files: Vec<PathBuf>,
    errors: Vec<(Mark, Fault)>,
    /// The places of the errors.
    marked: HashSet<Mark>,
    /// Keys that a wrong key was taken for, with the map they belong to: they are not missing as well.
    meant: HashSet<(Mark, String)>,
    warnings: Vec<(Mark, Fault)>,
    /// Where each entry of a list starts, and its name; a place belongs to the last start before it.
    owners: BTreeMap<Mark, Option<String>>,
}

impl Problems {
    /// Takes a file in and gives it its number; beyond 65,535 files they share the last.
    pub(super) fn add_file(&mut self, path: &Path) -> u16 {
        self.files.push(path.to_owned());
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    pub(super) fn error(&mut self, at: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.fault(at, Fault::new(what, fix));
    }

    pub(super) fn fault(&mut self, at: Mark, fault: Fault) {
        self.marked.insert(at);
        self.errors.push((at, fault));
    }

    pub(super) fn warn(&mut self, at: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.warnings.push((at, Fault::new(what, fix)));
    }

    /// Whether an error already stands exactly here: what follows from it need not be told as well.
    pub(super) fn stands_at(&self, at: Mark) -> bool {
        self.marked.contains(&at)
    }

    /// Says that the map at `map` holds a wrong key that was meant as `key`.
    pub(super) fn means(&mut self, map: Mark, key: &str) {
        self.meant.insert((map, key.to_owned()));
    }

    /// Whether a wrong key in this map was meant as `key`.
    pub(super) fn was_meant(&self, map: Mark, key: &str) -> bool {
        self.meant.contains(&(map, key.to_owned()))
    }

    /// Says that what follows `at` belongs to `device`, up to the next such place.
    pub(super) fn owner(&mut self, at: Mark, device: Option<String>) {
        self.owners.insert(at, device);
    }

    /// Whether anything is wrong so far.
    pub(super) fn any(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Where `place` is, as told at `from`: the line, and the file if it is another one.
    pub(super) fn describe(&self, place: Mark, from: Mark) -> String {
        match self.files.get(usize::from(place.file)) {
            Some(file) if place.file != from.file => format!("in {} on {}", file.display(), place.line()),
            _ => format!("on {}", place.line()),
        }
    }

    /// A mark as users see it.
    pub(super) fn place(&self, mark: Mark) -> Place {
        let file = self.files.get(usize::from(mark.file)).cloned().unwrap_or_default();
        Place { file, line: mark.line.max(1) }
    }

    /// The sorted errors and warnings.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        let errors = std::mem::take(&mut self.errors);
        let warnings = std::mem::take(&mut self.warnings);
        (self.placed(errors), self.placed(warnings))
    }

    fn placed(&self, mut faults: Vec<(Mark, Fault)>) -> Vec<Problem> {
        faults.sort_by_key(|(mark, _)| *mark);
        faults.dedup();
        faults
            .into_iter()
            .map(|(mark, fault)| Problem {
                file: self.files.get(usize::from(mark.file)).cloned().unwrap_or_default(),
                position: mark.position(),
                device: self.owner_of(mark),
                what: fault.what,
                fix: fault.fix,
            })
            .collect()
    }

    fn owner_of(&self, mark: Mark) -> Option<String> {
        let (start, device) = self.owners.range(..=mark).next_back()?;
        if start.file == mark.file { device.clone() } else { None }
    }
}

/// The known word nearest to `word`, where one is near enough to be a slip of the hand.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What a message may show of a value: short, and nothing that could disturb a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
