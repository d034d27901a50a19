//! What reports hold.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::baseline::BaselineCase;

/// What a hostile model could reply.
const NASTY: &str = "</script><img src=x onerror=alert(1)>&\"'\u{0}\u{2028}]]>";

fn results(count: u32) -> Vec<CaseResult> {
    (0..count)
        .map(|n| {
            let good = n % 4 != 3;
            let score = if good { 1.0 } else { f64::from(n % 10) / 20.0 };
            let feedback = (!good).then(|| format!("kind: expected `a`, got `{NASTY}`"));
            let json = json!({
                "id": format!("case {n:03}{}", if n == 7 { NASTY.replace(['\u{0}', '\u{2028}'], "") } else { String::new() }),
                "repetition": 0,
                "passed": good,
                "score": score,
                "error": (n == 11).then_some("no reply of <lm>"),
                "cost": 0.001 * f64::from(n % 7),
                "latency": 0.5 + f64::from(n * 37 % 100) / 40.0,
                "usage": {"input_tokens": 120, "output_tokens": 30},
                "scores": {"fields": {
                    "value": score,
                    "feedback": feedback,
                    "parts": [{"name": "kind", "value": f64::from(u8::from(good))}, {"name": "tags", "value": 0.75}],
                }},
                "input": {"text": format!("ticket {n} {NASTY}")},
                "expected": {"kind": "a", "tags": ["x"]},
                "actual": {"kind": if good { "a" } else { NASTY }, "tags": ["x"]},
                "steps": [{
                    "step": "sort",
                    "lm": "local/smollm2-135m-instruct",
                    "prompt": [
                        {"role": "system", "content": "Sort the ticket."},
                        {"role": "user", "content": format!("ticket:\n```\nticket {n} {NASTY}\n```")},
                    ],
                    "reply": format!("{{\"kind\": \"{NASTY}\"}}"),
                }],
            });
            serde_json::from_value(json).unwrap()
        })
        .collect()
}

struct Made {
    results: Vec<CaseResult>,
    tally: Tally,
    report: Report,
}

fn made(count: u32) -> Made {
    let results = results(count);
    let mut tally = Tally::new(results.iter().map(|result| result.id.as_str()), 1);
    for result in &results {
        tally.add(result);
    }
    let baseline = tally.cases.iter().map(|(id, outcome)| {
        let case = BaselineCase {
            content: outcome.fingerprint.clone(),
            tries: 1,
            passes: u32::from(!id.contains("001")),
            score: 0.9,
            metrics: BTreeMap::from([("fields".to_owned(), 0.85)]),
        };
        (id.clone(), case)
    });
    let cases = baseline.collect();
    let mut baseline = Baseline::of("triage", &tally);
    baseline.cases = cases;
    let evidence = Evidence {
        suite: "triage",
        directory: Path::new("nowhere"),
        tally: &tally,
        details: &|_| None,
        update_baseline: false,
        is_part: false,
        recordings: None,
        prune: false,
    };
    let gates = vec![
        Verdict {
            gate: "complete".to_owned(),
            passed: true,
            summary: format!("{count} cases"),
            details: String::new(),
        },
        Verdict {
            gate: "pass_rate".to_owned(),
            passed: false,
            summary: "0.750 of the runs pass; 0.9 is wanted".to_owned(),
            details: format!("worst cases: {NASTY}"),
        },
    ];
    let report = Report {
        // Snapshots outlive it.
        dspipe: "0.0.0".to_owned(),
        ..Report::new("r1", &evidence, gates, Some(&baseline))
    };
    Made {
        results,
        tally,
        report,
    }
}

impl Made {
    fn each(&self) -> impl FnMut(&mut dyn FnMut(CaseResult) -> io::Result<()>) -> io::Result<()> {
        |see| self.results.iter().cloned().try_for_each(see)
    }

    fn page(&self) -> String {
        let mut out = Vec::new();
        page(&mut out, &self.report, &self.tally, &mut self.each()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn junit(&self, must_pass: bool) -> String {
        let mut out = Vec::new();
        junit(&mut out, &self.report, must_pass, &mut self.each()).unwrap();
        String::from_utf8(out).unwrap()
    }
}

#[test]
fn a_terminal_shows_the_run_on_a_screen() {
    insta::assert_snapshot!(table(&made(40).report));
}

#[test]
fn the_report_is_read_back_as_it_was_written() {
    let report = made(40).report;
    assert_eq!(
        serde_json::from_str::<Report>(&report.json()).unwrap(),
        report
    );
    insta::assert_snapshot!(report.json());
}

#[test]
fn junit_tells_errors_from_failures() {
    let made = made(12);
    insta::assert_snapshot!(made.junit(false));
    let strict = made.junit(true);
    assert!(strict.contains(r#"failures="3" errors="1""#), "{strict}");
    assert_eq!(strict.matches("<failure ").count(), 3);
}

#[test]
fn nothing_that_a_model_replied_becomes_markup() {
    let made = made(40);
    let page = made.page();
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img"));
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "it loads nothing"
    );
    let data = page
        .split("id=\"data\">")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(data).unwrap();
    assert_eq!(rows.len(), 40);
    assert_eq!(
        rows[3]["steps"][0]["reply"],
        json!(format!("{{\"kind\": \"{NASTY}\"}}"))
    );
    let xml = made.junit(true);
    assert!(!xml.contains("<img") && !xml.contains('\u{0}') && !xml.contains("]]>"));
}

#[test]
fn a_page_of_many_cases_holds_the_worst() {
    let made = made(1500);
    let page = made.page();
    assert!(page.contains("The worst 1000 of 1500 cases"));
    let failing = made.results.iter().filter(|result| !result.passed).count();
    assert_eq!(page.matches("\"passed\":false").count(), failing);
    assert_eq!(page.matches("\n{\"id\":").count(), 1000);
}

#[test]
fn an_empty_run_has_a_report() {
    let made = made(0);
    assert_eq!(made.report.pass_rate, None);
    assert!(made.page().contains("<h1>triage"));
    assert!(table(&made.report).contains("0 cases"));
}
