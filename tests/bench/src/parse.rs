//! How fast replies are read, against `serde_json`'s derived types.

use std::fmt::Write as _;
use std::hint::black_box;

use dspipe_runtime::read::{Schema, Strictness, parse, read_json};
use dspipe_runtime::{Read, Reader};
use serde::Deserialize;

use crate::{Outcome, best, figure};

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
    }
    let schema = Schema::parse(SCHEMA)?;
    let damaged = reply(20)
        .replace("\"title\"", "title")
        .replace("], ", ",], ");
    let damaged = format!("Here it is:\n```json\n{damaged}\n```\nAnything else?");
    let rounds = rounds / 10 + 1;
    let time = best(5, || {
        for _ in 0..rounds {
            black_box(parse(&schema, black_box(&damaged), Strictness::Lenient)?);
        }
        Ok(rounds)
    })?;
    figure(
        "parse.damaged_speed",
        speed(&damaged, rounds, time.as_secs_f64()),
        "MB/s",
    );
    Ok(())
}

fn speed(text: &str, rounds: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = (text.len() * rounds) as f64;
    bytes / seconds / 1e6
}
