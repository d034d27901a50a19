//! The arguments of `cargo dspipe history`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use dspipe_history::{Filter, History, Kind, Order, Outcome, Time, Verdict};

use crate::{Failure, Format};

/// Where the history is if nothing says so.
const FILE: &str = "dspipe-history.db";

/// The environment variable that says where the history is.
const VARIABLE: &str = "DSPIPE_HISTORY";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the executions, the last one first.
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        select: Select,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u64,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Print all that is known about an execution.
    Show {
        /// Its number, as `list` prints it.
        id: i64,
        #[command(flatten)]
        place: Place,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Print what executions took, by workflow, step and LM.
    Stats {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        select: Select,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Print executions as JSON Lines, the first one first.
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        select: Select,
        /// Write them to a file instead.
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Replace the file.
        #[arg(long)]
        force: bool,
    },
    /// Delete executions, the oldest ones first, until the rest keeps to the limits.
    Prune {
        #[command(flatten)]
        place: Place,
        /// Older ones go, as in `30d`.
        #[arg(long, value_parser = humantime::parse_duration)]
        max_age: Option<Duration>,
        /// So many stay.
        #[arg(long)]
        max_rows: Option<u64>,
        /// What stays has this size, as in `500MB`.
        #[arg(long, value_parser = bytes)]
        max_bytes: Option<u64>,
        /// Those with feedback stay, whatever the limits say.
        #[arg(long)]
        keep_feedback: bool,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Say what you think of the output of an execution.
    Feedback {
        /// Its number, as `list` prints it.
        id: i64,
        /// Good, bad, or bad and this is a good one.
        #[arg(value_enum)]
        verdict: VerdictArg,
        /// For `correct`: a JSON file with the output as it should have been, one key per output field.
        #[arg(long, required_if_eq("verdict", "correct"))]
        output: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub(crate) struct Place {
    /// The history's file. Else it is the one in `DSPIPE_HISTORY`, else `dspipe-history.db`.
    #[arg(long)]
    history: Option<PathBuf>,
}

impl Place {
    pub(crate) fn open(&self) -> Result<History, Failure> {
        let path = match (&self.history, std::env::var_os(VARIABLE)) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) if !path.is_empty() => path.into(),
            _ => PathBuf::from(FILE),
        };
        Ok(History::existing(path)?)
    }
}

#[derive(Args)]
pub(crate) struct Select {
    /// Of this workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// Of this step.
    #[arg(long, conflicts_with = "runs")]
    step: Option<String>,
    /// Only runs of whole workflows.
    #[arg(long)]
    runs: bool,
    /// Of this run.
    #[arg(long)]
    run: Option<String>,
    /// On this LM.
    #[arg(long)]
    lm: Option<String>,
    /// Begun within this time, as in `7d` or `12h`.
    #[arg(long, value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only those that failed.
    #[arg(long)]
    errors: bool,
    /// Only those that failed with an error of this class, such as `rate_limited`.
    #[arg(long, conflicts_with = "errors")]
    class: Option<String>,
    /// Only those with this feedback.
    #[arg(long, value_enum)]
    feedback: Vec<VerdictArg>,
    /// Only those with a score of at least this.
    #[arg(long)]
    min_score: Option<f64>,
}

impl Select {
    pub(super) fn filter(self, order: Order, limit: Option<u64>) -> Filter {
        Filter {
            workflow: self.workflow,
            kind: match self.step {
                Some(step) => Kind::Step(step),
                None if self.runs => Kind::Runs,
                None => Kind::All,
            },
            lm: self.lm,
            run: self.run,
            since: self.since.map(|since| Time::now().before(since)),
            until: None,
            outcome: match self.class {
                Some(class) => Outcome::Class(class),
                None if self.errors => Outcome::Failed,
                None => Outcome::All,
            },
            verdicts: self.feedback.into_iter().map(Into::into).collect(),
            min_score: self.min_score,
            order,
            limit,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum VerdictArg {
    Accept,
    Reject,
    Correct,
}

impl From<VerdictArg> for Verdict {
    fn from(verdict: VerdictArg) -> Self {
        match verdict {
            VerdictArg::Accept => Self::Accept,
            VerdictArg::Reject => Self::Reject,
            VerdictArg::Correct => Self::Correct,
        }
    }
}

/// `500MB` and the like, in powers of 1000.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        _ => return Err("write a size as in `500MB`".to_owned()),
    };
    let count: Option<u64> = digits.trim().parse().ok();
    count
        .and_then(|count| count.checked_mul(factor))
        .ok_or_else(|| "write a size as in `500MB`".to_owned())
}
