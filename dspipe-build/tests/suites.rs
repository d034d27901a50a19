//! Suites held against their workflows: what is read, and what is said about mistakes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use dspipe_build::{METRICS, Suite, SuiteCase, Takes};
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

    fn read(&self) -> Result<(Suite, Vec<SuiteCase>), String> {
        let mut cases = Vec::new();
        let file = Path::new("evals/a.eval.yaml");
        let suite = Suite::read(self.0.path(), file, &mut |case| cases.push(case));
        let suite = suite.map_err(|invalid| invalid.report)?;
        Ok((suite, cases))
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
    let (suite, cases) = package.read().unwrap();
    let found: Vec<_> = cases
        .iter()
        .map(|case| {
            (
                case.source.as_str(),
                case.name.as_str(),
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
                "a-1",
                json!([[], plain("a"), {"answer": {"reply": "r"}}])
            ),
            (
                "data/a.jsonl:3",
                "a-3",
                json!([[], plain("b"), {"sort": {"team": "billing"}}])
            ),
            (
                "data/b.csv:2",
                "one",
                json!([["smoke", "slow"], {"text": "a", "tone": "t", "urgent": true}, {"sort": {"team": "billing"}}])
            ),
            ("data/b.csv:3", "two", json!([[], plain("b"), {}])),
            ("data/c.yaml:1", "c-1", json!([[], plain("a"), {}])),
            (
                "data/d.json:1",
                "d-1",
                json!([[], plain("a"), {"sort": {"team": "other"}}])
            ),
            (
                "evals/a.eval.yaml:5",
                "mine",
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
    let (suite, cases) = package.read().unwrap();
    assert_eq!(suite.step.as_deref(), Some("answer"));
    assert_eq!(
        json!([cases[0].inputs, cases[0].outputs]),
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

#[test]
fn options_are_held_to_what_they_may_be() {
    let package = Package::new(&format!(
        r"{HEAD}cases: [{{text: a, tone: t}}]
metrics:
  - {{name: 1, metric: exact}}
  - {{name: words, weight: .inf, metric: {{length: {{}}}}}}
  - {{name: words, weight: '2', metric: {{length: {{min: 5, max: 2, unit: word}}}}}}
  - {{name: a, metric: {{length: {{max: -1}}}}}}
  - {{name: b, metric: {{regex: '^[a-'}}}}
  - {{name: c, metric: {{regex: 5}}}}
  - {{name: d, metric: {{regex: '(?i)\p{{Lu}}[\w&&[^x]]'}}}}
  - {{name: e, metric: {{numeric: {{abs: -0.5, rel: many}}}}}}
  - {{name: f, metric: {{contains: {{any: [], all: [1, x], case: no}}}}}}
  - {{name: g, metric: {{one_of: {{values: []}}}}}}
  - {{name: h, metric: {{set_f1: {{normalize: 1, ordered: true}}}}}}
  - {{name: i, metric: {{latency: {{good: 5, max: 5}}}}}}
  - {{name: j, metric: {{cost: {{max: 0}}}}}}
  - {{name: k, metric: {{judge: {{rubric: ' '}}}}}}
  - {{name: l, metric: {{threshold: {{metric: edit, at_least: 80}}}}}}
  - {{name: m, metric: {{weighted: [{{metric: edit, weight: -1}}, {{metric: exact, weight: 0}}]}}}}
  - {{name: n, metric: {{rouge_l: {{beta: 2}}}}}}
  - {{name: o, metric: {{at: {{path: 'sort.facts.amounts[x]', metric: exact}}}}}}
  - {{name: p, metric: {{schema: text}}}}
  - {{name: q, metric: {{schema: {{type: strin, properties: {{a: {{minLength: short, required: x}}}}, anyOf: {{}}}}}}}}
  - {{name: r, metric: {{at: {{path: sort.facts.amounts, metric: {{list_f1: {{key: valeu}}}}}}}}}}
gates:
  - pass_rate: {{min: '0.5', confidence: 1}}
  - mean: {{min: 0.1, metric: words}}
  - mean: {{min: 0.2, metric: words}}
  - regression: {{baseline: b.json}}
  - regression: {{baseline: b.json, test: t_test, alpha: 0.5, max_new_failures: -1}}
  - regression: {{baseline: b.json, test: mcnemar, metric: words}}
  - cost: {{}}
  - latency: {{}}
  - latency: {{p95: slow, p200: 1}}
snapshots:
  redact: [sort.fact]
  replace: {{'[0-9': N}}
"
    ));
    insta::assert_snapshot!(package.read().unwrap_err());
}

const ROUNDS: &str = r#"
workflow:
  name: rounds
  inputs:
    - {name: tickets, type: "list[string]"}
  steps:
    - name: review
      type: for_loop
      iterator: ticket
      data_source: inputs.tickets
      steps:
        - name: check
          type: dspy_local
          signature:
            input_fields: [{name: text, type: string, template: "{{ ticket }}"}]
            output_fields: [{name: kind, type: string, enum: [bug, wish]}, {name: score, type: integer}]
    - name: improve
      type: while_loop
      condition: "(judge.score | default(0)) < 8"
      max_iterations: 3
      steps:
        - name: judge
          type: dspy_local
          signature:
            input_fields: [{name: round, type: integer, template: "{{ loop.index }}"}]
            output_fields: [{name: score, type: integer}]
    - name: translate
      type: pipeline
      pipeline_file: parts/translate.yaml
      inputs: {text: "{{ improve.iterations }} rounds"}
"#;

const TRANSLATE: &str = r"
workflow:
  name: translate
  steps:
    - name: put
      type: dspy_local
      signature:
        input_fields: [{name: text, type: string}]
        output_fields:
          - {name: text, type: string}
          - name: notes
            type: array
            schema: {items: {type: object, properties: {word: {type: string}, note: {type: string}}, required: [word, note]}}
";

fn rounds(suite: &str) -> Package {
    let package = Package::new(&format!(
        "suite: a\nworkflow: workflows/rounds.yaml\n{suite}"
    ));
    package.write("workflows/rounds.yaml", ROUNDS);
    package.write("workflows/parts/translate.yaml", TRANSLATE);
    package
}

#[test]
fn loops_and_calls_have_outputs_like_steps() {
    let package = rounds(
        r"cases:
  - {tickets: [a, b], translate: {put: {notes: [{word: x}]}}, improve: {exhausted: false}, review: [{check: {kind: bug}}, {}]}
  - {input: {tickets: []}, output: {review: []}}
metrics:
  - {name: first, metric: {at: {path: 'review[0].check.kind', metric: {one_of: {values: [bug]}}}}}
  - {name: kinds, metric: {at: {path: review, metric: {list_f1: {key: check.kind, ordered: true}}}}}
  - {name: rounds, metric: {at: {path: improve.iterations, metric: {numeric: {abs: 1}}}}}
  - {name: last, metric: {at: {path: improve.last.judge.score, metric: exact}}}
  - {name: note, metric: {at: {path: 'translate.put.notes[0].note', metric: {length: {max: 3}}}}}
snapshots: {redact: [improve.iterations]}
",
    );
    let (_, cases) = package.read().unwrap();
    assert_eq!(
        json!([cases[0].outputs, cases[1].outputs]),
        json!([
            {
                "translate": {"put": {"notes": [{"word": "x"}]}},
                "improve": {"exhausted": false},
                "review": [{"check": {"kind": "bug"}}, {}]
            },
            {"review": []}
        ])
    );
}

#[test]
fn mistakes_about_loops_and_calls_are_told_with_their_places() {
    let package = rounds(
        r"data: data/a.csv
cases:
  - {tickets: [a], kind: bug}
  - {tickets: [a], check: {kind: bug}}
  - {tickets: [a], review: [{check: {kind: bugg}}, {chek: {}}]}
  - {tickets: [a], improve: {iterations: many}, translate: {put: {text: 1, tone: x}}}
metrics:
  - {name: a, metric: {at: {path: check.kind, metric: exact}}}
  - {name: b, metric: {at: {path: judge.score, metric: exact}}}
  - {name: c, metric: {at: {path: review.check.kind, metric: exact}}}
  - {name: d, metric: {at: {path: 'review[0].check.kidn', metric: exact}}}
  - {name: e, metric: {at: {path: 'review[0].check.kind', metric: {one_of: {values: [bugs]}}}}}
  - {name: f, metric: {at: {path: improve.last.score, metric: exact}}}
  - {name: g, metric: {at: {path: 'improve.last[0].judge', metric: exact}}}
  - {name: h, metric: {at: {path: translate.text, metric: exact}}}
  - {name: i, metric: {at: {path: 'translate.put.notes[0].notte', metric: exact}}}
  - {name: j, metric: {at: {path: review, metric: {list_f1: {key: check.knd}}}}}
  - {name: k, metric: {at: {path: revew, metric: exact}}}
",
    );
    package.write("data/a.csv", "id,tickets,review\none,[],oops\n");
    insta::assert_snapshot!(package.read().unwrap_err());
}

#[test]
fn cases_of_one_name_are_refused_whoever_gave_it() {
    let package = Package::new(&format!(
        "{HEAD}data: [one/a.jsonl, two/a.jsonl]\nmetrics: exact\n"
    ));
    for path in ["one/a.jsonl", "two/a.jsonl"] {
        package.write(path, "{\"text\": \"a\", \"tone\": \"t\"}\n");
    }
    let error = package.read().unwrap_err();
    assert!(
        error.contains("two cases are called `a-1`") && error.contains("two/a.jsonl:1:1"),
        "{error}"
    );
}
