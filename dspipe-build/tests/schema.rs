//! The JSON Schema of the format: fresh, and one with the reader.
//!
//! `UPDATE_SCHEMA=1 cargo test -p dspipe-build --features schema --test schema` writes it anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use dspipe_build::{Config, format_schema};
use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = workspace().join("schema/dspipe.schema.json");
    let fresh = format!("{:#}\n", format_schema());
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, fresh).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|committed| committed == fresh),
        "schema/dspipe.schema.json is stale; UPDATE_SCHEMA=1 writes it anew"
    );
}

/// A workflow with an unknown key in each kind of mapping; the reader then names those that it knows.
const UNKNOWN: &str = "
zzzzzzzz: 1
workflow:
  name: x
  zzzzzzzz: 1
  dspy_config: {zzzzzzzz: 1}
  lm: {use: a, zzzzzzzz: 1}
  inputs: [{name: i, type: string, zzzzzzzz: 1}]
  lms:
    a: {model: openai/a, zzzzzzzz: 1, price: {input: 1, output: 1, zzzzzzzz: 1}}
  steps:
    - name: s
      type: dspy
      zzzzzzzz: 1
      condition: {zzzzzzzz: 1, and: [\"true\"]}
      signature:
        zzzzzzzz: 1
        input_fields:
          - {name: a, type: string, zzzzzzzz: 1}
        output_fields:
          - {name: b, schema: {type: string, zzzzzzzz: 1}}
      checks: [{check: \"true\", zzzzzzzz: 1}]
      module: {best_of_n: {reward: \"outputs.b == 'x'\", zzzzzzzz: 1}}
      examples:
        - {input: {a: x}, output: {b: y}, zzzzzzzz: 1}
    - name: l
      type: for_loop
      data_source: inputs.list
      zzzzzzzz: 1
      steps: []
    - name: m
      type: while_loop
      condition: true
      zzzzzzzz: 1
      steps: []
    - name: n
      type: pipeline
      pipeline_file: n.yaml
      zzzzzzzz: 1
    - name: t
      type: dspy
      module: {majority: {zzzzzzzz: 1}}
      signature: &signature
        input_fields: [{name: a, type: string}]
        output_fields: [{name: b, type: string}]
    - name: u
      type: dspy
      module: {react: {tools: [x], zzzzzzzz: 1}}
      signature: *signature
";

/// How the reader calls a mapping in that workflow, and the schema's name of it.
const MAPPINGS: [(&str, &str); 19] = [
    ("in the workflow", "Workflow"),
    ("in `dspy_config` of the workflow", "DspyConfig"),
    ("in step `s`", "Step"),
    ("in a condition", "Tree"),
    ("in the signature of step `s`", "Signature"),
    ("in field `a`", "Field"),
    ("in the schema of field `b`", "Schema"),
    ("in an example", "Example"),
    ("in `lm` of the workflow", "LmUse"),
    ("in the LM `a`", "LmEntry"),
    ("in the price of `a`", "Price"),
    ("in a check", "Check"),
    ("in loop `l`", "ForLoop"),
    ("in loop `m`", "WhileLoop"),
    ("in call `n`", "Pipeline"),
    ("in field `i`", "Input"),
    ("in `best_of_n`", "Best"),
    ("in `majority`", "Majority"),
    ("in `react`", "React"),
];

#[test]
fn the_schema_has_the_keys_that_the_reader_knows() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("w.yaml"), UNKNOWN).unwrap();
    let compilation = Config::new()
        .workflow("w.yaml")
        .load(directory.path())
        .unwrap();
    let said: Value = serde_json::from_str(&compilation.to_json()).unwrap();
    let said = said["diagnostics"].as_array().unwrap();
    let schema = format_schema();
    for (place, name) in MAPPINGS {
        let message = format!("unknown key `zzzzzzzz` {place}");
        let diagnostic = said
            .iter()
            .find(|diagnostic| diagnostic["message"] == message.as_str())
            .unwrap_or_else(|| panic!("{message}: {said:#?}"));
        let help = diagnostic["help"].as_str().unwrap();
        let known: BTreeSet<&str> = help.split('`').skip(1).step_by(2).collect();
        let properties = schema["$defs"][name]["properties"].as_object().unwrap();
        let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(described, known, "{name}");
    }
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let validator = jsonschema::validator_for(&format_schema()).unwrap();
    let mut seen = 0;
    for directory in ["tests/workflows", "examples/quickstart/workflows"] {
        for entry in fs::read_dir(workspace().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let value: Value = serde_yaml::from_str(&text).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 2);
}

#[test]
fn what_the_reader_refuses_for_its_form_the_schema_refuses() {
    let validator = jsonschema::validator_for(&format_schema()).unwrap();
    let value: Value = serde_yaml::from_str(UNKNOWN).unwrap();
    assert!(!validator.is_valid(&value));
    for name in ["unknown_keys", "missing_keys", "wrong_kinds", "step_types"] {
        let path = workspace().join(format!("dspipe-build/tests/diagnostics/{name}.yaml"));
        let value: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(!validator.is_valid(&value), "{name}");
    }
}
