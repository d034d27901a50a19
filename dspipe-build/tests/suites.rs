//! Suites held against their workflows: what is read, and what is said about mistakes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use dspipe_build::{METRICS, Suite, Takes};
use serde_json::json;

const WORKFLOW: &str = r#"
workflow:
  name: triage
  steps:
    - name: sort
      type: dspy_local
      signature:
        input_fields:
          - {name: text, type: string}
          - {name: urgent, type: boolean, default: false}
        output_fields:
          - {name: team, type: string, enum: [billing, other]}
          - name: facts
            type: object
            schema:
              properties:
                amounts: {type: array, items: {type: object, properties: {value: {type: number}}, required: [value]}}
              required: [amounts]
    - name: answer
      type: dspy_local
      signature:
        input_fields:
          - {name: team, type: string, template: "{{ steps.sort.team }}"}
          - {name: tone, type: string}
        output_fields: [{name: reply, type: string}]
"#;

struct Package(tempfile::TempDir);

impl Package {
    fn new(suite: &str) -> Self {
        let package = Self(tempfile::tempdir().unwrap());
        package.write("workflows/triage.yaml", WORKFLOW);
        package.write("evals/a.eval.yaml", suite);
        package
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self) -> Result<Suite, String> {
        let suite = Suite::read(self.0.path(), Path::new("evals/a.eval.yaml"));
        suite.map_err(|invalid| invalid.report)
    }
}

const HEAD: &str = "suite: a\nworkflow: workflows/triage.yaml\n";

#[test]
fn cases_come_from_files_of_every_form_and_from_the_suite_itself() {
    let package = Package::new(&format!(
        "{HEAD}data: [data/a.jsonl, data/b.csv, data/c.yaml, data/d.json]\n\
         cases:\n\
         \x20 - {{id: mine, tags: [smoke], text: Why?, tone: kind, team: other}}\n\
         metrics: [{{at: {{path: sort.team, metric: exact}}}}, {{rust: kind}}]\n\
         gates: {{pass_rate: {{min: 0.5}}}}\nrepeats: 2\nsample: {{size: 9, seed: 4}}\ntags: [all]\n\
         snapshots: {{redact: [sort.facts], replace: {{'[0-9]+': N}}}}\n"
    ));
    package.write(
        "data/a.jsonl",
        "{\"text\": \"a\", \"tone\": \"t\", \"reply\": \"r\"}\n\n\
         {\"inputs\": {\"text\": \"b\", \"tone\": \"t\"}, \"outputs\": {\"sort\": {\"team\": \"billing\"}}, \"weight\": 1}\n",
    );
    package.write(
        "data/b.csv",
        "id,tags,text,tone,urgent,team\none,smoke slow,a,t,true,billing\ntwo,,b,t,,\n",
    );
    package.write("data/c.yaml", "- {text: a, tone: t}\n");
    package.write(
        "data/d.json",
        "[{\"text\": \"a\", \"tone\": \"t\", \"expected\": {\"team\": \"other\"}}]",
    );
    let error = package.read().unwrap_err();
    // `expected` makes the record one with sides, whose input is missing then.
    assert!(error.contains("data/d.json"), "{error}");
    package.write(
        "data/d.json",
        "[{\"input\": {\"text\": \"a\", \"tone\": \"t\"}, \"expected\": {\"team\": \"other\"}}]",
    );
    let suite = package.read().unwrap();
    let found: Vec<_> = suite
        .cases
        .iter()
        .map(|case| {
            (
                case.source.as_str(),
                case.id.as_deref(),
                json!([case.tags, case.inputs, case.outputs]),
            )
        })
        .collect();
    let plain = |text: &str| json!({"text": text, "tone": "t"});
    assert_eq!(
        found,
        [
            (
                "data/a.jsonl:1",
                None,
                json!([[], plain("a"), {"answer": {"reply": "r"}}])
            ),
            (
                "data/a.jsonl:3",
                None,
                json!([[], plain("b"), {"sort": {"team": "billing"}}])
            ),
            (
                "data/b.csv:2",
                Some("one"),
                json!([["smoke", "slow"], {"text": "a", "tone": "t", "urgent": true}, {"sort": {"team": "billing"}}])
            ),
            ("data/b.csv:3", Some("two"), json!([[], plain("b"), {}])),
            ("data/c.yaml:1", None, json!([[], plain("a"), {}])),
            (
                "data/d.json:1",
                None,
                json!([[], plain("a"), {"sort": {"team": "other"}}])
            ),
            (
                "evals/a.eval.yaml:5",
                Some("mine"),
                json!([["smoke"], {"text": "Why?", "tone": "kind"}, {"sort": {"team": "other"}}])
            ),
        ]
    );
    assert_eq!(suite.functions, ["kind"]);
    assert_eq!((suite.repeats, suite.sample.unwrap().seed), (2, 4));
    assert_eq!(suite.snapshots.unwrap().redact, ["sort.facts"]);
}

