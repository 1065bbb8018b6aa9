//! How a session ends: it is closed in a task of its own, so that a poll that is dropped leaves none behind, and its place
//! counts as taken until the BMC has said that it is closed, or does not know it any more.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::link::Line;

/// How long each Close Session is given. Together as long as a BMC keeps a silent session: 60 s, give or take 3 (IPMI v2.0
/// section 6.12.15).
const PATIENCE: [Duration; 8] = [
    Duration::from_millis(500),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];
/// The same once its place is needed.
const HURRY: Duration = Duration::from_millis(200);
/// How often it may leave Close Session unanswered while it answers in another session, before that says that it does not
/// know this one: a datagram may have been lost, and another.
const DEAF: u32 = 3;
/// The longest that a poll or the shutdown waits for it. It goes on by itself.
const WAIT: Duration = Duration::from_millis(600);

/// A session that is being closed.
pub struct Parting(JoinHandle<()>);

impl Parting {
    /// Waits a little for its end.
    pub async fn wait(self) {
        // Not in time is left to the task; one that died has lost nothing but its place, which the BMC drops by itself.
        let _ = timeout(WAIT, self.0).await;
    }
}

/// Closes a session. The first Close Session has been sent when this returns; nothing is left to be done where there is
/// none.
pub fn part(mut line: Line) -> Option<Parting> {
    line.place.leave();
    let open = line.session.farewell();
    while let Some(datagram) = line.session.transmit() {
        line.lease.send_now(&datagram);
    }
    let runtime = Handle::try_current().ok().filter(|_| open)?;
    Some(Parting(runtime.spawn(insist(line))))
}

async fn insist(mut line: Line) {
    let (mut patience, mut hurry, mut deaf) = (PATIENCE.into_iter(), false, 0);
    while deaf < DEAF {
        let next = if hurry { Some(HURRY) } else { patience.next() };
        // Silent for so long that the BMC has dropped it, whether it heard us or not.
        let Some(next) = next else { break };
        while let Some(datagram) = line.session.transmit() {
            line.lease.send_now(&datagram);
        }
        let (heard, needed) = (line.place.heard(), line.place.needed());
        tokio::select! {
            biased;
            () = closed(&mut line) => break,
            // Who needs the place has just been answered by the BMC.
            () = needed, if !hurry => (hurry, deaf) = (true, 0),
            () = sleep(next) => deaf += u32::from(hurry || line.place.heard() != heard),
        }
        line.session.farewell();
    }
    line.place.given_back();
}

async fn closed(line: &mut Line) {
    loop {
        let datagram = line.lease.receive().await;
        if line.session.is_closed_by(&datagram) {
            return;
        }
    }
}
