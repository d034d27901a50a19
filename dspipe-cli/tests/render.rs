//! `cargo dspipe render` and `read-reply`, run.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

const CASE: &str = r#"{
    "signature": {"fields": [
        {"name": "question", "io": "input"},
        {"name": "number", "io": "output", "type": "int"}
    ]},
    "inputs": {"question": "How many?"},
    "reply": "[[ ## number ## ]]\n'7'"
}"#;

#[test]
fn a_case_becomes_messages_and_fields() {
    let output = run(&["render", "--adapter", "dspy_chat"], CASE);
    let messages: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        messages[1]["content"],
        "[[ ## question ## ]]\nHow many?\n\nRespond with the corresponding output fields, starting with the field `[[ ## number ## ]]` (must be formatted as a valid Python int), and then ending with the marker for `[[ ## completed ## ]]`."
    );
    let output = run(&["read-reply", "--adapter", "dspy_chat"], CASE);
    let fields: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(fields, serde_json::json!({"number": 7}));
}

#[test]
fn what_is_wrong_with_a_case_is_said() {
    let output = run(&["read-reply", "--adapter", "dspy_json"], CASE);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: the reply holds no JSON object\n"
    );
    let output = run(&["render", "--adapter", "dspy_chat"], "{}");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: `signature` must be there\n"
    );
}
