//! Replies as models write them, and what is read from them: the cases in `tests/replies`.
//!
//! A file holds cases that belong together:
//!
//! ```text
//! === what the case shows
//! schema: {"type": "object"}
//! reply:
//! {a: 1}
//! value: {"a":1}
//! repair: 1..2 `a`: texts without quotation marks (penalty 1)
//! ```
//!
//! Instead of `value` and `repair`, `error` has what is wrong, one line each. `schema NAME: {…}` in front of the
//! first case gives a schema a name for `schema: NAME`. `strict` in front of `reply:` reads strictly.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use dspipe_runtime::read::{Schema, Strictness, parse};
use serde_json::Value;

#[derive(Debug)]
struct Case {
    title: String,
    schema: String,
    strict: bool,
    reply: String,
    expected: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut named: HashMap<String, String> = HashMap::new();
    let (head, rest) = text.split_once("=== ").unwrap();
    for line in head.lines() {
        if let Some((name, schema)) = line
            .strip_prefix("schema ")
            .and_then(|line| line.split_once(": "))
        {
            named.insert(name.to_owned(), schema.to_owned());
        }
    }
    let mut cases = Vec::new();
    for case in rest.split("\n=== ") {
        let (title, case) = case.split_once('\n').unwrap();
        let (head, case) = case
            .split_once("reply:\n")
            .unwrap_or_else(|| panic!("{title}: no reply"));
        let schema = head
            .lines()
            .find_map(|line| line.strip_prefix("schema: "))
            .unwrap();
        let end = ["\nvalue: ", "\nerror: "]
            .iter()
            .filter_map(|mark| case.find(mark))
            .min()
            .unwrap_or_else(|| panic!("{title}: nothing is expected"));
        cases.push(Case {
            title: title.to_owned(),
            schema: named
                .get(schema)
                .cloned()
                .unwrap_or_else(|| schema.to_owned()),
            strict: head.lines().any(|line| line == "strict"),
            reply: case[..end].to_owned(),
            expected: case[end..].trim().to_owned(),
        });
    }
    cases
}

/// What is read, as a case has it.
fn read(case: &Case) -> String {
    let schema =
        Schema::parse(&case.schema).unwrap_or_else(|error| panic!("{}: {error}", case.title));
    let strictness = if case.strict {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    let mut text = String::new();
    match parse(&schema, &case.reply, strictness) {
        Ok(parsed) => {
            write!(text, "value: {}", parsed.value).unwrap();
            for repair in &parsed.repairs {
                write!(text, "\nrepair: {repair}").unwrap();
            }
        }
        Err(error) => {
            let lines = error
                .lines()
                .into_iter()
                .map(|line| format!("error: {line}"));
            text = lines.collect::<Vec<_>>().join("\n");
        }
    }
    text
}

/// All cases, by file.
fn all() -> Vec<(String, Vec<Case>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replies");
    let files = fs::read_dir(directory).unwrap().map(|file| {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, cases(&fs::read_to_string(&path).unwrap()))
    });
    files.collect()
}

#[test]
fn replies_are_read_as_the_cases_say() {
    let mut count = 0;
    let mut wrong = String::new();
    for (name, cases) in all() {
        for case in cases {
            count += 1;
            let found = read(&case);
            if found != case.expected {
                writeln!(
                    wrong,
                    "{name}: {}\nexpected:\n{}\nfound:\n{found}\n",
                    case.title, case.expected
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 500, "only {count} cases were found");
}

/// Every reply, cut at every character, gives what the schema asks for or an error.
#[test]
fn a_cut_reply_gives_nothing_that_was_not_asked_for() {
    for (_, cases) in all() {
        for case in cases {
            let schema = Schema::parse(&case.schema).unwrap();
            for (end, _) in case.reply.char_indices() {
                let cut = &case.reply[..end];
                let Ok(parsed) = parse(&schema, cut, Strictness::Lenient) else {
                    continue;
                };
                let again = parse(&schema, &parsed.value.to_string(), Strictness::Strict);
                let again = again.map(|again| again.value);
                assert_eq!(again, Ok(parsed.value), "{cut}");
            }
        }
    }
}

/// The cases of `replies.jsonl`: a line with a schema, then lines with a reply and what a careful person reads in it,
/// or a reply alone that must be refused.
fn table() -> Vec<(Schema, String, Option<Value>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replies.jsonl");
    let mut schema = None;
    let mut cases = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let Value::Array(case) = line else {
            schema = Some(Schema::from_value(&line["schema"]).unwrap());
            continue;
        };
        let reply = case[0].as_str().unwrap().to_owned();
        cases.push((schema.clone().unwrap(), reply, case.get(1).cloned()));
    }
    cases
}

#[test]
fn replies_are_read_as_a_careful_person_reads_them() {
    let mut wrong = String::new();
    let cases = table();
    for (schema, reply, expected) in &cases {
        let found = parse(schema, reply, Strictness::Lenient);
        let value = found.as_ref().ok().map(|parsed| &parsed.value);
        if value != expected.as_ref() {
            writeln!(
                wrong,
                "{reply:?}\nexpected: {expected:?}\nfound: {found:?}\n"
            )
            .unwrap();
        }
        // What was changed is always told.
        let plain = serde_json::from_str::<Value>(reply).ok();
        let plain = plain.filter(|plain| plain.is_object() || plain.is_array());
        if let Ok(parsed) = &found
            && parsed.repairs.is_empty()
            && plain.is_some()
        {
            let same = plain.is_some_and(|plain| same(&plain, &parsed.value));
            assert!(same, "{reply:?} was changed, and nothing told it");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() > 800, "only {} cases were found", cases.len());
}

/// Whether two values are equal, 3.0 being 3.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// Strictly, a reply is what `serde_json` reads in it, or refused.
#[test]
fn strictly_nothing_is_repaired() {
    for (schema, reply, _) in table() {
        if let Ok(parsed) = parse(&schema, &reply, Strictness::Strict) {
            assert_eq!(parsed.repairs, [], "{reply}");
            let plain: Value = serde_json::from_str(&reply).unwrap();
            assert_eq!(parsed.value, plain, "{reply}");
        }
    }
}

/// Every reply of the table, cut anywhere and with any character left out or doubled, gives what the schema asks for
/// or an error.
#[test]
fn a_damaged_reply_gives_nothing_that_was_not_asked_for() {
    for (schema, reply, _) in table() {
        let ends: Vec<usize> = reply.char_indices().map(|(at, _)| at).collect();
        for (index, &at) in ends.iter().enumerate() {
            let next = ends.get(index + 1).copied().unwrap_or(reply.len());
            let (before, here, after) = (&reply[..at], &reply[at..next], &reply[next..]);
            for damaged in [
                before.to_owned(),
                format!("{before}{after}"),
                format!("{before}{here}{here}{after}"),
            ] {
                let Ok(parsed) = parse(&schema, &damaged, Strictness::Lenient) else {
                    continue;
                };
                let again = parse(&schema, &parsed.value.to_string(), Strictness::Strict);
                let again = again.map(|again| again.value);
                assert_eq!(again, Ok(parsed.value), "{damaged}");
            }
        }
    }
}
