//! The command line as a user meets it: output and exit codes.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

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

const SCHEMA: &str = r#"{"type": "object", "required": ["mood", "score"], "properties": {
    "score": {"type": "number", "maximum": 1},
    "mood": {"enum": ["calm", "angry"]}
}}"#;

fn parse(schema: &str, strict: bool, reply: &[u8]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("schema.json");
    std::fs::write(&path, schema).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"))
        .args(["dspipe", "parse", "--schema"])
        .arg(&path)
        .args(strict.then_some("--strict"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who is called wrongly does not read it.
    let _ = child.stdin.take().unwrap().write_all(reply);
    child.wait_with_output().unwrap()
}

#[test]
fn parse_prints_the_value_and_the_repairs() {
    let output = parse(SCHEMA, false, b"Sure: {mood: 'Calm', \"score\": \"45%\"}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"score\":0.45,\"mood\":\"calm\"}\n"
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "repair: 0..6: text around the answer (penalty 1)\n\
         repair: 7..11 `mood`: texts without quotation marks (penalty 1)\n\
         repair: 13..14 `mood`: other quotation marks (penalty 1)\n\
         repair: 13..19 `mood`: a choice written otherwise: \"calm\" for \"Calm\" (penalty 3)\n\
         repair: 30..35 `score`: a number written otherwise: 0.45 for \"45%\" (penalty 3)\n"
    );
}

#[test]
fn parse_exits_by_whose_fault_it_is() {
    let clean = b"{\"mood\": \"calm\", \"score\": 0.5}";
    assert_eq!(parse(SCHEMA, true, clean).status.code(), Some(0));
    let damaged = parse(SCHEMA, true, b"{mood: 'calm'}");
    assert_eq!(damaged.status.code(), Some(1));
    let wrong = parse(SCHEMA, false, b"{\"mood\": \"blue\", \"score\": 2}");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(wrong.stdout.is_empty());
    assert_eq!(
        String::from_utf8_lossy(&wrong.stderr),
        "error: `score` must be at most 1, but is 2\n\
         error: `mood` must be one of \"calm\", \"angry\", but is \"blue\"\n"
    );
    assert_eq!(parse(SCHEMA, false, b"\xff").status.code(), Some(1));
    let refused = "{\"unevaluatedItems\": false}";
    for schema in ["{", "[]", "{\"type\": \"text\"}", refused] {
        assert_eq!(
            parse(schema, false, clean).status.code(),
            Some(2),
            "{schema}"
        );
    }
    let nowhere = run(&["parse", "--schema", "nowhere.json"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert_eq!(run(&["parse"]).status.code(), Some(2));
}

#[test]
fn parse_tells_of_keywords_that_no_reply_is_held_to() {
    let schema = r#"{"type": "object", "required": ["day"], "properties": {
        "day": {"type": "string", "format": "date", "widget": "calendar"}
    }}"#;
    let output = parse(schema, true, b"{\"day\": \"Monday\"}");
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for keyword in ["`format`", "`widget`"] {
        let warning = format!("no reply is held to {keyword} at `#/properties/day`");
        assert!(told.contains(&warning), "{told}");
    }
}

#[test]
fn suites_are_checked_in_their_package() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "");
    write(
        "workflows/w.yaml",
        "workflow:\n  name: w\n  steps:\n    - name: s\n      type: dspy\n      signature:\n        \
         input_fields: [{name: a, type: string}]\n        output_fields: [{name: b, type: string}]\n",
    );
    let suite = "suite: x\nworkflow: workflows/w.yaml\ncases: [{a: 1, b: 2}]\nmetrics: [METRIC]\n";
    write("evals/x.eval.yaml", &suite.replace("METRIC", "exact"));
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"))
            .args(["check", "x.eval.yaml"])
            .current_dir(directory.path().join("evals"))
            .output()
            .unwrap()
    };
    let output = run();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said, "../evals/x.eval.yaml: 1 case, no errors\n");
    write("evals/x.eval.yaml", &suite.replace("METRIC", "exacd"));
    let output = run();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("evals/x.eval.yaml:4:11") && said.contains("exact"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn recordings_are_looked_after_by_the_test_target() {
    let run = |line: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"))
            .args(line.split_whitespace())
            .env("CARGO", "/bin/echo")
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        run("evals record topics::case::a -p x"),
        "test --package x --test evals -- topics::case::a\n\
         DSPIPE_RECORD=all cargo test --package x --test evals -- topics::case::a\n"
    );
    assert!(run("evals record").contains("DSPIPE_RECORD=new cargo test --test evals -- ::case::"));
    assert!(
        run("evals prune --suite t")
            .contains("DSPIPE_PRUNE=1 cargo test --test evals -- t::gate::recordings")
    );
    assert!(
        run("evals baseline --test e")
            .contains("DSPIPE_UPDATE_BASELINE=1 cargo test --test e -- ::gate::regression")
    );
}

