//! A task whose best prompt is known: texts name a colour, and are to be labelled with its code.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dspipe_optimize::Optimization;
use dspipe_runtime::lm::{Api, HttpLm, Retry};
use dspipe_runtime::{LmName, Lms, LocalRunner, Value};
use dspipe_tests::server::{Answer, Received};
use dspipe_tests::workflows::colours::Workflow;
use serde_json::json;
use tempfile::TempDir;

pub(crate) const CODES: [(&str, &str); 4] = [
    ("red", "R1"),
    ("green", "G2"),
    ("blue", "B3"),
    ("grey", "X4"),
];

/// With this in its instructions the scripted LM is always right.
pub(crate) const RULE: &str = "Answer with the code of the colour.";

/// A package with the workflow and examples, the colours in turn.
pub(crate) fn package() -> TempDir {
    let package = tempfile::tempdir().unwrap();
    let workflows = package.path().join("workflows");
    fs::create_dir(&workflows).unwrap();
    fs::copy("workflows/colours.yaml", workflows.join("colours.yaml")).unwrap();
    for (name, count) in [("train", 16), ("val", 12), ("test", 12)] {
        let lines: Vec<String> = (0..count)
            .map(|number| {
                let (colour, code) = CODES[number % CODES.len()];
                let text = format!("Number {name} {number} is {colour}.");
                format!("{}\n", json!({"text": text, "label": code}))
            })
            .collect();
        fs::write(data(package.path(), name), lines.concat()).unwrap();
    }
    package
}

pub(crate) fn data(package: &Path, name: &str) -> PathBuf {
    package.join(format!("{name}.jsonl"))
}

pub(crate) fn colour(text: &str) -> Option<(&'static str, &'static str)> {
    let named = |colour: &str| text.contains(&format!(" is {colour}."));
    CODES.into_iter().find(|(colour, _)| named(colour))
}

pub(crate) fn chance(what: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    #[expect(clippy::cast_precision_loss, reason = "a number from 0 to 1 is wanted")]
    let share = hasher.finish() as f64 / u64::MAX as f64;
    share
}

/// Right if it was told the rule or was shown this colour; of several samples some are.
pub(crate) fn label(request: &Received) -> &'static str {
    let messages = request.body["messages"].as_array().unwrap();
    let content = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let (asked, code) = colour(request.last_message()).unwrap();
    if content(&messages[0]).contains(RULE) {
        return code;
    }
    let shown = messages.windows(2).take(messages.len() - 2).any(|pair| {
        colour(&content(&pair[0])).is_some_and(|(shown, _)| shown == asked)
            && content(&pair[1]).contains(code)
    });
    let seed = request.body["seed"].as_u64();
    let lucky = seed.is_some() && chance((asked, request.last_message(), seed)) < 0.5;
    if shown || lucky { code } else { "R1" }
}

/// What the LM says that proposes instructions, in the form in which it is asked.
pub(crate) fn proposal(request: &Received) -> String {
    let asked = request.last_message();
    let seed = request.body["seed"].as_u64();
    let text = if chance((asked, seed)) < 0.7 {
        RULE
    } else {
        "Think of the sea."
    };
    let schema = &request.body["response_format"]["json_schema"]["schema"];
    let value = |name: &str| {
        if name.contains("advice") {
            json!({"classify": text})
        } else {
            json!(text)
        }
    };
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties.keys().map(|name| (name.clone(), value(name)));
        return Value::Object(fields.collect()).to_string();
    }
    let system = request.body["messages"][0]["content"].as_str().unwrap();
    let outputs = system
        .split("Your output fields are:")
        .nth(1)
        .unwrap_or_default();
    let outputs = outputs.split("All interactions").next().unwrap_or_default();
    let names = outputs.lines().filter_map(|line| line.split('`').nth(1));
    let fields = names.map(|name| {
        let value = value(name);
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        format!("[[ ## {name} ## ]]\n{value}")
    });
    fields.collect::<Vec<_>>().join("\n\n")
}

pub(crate) fn answer(request: &Received) -> Answer {
    if request.body["model"] == "proposer" {
        Answer::reply(&proposal(request))
    } else {
        Answer::reply(&json!({"label": label(request)}).to_string())
    }
}

pub(crate) fn runner(url: &str) -> LocalRunner {
    let lms = ["scripted/small", "scripted/proposer"]
        .into_iter()
        .fold(Lms::new(), |lms, name| {
            let name: LmName = name.parse().unwrap();
            lms.with(Arc::new(
                HttpLm::new(name, Api::OpenAiChat, url, None).unwrap(),
            ))
        });
    LocalRunner::new().with_lms(lms).with_retry(Retry::never())
}

pub(crate) fn optimization(package: &Path, url: &str) -> Optimization {
    Optimization::of::<Workflow>(package)
        .runner(runner(url))
        .proposer("scripted/proposer".parse().unwrap())
        .train([data(package, "train")])
        .validation([data(package, "val")])
        .held_out([data(package, "test")])
        .threads(4)
}
