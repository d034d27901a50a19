//! A run for a terminal.

use super::Report;
use crate::result::push;

/// What a run came to, as lines of text.
pub fn table(report: &Report) -> String {
    let mut text = format!(
        "{}: {} cases, {} runs, {} passed, {} errors\n",
        report.suite, report.cases, report.results, report.passed, report.errors
    );
    let mut rows: Vec<[String; 3]> = Vec::new();
    if let Some(rate) = report.pass_rate {
        let range = format!("{:.3} to {:.3}", rate.low, rate.high);
        rows.push([
            "pass rate".to_owned(),
            format!("{:.3}", rate.estimate),
            range,
        ]);
    }
    if let Some(score) = report.score {
        let range = format!("{:.3} to {:.3}", score.low, score.high);
        rows.push(["score".to_owned(), format!("{:.3}", score.estimate), range]);
    }
    for (name, metric) in &report.metrics {
        let change = report
            .baseline
            .as_ref()
            .and_then(|baseline| baseline.metrics.get(name))
            .map(|(before, now)| format!("{:+.3} against the baseline", now - before));
        rows.push([
            name.clone(),
            format!("{:.3}", metric.mean),
            change.unwrap_or_default(),
        ]);
        for (field, mean) in &metric.fields {
            rows.push([format!("  {field}"), format!("{mean:.3}"), String::new()]);
        }
    }
    for (tag, of) in &report.tags {
        rows.push([
            format!("tag {tag}"),
            format!("{:.3}", of.score),
            format!("{} of {} pass", of.passed, of.results),
        ]);
    }
    if let Some(latency) = report.latency {
        let others = format!("p95 {:.2} s, max {:.2} s", latency.p95, latency.max);
        rows.push([
            "latency p50".to_owned(),
            format!("{:.2} s", latency.p50),
            others,
        ]);
    }
    let (tokens_in, tokens_out) = (report.usage.input_tokens, report.usage.output_tokens);
    rows.push([
        "tokens".to_owned(),
        format!("{tokens_in} in"),
        format!("{tokens_out} out"),
    ]);
    let unknown = match report.cost.unknown {
        0 => String::new(),
        unknown => format!("not known of {unknown} runs"),
    };
    rows.push([
        "cost".to_owned(),
        format!("{:.4} USD", report.cost.usd),
        unknown,
    ]);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    for [name, value, note] in &rows {
        let line = format!("  {name:first$}  {value:>second$}  {note}");
        push(&mut text, format_args!("{}\n", line.trim_end()));
    }
    for gate in &report.gates {
        let mark = if gate.passed { "ok  " } else { "FAIL" };
        push(
            &mut text,
            format_args!("  {mark}  {}: {}\n", gate.gate, gate.summary),
        );
    }
    text
}
