//! What gates say.

use serde_json::{Value, json};

use super::*;
use crate::metric::Registry;
use crate::suite::Metrics;

fn metrics() -> Metrics {
    let declared = json!(["exact", {"metric": "edit", "pass_at": 0}]);
    Metrics::parse(&declared, &Registry::default()).unwrap()
}

fn result(id: &str, repetition: u32, score: f64) -> CaseResult {
    let value =
        crate::metric::Score::with_feedback(Unit::new(score).unwrap(), "expected `a`, got `b`");
    let json = json!({
        "id": id,
        "repetition": repetition,
        "passed": score >= 1.0,
        "score": score,
        "cost": 0.25,
        "latency": 1.0 + score,
        "usage": {"input_tokens": 10, "output_tokens": 2},
        "scores": {"exact": value},
        "input": {"text": format!("input of {id}")},
        "expected": {"kind": "a"},
        "actual": {"kind": "b"},
        "steps": [{
            "step": "sort",
            "lm": "local/x",
            "prompt": [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "text"}],
        }],
    });
    serde_json::from_value(json).unwrap()
}

struct Run {
    results: Vec<CaseResult>,
    tally: Tally,
}

fn run(scores: &[(&str, &[f64])]) -> Run {
    let repeat = scores.iter().map(|(_, runs)| runs.len()).max().unwrap_or(1);
    let ids = scores.iter().map(|(id, _)| *id);
    let mut tally = Tally::new(ids, u32::try_from(repeat).unwrap());
    let mut results = Vec::new();
    for (id, runs) in scores {
        for (repetition, score) in (0..).zip(*runs) {
            let result = result(id, repetition, *score);
            tally.add(&result);
            results.push(result);
        }
    }
    Run { results, tally }
}

fn judge_in(directory: &Path, gate: &Value, run: &Run, update_baseline: bool) -> Verdict {
    let gates = Gate::parse(gate, &metrics(), 9).unwrap();
    let details = |id: &str| {
        run.results
            .iter()
            .find(|result| result.id.as_str() == id)
            .cloned()
    };
    gates[0].judge(&Evidence {
        suite: "triage",
        directory,
        tally: &run.tally,
        details: &details,
        update_baseline,
        is_part: false,
        recordings: None,
        prune: false,
    })
}

fn judge(gate: &Value, run: &Run) -> Verdict {
    judge_in(Path::new("nowhere"), gate, run, false)
}

const GOOD: &[f64] = &[1.0];
const BAD: &[f64] = &[0.25];

