//! How a session is given back: Close Session, as often as it takes, and whether the BMC has said that it is done.

use super::{APPLICATION, Live, Session, State};
use crate::drivers::ipmi::wire::message::{Integrity, Reply, Request};
use crate::drivers::ipmi::wire::packet::Datagram;

pub(super) const CLOSE_SESSION: u8 = 0x3c;
/// The BMC does not know the session: it is closed as well.
const NO_SESSION: u8 = 0x87;

/// A session that the BMC may hold, and that is not used any more.
pub(super) struct Leaving {
    live: Live,
    /// Number of the request.
    seq: u8,
}

impl Leaving {
    fn request(&self) -> Request {
        Request::new(APPLICATION, CLOSE_SESSION, self.live.id().to_le_bytes())
    }
}

impl Session {
    /// Ends the session from our side: Close Session, to be sent without waiting for a reply. Also where the BMC may
    /// think that there is one, since RAKP 3 was sent. Each further call says it once more. False if the BMC holds nothing
    /// that could be closed.
    pub fn farewell(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ready { live, .. } => self.leave(live),
            State::Rakp3 { plus, .. } => self.leave(Live::from(plus)),
            // Of a session of IPMI 1.5 whose id never came nobody can say which it is.
            State::Idle
            | State::Greeting(..)
            | State::Suites(..)
            | State::Challenge(..)
            | State::Activation(_)
            | State::Opening { .. }
            | State::Rakp1 { .. }
            | State::Over => self.say_farewell(),
        }
        self.leaving.is_some()
    }

    /// Closes what `live` stands for; what was being closed before is left to the BMC's time-out.
    pub(super) fn leave(&mut self, live: Live) {
        let seq = self.next_seq();
        self.leaving = Some(Leaving { live, seq });
        self.say_farewell();
    }

    fn say_farewell(&mut self) {
        let Some(leaving) = &mut self.leaving else { return };
        let message = leaving.request().encode(leaving.seq);
        self.outbox.extend(leaving.live.seal(&message, &self.login, self.random.as_ref()));
    }

    /// Whether `datagram` is the BMC's word that the session is closed.
    pub fn is_closed_by(&mut self, datagram: &[u8]) -> bool {
        let Some(leaving) = &mut self.leaving else { return false };
        let reply = match (Datagram::parse(datagram), &mut leaving.live) {
            (Some(Datagram::Sealed(sealed)), Live::Plus { plus, window, .. })
                if sealed.session == self.console =>
            {
                let message = sealed.open(&plus.keys).filter(|_| window.accept(sealed.sequence));
                message.and_then(|message| Reply::decode(&message, Integrity::Sealed))
            }
            (Some(Datagram::Coded(coded)), Live::Legacy(live)) => live.reply(&coded, &self.login),
            _of_another_session => None,
        };
        reply.is_some_and(|reply| {
            leaving.request().is_answered_by(&reply, leaving.seq) && matches!(reply.code, 0 | NO_SESSION)
        })
    }
}
