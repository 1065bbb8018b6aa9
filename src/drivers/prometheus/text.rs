//! An exporter's page, line by line as it comes: the text format 0.0.4 and OpenMetrics. Nothing is kept but the samples that somebody
//! wants, so that a page may be as long as it likes. A line that cannot be read is skipped: it is no sample.

use std::collections::HashSet;

/// A longer line is skipped.
const MAX_LINE_BYTES: usize = 64 << 10;
/// A series with more labels is skipped.
const MAX_LABELS: usize = 100;
/// The most samples that are kept of one page.
pub const MAX_SAMPLES: usize = 4096;

/// One value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels, in the page's order.
    pub labels: Vec<(String, String)>,
    /// The number; perhaps not a finite one.
    pub value: f64,
    /// When it was so, seconds since the epoch, where the page says it.
    pub at: Option<f64>,
}

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Time stamps in milliseconds.
    Text,
    /// Time stamps in seconds, and an end mark.
    OpenMetrics,
}

/// A page under way.
#[derive(Debug)]
pub struct Page<'a> {
    wanted: &'a HashSet<&'a str>,
    format: Format,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// Whether the line under way is too long.
    skip: bool,
    /// Whether any line was a sample or a comment.
    known: bool,
    ended: bool,
    full: bool,
    samples: Vec<Sample>,
}

/// Why a page cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageError {
    /// Not a line of it is of the format.
    Foreign,
    /// OpenMetrics without its end mark.
    Cut,
    /// More samples than are kept.
    TooMany,
}

impl<'a> Page<'a> {
    /// A page of which the metrics of these names are wanted.
    pub const fn new(wanted: &'a HashSet<&'a str>, format: Format) -> Self {
        Self {
            wanted,
            format,
            line: Vec::new(),
            skip: false,
            known: false,
            ended: false,
            full: false,
            samples: Vec::new(),
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|b| *b == b'\n') {
            let (head, rest) = piece.split_at(end);
            piece = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() && !self.skip {
                self.take(head);
            } else {
                self.keep(head);
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.skip) {
                    self.take(&line);
                }
                // Its room is used again.
                self.line = line;
                self.line.clear();
            }
        }
        self.keep(piece);
    }

    /// The samples. What stands behind the last line end is no line: a number may be cut.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn finish(self) -> Result<Vec<Sample>, PageError> {
        if self.full {
            return Err(PageError::TooMany);
        }
        if !self.known {
            return Err(PageError::Foreign);
        }
        if self.format == Format::OpenMetrics && !self.ended {
            return Err(PageError::Cut);
        }
        Ok(self.samples)
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.line.len() + piece.len() > MAX_LINE_BYTES {
            self.skip = true;
            self.line.clear();
        } else if !self.skip {
            self.line.extend_from_slice(piece);
        }
    }

    fn take(&mut self, line: &[u8]) {
        if self.ended || line.len() > MAX_LINE_BYTES {
            return;
        }
        let Ok(line) = std::str::from_utf8(line) else { return };
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            self.known |= comment.starts_with(' ');
            self.ended |= self.format == Format::OpenMetrics && comment.trim() == "EOF";
            return;
        }
        let end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(end).unwrap_or_default();
        // Most lines of a page are nobody's: they are passed over by their name.
        if !name.is_empty() && !self.wanted.contains(name) {
            self.known |= !rest.is_empty() && is_name(name);
            return;
        }
        let Some(sample) = sample(name, rest, self.format) else { return };
        self.known = true;
        if !self.wanted.contains(sample.name.as_str()) {
            return;
        }
        if self.samples.len() >= MAX_SAMPLES {
            self.full = true;
        } else {
            self.samples.push(sample);
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':'))
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
}

/// What stands behind the name: labels, value, time, and perhaps an exemplar, which is left alone.
fn sample(name: &str, rest: &str, format: Format) -> Option<Sample> {
    let (quoted, labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (None, Vec::new(), rest),
    };
    let name = match (name, quoted) {
        ("", Some(quoted)) => quoted,
        (name, None) if !name.is_empty() => name.to_owned(),
        (_, _) => return None,
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse::<f64>().ok()?;
    let at = match words.next() {
        None | Some("#") => None,
        Some(time) => {
            let time = time.parse::<f64>().ok().filter(|time| time.is_finite())?;
            if words.next().is_some_and(|word| word != "#") {
                return None;
            }
            Some(match format {
                Format::Text => time / 1000.0,
                Format::OpenMetrics => time,
            })
        }
    };
    Some(Sample { name, labels, value, at })
}

type Labels<'a> = (Option<String>, Vec<(String, String)>, &'a str);

