//! What came of a case.

use std::collections::BTreeMap;

use dspipe_runtime::lm::{Message, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::case::{Case, CaseId};
use crate::metric::Score;
use crate::suite::Metrics;

/// What a suite gives for a case, before it is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// The output, or why there is none.
    pub output: Result<Value, String>,
    /// The steps that ran, in the order in which they ended.
    pub steps: Vec<StepRecord>,
    /// What it cost, in US dollars; `None` if the price of an LM is not known.
    pub cost: Option<f64>,
    /// How long it took, in seconds.
    pub latency: f64,
    /// The key of its run in the history, if it is recorded there.
    pub run: Option<String>,
}

/// What a step asked and was replied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's name.
    pub step: String,
    /// The LM, as `provider/model`.
    pub lm: String,
    /// The rendered prompt.
    pub prompt: Vec<Message>,
    /// The raw reply; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// The tokens of all calls.
    #[serde(default)]
    pub usage: Usage,
    /// In seconds.
    #[serde(default)]
    pub latency: f64,
}

/// What came of one run of a case: a line of `cases.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub id: CaseId,
    /// Which of its runs, from 0.
    pub repetition: u32,
    /// Whether there is no error and every metric reaches its limit.
    pub passed: bool,
    /// The weighted mean of the metrics, from 0 to 1; 0 if there is an error.
    pub score: f64,
    /// Why there is no output, or no score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it cost, in US dollars; `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// In seconds.
    pub latency: f64,
    /// Tokens of all steps.
    pub usage: Usage,
    /// The score of each metric, by its name.
    pub scores: BTreeMap<String, Score>,
    /// What went in.
    pub input: Value,
    /// What should come out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Value>,
    /// What came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
    /// What each step asked and was replied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
    /// What the case can be selected by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The files of the recordings that answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<String>,
    /// The key of its run in the history, if it is recorded there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl CaseResult {
    /// Scores an execution.
    pub async fn score(
        case: Case,
        repetition: u32,
        execution: Execution,
        metrics: &Metrics,
    ) -> Self {
        let mut usage = Usage::default();
        for step in &execution.steps {
            usage += step.usage;
        }
        let mut result = Self {
            id: case.id,
            repetition,
            passed: false,
            score: 0.0,
            error: None,
            cost: execution.cost,
            latency: execution.latency,
            usage,
            scores: BTreeMap::new(),
            input: case.input,
            expected: case.expected,
            actual: None,
            steps: execution.steps,
            tags: Vec::new(),
            recordings: Vec::new(),
            run: execution.run,
        };
        match execution.output {
            Ok(actual) => {
                metrics.score(&mut result, &actual).await;
                result.actual = Some(actual);
            }
            Err(error) => result.error = Some(error),
        }
        result
    }

    /// The result of a case that could not even be run.
    pub(crate) fn failed(case: Case, repetition: u32, error: String) -> Self {
        Self {
            id: case.id,
            repetition,
            passed: false,
            score: 0.0,
            error: Some(error),
            cost: Some(0.0),
            latency: 0.0,
            usage: Usage::default(),
            scores: BTreeMap::new(),
            input: case.input,
            expected: case.expected,
            actual: None,
            steps: Vec::new(),
            tags: Vec::new(),
            recordings: Vec::new(),
            run: None,
        }
    }

    /// All that cost points.
    pub fn feedback(&self) -> String {
        let texts: Vec<&str> = self
            .scores
            .values()
            .filter_map(|score| score.feedback.as_deref())
            .collect();
        texts.join("; ")
    }

    /// What a person needs to see why a case is bad, indented: input, expected, actual, feedback, prompts.
    pub fn details(&self) -> String {
        const SHORT: usize = 400;
        const LONG: usize = 2000;
        let mut text = format!("  {}", self.id);
        if self.repetition > 0 {
            push(&mut text, format_args!(" (run {})", self.repetition + 1));
        }
        push(&mut text, format_args!(": score {:.2}", self.score));
        let json = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
        let lines = [
            ("input", Some(self.input.to_string())),
            ("expected", json(&self.expected)),
            ("actual", json(&self.actual)),
            ("error", self.error.clone()),
            (
                "feedback",
                Some(self.feedback()).filter(|text| !text.is_empty()),
            ),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                push(
                    &mut text,
                    format_args!("\n    {name}: {}", cut(&value, SHORT)),
                );
            }
        }
        for step in &self.steps {
            push(
                &mut text,
                format_args!("\n    prompt of `{}` to {}:", step.step, step.lm),
            );
            let prompt: Vec<&str> = step
                .prompt
                .iter()
                .map(|message| message.content.as_str())
                .collect();
            for line in cut(&prompt.join("\n---\n"), LONG).lines() {
                push(&mut text, format_args!("\n      | {line}"));
            }
        }
        text
    }
}

/// Adds to a text what `format_args!` gives.
pub(crate) fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    use std::fmt::Write as _;
    // Writing to a string does not fail.
    let _ = text.write_fmt(part);
}

/// The first characters of a text.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
