//! What can be wrong with a reply.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::json::Json;
use crate::check::CheckFailed;

/// Why a text could not be read as the type that was wanted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not JSON.
    #[error("not JSON: {message} (line {line}, column {column})")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Line number, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// There is no JSON object in it.
    #[error("there is no JSON object in it")]
    NoObject,
    /// DSPy's adapter would not have read it.
    #[error("{0}")]
    Adapter(String),
    /// Fields are missing, of another type, or out of their limits: all of them.
    #[error("{}", Listed(.0))]
    Fields(Vec<FieldError>),
    /// It is of the type, but asserts of the workflow file do not hold: all of them.
    #[error("{}", Listed(.0))]
    Asserts(Vec<CheckFailed>),
}

impl ReadError {
    pub(super) fn syntax(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The position has fields of its own.
        let message = text.split(" at line ").next().unwrap_or_default();
        Self::Syntax {
            message: message.to_owned(),
            line: error.line(),
            column: error.column(),
        }
    }

    /// What is wrong, one line each, as the LM is told.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Fields(errors) => errors.iter().map(ToString::to_string).collect(),
            Self::Asserts(failed) => failed.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        }
    }
}

struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Where it stands, as in `analysis.patterns[2]`; empty for the whole.
    pub path: String,
    /// What is wrong with it.
    pub kind: FieldErrorKind,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "the answer {}", self.kind)
        } else {
            write!(f, "`{}` {}", self.path, self.kind)
        }
    }
}

impl std::error::Error for FieldError {}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldErrorKind {
    /// It is not there.
    Missing,
    /// It is something else.
    WrongKind {
        /// What it must be, as in `a list`.
        expected: Cow<'static, str>,
        /// What it is, shortened.
        found: String,
    },
    /// It can be read in more than one way.
    Ambiguous {
        /// The readings, shortened.
        readings: Vec<String>,
    },
    /// A key was not asked for.
    Unexpected,
    /// Something follows it that belongs nowhere, so that something else may be missing.
    Misplaced {
        /// What follows, shortened.
        found: String,
    },
    /// It is not one of a fixed set of values.
    NotOneOf {
        /// The values.
        choices: Vec<Cow<'static, str>>,
        /// What it is, shortened.
        found: String,
    },
    /// The number is too small.
    BelowMinimum {
        /// The smallest.
        limit: f64,
        /// What it is.
        found: f64,
    },
    /// The number is too large.
    AboveMaximum {
        /// The largest.
        limit: f64,
        /// What it is.
        found: f64,
    },
    /// The number is not above a limit.
    NotAbove {
        /// The limit.
        limit: f64,
        /// What it is.
        found: f64,
    },
    /// The number is not below a limit.
    NotBelow {
        /// The limit.
        limit: f64,
        /// What it is.
        found: f64,
    },
    /// The number is no multiple of another.
    NotMultiple {
        /// The other.
        step: f64,
        /// What it is.
        found: f64,
    },
    /// The number is not one of a fixed set.
    NotANumberOf {
        /// The numbers.
        choices: &'static [f64],
        /// What it is.
        found: f64,
    },
    /// The boolean is the other one.
    NotThis {
        /// What it must be.
        expected: bool,
    },
    /// Two items of the list are equal.
    Repeated {
        /// The index of the first.
        first: usize,
        /// The index of the second.
        again: usize,
    },
    /// It is of none of several types.
    NoAlternative {
        /// Their names.
        names: Vec<&'static str>,
        /// What it is, shortened.
        found: String,
    },
    /// The text is too short.
    TooShort {
        /// The smallest number of characters.
        limit: u32,
        /// How many it has.
        found: usize,
    },
    /// The text is too long.
    TooLong {
        /// The largest number of characters.
        limit: u32,
        /// How many it has.
        found: usize,
    },
    /// The text does not match a regular expression.
    NoMatch {
        /// The regular expression.
        pattern: Cow<'static, str>,
    },
    /// The list is too short.
    TooFewItems {
        /// The smallest number of items.
        limit: u32,
        /// How many it has.
        found: usize,
    },
    /// The list is too long.
    TooManyItems {
        /// The largest number of items.
        limit: u32,
        /// How many it has.
        found: usize,
    },
    /// The object has too few entries.
    TooFewEntries {
        /// The smallest number of entries.
        limit: u32,
        /// How many it has.
        found: usize,
    },
    /// The object has too many entries.
    TooManyEntries {
        /// The largest number of entries.
        limit: u32,
        /// How many it has.
        found: usize,
    },
    /// It has too many levels.
    TooDeep {
        /// The largest number of levels.
        limit: usize,
    },
    /// It is against a keyword of its schema.
    Broken {
        /// The keyword.
        keyword: &'static str,
    },
    /// The type's own implementation of `Deserialize` refuses it.
    Refused {
        /// What it said.
        reason: String,
    },
}

