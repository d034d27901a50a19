//! What the steps of a run took.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::changes::Chosen;
use crate::check::CheckFailed;
use crate::error::Error;
use crate::lm::{LmError, LmName, Money, Reply, Request, Usage};
use crate::media::Shown;
use crate::module::Turn;
use crate::read::Repair;
use crate::signature::SignatureDef;
use crate::task::{Purpose, Task};

/// Is told of every step when it ends. Called on the task that runs the step, so it should be quick.
pub trait Observer: Send + Sync {
    /// A step has ended, well or not.
    fn step_ended(&self, report: &StepReport, error: Option<&Error>);

    /// A step has asked its LM, which has replied or failed. A step asks again if the reply cannot be used.
    fn asked(&self, exchange: &Exchange<'_>) {
        let _ = exchange;
    }

    /// Whether it also wants to know what went into each step and came out. Values are serialized for it
    /// only then.
    fn wants_records(&self) -> bool {
        false
    }

    /// A step has ended, with its values. Called after [`step_ended`](Self::step_ended), where
    /// [`wants_records`](Self::wants_records) says so.
    fn step_recorded(&self, _record: &StepRecord<'_>) {}
}

/// What a step asked its LM, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The workflow's name.
    pub workflow: &'static str,
    /// The step's name.
    pub step: &'static str,
    /// What was known about the step before it ran.
    pub def: &'static SignatureDef,
    /// The step's input, an object with one key per input field.
    pub input: &'a Value,
    /// What the request was rendered from.
    pub(crate) prompt: &'a Chosen,
    pub(crate) task: &'a Task<'a>,
    pub(crate) media: &'a [Shown],
    /// What the step asks for.
    pub purpose: Purpose,
    /// The LM.
    pub lm: &'a LmName,
    /// What was asked.
    pub request: &'a Request,
    /// The reply, or why there is none.
    pub reply: Result<&'a Reply, &'a LmError>,
    /// Until the reply came, tries and the pauses between them included.
    pub latency: Duration,
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

/// A round of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round {
    /// The loop's name.
    pub of: &'static str,
    /// Which round it is, from 0.
    pub index: usize,
}

/// What a step took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The workflow's name.
    pub workflow: &'static str,
    /// The step's name.
    pub step: &'static str,
    /// The rounds of loops that it ran in, the outermost first; empty outside of loops.
    pub rounds: Vec<Round>,
    /// The LM, as `provider/model`.
    pub lm: String,
    /// From the step's start to its end, pauses between tries included.
    pub latency: Duration,
    /// Replies that were read: 1, or 2 if the first could not be used; more where the step's module asks more.
    pub replies: u32,
    /// Tokens of all replies.
    pub usage: Usage,
    /// What the replies cost; `None` if a price is not known.
    pub cost: Option<Money>,
    /// What had to be repaired in the last reply.
    pub repairs: Vec<Repair>,
    /// The checks that do not hold for the output, asserts not among them.
    pub checks: Vec<CheckFailed>,
    /// Each call of the LM, in the order in which they ended.
    pub calls: Vec<CallReport>,
    /// With `module: react`, what the LM thought and did.
    pub turns: Vec<Turn>,
    /// Whether the step gave its output.
    pub succeeded: bool,
}

