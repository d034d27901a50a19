//! `cargo dspipe history`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use dspipe_history::training::{DataError, Overwrite, replace};
use dspipe_history::{
    Execution, Feedback, Filter, GroupStats, History, Kind, Order, Outcome, Retention, Time,
    Verdict,
};
use serde_json::{Map, Value, json};

use crate::table::{Table, or_dash};
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
    fn filter(self, order: Order, limit: Option<u64>) -> Filter {
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

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match command {
        Command::List {
            place,
            select,
            limit,
            format,
        } => {
            let filter = select.filter(Order::NewestFirst, Some(limit));
            list(&mut out, &place.open()?.list(&filter)?, format)?;
        }
        Command::Show { id, place, format } => show(&mut out, &place.open()?.show(id)?, format)?,
        Command::Stats {
            place,
            select,
            format,
        } => {
            let filter = select.filter(Order::NewestFirst, None);
            stats(&mut out, &place.open()?.stats(&filter)?, format)?;
        }
        Command::Export {
            place,
            select,
            output,
            force,
        } => {
            let filter = select.filter(Order::OldestFirst, None);
            export(&mut out, &place.open()?, &filter, output.as_deref(), force)?;
        }
        Command::Prune {
            place,
            max_age,
            max_rows,
            max_bytes,
            keep_feedback,
            format,
        } => {
            let retention = Retention {
                max_age,
                max_rows,
                max_bytes,
                keep_feedback,
            };
            prune(&mut out, &place, &retention, format)?;
        }
        Command::Feedback {
            id,
            verdict,
            output,
            place,
        } => {
            let feedback = match (verdict, output) {
                (VerdictArg::Accept, _) => Feedback::Accept,
                (VerdictArg::Reject, _) => Feedback::Reject,
                (VerdictArg::Correct, Some(path)) => Feedback::Correct(read_object(&path)?),
                // The parser of the command line has seen to it.
                (VerdictArg::Correct, None) => {
                    return Err(Failure::Message("`correct` needs --output".to_owned()));
                }
            };
            place.open()?.feedback(id, feedback)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn list(out: &mut impl Write, executions: &[Execution], format: Format) -> Result<(), Failure> {
    if let Format::Json = format {
        writeln!(out, "{}", json!({"version": 1, "executions": executions}))?;
        return Ok(());
    }
    if executions.is_empty() {
        writeln!(out, "no executions")?;
        return Ok(());
    }
    let mut table = Table::new(&[
        "id", "time", "workflow", "step", "LM", "latency", "tokens", "score", "feedback", "error",
    ]);
    for one in executions {
        table.row(vec![
            one.id.to_string(),
            one.time.to_string(),
            one.workflow.clone(),
            one.step.clone().unwrap_or_else(|| "(run)".to_owned()),
            or_dash(one.lm.as_ref()),
            format!("{} ms", one.latency_ms),
            one.input_tokens
                .saturating_add(one.output_tokens)
                .to_string(),
            or_dash(one.score),
            or_dash(one.feedback.map(Verdict::as_str)),
            or_dash(one.error.as_ref()),
        ]);
    }
    table.print(out)?;
    Ok(())
}

fn show(out: &mut impl Write, execution: &Execution, format: Format) -> Result<(), Failure> {
    // Plain data always serializes.
    let value = serde_json::to_value(execution).unwrap_or_default();
    if let Format::Json = format {
        writeln!(out, "{value}")?;
        return Ok(());
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Array(items) if items.is_empty() => {}
            Value::String(text) => writeln!(out, "{name:<14} {text}")?,
            Value::Object(_) => writeln!(out, "{name}\n{value:#}")?,
            other => writeln!(out, "{name:<14} {other}")?,
        }
    }
    Ok(())
}

fn stats(out: &mut impl Write, groups: &[GroupStats], format: Format) -> Result<(), Failure> {
    if let Format::Json = format {
        writeln!(out, "{}", json!({"version": 1, "groups": groups}))?;
        return Ok(());
    }
    if groups.is_empty() {
        writeln!(out, "no executions")?;
        return Ok(());
    }
    let mut table = Table::new(&[
        "workflow",
        "step",
        "LM",
        "count",
        "p50 ms",
        "p95 ms",
        "tokens in",
        "out",
        "cost",
        "score",
        "+",
        "-",
        "fixed",
        "errors",
    ]);
    for group in groups {
        let errors = group
            .errors
            .iter()
            .map(|(class, count)| format!("{class} {count}"));
        table.row(vec![
            group.workflow.clone(),
            group.step.clone().unwrap_or_else(|| "(run)".to_owned()),
            or_dash(group.lm.as_ref()),
            group.executions.to_string(),
            group.latency_p50_ms.to_string(),
            group.latency_p95_ms.to_string(),
            group.input_tokens.to_string(),
            group.output_tokens.to_string(),
            or_dash(group.cost.map(|cost| format!("${cost:.4}"))),
            or_dash(group.score_mean.map(|mean| format!("{mean:.3}"))),
            group.accepted.to_string(),
            group.rejected.to_string(),
            group.corrected.to_string(),
            errors.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.print(out)?;
    Ok(())
}

fn export(
    out: &mut impl Write,
    history: &History,
    filter: &Filter,
    output: Option<&Path>,
    force: bool,
) -> Result<(), Failure> {
    let Some(path) = output else {
        history.export(filter, out)?;
        return Ok(());
    };
    let mut count = 0;
    replace(path, overwrite(force), |mut file| {
        count = history.export(filter, &mut file)?;
        Ok::<_, Failure>(())
    })?;
    writeln!(out, "{count} executions in {}", path.display())?;
    Ok(())
}

fn prune(
    out: &mut impl Write,
    place: &Place,
    retention: &Retention,
    format: Format,
) -> Result<(), Failure> {
    if retention.is_unlimited() {
        let message = "give a limit: --max-age, --max-rows or --max-bytes";
        return Err(Failure::Message(message.to_owned()));
    }
    let pruned = place.open()?.prune(retention)?;
    match format {
        Format::Json => writeln!(out, "{}", json!({"version": 1, "pruned": pruned}))?,
        Format::Human => writeln!(
            out,
            "{} executions deleted, {} left in {} bytes",
            pruned.deleted, pruned.left, pruned.bytes
        )?,
    }
    Ok(())
}

fn read_object(path: &Path) -> Result<Map<String, Value>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Message(format!("{} is not a JSON object: {error}", path.display()))
    })
}

pub(crate) fn overwrite(force: bool) -> Overwrite {
    if force {
        Overwrite::Force
    } else {
        Overwrite::Refuse
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
