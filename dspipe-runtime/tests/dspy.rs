//! What DSPy's adapters do, held against vectors that DSPy wrote (`python/tools/dspy_vectors.py`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use dspipe_runtime::adapter::{Adapter, Case, DspySignature, PyValue, read_program, write_program};
use serde_json::Value;

/// DSPy's names for the adapters.
const ADAPTERS: [(&str, Adapter); 2] = [("chat", Adapter::DspyChat), ("json", Adapter::DspyJson)];

/// The vectors of a file, without their header.
fn vectors(name: &str, at_least: usize) -> Vec<String> {
    let folder = std::env::var("DSPIPE_DSPY_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dspy_vectors").to_owned());
    let text = std::fs::read_to_string(format!("{folder}/{name}.jsonl")).unwrap();
    let mut lines = text.split_terminator('\n').map(str::to_owned);
    let header: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(header["dspy"], "3.4.1");
    let lines: Vec<String> = lines.collect();
    assert!(lines.len() >= at_least, "only {} vectors", lines.len());
    assert_eq!(header["count"], lines.len());
    lines
}

#[test]
fn messages_are_dspys_byte_for_byte() {
    let mut wrong = 0;
    for (index, line) in vectors("render", 200).iter().enumerate() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let case = Case::from_json(line).unwrap_or_else(|error| panic!("{index}: {error}"));
        for (name, adapter) in ADAPTERS {
            let expected = &vector["expected"][name];
            let rendered = case.render(adapter);
            let same = match &rendered {
                Ok(messages) => serde_json::to_value(messages).unwrap() == *expected,
                Err(_) => {
                    expected.get("error").is_some() || expected.to_string().contains("CUSTOM-TYPE")
                }
            };
            if !same {
                wrong += 1;
                eprintln!("--- {index} {name}\n{}", vector["signature"]);
                show_difference(
                    &serde_json::to_value(rendered.unwrap_or_default()).unwrap(),
                    expected,
                );
            }
        }
    }
    assert_eq!(wrong, 0, "messages differ from DSPy's");
}

fn show_difference(ours: &Value, theirs: &Value) {
    let (Some(ours), Some(theirs)) = (ours.as_array(), theirs.as_array()) else {
        eprintln!("ours: {ours}\ntheirs: {theirs}");
        return;
    };
    eprintln!("{} messages, DSPy has {}", ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        if ours != theirs {
            let (ours, theirs) = (ours.to_string(), theirs.to_string());
            let same = ours
                .chars()
                .zip(theirs.chars())
                .take_while(|(a, b)| a == b)
                .count();
            let part = |text: &str| -> String {
                text.chars()
                    .skip(same.saturating_sub(60))
                    .take(200)
                    .collect()
            };
            eprintln!("ours:   {}\ntheirs: {}", part(&ours), part(&theirs));
            return;
        }
    }
}

/// The share of broken replies that must be read as DSPy reads them; the others may differ.
const BROKEN: f64 = 0.9;

#[test]
fn replies_are_read_as_dspy_reads_them() {
    let mut counts = std::collections::BTreeMap::<_, (usize, usize)>::new();
    for (index, line) in vectors("parse", 200).iter().enumerate() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let case = Case::from_json(line).unwrap_or_else(|error| panic!("{index}: {error}"));
        let kind = vector["kind"].as_str().unwrap();
        for (name, adapter) in ADAPTERS {
            let expected = &vector["expected"][name];
            let parsed = case.parse(adapter).unwrap();
            let same = match (&parsed, expected.get("fields")) {
                (Ok(fields), Some(expected)) => {
                    PyValue::Dict(fields.clone()).to_json() == *expected
                }
                (Err(_), None) => true,
                _ => false,
            };
            let count = counts.entry((kind.to_owned(), name)).or_default();
            count.0 += usize::from(same);
            count.1 += 1;
            if !same {
                eprintln!(
                    "--- {index} {name} {kind}\n{}\n{}",
                    vector["signature"], vector["reply"]
                );
                eprintln!("ours:   {parsed:?}\ntheirs: {expected}");
            }
        }
    }
    eprintln!("read as by DSPy, of all: {counts:?}");
    for ((kind, name), (same, all)) in counts {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let share = same as f64 / all as f64;
        let needed = if kind == "broken" { BROKEN } else { 1.0 };
        assert!(share >= needed, "{name}, {kind}: {same} of {all}");
    }
}

#[test]
fn programs_that_dspy_saved_give_its_prompts_and_go_back() {
    for (index, line) in vectors("saved", 50).iter().enumerate() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let described = vector["steps"].as_object().unwrap();
        let steps: Vec<(&str, DspySignature)> = described
            .iter()
            .map(|(name, step)| {
                let signature = serde_json::from_value(step["signature"].clone()).unwrap();
                (name.as_str(), signature)
            })
            .collect();
        let steps: Vec<(&str, &DspySignature)> = steps
            .iter()
            .map(|(name, signature)| (*name, signature))
            .collect();
        let expected = &vector["expected"];
        let saved = read_program(expected["program"].as_str().unwrap(), &steps)
            .unwrap_or_else(|error| panic!("{index}: {error}"));
        assert_eq!(saved.len(), steps.len(), "{index}");
        for step in &saved {
            let inputs = PyValue::from(&described[&step.step]["inputs"]);
            for (name, adapter) in ADAPTERS {
                let messages = adapter
                    .render(&step.signature, &step.demos, inputs.as_dict().unwrap())
                    .unwrap();
                assert_eq!(
                    serde_json::to_value(messages).unwrap(),
                    expected["messages"][&step.step][name],
                    "{index} {name}"
                );
            }
        }
        // DSPy has loaded this text, and given the same prompts from it.
        assert_eq!(
            write_program(&saved),
            expected["export"].as_str().unwrap(),
            "{index}"
        );
    }
}
