//! What optimizers read of a workflow file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use dspipe_build::{Settings, Training};
use serde_json::json;

const WORKFLOW: &str = r#"
workflow:
  name: triage
  dspy_config:
    optimizer: [bootstrap_few_shot, mipro_v2]
    optimizer_settings: {mipro_v2: {auto: light, seed: 3}}
    metric: exact
    training_examples_path: more.csv
  steps:
    - name: sort
      type: dspy_local
      dspy_config: {few_shot_examples: 3, bootstrap_iterations: 2}
      signature:
        input_fields: [{name: text, type: string}]
        output_fields:
          - {name: team, type: string, enum: [billing, other]}
      examples:
        - {input: {text: I was charged twice}, output: {team: billing}}
    - name: answer
      type: dspy_local
      signature:
        input_fields:
          - {name: team, type: string, template: "{{ steps.sort.team }}"}
        output_fields: [{name: reply, type: string}]
"#;

fn written(name: &str, text: &str, beside: &Path) -> PathBuf {
    let path = beside.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn workflow(directory: &Path) -> PathBuf {
    written("triage.yaml", WORKFLOW, directory)
}

#[test]
fn settings_and_all_records_of_a_workflow() {
    let directory = tempfile::tempdir().unwrap();
    let path = workflow(directory.path());
    written(
        "more.csv",
        "text,team,reply\nWhere is it?,other,Here\nHelp!,billing,\n",
        directory.path(),
    );
    let training = Training::read(&path).unwrap();
    let stages = &training.settings.stages;
    assert_eq!(stages[0].optimizer, "bootstrap_few_shot");
    assert_eq!(
        json!(stages[0].settings),
        json!({"max_labeled_demos": 3, "max_rounds": 2})
    );
    assert_eq!(
        json!(stages[1].settings),
        json!({"auto": "light", "seed": 3, "max_labeled_demos": 3})
    );
    assert_eq!(training.settings.metric.as_deref(), Some("exact"));

    assert_eq!(
        json!(training.given),
        json!({"sort": ["text"], "answer": []})
    );

    let records = &training.records;
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].step.as_deref(), Some("sort"));
    assert_eq!(records[1].step, None);
    assert_eq!(json!(records[1].inputs), json!({"text": "Where is it?"}));
    assert_eq!(
        json!(records[1].outputs),
        json!({"answer": {"reply": "Here"}, "sort": {"team": "other"}})
    );
    assert!(records[1].source.ends_with("more.csv:2"), "{records:?}");
    assert_eq!(
        json!(records[2].outputs),
        json!({"sort": {"team": "billing"}})
    );
}

#[test]
fn files_that_are_named_stand_in_for_those_of_the_workflow() {
    let directory = tempfile::tempdir().unwrap();
    let path = workflow(directory.path());
    let data = written(
        "train.jsonl",
        "{\"inputs\": {\"text\": \"a\"}, \"outputs\": {\"team\": \"other\"}}\n{\"text\": \"b\", \"team\": \"sales\"}\n",
        directory.path(),
    );
    let error = Training::read_with(&path, &[data]).unwrap_err();
    assert!(error.report.contains("train.jsonl:2"), "{error}");
    assert!(error.report.contains("billing"), "{error}");

    let data = written(
        "good.json",
        r#"[{"text": "a", "team": "other"}]"#,
        directory.path(),
    );
    let training = Training::read_with(&path, &[data]).unwrap();
    assert_eq!(training.records.len(), 1);
    let missing = directory.path().join("none.jsonl");
    let error = Training::read_with(&path, &[missing]).unwrap_err();
    assert!(error.report.contains("no such file"), "{error}");
}

#[test]
fn files_that_judge_are_named_and_checked_but_are_no_demos() {
    let directory = tempfile::tempdir().unwrap();
    let keys =
        "    validation_examples_path: data/val.jsonl\n    test_examples_path: data/test.jsonl\n";
    let text = WORKFLOW.replace("  steps:", &format!("{keys}  steps:"));
    let path = written("triage.yaml", &text, directory.path());
    fs::create_dir(directory.path().join("data")).unwrap();
    written("more.csv", "text,team\nWhere?,other\n", directory.path());
    written(
        "data/val.jsonl",
        "{\"text\": \"a\", \"team\": \"other\"}\n",
        directory.path(),
    );
    let bad = "{\"text\": \"b\", \"team\": \"sales\"}\n";
    written("data/test.jsonl", bad, directory.path());

    let training = Training::read(&path).unwrap();
    assert_eq!(training.records.len(), 2, "{:?}", training.records);
    let beside = |name: &str| Some(directory.path().join(name));
    assert_eq!(training.settings.validation, beside("data/val.jsonl"));
    assert_eq!(training.settings.held_out, beside("data/test.jsonl"));

    let build = || {
        let mut config = dspipe_build::Config::new();
        let compilation = config
            .workflow("triage.yaml")
            .load(directory.path())
            .unwrap();
        let workflow = &compilation.workflows()[0];
        let code = workflow.items().unwrap_or_default().to_owned();
        (compilation.report(workflow), code)
    };
    let (report, _) = build();
    assert!(report.contains("data/test.jsonl:1"), "{report}");
    assert!(report.contains("billing"), "{report}");

    fs::remove_file(directory.path().join("data/test.jsonl")).unwrap();
    let (report, code) = build();
    assert!(report.contains("warning[E018]"), "{report}");
    assert!(
        report.contains("`data/test.jsonl` is not there"),
        "{report}"
    );
    // One in the workflow file, one in the file of training data.
    assert_eq!(code.matches(" Demo {").count(), 2, "{code}");

    let inner = "dspy_config: {test_examples_path: x.jsonl, few_shot_examples: 3,";
    let text = WORKFLOW.replace("dspy_config: {few_shot_examples: 3,", inner);
    let path = written("triage.yaml", &text, directory.path());
    let (report, _) = build();
    let wanted = "`test_examples_path` belongs to the workflow, not to step `sort`";
    assert!(report.contains(wanted), "{report}");
    fs::remove_file(path).unwrap();
}

#[test]
fn settings_from_a_command_line_are_checked_like_those_of_a_file() {
    let stages = Settings::stages("[labeled_few_shot, COPRO]", "copro: {breadth: 4}").unwrap();
    assert_eq!(stages[1].optimizer, "copro");
    assert_eq!(json!(stages[1].settings), json!({"breadth": 4}));
    let error = Settings::stages("mipro", "").unwrap_err();
    assert!(error.report.contains("mipro_v2"), "{error}");
    let error = Settings::stages("grpo", "").unwrap_err();
    assert!(error.report.contains("weights"), "{error}");
}

#[test]
fn what_data_collect_writes_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = workflow(directory.path());
    let line = r#"{"inputs": {"text": "Why?"}, "outputs": {"team": "other"}, "source": "execution 1", "weight": 1.0}"#;
    let data = written("collected.jsonl", line, directory.path());
    let training = Training::read_with(&path, &[data]).unwrap();
    assert_eq!(json!(training.records[0].inputs), json!({"text": "Why?"}));
    assert_eq!(training.records[0].step.as_deref(), Some("sort"));
}
