//! A run as a page: one file that needs nothing else.

use std::collections::HashSet;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::svg::{self, Axis, number};
use super::{BaselineReport, EachResult, Report, escaped};
use crate::gate::Verdict;
use crate::result::{CaseResult, cut, push};
use crate::tally::Tally;

/// The most cases that the page holds with their prompts; the worst come first. All are in `cases.jsonl`.
const CASES: usize = 1000;

/// The most points of a plot.
const POINTS: usize = 2000;

/// Bars of the latency histogram.
const BARS: usize = 24;

/// The longest text that the page holds, in characters.
const LONGEST: usize = 20_000;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes a run as an HTML page, result by result. It shows the worst 1,000 cases in full.
///
/// # Errors
/// Those of the writer.
pub fn page(
    out: &mut impl Write,
    report: &Report,
    tally: &Tally,
    cases: &mut EachResult<'_>,
) -> io::Result<()> {
    let suite = escaped(&report.suite);
    // Nothing but what is in the file may run or load, whatever a model replied.
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <title>{suite} · dspipe</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {}{}{}{}",
        header(report),
        gates(&report.gates),
        plots(report, tally),
        report.baseline.as_ref().map(baseline).unwrap_or_default(),
    )?;
    let kept = kept(tally);
    let all = tally.cases.len();
    let note = if all > kept.len() {
        format!(
            "<p class=\"note\">The worst {} of {all} cases; all are in cases.jsonl.</p>",
            kept.len()
        )
    } else {
        String::new()
    };
    write!(
        out,
        "<section class=\"wide\"><h2>Cases</h2>{note}<noscript>The table needs JavaScript.</noscript>\
         <div id=\"cases\"></div></section>\n</main>\n<script type=\"application/json\" id=\"data\">[",
    )?;
    let mut first = true;
    cases(&mut |result| {
        if !kept.contains(result.id.as_str()) {
            return Ok(());
        }
        let comma = if first { "\n" } else { ",\n" };
        first = false;
        write!(out, "{comma}{}", in_script(&row(&result).to_string()))
    })?;
    write!(
        out,
        "\n]</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// The names of the cases that the page shows: those that fail, the worst first, then others.
fn kept(tally: &Tally) -> HashSet<&str> {
    let mut kept: HashSet<&str> = tally.worst().into_iter().take(CASES).collect();
    for id in tally.cases.keys() {
        if kept.len() >= CASES {
            break;
        }
        kept.insert(id);
    }
    kept
}

/// JSON that cannot end the script it stands in.
fn in_script(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

fn row(result: &CaseResult) -> Value {
    let pretty = |value: &Value| match value {
        Value::String(text) => cut(text, LONGEST),
        // Values always serialize.
        other => cut(
            &serde_json::to_string_pretty(other).unwrap_or_default(),
            LONGEST,
        ),
    };
    let steps: Vec<Value> = result
        .steps
        .iter()
        .map(|step| {
            let prompt: Vec<Value> = step
                .prompt
                .iter()
                .map(
                    |message| json!({"role": message.role, "text": cut(&message.content, LONGEST)}),
                )
                .collect();
            json!({
                "step": step.step,
                "lm": step.lm,
                "prompt": prompt,
                "reply": step.reply.as_ref().map(|reply| cut(reply, LONGEST)),
            })
        })
        .collect();
    let scores: serde_json::Map<String, Value> = result
        .scores
        .iter()
        .map(|(name, score)| (name.clone(), json!([score.value, score.feedback])))
        .collect();
    json!({
        "id": result.id.as_str(),
        "run": result.repetition + 1,
        "passed": result.passed,
        "error": result.error,
        "score": result.score,
        "latency": result.latency,
        "cost": result.cost,
        "scores": scores,
        "input": pretty(&result.input),
        "expected": result.expected.as_ref().map(pretty),
        "actual": result.actual.as_ref().map(pretty),
        "steps": steps,
        "tags": result.tags,
        "recordings": result.recordings,
    })
}

fn header(report: &Report) -> String {
    let verdict = if report.passed() {
        "<span class=\"pill good\">passed</span>"
    } else {
        "<span class=\"pill bad\">failed</span>"
    };
    let mut text = format!(
        "<header><h1>{} {verdict}</h1><p class=\"note\">run {} · dspipe {}</p></header>\n<dl class=\"tiles\">",
        escaped(&report.suite),
        escaped(&report.run),
        escaped(&report.dspipe)
    );
    let mut tile = |name: &str, value: &str, note: &str| {
        push(
            &mut text,
            format_args!(
                "<div><dt>{name}</dt><dd>{value}</dd><dd class=\"note\">{note}</dd></div>"
            ),
        );
    };
    let range = |low: f64, high: f64| format!("95 %: {low:.3} to {high:.3}");
    if let Some(rate) = report.pass_rate {
        tile(
            "pass rate",
            &format!("{:.1} %", rate.estimate * 100.0),
            &range(rate.low, rate.high),
        );
    }
    if let Some(score) = report.score {
        tile(
            "score",
            &format!("{:.3}", score.estimate),
            &range(score.low, score.high),
        );
    }
    let runs = format!("{} runs, {} errors", report.results, report.errors);
    tile("cases", &report.cases.to_string(), &runs);
    if let Some(latency) = report.latency {
        let others = format!("p95 {} s", number(latency.p95));
        tile(
            "latency, median",
            &format!("{} s", number(latency.p50)),
            &others,
        );
    }
    let tokens = format!(
        "{} tokens in, {} out",
        report.usage.input_tokens, report.usage.output_tokens
    );
    let cost = match report.cost.unknown {
        0 => format!("{:.4} USD", report.cost.usd),
        _ if report.cost.usd > 0.0 => format!("{:.4} USD or more", report.cost.usd),
        _ => "not known".to_owned(),
    };
    tile("cost", &cost, &tokens);
    text.push_str("</dl>\n");
    text
}

fn gates(gates: &[Verdict]) -> String {
    if gates.is_empty() {
        return String::new();
    }
    let mut text = String::from("<section class=\"wide\"><h2>Gates</h2><ul class=\"gates\">");
    for gate in gates {
        let (class, word) = if gate.passed {
            ("good", "passed")
        } else {
            ("bad", "failed")
        };
        push(
            &mut text,
            format_args!(
                "<li><span class=\"pill {class}\">{word}</span> <b>{}</b> {}",
                escaped(&gate.gate),
                escaped(&gate.summary)
            ),
        );
        if !gate.details.is_empty() {
            push(
                &mut text,
                format_args!(
                    "<details><summary>cases to look at</summary><pre>{}</pre></details>",
                    escaped(&gate.details)
                ),
            );
        }
        text.push_str("</li>");
    }
    text.push_str("</ul></section>\n");
    text
}

fn plots(report: &Report, tally: &Tally) -> String {
    let mut text = String::from("<div class=\"plots\">\n");
    for (name, metric) in &report.metrics {
        let across = Axis {
            label: "score",
            max: 1.0,
        };
        let marks = [("mean", metric.mean)];
        figure(
            &mut text,
            &format!("Scores of {name}"),
            &svg::histogram(&metric.histogram, across, &marks),
        );
    }
    for (name, metric) in &report.metrics {
        if metric.fields.is_empty() {
            continue;
        }
        let rows = metric
            .fields
            .iter()
            .map(|(field, mean)| meter(field, *mean, None));
        figure(
            &mut text,
            &format!("Fields of {name}"),
            &rows.collect::<String>(),
        );
    }
    if !report.tags.is_empty() {
        let mut rows = String::new();
        let mut counts = Vec::new();
        for (tag, of) in &report.tags {
            rows.push_str(&meter(tag, of.score, None));
            let tag = escaped(tag);
            counts.push(format!("{tag}: {} of {} runs pass", of.passed, of.results));
        }
        push(
            &mut rows,
            format_args!("<p class=\"note\">{}</p>", counts.join("; ")),
        );
        figure(&mut text, "Score by tag", &rows);
    }
    if tally.cost > 0.0 {
        let across = Axis {
            label: "cost (USD)",
            max: dearest(tally),
        };
        let every = tally.cases.len().div_ceil(POINTS).max(1);
        let points = tally.cases.iter().step_by(every).map(|(id, case)| {
            let cost = case.cost / f64::from(case.tries.max(1));
            (id.as_str(), cost, case.score(), case.passed())
        });
        let up = Axis {
            label: "score",
            max: 1.0,
        };
        figure(
            &mut text,
            "Cost and score of each case",
            &svg::scatter(points, across, up),
        );
    }
    if let Some(latency) = report.latency.filter(|latency| latency.max > 0.0) {
        let across = Axis {
            label: "latency (s)",
            max: latency.max,
        };
        let marks = [("p50", latency.p50), ("p95", latency.p95)];
        let bars = bars(&tally.latencies, latency.max);
        figure(&mut text, "Latency", &svg::histogram(&bars, across, &marks));
    }
    text.push_str("</div>\n");
    text
}

fn figure(text: &mut String, title: &str, content: &str) {
    push(
        text,
        format_args!("<section><h2>{}</h2>{content}</section>\n", escaped(title)),
    );
}

/// A bar from 0 to 1 with its number, and the place where it was before.
fn meter(name: &str, value: f64, before: Option<f64>) -> String {
    let mark = before.map_or_else(String::new, |before| {
        format!(
            "<i style=\"left:{:.1}%\" title=\"{before:.3} in the baseline\"></i>",
            before * 100.0
        )
    });
    let change = before.map_or_else(String::new, |before| format!(" ({:+.3})", value - before));
    format!(
        "<div class=\"meter\"><span>{}</span><span class=\"track\"><b style=\"width:{:.1}%\"></b>{mark}</span>\
         <span class=\"value\">{value:.3}{change}</span></div>",
        escaped(name),
        value * 100.0
    )
}

fn baseline(found: &BaselineReport) -> String {
    let mut rows = meter("score", found.score_now, Some(found.score_before));
    for (name, (before, now)) in &found.metrics {
        rows.push_str(&meter(name, *now, Some(*before)));
    }
    let list = |title: &str, ids: &[String]| {
        let ids = if ids.is_empty() {
            "none".to_owned()
        } else {
            ids.join(", ")
        };
        format!("<p><b>{title}</b>: {}</p>", escaped(&ids))
    };
    format!(
        "<section class=\"wide\"><h2>Against the baseline</h2>{rows}<p class=\"note\">{} cases compared; the \
         line is the baseline</p>{}{}</section>\n",
        found.compared,
        list("New failures", &found.broken),
        list("Fixed", &found.fixed)
    )
}

fn dearest(tally: &Tally) -> f64 {
    let costs = tally
        .cases
        .values()
        .map(|case| case.cost / f64::from(case.tries.max(1)));
    costs.fold(0.0, f64::max)
}

fn bars(values: &[f64], max: f64) -> Vec<u64> {
    let mut bars = vec![0; BARS];
    for value in values {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from 0 to the number of bars"
        )]
        let bar = (value / max * BARS as f64) as usize;
        bars[bar.min(BARS - 1)] += 1;
    }
    bars
}
