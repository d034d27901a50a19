//! What the build accepts in a suite, the harness reads; what the harness refuses, the build has refused before.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dspipe_build::{METRICS, Suite};
use dspipe_eval::metric::{Declared, Registry, from_fn};
use dspipe_eval::{Gate, Metrics, from_yaml};
use serde_json::Value;

const WORKFLOW: &str = "
workflow:
  name: w
  steps:
    - name: sort
      type: dspy_local
      signature:
        input_fields: [{name: text, type: string}]
        output_fields: [{name: kind, type: string}, {name: tags, type: 'list[string]'}, {name: size, type: number}]
";

/// What the build says of a suite with these metrics and gates, each in YAML.
fn build(metric: &str, gates: &str) -> Result<(), String> {
    let package = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(package.path().join(name), text).unwrap();
    write("w.yaml", WORKFLOW);
    write(
        "s.eval.yaml",
        &format!(
            "suite: s\nworkflow: w.yaml\nrepeats: 3\ncases: [{{text: a}}]\nmetrics: [{metric}, {{name: other, metric: exact}}]\n\
             gates: {gates}\n"
        ),
    );
    let read = Suite::read(package.path(), Path::new("s.eval.yaml"), &mut |_| {});
    read.map(drop).map_err(|invalid| invalid.report)
}

fn registry() -> Registry {
    Registry::default().with("kind", from_fn(|_: Value, _: Value, _: Value| true))
}

/// What the harness says of the same.
fn harness(metric: &str, gates: &str) -> Result<(), String> {
    let metrics = from_yaml(&format!("[{metric}, {{name: other, metric: exact}}]")).unwrap();
    let metrics = Metrics::parse(&metrics, &registry()).map_err(|errors| errors.to_string())?;
    let gates = Gate::parse(&from_yaml(gates).unwrap(), &metrics, 3);
    gates.map(drop).map_err(|errors| errors.to_string())
}

const GOOD: &[&str] = &[
    "{all: [exact, edit]}",
    "{any: [exact, edit]}",
    "{at: {path: 'sort.tags[0]', metric: exact}}",
    "contains",
    "{contains: {any: [a], case: false}}",
    "{contains: {all: ['1', b]}}",
    "{cost: {good: 0, max: 0.5}}",
    "{latency: {max: 1}}",
    "edit",
    "{edit: {}}",
    "exact",
    "{fields: {sort.kind: exact, sort.size: {metric: {numeric: {abs: 0.5, rel: 0.01}}, weight: 2}}}",
    "json_diff",
    "{judge: {rubric: Is it kind?, lm: openai/gpt-5-mini}}",
    "{length: {min: 0, max: 5, unit: words}}",
    "{list_f1: {ordered: true, normalize: true}}",
    "normalized",
    "numeric",
    "{one_of: {values: [1, two], metric: normalized}}",
    "{regex: '^[[:alpha:]\\p{Greek}]+$'}",
    "rouge_l",
    "{rust: kind}",
    "{schema: {type: [object, 'null'], properties: {a: true, b: {minLength: 1, pattern: '(?=x)'}}, required: [a], anyOf: [{}]}}",
    "{set_f1: {}}",
    "{threshold: {metric: edit, at_least: 0.8}}",
    "token_f1",
    "{weighted: [{metric: edit, weight: 2}, exact]}",
    "{name: x, metric: edit, weight: 0.5, pass_at: 0}",
];

const BAD: &[&str] = &[
    "exakt",
    "{exact: {case: true}}",
    "{metric: edit, weight: 0}",
    "{metric: edit, weight: '2'}",
    "{metric: edit, pass_at: 1.5}",
    "{metric: edit, pass_at: '1'}",
    "{metric: edit, wait: 1}",
    "{name: 1, metric: edit}",
    "{name: other, metric: edit}",
    "{all: []}",
    "{at: {path: 'a..b', metric: exact}}",
    "{at: {path: 'a[-1]', metric: exact}}",
    "{contains: {any: []}}",
    "{contains: {any: [1]}}",
    "{contains: {any: [a], all: [b]}}",
    "{contains: {case: 1}}",
    "{cost: {good: 1, max: 1}}",
    "{cost: {max: -1}}",
    "{cost: {max: 0}}",
    "{latency: {good: 1}}",
    "{fields: {}}",
    "{fields: {sort.kind: {metric: exact, weight: -1}}}",
    "{judge: {rubric: ''}}",
    "{judge: {rubric: x, lm: gpt}}",
    "{length: {}}",
    "{length: {min: -1}}",
    "{length: {min: 1.5}}",
    "{length: {min: 3, max: 2}}",
    "{length: {max: 2, unit: letters}}",
    "{list_f1: {ordered: 1}}",
    "{list_f1: {key: 'a['}}",
    "{set_f1: {ordered: true}}",
    "{numeric: {abs: -0.1}}",
    "{numeric: {rel: .inf}}",
    "{numeric: {tolerance: 1}}",
    "{one_of: {values: []}}",
    "{one_of: {values: a}}",
    "{regex: '('}",
    "{regex: '(?=x)'}",
    "{regex: 5}",
    "{regex: [a]}",
    "rust",
    "{rust: 'no name'}",
    "{schema: text}",
    "{schema: {type: strin}}",
    "{schema: {minLength: -1}}",
    "{schema: {required: a}}",
    "{schema: {properties: [a]}}",
    "{threshold: {metric: edit, at_least: 80}}",
    "{threshold: {at_least: 0.8}}",
    "{weighted: []}",
    "{weighted: [{metric: edit, weight: .inf}]}",
];

