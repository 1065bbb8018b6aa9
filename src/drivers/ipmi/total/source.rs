//! Whether a command that not every BMC has works on this one, and when it is worth asking again.

use std::time::Duration;

use crate::drivers::ipmi::commands::No;
use crate::model::Moment;

/// How long a command is believed not to work before it is tried again.
const REST: Duration = Duration::from_secs(300);

/// One command of one BMC.
#[derive(Debug, Default)]
pub struct Source {
    state: State,
    /// Why it gave nothing when it was last asked.
    no: Option<No>,
}

#[derive(Debug, Default)]
enum State {
    /// Not asked yet, or to be asked again soon.
    #[default]
    Unknown,
    /// It gave a value once, and is asked from now on.
    Works,
    /// It gave none, and is tried again at this moment.
    Rests(Moment),
}

impl Source {
    /// Whether it gave a value once.
    pub const fn works(&self) -> bool {
        matches!(self.state, State::Works)
    }

    /// Whether it is not worth asking now.
    pub fn rests(&self, now: Moment) -> bool {
        match self.state {
            State::Rests(until) => now < until,
            State::Unknown | State::Works => false,
        }
    }

    /// Why it gave nothing when it was last asked; none if it did, or was not asked.
    pub const fn no(&self) -> Option<No> {
        self.no
    }

    /// Why it is left alone; none if it is not.
    pub const fn why(&self) -> Option<No> {
        match self.state {
            State::Rests(_) => self.no,
            State::Unknown | State::Works => None,
        }
    }

    /// It is about to be asked, and may never answer.
    pub fn begin(&mut self, now: Moment) {
        match self.state {
            State::Works => {}
            State::Unknown | State::Rests(_) => self.state = State::Rests(now + REST),
        }
    }

    /// It answered, with a value if `no` is none.
    pub fn note(&mut self, no: Option<No>, now: Moment) {
        self.no = no;
        self.state = match (no, &self.state) {
            (None, _) | (Some(_), State::Works) => State::Works,
            (Some(No::Code(code)), State::Unknown | State::Rests(_)) if code.passes() => State::Unknown,
            (Some(_), State::Unknown | State::Rests(_)) => State::Rests(now + REST),
        };
    }

    /// It gave nothing, for a reason that passes.
    pub fn again(&mut self, no: No) {
        self.no = Some(no);
        match self.state {
            State::Works => {}
            State::Unknown | State::Rests(_) => self.state = State::Unknown,
        }
    }
}