#[test]
fn a_suite_of_a_step_takes_all_inputs_of_the_step() {
    let package = Package::new(&format!(
        "{HEAD}step: answer\ncases: [{{team: billing, tone: kind, reply: Hello}}]\nmetrics: [{{fields: {{reply: edit}}}}]\n"
    ));
    let suite = package.read().unwrap();
    assert_eq!(suite.step.as_deref(), Some("answer"));
    assert_eq!(
        json!([suite.cases[0].inputs, suite.cases[0].outputs]),
        json!([{"team": "billing", "tone": "kind"}, {"answer": {"reply": "Hello"}}])
    );
}

#[test]
fn mistakes_are_told_with_their_places() {
    let package = Package::new(&format!(
        "{HEAD}stepp: sort
data: [data/a.jsonl, data/gone.jsonl]
cases:
  - {{text: a}}
  - {{id: x, text: a, tone: t, teem: other}}
  - {{id: x, text: a, tone: t, urgent: maybe}}
metrics:
  - exakt
  - {{at: {{path: team, metric: exact}}}}
  - {{name: amount, metric: {{at: {{path: 'sort.facts.amounts[0].valu', metric: {{numeric: {{abs: 1, tol: 2}}}}}}}}}}
  - fields: {{sort.team: {{one_of: {{values: [billing, bank]}}}}, sort.facts.amounts.value: exact}}
  - {{metric: edit, weight: 0, pass_at: 2}}
  - {{judge: {{lm: gpt}}}}
gates:
  pass_rat: {{min: 0.5}}
  mean: {{metric: amont, min: 50}}
  pass_at_k: {{k: 3, min: 0.5}}
  latency: {{q95: 3}}
"
    ));
    package.write(
        "data/a.jsonl",
        "{\"text\": \"a\", \"tone\": \"t\", \"team\": \"bank\"}\n{\"text\": 1, \"tone\": \"t\"}\n{\"text\": \"b\", \n",
    );
    insta::assert_snapshot!(package.read().unwrap_err());
}

#[test]
fn a_workflow_with_mistakes_is_named() {
    let package = Package::new(&format!("{HEAD}cases: [{{text: a}}]\nmetrics: exact\n"));
    package.write(
        "workflows/triage.yaml",
        &WORKFLOW.replace("name: reply, type: string", "name: reply, type: strin"),
    );
    let error = package.read().unwrap_err();
    assert!(
        error.contains("the workflow `workflows/triage.yaml` has errors"),
        "{error}"
    );
    assert!(error.contains("strin"), "{error}");
    package.write(
        "evals/a.eval.yaml",
        "suite: a\nworkflow: w.yaml\nmetrics: exact\n",
    );
    let error = package.read().unwrap_err();
    assert!(
        error.contains("the suite has no cases") && error.contains("`w.yaml` cannot be read"),
        "{error}"
    );
}

#[test]
fn metrics_are_sorted_by_name() {
    assert!(METRICS.is_sorted_by_key(|(name, _)| *name));
    assert!(METRICS.contains(&("exact", Takes::Nothing)));
}
