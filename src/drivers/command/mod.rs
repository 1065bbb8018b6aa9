//! Reader programs: whatever prints lines with readings in them, for meters whose wire protocol is their maker's secret.
//!
//! `program` starts and ends the program with all that it started, `stream` reads its lines as they come, `samples`
//! keeps what they said until the next poll, and `pattern` says what a line means. No shell is between, and the program
//! gets no environment but what it needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Driver, Kind};
use crate::model::{Batch, BoxFuture, Clock, Earlier, ErrorKind, PollError};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod lines;
mod pattern;
mod program;
mod samples;
mod stream;

pub use pattern::{Condition, Field, Format, PatternError, Rule};

use pattern::Pattern;
use program::Program;
use stream::Stream;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "command", about: "Any reader program that prints lines" };

/// After this many polls in a row in which it printed no reading, a program is ended and started anew.
const SILENT_POLLS: u32 = 3;

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The program and its arguments; not empty. Without a slash it is looked for in `PATH`.
    pub run: Vec<String>,
    /// Where it runs, and where its own path starts from if it is relative.
    pub folder: PathBuf,
    /// How long it lives.
    pub mode: Mode,
    /// How its lines are written.
    pub format: Format,
    /// What must hold of a line for it to count; empty for all lines.
    pub only_if: Vec<Condition>,
    /// What is read from it.
    pub rules: Vec<Rule>,
    /// Variables of its environment beside `PATH`; those without a value are handed on.
    pub environment: Vec<(String, Option<String>)>,
    /// How long a poll waits for a reading.
    pub patience: Duration,
}

/// How long a program lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As long as the exporter; it prints a line whenever it has something to say.
    Stream,
    /// For one poll.
    Once,
}

/// Builds the driver; starts nothing yet.
///
/// # Errors
/// If the pattern cannot work.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Driver>, PollError> {
    let pattern = Pattern::new(&settings.format, &settings.only_if, &settings.rules).map_err(|error| {
        PollError::new(ErrorKind::Protocol, format!("its pattern cannot work: {error}"), "correct `command`")
    })?;
    let pattern = Arc::new(pattern);
    Ok(Box::new(Command {
        settings,
        pattern,
        clock,
        stream: None,
        program: None,
        silent: 0,
        answered: false,
    }))
}

struct Command {
    settings: Settings,
    pattern: Arc<Pattern>,
    clock: Arc<dyn Clock>,
    /// The running program in mode `stream`.
    stream: Option<Stream>,
    /// The one that is ending, or that this poll runs.
    program: Option<Program>,
    /// Polls in a row without a reading.
    silent: u32,
    /// Whether there was a reading since the driver was opened.
    answered: bool,
}

impl Command {
    /// What the program printed since the last poll.
    async fn stream(&mut self) -> Result<Batch, PollError> {
        // Of the one before, whose end was cut short.
        self.end().await;
        let stream = match &mut self.stream {
            Some(running) => running,
            none => {
                let program = Program::start(&self.settings)?;
                none.insert(Stream::of(program, Arc::clone(&self.pattern), Arc::clone(&self.clock))?)
            }
        };
        let waited = timeout(self.settings.patience, stream.some()).await;
        let earlier = stream.drain();
        if !earlier.is_empty() {
            self.silent = 0;
            return Ok(self.batch(earlier));
        }
        let name = program::name(&self.settings);
        let heard = stream.unread();
        if waited.is_ok() {
            // It has closed its output: it is over, and what is left of it is ended.
            self.program = self.stream.take().and_then(Stream::into_program);
            let end = self.end().await;
            return Err(over(&name, &end, heard.as_ref()));
        }
        self.silent += 1;
        if self.silent >= SILENT_POLLS {
            self.silent = 0;
            self.program = self.stream.take().and_then(Stream::into_program);
            self.end().await;
        }
        Err(heard.map_or_else(|| silence(&name, self.settings.patience), |heard| nothing(&name, &heard)))
    }

    /// Every moment with what was received then. Only the first of all answers the poll itself: later ones have moments of
    /// their own, and energy is reckoned from those.
    fn batch(&mut self, mut earlier: Vec<Earlier>) -> Batch {
        let first = !std::mem::replace(&mut self.answered, true);
        let readings = if first { earlier.pop().map(|last| last.readings) } else { None };
        Batch { earlier, readings: readings.unwrap_or_default(), ..Batch::default() }
    }

    /// Runs the program once.
    async fn once(&mut self) -> Result<Batch, PollError> {
        self.end().await;
        let name = program::name(&self.settings);
        let program = self.program.insert(Program::start(&self.settings)?);
        let patience = self.settings.patience;
        let Ok(output) = timeout(patience, stream::whole(program)).await else {
            self.end().await;
            let cause = format!("{name} has not ended within {}", humantime::format_duration(patience));
            let fix = "give the meter a longer `timeout`, or use `mode: stream` for a program that goes on";
            return Err(PollError::new(ErrorKind::Timeout, cause, fix));
        };
        let end = self.end().await;
        let output = output?;
        let (readings, heard) = stream::read_whole(&self.pattern, &output);
        if !end.good() {
            return Err(over(&name, &end, heard.as_ref()));
        }
        if readings.is_empty() {
            return Err(heard.map_or_else(|| over(&name, &end, None), |heard| nothing(&name, &heard)));
        }
        Ok(Batch { readings, ..Batch::default() })
    }

    /// Ends what is still there of a program that is over.
    async fn end(&mut self) -> program::End {
        let Some(program) = &mut self.program else { return program::End::default() };
        let end = program.end().await;
        self.program = None;
        end
    }
}

impl Driver for Command {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        match self.settings.mode {
            Mode::Stream => Box::pin(self.stream()),
            Mode::Once => Box::pin(self.once()),
        }
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(stream) = self.stream.take() {
                self.program = stream.into_program();
            }
            if let Some(program) = &mut self.program {
                program.ask_to_end();
            }
            self.end().await;
        })
    }
}

/// Lines that gave no reading.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heard {
    /// How many.
    lines: u64,
    /// The last of them, fit to be shown.
    last: String,
}

/// It ended.
fn over(name: &str, end: &program::End, heard: Option<&Heard>) -> PollError {
    let last = heard.map_or_else(String::new, |heard| format!(", and last printed `{}`", heard.last));
    PollError::new(
        ErrorKind::Unreachable,
        format!("{name} {end}{last}"),
        "it is started anew by the next poll; run it by hand, as this program's user, to see why it ends",
    )
}

/// It prints nothing.
fn silence(name: &str, patience: Duration) -> PollError {
    PollError::new(
        ErrorKind::Timeout,
        format!("{name} has printed nothing for {}", humantime::format_duration(patience)),
        "check the meter behind it; it must print each sample at once (unbuffered), and one at least within each `timeout`",
    )
}

/// It prints, but nothing to read.
fn nothing(name: &str, heard: &Heard) -> PollError {
    let Heard { lines, last } = heard;
    PollError::new(
        ErrorKind::Protocol,
        format!("{name} printed {lines} lines without a reading, the last of them `{last}`"),
        "compare it with `format`, `only_if` and `readings`",
    )
}