/// A package with a workflow and a suite of it.
fn package(suite: &str) -> tempfile::TempDir {
    let package = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = package.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "");
    let good = fs::read_to_string(format!("{}/../{GOOD}", env!("CARGO_MANIFEST_DIR")));
    write("workflows/w.yaml", &good.unwrap());
    write(
        "evals/a.eval.yaml",
        &format!("suite: a\nworkflow: workflows/w.yaml\ndata: data.jsonl\n{suite}"),
    );
    write("data.jsonl", "{\"ticket\": \"It burns.\"}\n");
    package
}

fn run_in(directory: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap();
    let (out, err) = (output.stdout, output.stderr);
    let text = String::from_utf8_lossy(&out).into_owned() + &String::from_utf8_lossy(&err);
    (output.status.code(), text)
}

#[test]
fn suites_are_checked_as_workflows_are() {
    let good = package("metrics: edit\n");
    let (code, text) = run_in(good.path(), &["check", "evals/a.eval.yaml"]);
    assert_eq!(
        (code, text.as_str()),
        (Some(0), "evals/a.eval.yaml: 1 case, no errors\n")
    );

    let bad = package("metrics: [exakt]\ngates: {pass_rate: {min: 2}}\n");
    let (code, text) = run_in(
        bad.path(),
        &["check", "evals/a.eval.yaml", "workflows/w.yaml"],
    );
    assert_eq!(code, Some(1));
    assert!(text.contains("--> evals/a.eval.yaml:4:11"), "{text}");
    assert!(
        text.contains("2 errors in evals/a.eval.yaml\n1 workflow checked, no errors\n"),
        "{text}"
    );

    // Files are named as they are seen from here.
    let above = bad.path().parent().unwrap();
    let suite = bad
        .path()
        .strip_prefix(above)
        .unwrap()
        .join("evals/a.eval.yaml");
    let suite = suite.to_str().unwrap();
    let (code, text) = run_in(above, &["check", suite]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("--> {suite}:4:11")), "{text}");

    let (code, text) = run_in(bad.path(), &["check", "evals/none.eval.yaml"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("error[E001]: the suite `evals/none.eval.yaml` cannot be read"),
        "{text}"
    );
}

#[test]
fn suites_speak_json() {
    let bad = package("metrics: [exakt]\n");
    fs::write(
        bad.path().join("workflows/bad.yaml"),
        "workflow: {nam: x}\n",
    )
    .unwrap();
    let json = |files: &[&str]| -> (Option<i32>, serde_json::Value) {
        let arguments = [&["check", "--format", "json"], files].concat();
        let (code, text) = run_in(bad.path(), &arguments);
        (code, serde_json::from_str(&text).unwrap())
    };
    let (code, one) = json(&["evals/a.eval.yaml"]);
    assert_eq!(code, Some(1));
    assert_eq!((&one["version"], &one["errors"]), (&1.into(), &1.into()));
    let first = &one["diagnostics"][0];
    assert_eq!(
        (&first["code"], &first["severity"]),
        (&"E017".into(), &"error".into())
    );
    assert_eq!(first["labels"][0]["file"], "evals/a.eval.yaml");
    assert_eq!(first["labels"][0]["start"]["line"], 4);
    assert_eq!(first["suggestion"]["replacement"], "exact");
    let (_, alone) = json(&["workflows/bad.yaml"]);
    let (code, both) = json(&["evals/a.eval.yaml", "workflows/bad.yaml"]);
    assert_eq!(code, Some(1));
    let count = |json: &serde_json::Value| json["diagnostics"].as_array().unwrap().len();
    assert_eq!(count(&both), count(&one) + count(&alone));
    assert_eq!(
        both["errors"],
        one["errors"].as_u64().unwrap() + alone["errors"].as_u64().unwrap()
    );
    let (code, good) = json(&["workflows/w.yaml"]);
    assert_eq!((code, &good["errors"]), (Some(0), &0.into()));
}