#[test]
fn a_pass_rate_below_its_floor_shows_the_worst_cases() {
    let run = run(&[
        ("001", GOOD),
        ("002", GOOD),
        ("003", BAD),
        ("004", GOOD),
        ("005", GOOD),
    ]);
    assert!(judge(&json!({"pass_rate": {"min": 0.8}}), &run).passed);
    let verdict = judge(&json!({"pass_rate": {"min": 0.9}}), &run);
    assert!(!verdict.passed);
    insta::assert_snapshot!(verdict, @r#"
    0.800 of the runs pass (4 of 5); 0.900 is wanted
    worst cases (1): 003
      003: score 0.25
        input: {"text":"input of 003"}
        expected: {"kind":"a"}
        actual: {"kind":"b"}
        feedback: expected `a`, got `b`
        prompt of `sort` to local/x:
          | Sort it.
          | ---
          | text
    "#);
}

#[test]
fn with_a_confidence_the_lower_bound_counts() {
    let run = run(&[("1", GOOD), ("2", GOOD), ("3", GOOD), ("4", GOOD)]);
    let verdict = judge(
        &json!({"pass_rate": {"min": 0.8, "confidence": 0.95}}),
        &run,
    );
    assert!(!verdict.passed);
    insta::assert_snapshot!(verdict.summary, @"1.000 of the runs pass (4 of 4), at least 0.510 with 95 % confidence; 0.800 is wanted");
    let verdict = judge(
        &json!({"mean": {"min": 0.9, "metric": "exact", "confidence": 0.95}}),
        &run,
    );
    assert!(verdict.passed, "{verdict}");
}

#[test]
fn repeating_cases_does_not_make_a_rate_surer() {
    let gate = json!({"pass_rate": {"min": 0, "confidence": 0.95}});
    let few = run(&[("1", &[1.0]), ("2", &[1.0]), ("3", &[0.0])]);
    let many = run(&[("1", &[1.0, 1.0]), ("2", &[1.0, 1.0]), ("3", &[0.0, 0.0])]);
    let bound = |run: &Run| {
        let summary = judge(&gate, run).summary;
        summary.split_once("at least ").unwrap().1.to_owned()
    };
    assert_eq!(bound(&few), bound(&many));
}

#[test]
fn means_are_those_of_cases() {
    let run = run(&[("1", &[1.0, 1.0]), ("2", &[0.0, 0.5])]);
    let verdict = judge(&json!({"mean": {"min": 0.63}}), &run);
    insta::assert_snapshot!(verdict.summary, @"the mean score is 0.625 over 2 cases; 0.630 is wanted");
    assert!(!verdict.passed);
    // No case has a score of `edit`: all ended in errors.
    assert!(!judge(&json!({"mean": {"metric": "edit", "min": 0.1}}), &run).passed);
}

#[test]
fn repeated_runs_can_be_asked_for_one_or_all() {
    let run = run(&[("1", &[1.0, 1.0, 1.0]), ("2", &[1.0, 0.0, 1.0])]);
    let at = |name: &str, min: f64| judge(&json!({name: {"k": 2, "min": min}}), &run).passed;
    assert!(at("pass_at_k", 1.0));
    assert!(at("pass_hat_k", 0.66));
    assert!(!at("pass_hat_k", 0.67));
}

#[test]
fn cost_and_latency_have_limits() {
    let mut run = run(&[("1", GOOD), ("2", BAD)]);
    assert!(judge(&json!({"cost": {"max": 0.5, "per_case": 0.25}}), &run).passed);
    insta::assert_snapshot!(judge(&json!({"cost": {"max": 0.4}}), &run), @r"
    0.5000 USD in all; at most 0.4 is wanted
    dearest cases:
      1: 0.2500 USD
      2: 0.2500 USD
    ");
    assert!(judge(&json!({"latency": {"p95": 2, "p50": 2}}), &run).passed);
    insta::assert_snapshot!(judge(&json!({"latency": {"p100": 1.9}}), &run), @r"
    p100 is 2.000 s, at most 1.9 is wanted
    slowest cases:
      1: 2.0000 s
      2: 1.2500 s
    ");
    run.tally.without_price = 1;
    assert!(!judge(&json!({"cost": {"max": 9}}), &run).passed);
}

#[test]
fn nothing_passes_without_results() {
    let empty = run(&[]);
    let mut partial = run(&[("1", GOOD)]);
    partial.tally.missing.insert("2".to_owned());
    for gate in [
        json!({"complete": {}}),
        json!({"pass_rate": {"min": 0}}),
        json!({"mean": {"min": 0}}),
        json!({"pass_at_k": {"k": 1, "min": 0}}),
        json!({"cost": {"max": 1}}),
        json!({"latency": {"p50": 9}}),
    ] {
        assert_eq!(judge(&gate, &empty).summary, "no case of `triage` has run");
        let verdict = judge(&gate, &partial);
        assert_eq!(
            verdict.summary,
            "1 of the cases of `triage` have not run: 2"
        );
        assert!(!verdict.passed);
    }
}

#[test]
fn a_run_is_held_against_the_committed_baseline() {
    let directory = tempfile::tempdir().unwrap();
    let gate = |test: &str| json!({"regression": {"baseline": "b/triage.json", "test": test, "max_new_failures": 1}});
    let ids: Vec<String> = (0..8).map(|n| format!("{n}")).collect();
    let all = |score: &'static [f64]| -> Vec<(&str, &[f64])> {
        ids.iter().map(|id| (id.as_str(), score)).collect()
    };
    let good = run(&all(GOOD));
    let mcnemar = gate("mcnemar");
    let verdict = judge_in(directory.path(), &mcnemar, &good, false);
    assert!(
        !verdict.passed && verdict.summary.starts_with("there is no baseline"),
        "{verdict}"
    );
    assert!(judge_in(directory.path(), &mcnemar, &good, true).passed);
    let file = std::fs::read(directory.path().join("b/triage.json")).unwrap();
    assert!(judge_in(directory.path(), &mcnemar, &good, true).passed);
    assert_eq!(
        file,
        std::fs::read(directory.path().join("b/triage.json")).unwrap()
    );
    insta::assert_snapshot!(String::from_utf8(file).unwrap().lines().take(5).collect::<Vec<_>>().join("\n"), @r#"
    {
    "version": 1,
    "suite": "triage",
    "cases": {
    "0": {"content":"f0734969","tries":1,"passes":1,"score":1.0,"metrics":{"exact":1.0}},
    "#);

    let mut scores = all(GOOD);
    scores[3].1 = BAD;
    let verdict = judge_in(directory.path(), &mcnemar, &run(&scores), false);
    assert!(verdict.passed, "{verdict}");
    for score in &mut scores[3..] {
        score.1 = BAD;
    }
    let verdict = judge_in(directory.path(), &mcnemar, &run(&scores), false);
    assert!(!verdict.passed);
    insta::assert_snapshot!(verdict.summary, @"5 new failures, 0 fixed, of 8 cases; at most 1 new failures are wanted; p = 0.0312 for the run being no worse (exact McNemar)");
    assert!(
        verdict
            .details
            .starts_with("new failures (5): 3, 4, 5, 6, 7\n  3: score 0.25"),
        "{verdict}"
    );
    let verdict = judge_in(directory.path(), &gate("bootstrap"), &run(&scores), false);
    assert!(
        verdict
            .summary
            .contains("the mean score changed by -0.4688"),
        "{verdict}"
    );
    assert!(!verdict.passed);

    let verdict = judge_in(directory.path(), &mcnemar, &run(&scores[..7]), false);
    assert!(
        !verdict.passed && verdict.summary.contains("not in the suite any more: 7"),
        "{verdict}"
    );
}

#[test]
fn a_file_that_is_no_baseline_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let gate = json!({"regression": {"baseline": "b.json", "max_new_failures": 0}});
    let run = run(&[("1", GOOD)]);
    for text in [
        "{",
        r#"{"version": 9, "suite": "triage", "cases": {}}"#,
        r#"{"version": 1, "suite": "other", "cases": {}}"#,
        r#"{"version": 1, "suite": "triage", "cases": {}}"#,
    ] {
        std::fs::write(directory.path().join("b.json"), text).unwrap();
        let verdict = judge_in(directory.path(), &gate, &run, false);
        assert!(
            !verdict.passed && verdict.summary.contains("DSPIPE_UPDATE_BASELINE=1"),
            "{verdict}"
        );
    }
}

#[test]
fn everything_wrong_with_gates_is_reported() {
    let gates = json!([
        {"pass_rat": {"min": 1}},
        {"pass_rate": {"min": 2}},
        {"pass_rate": {"min": 0.9, "confidence": 1}},
        {"pass_at_k": {"k": 4, "min": 1}},
        {"mean": {"metric": "exct", "min": 0.5}},
        {"cost": {}},
        {"latency": {"95": 1}},
        {"regression": {"baseline": "b.json"}},
        {"regression": {"baseline": "b.json", "test": "mcnemar", "metric": "exact"}},
        {"mean": {"min": 0.5}, "complete": {}},
        {"mean": {"min": 0.6}},
    ]);
    let errors = Gate::parse(&gates, &metrics(), 3).unwrap_err();
    insta::assert_snapshot!(errors, @"
    gates[0].pass_rat: there is no gate `pass_rat`; did you mean `pass_rate`?
    gates[1].pass_rate: 2 is not from 0 to 1
    gates[2].pass_rate: nothing is sure with a confidence of 1
    gates[3].pass_at_k: `k` is 4, but each case runs 3 times; set `repeat` of the suite
    gates[4].mean: the suite has no metric `exct`; did you mean `exact`?
    gates[5].cost: it needs `max`, `per_case` or both
    gates[6].latency.95: it is no quantile; one reads as `p95`
    gates[7].regression: it needs `test`, `max_new_failures` or both
    gates[8].regression: `metric` is for `test: bootstrap`
    gates[10].mean: `mean` is there twice
    ");
}
