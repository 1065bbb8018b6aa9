//! How a session ends: it is closed in a task of its own, so that a poll that is dropped leaves none behind, and its place
//! counts as taken until the BMC has said that it is closed, or does not know it any more.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::link::Line;

/// How long a BMC may take to answer each Close Session; some never do.
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(500), Duration::from_secs(1)];
/// How often it may leave Close Session unanswered while it answers in another session, before that says that it does not
/// know this one: a datagram may have been lost once.
const DEAF: u32 = 2;
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
    let mut deaf = 0;
    for patience in PATIENCE {
        while let Some(datagram) = line.session.transmit() {
            line.lease.send_now(&datagram);
        }
        let heard = line.place.heard();
        if timeout(patience, closed(&mut line)).await.is_ok() {
            line.place.given_back();
            return;
        }
        deaf += u32::from(line.place.heard() != heard);
        if deaf == DEAF {
            // It has restarted, or had dropped the session before.
            line.place.given_back();
            return;
        }
        line.session.farewell();
    }
}

async fn closed(line: &mut Line) {
    loop {
        let datagram = line.lease.receive().await;
        if line.session.is_closed_by(&datagram) {
            return;
        }
    }
}
