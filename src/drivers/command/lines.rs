//! Bytes into lines, each within a limit. Pure.

/// The longest line that is understood, bytes: what is longer is no sample of a meter.
pub(super) const MAX_LINE: usize = 64 << 10;

/// Takes a line apart from the bytes around it, however those come.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// Whether the line under way is too long: the rest of it is thrown away.
    lost: bool,
}

/// What came of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Its text, without the line end; bytes that are no text are shown as such.
    Text(&'a str),
    /// Too long.
    Lost,
}

impl Lines {
    /// Takes bytes in, and tells every line that they end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.keep(line);
            self.tell(&mut tell);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    /// Tells the last line, if it has no end.
    pub(super) fn finish(&mut self, mut tell: impl FnMut(Line<'_>)) {
        if self.lost || !self.begun.is_empty() {
            self.tell(&mut tell);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.lost || self.begun.len() + bytes.len() > MAX_LINE {
            self.lost = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn tell(&mut self, tell: &mut impl FnMut(Line<'_>)) {
        if std::mem::take(&mut self.lost) {
            tell(Line::Lost);
        } else {
            tell(Line::Text(String::from_utf8_lossy(&self.begun).trim_end_matches('\r')));
        }
        self.begun.clear();
    }
}

/// A line as a message may show it: short, and nothing that could disturb a terminal.
pub(super) fn shown(line: &str) -> String {
    line.trim().chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let mut tell = |line: Line<'_>| {
            told.push(match line {
                Line::Text(text) => text.to_owned(),
                Line::Lost => "LOST".to_owned(),
            });
        };
        for chunk in chunks {
            lines.push(chunk, &mut tell);
        }
        lines.finish(&mut tell);
        told
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        assert_eq!(told(&[b"a,1\nb", b",2\r\n\nc"]), ["a,1", "b,2", "", "c"]);
        assert_eq!(told(&[b"\xff1\n"]), ["\u{fffd}1"]);
        assert_eq!(told(&[]), [] as [&str; 0]);
    }

    #[test]
    fn a_line_without_end_costs_its_limit_and_not_the_next_line() {
        let long = vec![b'x'; 10 << 20];
        assert_eq!(told(&[&long, b"\nL,12\n"]), ["LOST", "L,12"]);
        let just = vec![b'x'; MAX_LINE];
        assert_eq!(told(&[&just, b"\n"])[0].len(), MAX_LINE);
        assert_eq!(told(&[&just, b"x\n"]), ["LOST"]);
        let mut lines = Lines::default();
        lines.push(&long, |_| {});
        assert!(lines.begun.capacity() <= MAX_LINE * 2);
    }
}
