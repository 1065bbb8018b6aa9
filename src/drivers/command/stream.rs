//! What the program prints, read as it comes: a task of its own, so that a line's moment is when it came and not when
//! somebody asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStdout;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Heard;
use super::lines::{Line, Lines};
use super::pattern::Pattern;
use super::program::Program;
use super::samples::Samples;
use crate::model::{Clock, Earlier, ErrorKind, PollError, Reading};

/// Lines this near to each other belong together: meters sample at 50 Hz at most, and programs print a sample in one go.
const TOGETHER: Duration = Duration::from_millis(4);
/// How long a program that prints too fast is left waiting, each time.
const BRAKE: Duration = Duration::from_millis(20);
/// The most pieces of output that are taken together.
const MOST_TOGETHER: u32 = 8;
/// The most that a program may print in one poll of mode `once`, bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// A running program whose lines are being read. Dropping it kills the program.
#[derive(Debug)]
pub(super) struct Stream {
    program: Option<Program>,
    shared: Arc<Shared>,
    reading: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    samples: Samples,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// Begins to read what `program` prints.
    pub(super) fn of(
        mut program: Program,
        pattern: Arc<Pattern>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PollError> {
        let stdout = program.stdout().ok_or_else(no_output)?;
        let shared = Arc::new(Shared::default());
        let reading = tokio::spawn(read(stdout, pattern, clock, Arc::clone(&shared)));
        Ok(Self { program: Some(program), shared, reading })
    }

    /// Waits until there is a sample, or the program has closed its output.
    pub(super) async fn some(&self) {
        loop {
            let changed = self.shared.changed.notified();
            {
                let state = self.shared.lock();
                if state.samples.some() || state.ended {
                    return;
                }
            }
            changed.await;
        }
    }

    /// What was received since the last time.
    pub(super) fn drain(&self) -> Vec<Earlier> {
        self.shared.lock().samples.drain()
    }

    /// The lines without a reading since the last time.
    pub(super) fn unread(&self) -> Option<Heard> {
        self.shared.lock().samples.unread()
    }

    /// Stops reading, and gives the program back.
    pub(super) fn into_program(mut self) -> Option<Program> {
        self.program.take()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut stdout: ChildStdout, pattern: Arc<Pattern>, clock: Arc<dyn Clock>, shared: Arc<Shared>) {
    let (mut lines, mut buffer) = (Lines::default(), vec![0; 8 << 10]);
    // Takes bytes in; false if they hold too many lines.
    let mut take = |bytes: &[u8]| {
        let (mut state, mut slow) = (shared.lock(), true);
        lines.push(bytes, |line| slow &= understand(line, &pattern, &mut state.samples, clock.as_ref()));
        slow
    };
    while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
        let at = clock.now();
        let mut slow = take(buffer.get(..count).unwrap_or_default());
        // What comes within a moment belongs together, unless it never ends.
        for _ in 0..MOST_TOGETHER {
            let Ok(Ok(more @ 1..)) = timeout(TOGETHER, stdout.read(&mut buffer)).await else { break };
            slow &= take(buffer.get(..more).unwrap_or_default());
        }
        if shared.lock().samples.end(at) {
            shared.changed.notify_one();
        }
        if !slow {
            sleep(BRAKE).await;
        }
    }
    {
        let mut state = shared.lock();
        lines.finish(|line| {
            understand(line, &pattern, &mut state.samples, clock.as_ref());
        });
        state.samples.end(clock.now());
        state.ended = true;
    }
    shared.changed.notify_one();
}

/// Takes a line; false if there are too many of them.
fn understand(line: Line<'_>, pattern: &Pattern, samples: &mut Samples, clock: &dyn Clock) -> bool {
    if !samples.admits(clock.now()) {
        return false;
    }
    match line {
        Line::Text(text) => samples.take(text, pattern.read(text)),
        Line::Lost => samples.miss("(a line without end)"),
    }
    true
}

/// All that a program prints until it closes its output.
pub(super) async fn whole(program: &mut Program) -> Result<Vec<u8>, PollError> {
    let stdout = program.stdout().ok_or_else(no_output)?;
    let mut output = Vec::new();
    let most = u64::try_from(MAX_OUTPUT).unwrap_or(u64::MAX);
    let read = stdout.take(most + 1).read_to_end(&mut output).await;
    if read.is_err() || output.len() > MAX_OUTPUT {
        return Err(PollError::new(
            ErrorKind::Protocol,
            "it printed more than a megabyte",
            "let it print less, or use `mode: stream`",
        ));
    }
    Ok(output)
}

/// The readings of a whole output; of several of one channel and quantity the last. Lines without any are told, too.
pub(super) fn read_whole(pattern: &Pattern, output: &[u8]) -> (Vec<Reading>, Option<Heard>) {
    let (mut readings, mut samples) = (Vec::<Reading>::new(), Samples::default());
    let mut place = std::collections::HashMap::new();
    let mut take = |text: &str| {
        let found = pattern.read(text);
        if found.is_empty() {
            samples.miss(text);
        }
        for reading in found {
            let key = (reading.channel.clone(), reading.measure.quantity());
            match place.get(&key).and_then(|at: &usize| readings.get_mut(*at)) {
                Some(known) => *known = reading,
                None => {
                    place.insert(key, readings.len());
                    readings.push(reading);
                }
            }
        }
    };
    let text = String::from_utf8_lossy(output);
    if pattern.is_document() {
        take(&text);
    } else {
        text.lines().for_each(take);
    }
    (readings, samples.unread())
}

fn no_output() -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        "its output is not there",
        "this is a bug: please report it with the log",
    )
}
