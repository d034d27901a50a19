//! `cargo dspipe history`.

mod args;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use dspipe_history::training::{DataError, Overwrite, replace};
use dspipe_history::{Execution, Feedback, Filter, GroupStats, History, Order, Retention, Verdict};
use serde_json::{Map, Value, json};

pub(crate) use args::{Command, Place};

use args::VerdictArg;

use crate::table::{Table, or_dash};
use crate::{Failure, Format};

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
