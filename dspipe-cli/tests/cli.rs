//! The command line as a user meets it: output and exit codes.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(arguments)
        .output()
        .unwrap()
}

const GOOD: &str = "examples/quickstart/workflows/support_ticket.yaml";
const BAD: &str = "dspipe-build/tests/diagnostics/unknown_keys.yaml";

#[test]
fn check_reports_and_exits() {
    let good = run(&["dspipe", "check", GOOD]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&good.stdout),
        "1 workflow checked, no errors\n"
    );

    let bad = run(&["check", GOOD, BAD]);
    let text = String::from_utf8_lossy(&bad.stdout);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        text.contains("error[E004]: unknown key `descripton`"),
        "{text}"
    );
    assert!(text.contains(&format!("--> {BAD}:3:3")), "{text}");
    assert!(text.ends_with(&format!("5 errors in {BAD}\n")), "{text}");

    let missing = run(&["check", "nowhere.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stdout).contains("there is no such file"));

    for wrong in [&["check"][..], &[], &["chek", GOOD]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn expand_prints_rust() {
    let good = run(&["expand", GOOD]);
    let text = String::from_utf8_lossy(&good.stdout);
    assert_eq!(good.status.code(), Some(0));
    assert!(text.contains("pub async fn run(inputs: Inputs)"), "{text}");

    let bad = run(&["expand", BAD]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(bad.stdout.is_empty());
    assert!(String::from_utf8_lossy(&bad.stderr).contains("error[E004]"));
}

#[test]
fn check_speaks_json() {
    let bad = run(&["check", "--format", "json", GOOD, BAD]);
    assert_eq!(bad.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!((&json["version"], &json["errors"]), (&1.into(), &5.into()));
    let first = &json["diagnostics"][0];
    assert_eq!(first["code"], "E004");
    assert_eq!(first["severity"], "error");
    assert_eq!(first["labels"][0]["file"], BAD);
    assert_eq!(first["labels"][0]["primary"], true);
    assert_eq!(
        first["labels"][0]["start"],
        serde_json::json!({"line": 3, "column": 3, "offset": first["labels"][0]["start"]["offset"]})
    );
    assert_eq!(first["suggestion"]["replacement"], "description");
    assert!(
        first["rendered"]
            .as_str()
            .unwrap()
            .starts_with("error[E004]")
    );

    let good = run(&["check", "--format", "json", GOOD]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(
        run(&["check", "--format", "yaml", GOOD]).status.code(),
        Some(2)
    );
}

#[test]
fn check_takes_directories() {
    let good = run(&["check", "tests/workflows"]);
    let text = String::from_utf8_lossy(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{text}");
    assert!(text.ends_with("workflows checked, no errors\n"), "{text}");
}

#[test]
fn explain_prints_the_page() {
    for code in ["E004", "e004"] {
        let page = run(&["explain", code]);
        let text = String::from_utf8_lossy(&page.stdout);
        assert_eq!(page.status.code(), Some(0));
        assert!(text.starts_with("# E004: unknown key"), "{text}");
    }
    let unknown = run(&["explain", "E999"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("E001 to E0"));
}

#[test]
fn schema_prints_the_committed_one() {
    let printed = run(&["schema"]);
    assert_eq!(printed.status.code(), Some(0));
    let committed = include_bytes!("../../schema/dspipe.schema.json");
    assert_eq!(printed.stdout, committed);
}
