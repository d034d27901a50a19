//! How fast replies are read: clean ones against `serde_json`'s derived types, damaged ones beside crates that
//! repair JSON.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::hint::black_box;

use dspipe_runtime::read::{Schema, Strictness, parse, read_json};
use dspipe_runtime::{Read, Reader};
use serde::Deserialize;

use crate::client::Client;
use crate::{Outcome, best, figure, skipped};

/// What a reply holds, as the compiler writes it and as serde derives it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only read from replies")]
struct Output {
    summary: String,
    mood: Mood,
    score: f64,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Calm,
    Angry,
    Joyful,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only read from replies")]
struct Part {
    title: String,
    words: Option<i64>,
    tags: Option<Vec<String>>,
}

impl Read for Output {
    fn read(from: Reader<'_>) -> Option<Self> {
        let mut object = from.object()?;
        let summary = object.required("summary");
        let mood = object.required("mood");
        let score = object.required("score");
        object.check("score", &score, |at, value| {
            at.minimum(value, 0.0);
            at.maximum(value, 1.0);
        });
        let parts = object.required("parts");
        Some(Self {
            summary: summary?,
            mood: mood?,
            score: score?,
            parts: parts?,
        })
    }
}

impl Read for Mood {
    fn read(from: Reader<'_>) -> Option<Self> {
        from.one_of(&[
            ("calm", Self::Calm),
            ("angry", Self::Angry),
            ("joyful", Self::Joyful),
        ])
    }
}

impl Read for Part {
    fn read(from: Reader<'_>) -> Option<Self> {
        let mut object = from.object()?;
        let title = object.required("title");
        let words = object.optional("words");
        let tags = object.optional("tags");
        Some(Self {
            title: title?,
            words: words?,
            tags: tags?,
        })
    }
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "summary":{"type":"string"},
    "mood":{"type":"string","enum":["calm","angry","joyful"]},
    "score":{"type":"number","minimum":0,"maximum":1},
    "parts":{"type":"array","items":{"type":"object","properties":{
        "title":{"type":"string"},"words":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}
    },"required":["title"],"additionalProperties":false}}
},"required":["summary","mood","score","parts"],"additionalProperties":false}"#;

fn reply(parts: usize) -> String {
    let mut text = String::from(
        r#"{"summary": "The customer has waited for three weeks and wants to know where the parcel is.", "mood": "angry", "score": 0.87, "parts": ["#,
    );
    for part in 0..parts {
        let comma = if part == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"{comma}{{"title": "What was said in part {part} of the letter", "words": {}, "tags": ["shipping", "delay \"again\"", "refund"]}}"#,
            part * 7
        );
    }
    text.push_str("]}");
    text
}

pub(crate) fn run(quick: bool) -> Outcome {
    let rounds = if quick { 20 } else { 5_000 };
    for (name, parts) in [("small", 1), ("clean", 20)] {
        let text = reply(parts);
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        // The rivals take turns, so that a busy moment of the machine meets both.
        for _ in 0..7 {
            let time = best(1, || {
                for _ in 0..rounds {
                    black_box(read_json::<Output>(black_box(&text))?);
                }
                Ok(rounds)
            })?;
            ours = ours.min(time.as_secs_f64());
            let time = best(1, || {
                for _ in 0..rounds {
                    black_box(serde_json::from_str::<Output>(black_box(&text))?);
                }
                Ok(rounds)
            })?;
            theirs = theirs.min(time.as_secs_f64());
        }
        figure(&format!("parse.{name}"), theirs / ours, "x of serde_json");
        figure(
            &format!("parse.{name}_speed"),
            speed(&text, rounds, ours),
            "MB/s",
        );
        figure(
            &format!("parse.{name}_speed_of_serde_json"),
            speed(&text, rounds, theirs),
            "MB/s",
        );
    }
    damaged(quick, rounds / 10 + 1)
}

/// A reply that has been damaged as models do, beside crates that repair JSON.
fn damaged(quick: bool, rounds: usize) -> Outcome {
    let schema = Schema::parse(SCHEMA)?;
    let whole = reply(20);
    let damaged = whole.replace("\"title\"", "title").replace("], ", ",], ");
    // All crates can be asked for this one: the object with its damage, and nothing around it.
    let fenced = format!("Here it is:\n```json\n{damaged}\n```\nAnything else?");
    for (name, text) in [("damaged", &damaged), ("damaged_in_prose", &fenced)] {
        let time = best(7, || {
            for _ in 0..rounds {
                black_box(parse(&schema, black_box(text), Strictness::Lenient)?);
            }
            Ok(rounds)
        })?;
        let ours = time.as_secs_f64();
        figure(
            &format!("parse.{name}_speed"),
            speed(text, rounds, ours),
            "MB/s",
        );
        if quick {
            skipped(
                &format!("parse.{name}_by_others"),
                "they are not in --quick",
            );
            continue;
        }
        others(name, text, &whole, rounds)?;
    }
    Ok(())
}

/// The crates, in a program of their own; what reads something else than was meant has no speed.
fn others(name: &str, damaged: &str, whole: &str, rounds: usize) -> Outcome {
    let figures = format!("parse.{name}");
    let client = match Client::rival("repair", "repair") {
        Ok(client) => client,
        Err(reason) => {
            skipped(&format!("{figures}_by_others"), &reason);
            return Ok(());
        }
    };
    let files = tempfile::tempdir()?;
    let (damaged_file, whole_file) = (files.path().join("damaged"), files.path().join("whole"));
    std::fs::write(&damaged_file, damaged)?;
    std::fs::write(&whole_file, whole)?;
    let more: [OsString; 2] = [whole_file.into(), rounds.to_string().into()];
    let printed = client.run(&damaged_file.to_string_lossy(), more)?;
    for line in printed.lines() {
        let (rival, told) = line.split_once(' ').ok_or("a crate has no figure")?;
        let name = format!("{figures}_by_{rival}");
        match told.strip_prefix("! ") {
            Some(reason) => skipped(&name, reason),
            None => figure(&name, speed(damaged, 1, told.parse()?), "MB/s"),
        }
    }
    Ok(())
}

fn speed(text: &str, rounds: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = (text.len() * rounds) as f64;
    bytes / seconds / 1e6
}
