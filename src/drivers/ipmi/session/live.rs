//! A session that is up: how its packets are covered, which numbers they bear, and the request that waits for its reply.

use super::legacy::Legacy;
use super::window::Window;
use super::{Event, Random};
use crate::drivers::ipmi::Login;
use crate::drivers::ipmi::crypto::Keys;
use crate::drivers::ipmi::wire::message::{Integrity, Request};
use crate::drivers::ipmi::wire::packet;

/// A request in the session.
pub struct Pending {
    pub request: Request,
    pub seq: u8,
    /// The BMC's newest sequence number when it was first sent: the reply's is newer.
    pub after: u32,
    pub tries: u32,
}

impl Pending {
    /// What `message`, in a packet with this number, is to the request under way, if any: it is answered once.
    pub fn answer(pending: &mut Option<Self>, message: &[u8], integrity: Integrity, number: u32) -> Event {
        let answer = pending
            .as_ref()
            .filter(|asked| Window::newer(number, asked.after))
            .and_then(|asked| asked.request.answer(message, integrity, asked.seq));
        match answer {
            Some(reply) => {
                *pending = None;
                Event::Reply(reply)
            }
            None => Event::Ignored,
        }
    }
}

/// The keys of a session of IPMI 2.0 and where its packets go.
pub struct Plus {
    pub keys: Keys,
    pub managed: u32,
}

/// A session that is up, or that the BMC may take for up.
pub enum Live {
    /// Of IPMI 2.0. `sent` is the number of our last packet.
    Plus { plus: Box<Plus>, sent: u32, window: Window },
    /// Of IPMI 1.5.
    Legacy(Box<Legacy>),
}

impl From<Box<Plus>> for Live {
    fn from(plus: Box<Plus>) -> Self {
        Self::Plus { plus, sent: 0, window: Window::open() }
    }
}

impl Live {
    /// The session's id in the BMC.
    pub const fn id(&self) -> u32 {
        match self {
            Self::Plus { plus, .. } => plus.managed,
            Self::Legacy(live) => live.session,
        }
    }

    /// The newest number of the BMC's packets.
    pub const fn newest(&self) -> u32 {
        match self {
            Self::Plus { window, .. } => window.newest(),
            Self::Legacy(live) => live.window.newest(),
        }
    }

    pub fn seal(&mut self, message: &[u8], login: &Login, random: &dyn Random) -> Option<Vec<u8>> {
        // 0 stands for "outside of a session" and is skipped.
        let next = |sent: &mut u32| {
            *sent = sent.checked_add(1).unwrap_or(1);
            *sent
        };
        match self {
            Self::Plus { plus, sent, .. } => {
                let mut iv = [0; 16];
                if !random.fill(&mut iv) {
                    return None;
                }
                Some(packet::seal(&plus.keys, plus.managed, next(sent), message, iv))
            }
            Self::Legacy(live) => Some(live.cover.seal(login, live.session, next(&mut live.sent), message)),
        }
    }
}
