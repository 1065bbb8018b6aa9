//! Reading files on a thread that may wait: the kernel's files may stand behind a lock or a slow device, and a task must not.

use tokio::task::{JoinHandle, spawn_blocking};

use crate::model::{ErrorKind, PollError};

/// Something that looks at files. A thread takes it along for a look and brings it back.
#[derive(Debug)]
pub(super) struct Looker<T, R> {
    /// None while a thread has it.
    idle: Option<T>,
    /// A look that is under way: perhaps one whose caller gave up.
    looking: Option<JoinHandle<(T, R)>>,
}

impl<T: Send + 'static, R: Send + 'static> Looker<T, R> {
    pub(super) const fn new(of: T) -> Self {
        Self { idle: Some(of), looking: None }
    }

    /// Looks once. May be dropped at any await: what a late look brings is of an earlier time and never returned.
    ///
    /// # Errors
    /// `Protocol` if an earlier look panicked.
    pub(super) async fn look(
        &mut self,
        with: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, PollError> {
        if let Some(late) = &mut self.looking {
            let ended = late.await;
            self.looking = None;
            self.idle = Some(ended.map_err(|_| died())?.0);
        }
        let mut it = self.idle.take().ok_or_else(died)?;
        let look = self.looking.insert(spawn_blocking(move || {
            let found = with(&mut it);
            (it, found)
        }));
        let ended = look.await;
        self.looking = None;
        let (it, found) = ended.map_err(|_| died())?;
        self.idle = Some(it);
        Ok(found)
    }
}

/// The thread that read the files is gone, and with it what it had.
fn died() -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        "reading what runs on this machine broke off",
        "this is a bug: please report it with the log",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_look_that_came_late_is_not_taken_for_the_next() {
        let mut looker = Looker::new(0u32);
        let (go, wait) = mpsc::channel::<()>();
        let slow = looker.look(move |n| {
            wait.recv().unwrap();
            *n += 1;
            *n
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
        go.send(()).unwrap();
        let next = looker.look(|n| {
            *n += 10;
            *n
        });
        assert_eq!(next.await.unwrap(), 11, "the late look's count stays, its answer does not");
    }
}
