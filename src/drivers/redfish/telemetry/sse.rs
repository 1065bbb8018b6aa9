//! Server-sent events: bytes in, the data of whole events out. Pure. Source: WHATWG HTML, "Server-sent events".

/// The most bytes of one event, and of one line.
pub(super) const MAX_EVENT_BYTES: usize = 512 << 10;

/// The event, or a line of it, is larger than allowed: nothing more can be read of this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Reads a stream piece by piece.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with a carriage return, so that a line feed right after it belongs to it.
    after_return: bool,
}

impl Parser {
    /// Takes in a piece, and hands the data of every event that it completes to `event`. An event that the stream breaks off
    /// in is never complete.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub(super) fn take(&mut self, piece: &[u8], mut event: impl FnMut(&[u8])) -> Result<(), TooLarge> {
        for byte in piece {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    self.end_line(&mut event)?;
                }
                other => {
                    if self.line.len() >= MAX_EVENT_BYTES {
                        return Err(TooLarge);
                    }
                    self.line.push(*other);
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, event: &mut impl FnMut(&[u8])) -> Result<(), TooLarge> {
        if self.line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                event(&self.data);
            }
            // A large event is rare: its room is given back.
            self.data = Vec::new();
            return Ok(());
        }
        let mut field = self.line.splitn(2, |byte| *byte == b':');
        let name = field.next().unwrap_or_default();
        // `event`, `id`, `retry` and comments say nothing that is needed here.
        if name == b"data" {
            let value = field.next().unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if self.data.len() + value.len() + 1 > MAX_EVENT_BYTES {
                return Err(TooLarge);
            }
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        self.line.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &[u8], piece: usize) -> Result<Vec<String>, TooLarge> {
        let (mut parser, mut found) = (Parser::default(), Vec::new());
        for piece in stream.chunks(piece) {
            parser.take(piece, |data| found.push(String::from_utf8_lossy(data).into_owned()))?;
        }
        Ok(found)
    }

    #[test]
    fn events_are_told_apart_however_the_bytes_come() {
        for (stream, want) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("id: 1\ndata:{\"x\":\ndata:1}\n\n", vec!["{\"x\":\n1}"]),
            (": still here\n\n\n\ndata: a\r\n\r\ndata: b\r\r", vec!["a", "b"]),
            ("event: x\n\ndata\n\n", vec![""]),
            // Broken off: no event.
            ("data: a\n\ndata: half", vec!["a"]),
            ("data: a\n\ndata: half\n", vec!["a"]),
            ("garbage without a colon\n\ndatabase: x\n\n", vec![]),
        ] {
            for piece in [1, 2, 3, 1000] {
                assert_eq!(events(stream.as_bytes(), piece).unwrap(), want, "{stream:?} by {piece}");
            }
        }
    }

    #[test]
    fn an_endless_line_and_an_endless_event_are_refused() {
        assert_eq!(events(&vec![b'x'; MAX_EVENT_BYTES + 1], 4096), Err(TooLarge));
        assert_eq!(events(&b"data: 0123456789\n".repeat(MAX_EVENT_BYTES / 10), 4096), Err(TooLarge));
    }
}
