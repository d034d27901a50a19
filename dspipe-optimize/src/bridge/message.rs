//! Lines of the protocol: what is written, and what is read.

use std::io;

use dspipe_runtime::{Map, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::error::ErrorClass;
use super::host::{
    Candidate, Completion, HostError, Log, Progress, PromptTold, Run, Score, StepCall,
};

/// A message to the bridge.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Outgoing<'a, T> {
    Request {
        id: u64,
        method: &'a str,
        params: &'a T,
    },
    Result {
        id: u64,
        result: &'a T,
    },
    Error {
        id: u64,
        error: Refusal,
    },
}

/// The error in an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) class: ErrorClass,
    pub(super) code: String,
    pub(super) message: String,
    /// Of a job: the last candidate that it told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) best: Option<Candidate>,
}

impl From<&HostError> for Refusal {
    fn from(error: &HostError) -> Self {
        Self {
            class: error.class(),
            code: error.code().to_owned(),
            message: error.to_string(),
            best: None,
        }
    }
}

/// A message from the bridge.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// It asks the host of a job.
    Asked {
        id: u64,
        job: String,
        question: Question,
    },
    /// It tells the host of a job, or all.
    Told { job: Option<String>, news: News },
    /// It answers a request of the host.
    Answered {
        id: u64,
        answer: Result<Value, Refusal>,
    },
    /// It could not read a line.
    Unread(Refusal),
}

/// A request of the bridge.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    Run(Run),
    Step(StepCall),
    Score(Score),
    Complete(Completion),
}

/// A notification of the bridge.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    Prompt(PromptTold),
    Candidate(Candidate),
    Progress(Progress),
    Log(Log),
}

impl Incoming {
    /// Reads a line; the error is a reason for people.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let mut message: Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| format!("not a message ({error})"))?;
        let id = message.remove("id");
        let Some(method) = message.remove("method") else {
            return Self::answer(id, message);
        };
        let Value::String(method) = method else {
            return Err("`method` is not a string".into());
        };
        let Some(Value::Object(mut params)) = message.remove("params") else {
            return Err(format!("`{method}` has no `params`"));
        };
        let job = match params.shift_remove("job") {
            Some(Value::String(job)) => Some(job),
            None => None,
            Some(_) => return Err("`job` is not a string".into()),
        };
        let params = Value::Object(params);
        match id {
            Some(id) => Ok(Self::Asked {
                id: id
                    .as_u64()
                    .ok_or("`id` is not a whole number that is not negative")?,
                job: job.ok_or_else(|| format!("`{method}` has no `job`"))?,
                question: question(&method, params)?,
            }),
            None => Ok(Self::Told {
                news: news(&method, params)?,
                job,
            }),
        }
    }

    fn answer(id: Option<Value>, mut message: Map<String, Value>) -> Result<Self, String> {
        let answer = match (message.remove("result"), message.remove("error")) {
            (Some(result), None) => Ok(result),
            (None, Some(error)) => Err(typed::<Refusal>("error", error)?),
            _ => return Err("an answer with neither or both of `result` and `error`".into()),
        };
        match (id, answer) {
            (Some(Value::Null), Err(refusal)) => Ok(Self::Unread(refusal)),
            (Some(id), answer) => Ok(Self::Answered {
                id: id
                    .as_u64()
                    .ok_or("`id` is not a whole number that is not negative")?,
                answer,
            }),
            (None, _) => Err("neither `id` nor `method`".into()),
        }
    }
}

fn question(method: &str, params: Value) -> Result<Question, String> {
    Ok(match method {
        "run" => Question::Run(typed(method, params)?),
        "step.complete" => Question::Step(typed(method, params)?),
        "metric.score" => Question::Score(typed(method, params)?),
        "lm.complete" => Question::Complete(typed(method, params)?),
        _ => return Err(format!("there is no request `{method}`")),
    })
}

fn news(method: &str, params: Value) -> Result<News, String> {
    Ok(match method {
        "prompt" => News::Prompt(typed(method, params)?),
        "candidate" => News::Candidate(typed(method, params)?),
        "progress" => News::Progress(typed(method, params)?),
        "log" => News::Log(typed(method, params)?),
        _ => return Err(format!("there is no notification `{method}`")),
    })
}

/// A value as what it should be; `what` names it in the reason.
pub(super) fn typed<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("`{what}` does not fit ({error})"))
}

/// A message as a line, in ASCII.
pub(super) fn line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    message.serialize(&mut Serializer::with_formatter(&mut line, Ascii))?;
    line.push(b'\n');
    Ok(line)
}

/// No spaces, and every other character escaped.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !c.is_ascii()) {
            let (plain, other) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, plain)?;
            let mut characters = other.chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ascii_and_mean_the_same() {
        let text = "Gr\u{fc}\u{df}e\n\"\u{1f600}\"\u{2028}\u{7}\u{7f}";
        let line = line(&text).unwrap();
        assert!(line.is_ascii());
        assert_eq!(
            std::str::from_utf8(&line).unwrap(),
            "\"Gr\\u00fc\\u00dfe\\n\\\"\\ud83d\\ude00\\\"\\u2028\\u0007\u{7f}\"\n"
        );
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
    }

    #[test]
    fn what_is_not_of_the_protocol_is_refused_with_the_reason() {
        for (line, reason) in [
            ("Traceback (most recent call last):", "not a message"),
            ("[]", "not a message"),
            ("{}", "neither or both"),
            (r#"{"result":{}}"#, "neither `id` nor `method`"),
            (r#"{"id":"a","result":{}}"#, "whole number"),
            (r#"{"id":1,"result":{},"error":{}}"#, "neither or both"),
            (
                r#"{"id":1,"error":{"class":"odd","code":"","message":""}}"#,
                "`error` does not fit",
            ),
            (r#"{"method":1}"#, "`method` is not a string"),
            (r#"{"method":"log"}"#, "`log` has no `params`"),
            (
                r#"{"method":"log","params":{"level":1}}"#,
                "`log` does not fit",
            ),
            (
                r#"{"method":"dance","params":{}}"#,
                "no notification `dance`",
            ),
            (
                r#"{"id":1,"method":"dance","params":{"job":"a"}}"#,
                "no request `dance`",
            ),
            (
                r#"{"id":1,"method":"run","params":{}}"#,
                "`run` has no `job`",
            ),
            (
                r#"{"id":1,"method":"run","params":{"job":"a"}}"#,
                "`run` does not fit",
            ),
        ] {
            let error = Incoming::read(line.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