/// What one call of a step's LM took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// What was asked for.
    pub purpose: Purpose,
    /// The LM.
    pub lm: LmName,
    /// Which of several replies to one request was wanted, from 0: the sample of a module that takes several.
    pub repetition: u32,
    /// Until the reply came, tries and the pauses between them included.
    pub latency: Duration,
    /// Its tokens.
    pub usage: Usage,
    /// What it cost; `None` if the price is not known.
    pub cost: Option<Money>,
    /// The class of the error, if there was no reply.
    pub error: Option<&'static str>,
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
    let head = [
        "step",
        "LM",
        "latency",
        "tokens in",
        "tokens out",
        "cost",
        "",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    let mut usage = Usage::default();
    for report in reports {
        usage += report.usage;
        rows.push([
            step(report),
            report.lm.clone(),
            seconds(report.latency),
            report.usage.input_tokens.to_string(),
            report.usage.output_tokens.to_string(),
            cost(report.cost),
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
            cost(reports.iter().map(|report| report.cost).sum()),
            String::new(),
        ]);
    }
    // Where everything ran here, nothing had a price.
    let is_free = |report: &StepReport| report.cost == Some(Money::default());
    if reports.iter().all(is_free) {
        for row in &mut rows {
            row[5].clear();
        }
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [step, lm, latency, input, output, cost, _] = widths;
    let gap = if cost == 0 { "" } else { "  " };
    let mut table = String::new();
    for [a, b, c, d, e, f, g] in &rows {
        let line = format!(
            "{a:step$}  {b:lm$}  {c:>latency$}  {d:>input$}  {e:>output$}{gap}{f:>cost$}  {g}"
        );
        // Writing to a string does not fail.
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

/// The step with its rounds, as in `check [3]`.
fn step(report: &StepReport) -> String {
    let rounds = report
        .rounds
        .iter()
        .map(|round| format!(" [{}]", round.index));
    report.step.to_owned() + &rounds.collect::<String>()
}

fn cost(cost: Option<Money>) -> String {
    cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string())
}

fn note(report: &StepReport) -> String {
    let mut notes = Vec::new();
    if !report.succeeded {
        notes.push("failed".to_owned());
    } else if report.replies > 1 {
        notes.push(format!("{} replies", report.replies));
    }
    if !report.repairs.is_empty() {
        let mut kinds: Vec<_> = report.repairs.iter().map(|repair| repair.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        notes.push(format!("repaired: {}", kinds.join(", ")));
    }
    if !report.checks.is_empty() {
        let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
        notes.push(format!("checks failed: {}", names.join(", ")));
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
            rounds: Vec::new(),
            lm: "local/smollm2-135m-instruct".to_owned(),
            latency: Duration::from_millis(millis),
            replies,
            usage: Usage {
                input_tokens: 120,
                output_tokens: 33,
                ..Usage::default()
            },
            cost: Some(Money::default()),
            repairs: if replies == 2 {
                vec![Repair {
                    kind: crate::read::RepairKind::Comma,
                    span: 3..4,
                    path: String::new(),
                    note: String::new(),
                }]
            } else {
                Vec::new()
            },
            checks: if step == "note" {
                vec![CheckFailed {
                    name: "short",
                    expression: "length(outputs.note) < 100",
                    message: "",
                }]
            } else {
                Vec::new()
            },
            calls: Vec::new(),
            turns: Vec::new(),
            succeeded,
        }
    }

    #[test]
    fn the_table_has_a_row_per_step() {
        let trace = Trace::default();
        trace.step_ended(&report("read_ticket", 1234, 1, true), None);
        trace.step_ended(&report("note", 20_400, 2, true), None);
        let rounds = [("all", 2), ("parts", 0)].map(|(of, index)| Round { of, index });
        let sent = StepReport {
            rounds: rounds.to_vec(),
            ..report("send", 5, 0, false)
        };
        trace.step_ended(&sent, None);
        insta::assert_snapshot!(trace.table(), @"
        step          LM                           latency  tokens in  tokens out
        read_ticket   local/smollm2-135m-instruct   1.23 s        120          33
        note          local/smollm2-135m-instruct  20.40 s        120          33  2 replies; repaired: missing or doubled commas; checks failed: short
        send [2] [0]  local/smollm2-135m-instruct   0.01 s        120          33  failed
        total                                                     360          99
        ");
    }

    #[test]
    fn what_costs_money_has_its_cost_in_the_table() {
        let priced = |step, cost: Option<f64>| StepReport {
            lm: "openai/gpt-5".to_owned(),
            cost: cost.map(Money::from_dollars),
            ..report(step, 1000, 1, true)
        };
        let trace = Trace::default();
        trace.step_ended(&priced("read_ticket", Some(0.0123)), None);
        trace.step_ended(&report("note", 1000, 1, true), None);
        insta::assert_snapshot!(trace.table(), @"
        step         LM                           latency  tokens in  tokens out     cost
        read_ticket  openai/gpt-5                  1.00 s        120          33  $0.0123
        note         local/smollm2-135m-instruct   1.00 s        120          33    $0.00  checks failed: short
        total                                                    240          66  $0.0123
        ");
        trace.step_ended(&priced("send", None), None);
        let table = trace.table();
        let total = table.lines().last().unwrap();
        assert!(total.ends_with(" 99  unknown"), "{table}");
    }
}
