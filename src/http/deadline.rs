//! A stream whose writes must get through: from the first write that has to wait until everything is flushed, a fixed
//! time. Without it a client that asks for a large page and never reads it holds the page for ever, since hyper has a
//! deadline for request heads but none for responses.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// `S` with a deadline for what is written to it.
pub(super) struct WriteDeadline<S> {
    stream: S,
    limit: Duration,
    /// Runs while something written is not through.
    running: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteDeadline<S> {
    pub(super) const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, running: None }
    }

    /// Turns a write that has to wait into an error once the time is up.
    fn check<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            return result;
        }
        let limit = self.limit;
        ready!(self.running.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its response")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.check(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes once all that it holds is written, so a flush that succeeds ends the waiting.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        if result.is_ready() {
            self.running = None;
        }
        self.check(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_trickles_cannot_stretch_the_time() {
        let (ours, mut theirs) = duplex(4);
        let mut stream = WriteDeadline::new(ours, LIMIT);
        let trickle = async {
            let mut byte = [0];
            while theirs.read_exact(&mut byte).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let write = async {
            let result = stream.write_all(&[0; 100]).await;
            drop(stream);
            result
        };
        let (result, ()) = tokio::join!(write, trickle);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn each_response_has_its_own_time() {
        let (ours, mut theirs) = duplex(4);
        let mut stream = WriteDeadline::new(ours, LIMIT);
        let reads = async {
            let mut page = [0; 8];
            for _ in 0..3 {
                sleep(Duration::from_secs(8)).await;
                theirs.read_exact(&mut page).await.unwrap();
            }
        };
        let writes = async {
            for _ in 0..3 {
                stream.write_all(&[0; 8]).await.unwrap();
                stream.flush().await.unwrap();
            }
        };
        assert!(timeout(Duration::from_secs(60), async { tokio::join!(reads, writes) }).await.is_ok());
    }
}
