//! One row of a history.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Type, ValueRef};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// What happened once: a run of a step, or of a whole workflow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Execution {
    /// Its number in this history.
    pub id: i64,
    /// The key of the run of the workflow that it belongs to, where runs were recorded.
    pub run: Option<String>,
    /// The workflow's name.
    pub workflow: String,
    /// The step's name; `None` for the run of the whole workflow.
    pub step: Option<String>,
    /// When it began.
    pub time: Time,
    /// From its start to its end, in milliseconds.
    pub latency_ms: u64,
    /// The LM, as `provider/model`.
    pub lm: Option<String>,
    /// The fingerprint of the fields and their types; it changes when data from before no longer fits.
    pub signature: Option<String>,
    /// The fingerprint of everything that the LM is told besides the inputs.
    pub prompt: Option<String>,
    /// What went in, without redacted fields.
    pub inputs: Value,
    /// What came out, without redacted fields; `None` if it failed.
    pub outputs: Option<Value>,
    /// Tokens of the messages.
    pub input_tokens: u64,
    /// Tokens of the replies.
    pub output_tokens: u64,
    /// Replies that were read.
    pub replies: u32,
    /// In US dollars, where the price of the LM is known.
    pub cost: Option<f64>,
    /// The class of the error, as in `rate_limited`; `None` if it went well.
    pub error: Option<String>,
    /// The message of the error.
    pub message: Option<String>,
    /// How good the output is, from 0 to 1.
    pub score: Option<f64>,
    /// What a person said of the output.
    pub feedback: Option<Verdict>,
    /// What the output should have been.
    pub corrected: Option<Value>,
    /// When the feedback came.
    pub feedback_time: Option<Time>,
    /// The fields that were left out, as in `inputs.customer.email`.
    pub redacted: Vec<String>,
    /// The version of dspipe that wrote it.
    pub version: String,
}

/// The columns of [`Execution::of`], in its order.
pub(crate) const COLUMNS: &str = "id, run, workflow, step, time, latency, lm, signature, prompt, inputs, \
     outputs, input_tokens, output_tokens, replies, cost, error, message, score, feedback, corrected, \
     feedback_time, redacted, version";

impl Execution {
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            run: row.get(1)?,
            workflow: row.get(2)?,
            step: row.get(3)?,
            time: row.get(4)?,
            latency_ms: row.get(5)?,
            lm: row.get(6)?,
            signature: row.get(7)?,
            prompt: row.get(8)?,
            inputs: json(row, 9)?.unwrap_or_default(),
            outputs: json(row, 10)?,
            input_tokens: row.get(11)?,
            output_tokens: row.get(12)?,
            replies: row.get(13)?,
            cost: row.get(14)?,
            error: row.get(15)?,
            message: row.get(16)?,
            score: row.get(17)?,
            feedback: row.get(18)?,
            corrected: json(row, 19)?,
            feedback_time: row.get(20)?,
            redacted: json(row, 21)?.unwrap_or_default(),
            version: row.get(22)?,
        })
    }
}

fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text = match row.get_ref(column)? {
        ValueRef::Null => return Ok(None),
        other => other.as_str()?,
    };
    serde_json::from_str(text).map(Some).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// What a person said of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is good.
    Accept,
    /// It is bad.
    Reject,
    /// It is bad, and this is a good one.
    Correct,
}

impl Verdict {
    /// As it is written in the file and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Correct => "correct",
        }
    }
}

impl FromSql for Verdict {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "accept" => Ok(Self::Accept),
            "reject" => Ok(Self::Reject),
            "correct" => Ok(Self::Correct),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// Feedback that is to be written down.
#[derive(Clone, Debug, PartialEq)]
pub enum Feedback {
    /// The output is good.
    Accept,
    /// The output is bad.
    Reject,
    /// The output should have been this, an object with one key per output field.
    Correct(Map<String, Value>),
}

impl Feedback {
    /// What it says.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Accept => Verdict::Accept,
            Self::Reject => Verdict::Reject,
            Self::Correct(_) => Verdict::Correct,
        }
    }
}

/// A moment: UTC, in milliseconds. It shows itself as RFC 3339 has it, as in `2026-02-01T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// Milliseconds since 1970.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(millis(since))
    }

    /// That much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// A duration in milliseconds, as SQLite stores it.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_millis(self.0.max(0).unsigned_abs());
        // The last moment of the year 9999: later ones cannot be written.
        let since = since.min(Duration::from_millis(253_402_300_799_999));
        humantime::format_rfc3339_millis(UNIX_EPOCH + since).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_whatever_they_are() {
        assert_eq!(
            Time::from_millis(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(
            Time::from_millis(i64::MIN).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Time::from_millis(i64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }
}
