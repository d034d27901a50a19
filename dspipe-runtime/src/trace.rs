//! What the steps of a run took.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::lm::Usage;
use crate::read::Repair;
use crate::signature::SignatureDef;

/// Is told of every step when it ends. Called on the task that runs the step, so it should be quick.
pub trait Observer: Send + Sync {
    /// A step has ended, well or not.
    fn step_ended(&self, report: &StepReport, error: Option<&Error>);

    /// Whether it also wants to know what went into each step and came out. Values are serialized for it
    /// only then.
    fn wants_records(&self) -> bool {
        false
    }

    /// A step has ended, with its values. Called after [`step_ended`](Self::step_ended), where
    /// [`wants_records`](Self::wants_records) says so.
    fn step_recorded(&self, _record: &StepRecord<'_>) {}
}

/// What went into a step and came out.
#[derive(Clone, Copy, Debug)]
pub struct StepRecord<'a> {
    /// What was known about the step before it ran.
    pub def: &'static SignatureDef,
    /// What it took.
    pub report: &'a StepReport,
    /// The input, an object with one key per input field; null if it could not be serialized.
    pub input: &'a Value,
    /// The output, an object with one key per output field; `None` if the step failed.
    pub output: Option<&'a Value>,
    /// Why the step failed.
    pub error: Option<&'a Error>,
}

/// What a step took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The workflow's name.
    pub workflow: &'static str,
    /// The step's name.
    pub step: &'static str,
    /// The LM, as `provider/model`.
    pub lm: String,
    /// From the step's start to its end, pauses between tries included.
    pub latency: Duration,
    /// Replies that were read: 1, or 2 if the first could not be used.
    pub replies: u32,
    /// Tokens of all replies.
    pub usage: Usage,
    /// What had to be repaired in the form of the last reply.
    pub repairs: Vec<Repair>,
    /// Whether the step gave its output.
    pub succeeded: bool,
}

/// Keeps the reports of a run.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Vec<StepReport>>);

impl Trace {
    /// The reports so far, in the order in which the steps ended.
    pub fn reports(&self) -> Vec<StepReport> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The reports as a table: per step the LM, the latency and the tokens in and out.
    pub fn table(&self) -> String {
        table(&self.reports())
    }
}

impl Observer for Trace {
    fn step_ended(&self, report: &StepReport, _: Option<&Error>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(report.clone());
    }
}

fn table(reports: &[StepReport]) -> String {
    let mut rows =
        vec![["step", "LM", "latency", "tokens in", "tokens out", ""].map(str::to_owned)];
    let mut usage = Usage::default();
    for report in reports {
        usage += report.usage;
        rows.push([
            report.step.to_owned(),
            report.lm.clone(),
            seconds(report.latency),
            report.usage.input_tokens.to_string(),
            report.usage.output_tokens.to_string(),
            note(report),
        ]);
    }
    if reports.len() > 1 {
        rows.push([
            "total".to_owned(),
            String::new(),
            String::new(),
            usage.input_tokens.to_string(),
            usage.output_tokens.to_string(),
            String::new(),
        ]);
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [step, lm, latency, input, output, _] = widths;
    let mut table = String::new();
    for [a, b, c, d, e, f] in &rows {
        let line = format!("{a:step$}  {b:lm$}  {c:>latency$}  {d:>input$}  {e:>output$}  {f}");
        // Writing to a string does not fail.
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

fn note(report: &StepReport) -> String {
    let mut notes = Vec::new();
    if !report.succeeded {
        notes.push("failed".to_owned());
    } else if report.replies > 1 {
        notes.push(format!("{} replies", report.replies));
    }
    if !report.repairs.is_empty() {
        let repairs: Vec<String> = report.repairs.iter().map(ToString::to_string).collect();
        notes.push(format!("repaired: {}", repairs.join(", ")));
    }
    notes.join("; ")
}

fn seconds(latency: Duration) -> String {
    format!("{:.2} s", latency.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: &'static str, millis: u64, replies: u32, succeeded: bool) -> StepReport {
        StepReport {
            workflow: "w",
            step,
            lm: "local/smollm2-135m-instruct".to_owned(),
            latency: Duration::from_millis(millis),
            replies,
            usage: Usage {
                input_tokens: 120,
                output_tokens: 33,
            },
            repairs: if replies == 2 {
                vec![Repair::Comma]
            } else {
                Vec::new()
            },
            succeeded,
        }
    }

    #[test]
    fn the_table_has_a_row_per_step() {
        let trace = Trace::default();
        trace.step_ended(&report("read_ticket", 1234, 1, true), None);
        trace.step_ended(&report("note", 20_400, 2, true), None);
        trace.step_ended(&report("send", 5, 0, false), None);
        insta::assert_snapshot!(trace.table(), @"
        step         LM                           latency  tokens in  tokens out
        read_ticket  local/smollm2-135m-instruct   1.23 s        120          33
        note         local/smollm2-135m-instruct  20.40 s        120          33  2 replies; repaired: missing or doubled commas
        send         local/smollm2-135m-instruct   0.01 s        120          33  failed
        total                                                    360          99
        ");
    }
}
