//! The program as a user runs it, on the live local model.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(arguments)
        .env_remove("DSPIPE_LM")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Every field has a value, and every step a row in the table.
fn assert_is_whole(output: &Output, ticket: &str) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{said}");
    assert!(text.contains(ticket), "{text}");
    for field in [
        "product", "problem", "urgency", "symptom", "team", "reply", "note",
    ] {
        let line = text
            .lines()
            .find(|line| line.split_whitespace().next() == Some(field));
        assert!(line.is_some(), "{field}: {text}");
    }
    for step in ["read_ticket", "choose_team", "draft_reply", "write_note"] {
        let row = text.lines().find(|line| line.starts_with(step)).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        let [_, lm, seconds, "s", tokens_in, tokens_out, ..] = cells[..] else {
            unreachable!("{row}");
        };
        assert_eq!(lm, "local/smollm2-135m-instruct");
        assert!(seconds.parse::<f64>().unwrap() > 0.0, "{row}");
        assert!(tokens_in.parse::<u64>().unwrap() > 0, "{row}");
        assert!(tokens_out.parse::<u64>().unwrap() > 0, "{row}");
    }
}

#[test]
fn the_default_ticket() {
    assert_is_whole(&run(&[], ""), "Aurora 3");
}

#[test]
fn a_ticket_on_standard_input() {
    let ticket = "My order 1234 has not arrived yet. It was due on Monday.";
    assert_is_whole(&run(&["-"], ticket), ticket);
}

#[test]
fn a_file_that_is_not_there() {
    let output = run(&["nowhere.txt"], "");
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("nowhere.txt"), "{error}");
}
