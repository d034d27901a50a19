//! Reports on training data, for people.

use std::io::Write;
use std::path::Path;

use dspipe_history::training::{DataStats, Part, Report, Split, Stratum};

use crate::table::Table;

pub(super) fn print_report(
    out: &mut impl Write,
    file: &Path,
    report: &Report,
    unreadable: &[String],
) -> std::io::Result<()> {
    for error in unreadable {
        writeln!(out, "{error}")?;
    }
    for one in &report.examples {
        for issue in &one.issues {
            writeln!(
                out,
                "{}:{}: {}: {}",
                file.display(),
                one.line,
                issue.field,
                issue.message
            )?;
        }
    }
    let all = report.examples.len() + unreadable.len();
    writeln!(
        out,
        "{} of {all} examples valid, quality {:.3}",
        report.valid, report.quality
    )?;
    for (label, balance) in &report.balance {
        writeln!(out, "  balance of {label}: {balance:.3}")?;
    }
    Ok(())
}

pub(super) fn print_strata(
    out: &mut impl Write,
    settings: &Split,
    strata: &[Stratum],
) -> std::io::Result<()> {
    let head = settings.stratify.as_deref().unwrap_or("examples");
    let mut table = Table::new(&[head, "train", "validation", "test"]);
    for stratum in strata {
        let count = |part| {
            stratum
                .counts
                .get(&part)
                .copied()
                .unwrap_or_default()
                .to_string()
        };
        let mut row = vec![stratum.value.clone()];
        row.extend(Part::ALL.map(count));
        table.row(row);
    }
    table.print(out)?;
    for stratum in strata {
        for part in &stratum.missing {
            let (value, part) = (&stratum.value, part.as_str());
            writeln!(
                out,
                "warning: no example of `{value}` is in {part}; add more of it"
            )?;
        }
    }
    Ok(())
}

pub(super) fn print_stats(out: &mut impl Write, stats: &DataStats) -> std::io::Result<()> {
    writeln!(
        out,
        "{} examples, {} synthetic, {} different inputs",
        stats.examples, stats.synthetic, stats.distinct_inputs
    )?;
    let mut table = Table::new(&["field", "in", "shortest", "mean", "longest", "types"]);
    for (name, field) in &stats.fields {
        let types = field
            .types
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        table.row(vec![
            name.clone(),
            field.present.to_string(),
            field.shortest.to_string(),
            (field.characters / field.present.max(1)).to_string(),
            field.longest.to_string(),
            types.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.print(out)?;
    for (label, values) in &stats.labels {
        let values = values
            .iter()
            .map(|(value, count)| format!("{value} {count}"));
        writeln!(out, "{label}: {}", values.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}