impl fmt::Display for FieldErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::WrongKind { expected, found } => write!(f, "must be {expected}, but is {found}"),
            Self::Ambiguous { readings } => {
                f.write_str("can be read as ")?;
                for (index, reading) in readings.iter().enumerate() {
                    let separator = if index == 0 { "" } else { " or as " };
                    write!(f, "{separator}{reading}")?;
                }
                Ok(())
            }
            Self::Unexpected => f.write_str("is not asked for"),
            Self::TooDeep { limit } => write!(f, "is nested deeper than {limit} levels"),
            Self::Broken { keyword } => write!(f, "is against `{keyword}` in its schema"),
            Self::Misplaced { found } => write!(f, "is followed by what belongs nowhere: {found}"),
            Self::NotOneOf { choices, found } => {
                f.write_str("must be ")?;
                if choices.len() > 1 {
                    f.write_str("one of ")?;
                }
                for (index, choice) in choices.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{choice:?}")?;
                }
                write!(f, ", but is {found}")
            }
            Self::BelowMinimum { limit, found } => {
                write!(f, "must be at least {limit}, but is {found}")
            }
            Self::AboveMaximum { limit, found } => {
                write!(f, "must be at most {limit}, but is {found}")
            }
            Self::NotAbove { limit, found } => {
                write!(f, "must be more than {limit}, but is {found}")
            }
            Self::NotBelow { limit, found } => {
                write!(f, "must be less than {limit}, but is {found}")
            }
            Self::NotMultiple { step, found } => {
                write!(f, "must be a multiple of {step}, but is {found}")
            }
            Self::NotANumberOf { choices, found } => {
                write!(f, "must be one of {}, but is {found}", Separated(choices))
            }
            Self::NotThis { expected } => write!(f, "must be {expected}"),
            Self::Repeated { first, again } => write!(
                f,
                "must have different items, but {first} and {again} (counted from 0) are the same"
            ),
            Self::NoAlternative { names, found } => {
                write!(f, "must be one of {}, but is {found}", Separated(names))
            }
            Self::TooShort { limit, found } => {
                write!(f, "must have at least {limit} characters, but has {found}")
            }
            Self::TooLong { limit, found } => {
                write!(f, "must have at most {limit} characters, but has {found}")
            }
            Self::NoMatch { pattern } => {
                write!(f, "must match the regular expression `{pattern}`")
            }
            Self::TooFewItems { limit, found } => {
                write!(f, "must have at least {limit} items, but has {found}")
            }
            Self::TooManyItems { limit, found } => {
                write!(f, "must have at most {limit} items, but has {found}")
            }
            Self::TooFewEntries { limit, found } => {
                write!(f, "must have at least {limit} entries, but has {found}")
            }
            Self::TooManyEntries { limit, found } => {
                write!(f, "must have at most {limit} entries, but has {found}")
            }
            Self::Refused { reason } => write!(f, "cannot be taken: {reason}"),
        }
    }
}

struct Separated<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Separated<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{item}")?;
        }
        Ok(())
    }
}

/// The kinds of JSON that a type can ask for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    List,
    Object,
}

impl Kind {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

/// A part of the path to a value.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    Field(&'static str),
    /// A property of a schema.
    Name(String),
    Key(String),
    Index(usize),
}

/// What was found so far, and where the reader stands.
#[derive(Debug, Default)]
pub(super) struct Errors {
    path: Vec<Segment>,
    found: Vec<FieldError>,
    /// How many keys of objects nobody asked for.
    ignored: usize,
    /// The text that is read, where that is not a value.
    pub(super) json: Json,
}

impl Errors {
    pub(super) fn within<T>(&mut self, segment: Segment, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(segment);
        let value = read(self);
        self.path.pop();
        value
    }

    pub(super) fn record(&mut self, kind: FieldErrorKind) {
        let path = self.path();
        self.found.push(FieldError { path, kind });
    }

    pub(super) fn missing<T>(&mut self) -> Option<T> {
        self.record(FieldErrorKind::Missing);
        None
    }

    pub(super) fn wrong_kind<T>(&mut self, expected: Kind, found: &Value) -> Option<T> {
        self.record(FieldErrorKind::WrongKind {
            expected: Cow::Borrowed(expected.text()),
            found: shown(found),
        });
        None
    }

    pub(super) fn not_one_of<T>(&mut self, choices: Vec<&'static str>, found: &Value) -> Option<T> {
        self.record(FieldErrorKind::NotOneOf {
            choices: choices.into_iter().map(Cow::Borrowed).collect(),
            found: shown(found),
        });
        None
    }

    pub(super) fn no_alternative<T>(
        &mut self,
        names: Vec<&'static str>,
        found: &Value,
    ) -> Option<T> {
        self.record(FieldErrorKind::NoAlternative {
            names,
            found: shown(found),
        });
        None
    }

    pub(super) fn ignore(&mut self, keys: usize) {
        self.ignored += keys;
    }

    pub(super) fn ignored(&self) -> usize {
        self.ignored
    }

    pub(super) fn found(&self) -> &[FieldError] {
        &self.found
    }

    /// Errors of a part that is read on trial.
    pub(super) fn trial<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, Self) {
        let mut trial = Self {
            path: std::mem::take(&mut self.path),
            ..Self::default()
        };
        let value = read(&mut trial);
        self.path = std::mem::take(&mut trial.path);
        (value, trial)
    }

    /// Takes over what a trial has found.
    pub(super) fn adopt(&mut self, trial: Self) {
        self.found.extend(trial.found);
        self.ignored += trial.ignored;
    }

    pub(super) fn into_found(self) -> Vec<FieldError> {
        self.found
    }

    pub(super) fn path(&self) -> String {
        path(&self.path)
    }
}

/// A path as messages show it.
pub(super) fn path(segments: &[Segment]) -> String {
    use fmt::Write;
    let mut path = String::new();
    for segment in segments {
        let dot = if path.is_empty() { "" } else { "." };
        // Writing to a string does not fail.
        let _ = match segment {
            Segment::Field(name) => write!(path, "{dot}{name}"),
            Segment::Name(name) => write!(path, "{dot}{name}"),
            Segment::Key(key) if is_plain(key) => write!(path, "{dot}{key}"),
            Segment::Key(key) => write!(path, "[{key:?}]"),
            Segment::Index(index) => write!(path, "[{index}]"),
        };
    }
    path
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.chars().count() <= LONGEST
        && key.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Characters of a value that a message shows.
const LONGEST: usize = 60;

/// A value as a message shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => match items.len() {
            1 => "a list of 1 item".to_owned(),
            count => format!("a list of {count} items"),
        },
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("{start:?}…")
        }
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
