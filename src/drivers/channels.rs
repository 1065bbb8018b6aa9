//! What profiles and settings say of channels: names with holes, such as `outlet/{n}`, for rows that only the device knows, and
//! which of two channels a number with a sign belongs to.

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(String),
}

impl Template {
    /// Reads `text`.
    ///
    /// # Errors
    /// If a brace stands alone, or a hole has no name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, tail)) = after.split_once('}') else {
                return Err(format!("{text:?} has a `{{` without its `}}`"));
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!(
                    "{text:?}: a name in braces has letters, digits and `_` only, such as {{n}}"
                ));
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Hole(name.to_owned()));
            rest = tail;
        }
        if rest.contains('}') {
            return Err(format!("{text:?} has a `}}` without its `{{`"));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// A template without holes.
    #[must_use]
    pub fn fixed(text: String) -> Self {
        Self(vec![Piece::Text(text)])
    }

    /// The text, where it is nothing but text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Text(text)] => Some(text),
            [] => Some(""),
            [Piece::Hole(_)] | [_, _, ..] => None,
        }
    }

    /// The names of the holes.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with every hole filled; none if `fill` has nothing for one.
    #[must_use]
    pub fn fill<'a>(&self, fill: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Hole(name) => fill(name),
            })
            .collect()
    }
}

/// What a minus before a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// What it says, as for temperatures: most quantities have no value then.
    Kept,
    /// A direction, such as leading and lagging: the absolute value counts.
    Dropped,
    /// The other way, which is counted elsewhere: 0 here.
    Forward,
    /// What is counted here: 0 without it.
    Backward,
}

impl Sign {
    /// The part of `value` that counts; never a negative zero.
    #[must_use]
    pub fn of(self, value: f64) -> f64 {
        let counts = match self {
            Self::Kept => value,
            Self::Dropped => value.abs(),
            Self::Forward => value.max(0.0),
            Self::Backward => (-value).max(0.0),
        };
        counts + 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_and_braces_must_pair() {
        let template = Template::parse("{input}phase/L{n}").unwrap();
        assert_eq!(template.holes().collect::<Vec<_>>(), ["input", "n"]);
        assert_eq!(template.fill(|name| Some(if name == "n" { "2" } else { "" })).unwrap(), "phase/L2");
        assert_eq!(template.fill(|_| None), None);
        for bad in ["a{n", "a}n", "{}", "{a b}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_counts_in_one_direction_only() {
        let of = |value: f64| [Sign::Kept, Sign::Dropped, Sign::Forward, Sign::Backward].map(|s| s.of(value));
        assert_eq!(of(-5.0), [-5.0, 5.0, 0.0, 5.0]);
        assert_eq!(of(5.0), [5.0, 5.0, 5.0, 0.0]);
        assert!([0.0, -0.0].into_iter().flat_map(of).all(|zero| zero == 0.0 && zero.is_sign_positive()));
    }
}