const GOOD_GATES: &[&str] = &[
    "~",
    "{complete: ~}",
    "{pass_rate: {min: 0.5, confidence: 0.95}}",
    "[{mean: {min: 0}}, {mean: {min: 1, metric: other, confidence: 0}}]",
    "{pass_at_k: {k: 3, min: 0.5}, pass_hat_k: {k: 1, min: 0.5}}",
    "{cost: {max: 0, per_case: 0.1}}",
    "{latency: {p50: 1, p99.9: 2}}",
    "{regression: {baseline: b.json, test: mcnemar, alpha: 0.01, max_new_failures: 0}}",
    "[{regression: {baseline: b.json, max_new_failures: 1}}, {regression: {baseline: b.json, test: bootstrap, metric: other}}]",
];

const BAD_GATES: &[&str] = &[
    "{pass_rat: {min: 0.5}}",
    "{pass_rate: {}}",
    "{pass_rate: {min: 1.1}}",
    "{pass_rate: {min: '0.5'}}",
    "{pass_rate: {min: 0.5, confidence: 1}}",
    "{mean: {min: 0.5, metric: nobody}}",
    "[{mean: {min: 0.5}}, {mean: {min: 0.6}}]",
    "[{cost: {max: 1}}, {cost: {per_case: 1}}]",
    "{pass_at_k: {k: 4, min: 0.5}}",
    "{pass_at_k: {k: 0, min: 0.5}}",
    "{cost: {}}",
    "{cost: {max: -1}}",
    "{cost: {per_case: much}}",
    "{latency: {}}",
    "{latency: {q95: 1}}",
    "{latency: {p101: 1}}",
    "{latency: {p95: -1}}",
    "{latency: {p95: slow}}",
    "{regression: {baseline: b.json}}",
    "{regression: {test: mcnemar}}",
    "{regression: {baseline: b.json, test: t}}",
    "{regression: {baseline: b.json, test: mcnemar, metric: other}}",
    "{regression: {baseline: b.json, test: mcnemar, alpha: 0}}",
    "{regression: {baseline: b.json, test: mcnemar, alpha: 0.5}}",
    "{regression: {baseline: b.json, max_new_failures: -1}}",
    "{regression: {baseline: b.json, max_new_failures: 0.5}}",
];

#[test]
fn what_the_build_accepts_the_harness_reads() {
    for metric in GOOD {
        assert_eq!(
            (build(metric, "~"), harness(metric, "~")),
            (Ok(()), Ok(())),
            "{metric}"
        );
    }
    for gates in GOOD_GATES {
        assert_eq!(
            (build("edit", gates), harness("edit", gates)),
            (Ok(()), Ok(())),
            "{gates}"
        );
    }
    // Every metric there is, is among them.
    let read = |metric: &&&str| Declared::parse(&from_yaml(metric).unwrap(), &registry());
    let named = GOOD.iter().filter_map(|metric| read(&metric).ok());
    let named: BTreeSet<&str> = named.map(|metric| metric.name()).collect();
    let known: BTreeSet<&str> = METRICS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, known);
}

#[test]
fn what_the_harness_refuses_the_build_has_refused_before() {
    for metric in BAD {
        let said = harness(metric, "~").unwrap_err();
        assert!(build(metric, "~").is_err(), "{metric}: {said}");
    }
    for gates in BAD_GATES {
        let said = harness("edit", gates).unwrap_err();
        assert!(build("edit", gates).is_err(), "{gates}: {said}");
    }
}
