//! Places in JSON values, as `analysis.patterns[0]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands where there is nothing.
pub(crate) static NULL: Value = Value::Null;

/// A place in a JSON value: keys with dots between them, indexes in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// The value at the place; null where there is none. Metrics do not tell the two apart, because an
    /// optional field may be left out or be null.
    pub fn get<'a>(&self, value: &'a Value) -> &'a Value {
        let mut at = value;
        for segment in &self.0 {
            let found = match segment {
                Segment::Key(key) => at.get(key.as_str()),
                Segment::Index(index) => at.get(index),
            };
            match found {
                Some(found) => at = found,
                None => return &NULL,
            }
        }
        at
    }

    /// The same to be changed; `None` where there is nothing.
    pub(crate) fn get_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        let mut segments = self.0.iter();
        segments.try_fold(value, |at, segment| match segment {
            Segment::Key(key) => at.get_mut(key.as_str()),
            Segment::Index(index) => at.get_mut(index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if nth == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let bad = || NoPath(text.to_owned());
        let mut segments = Vec::new();
        for part in text.split('.') {
            let (key, mut indexes) = match part.find('[') {
                Some(at) => part.split_at(at),
                None => (part, ""),
            };
            if key.is_empty() || key.contains(']') {
                return Err(bad());
            }
            segments.push(Segment::Key(key.to_owned()));
            while !indexes.is_empty() {
                let inside = indexes.strip_prefix('[').ok_or_else(bad)?;
                let (index, rest) = inside.split_once(']').ok_or_else(bad)?;
                segments.push(Segment::Index(index.parse().map_err(|_| bad())?));
                indexes = rest;
            }
        }
        Ok(Self(segments))
    }
}

impl TryFrom<String> for Path {
    type Error = NoPath;

    fn try_from(text: String) -> Result<Self, NoPath> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

/// A text that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path; a path reads as `analysis.patterns[0]`")]
pub struct NoPath(pub String);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let value = json!({"a": {"b": [1, [2, 3]]}});
        let at = |path: &str| path.parse::<Path>().unwrap().get(&value).clone();
        assert_eq!(at("a.b[0]"), json!(1));
        assert_eq!(at("a.b[1][1]"), json!(3));
        assert_eq!(at("a.c.d"), Value::Null);
        assert_eq!(
            "a.b[1][1]".parse::<Path>().unwrap().to_string(),
            "a.b[1][1]"
        );
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", ".", "a..b", "[0]", "a[", "a[x]", "a[0]b", "a]b"] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
    }
}