/// Labels up to the closing brace, a quoted metric name among them, and what stands behind it.
fn labels(mut rest: &str) -> Option<Labels<'_>> {
    let (mut quoted, mut labels) = (None, Vec::new());
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((quoted, labels, rest));
        }
        let name = if rest.starts_with('"') {
            let (name, after) = text(rest)?;
            rest = after;
            name
        } else {
            let (name, after) = rest.split_at_checked(rest.find(['=', ',', '}', '"', '{'])?)?;
            rest = after;
            name.trim().to_owned()
        };
        rest = rest.trim_start();
        match rest.strip_prefix('=') {
            Some(after) => {
                let (value, after) = text(after.trim_start())?;
                if name.is_empty() || labels.len() >= MAX_LABELS || labels.iter().any(|(n, _)| *n == name) {
                    return None;
                }
                labels.push((name, value));
                rest = after.trim_start();
            }
            None if quoted.is_none() && labels.is_empty() && !name.is_empty() => quoted = Some(name),
            None => return None,
        }
        rest = match rest.strip_prefix(',') {
            Some(after) => after,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// A quoted text, and what stands behind it.
fn text(rest: &str) -> Option<(String, &str)> {
    let rest = rest.strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, rest.get(at + 1..)?)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(page: &str, format: Format) -> Result<Vec<Sample>, PageError> {
        let wanted = HashSet::from(["p", "e_total", "my.p"]);
        // In pieces of every size, the lines are the same.
        let mut results: Vec<_> = [1, 7, page.len().max(1)]
            .map(|size| {
                let mut reading = Page::new(&wanted, format);
                page.as_bytes().chunks(size).for_each(|piece| reading.feed(piece));
                reading.finish()
            })
            .into();
        let last = results.pop().unwrap();
        // NaN is not itself: compared as text.
        results.iter().for_each(|result| assert_eq!(format!("{result:?}"), format!("{last:?}")));
        last
    }

    fn one(line: &str, format: Format) -> Option<Sample> {
        let end = if format == Format::OpenMetrics { "# EOF\n" } else { "# HELP x\n" };
        read(&format!("{line}\n{end}"), format).unwrap().pop()
    }

    #[test]
    fn a_sample_has_name_labels_value_and_time() {
        let sample = one(r#"p{a="x \"y\" \\ \n",b="",} 12.5 1700000000250"#, Format::Text).unwrap();
        assert_eq!(sample.labels[0], ("a".to_owned(), "x \"y\" \\ \n".to_owned()));
        assert_eq!((sample.labels.len(), sample.value, sample.at), (2, 12.5, Some(1_700_000_000.25)));
        let sample = one(r#"e_total{a="1"} 7 1700000000.25 # {trace="}"} 3 4"#, Format::OpenMetrics).unwrap();
        assert_eq!((sample.value, sample.at), (7.0, Some(1_700_000_000.25)));
        assert_eq!(one("e_total 7 # {trace=\"x\"} 3", Format::OpenMetrics).unwrap().at, None);
        let sample = one("  p \t 1e3  ", Format::Text).unwrap();
        assert_eq!((sample.value, sample.labels), (1000.0, vec![]));
        assert_eq!(one(r#"p { a = "b" , c="d" } 1"#, Format::Text).unwrap().labels.len(), 2);
        assert_eq!(one(r#"{"my.p", a="b"} 1"#, Format::OpenMetrics).unwrap().name, "my.p");
        assert!(one("p NaN", Format::Text).unwrap().value.is_nan());
        assert_eq!(one("p +Inf", Format::Text).unwrap().value, f64::INFINITY);
    }

    #[test]
    fn a_line_that_is_none_is_skipped_and_the_next_one_counts() {
        for bad in [
            "p",
            "p{",
            "p{a=\"b\" 1",
            "p{a=\"b\"}",
            "p{a=\"b\"} x",
            "p{a=b} 1",
            "p{a=\"b\",a=\"c\"} 1",
            "p{a=\"b\"c=\"d\"} 1",
            "p 1 2 3",
            "p 1 x",
            "p{=\"b\"} 1",
            "{a=\"b\"} 1",
            "p{\"q\"} 1",
            "{\"p\",\"q\"} 1",
            "other{a=\"b\"} 1",
            "p\u{0}1",
        ] {
            let samples = read(&format!("{bad}\np 5\n"), Format::Text).unwrap();
            assert_eq!(samples.len(), 1, "{bad}: {samples:?}");
            assert_eq!(samples[0].value, 5.0);
        }
        let long = format!("p{{a=\"{}\"}} 1\np 5\n", "x".repeat(MAX_LINE_BYTES));
        assert_eq!(read(&long, Format::Text).unwrap().len(), 1);
        let labels: String = (0..200).map(|n| format!("l{n}=\"x\",")).collect();
        assert_eq!(read(&format!("p{{{labels}}} 1\np 5\n"), Format::Text).unwrap().len(), 1);
    }

    #[test]
    fn a_page_that_is_cut_or_foreign_is_no_page() {
        // The cut number could have been 1234.
        assert_eq!(read("p 5\np 12", Format::Text).unwrap().len(), 1);
        assert_eq!(read("p 5\n", Format::OpenMetrics), Err(PageError::Cut));
        assert_eq!(read("# EOF\np 5\n", Format::OpenMetrics), Ok(vec![]));
        for foreign in ["", "<html>\n<body>\n", "{\"status\": \"ok\"}\n", "\u{1}\u{2}\n"] {
            assert_eq!(read(foreign, Format::Text), Err(PageError::Foreign), "{foreign}");
        }
        let many: String = (0..=MAX_SAMPLES).map(|n| format!("p{{n=\"{n}\"}} 1\n")).collect();
        assert_eq!(read(&many, Format::Text), Err(PageError::TooMany));
    }
}
