//! Values printed as models print them when they slip, for tests: what is read back is the value, or nothing.

use serde_json::{Map, Value, json};

use super::Schema;

/// What is done to a value when it is printed, or to its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    SingleQuotes,
    SmartQuotes,
    MixedQuotes,
    BareKeys,
    BareTexts,
    TrailingCommas,
    MissingComma,
    DoubledComma,
    Semicolons,
    LineComments,
    HashComments,
    BlockComments,
    Python,
    Undefined,
    RawLines,
    RawQuotes,
    NumbersAsTexts,
    Thousands,
    Units,
    BooleansAsTexts,
    BooleansAsWords,
    ChoiceInCapitals,
    ChoiceInSentence,
    CamelKeys,
    SpacedKeys,
    TypoInKey,
    ExtraKey,
    ScalarForList,
    ListForScalar,
    JsonInText,
    EqualSigns,
    MissingColon,
    MissingBracket,
    MissingBrackets,
    ExtraBracket,
    WrongBracket,
    MissingMark,
    Fence,
    OpenFence,
    Prose,
    Reasoning,
    Tag,
    Assignment,
    Wrapper,
    ListAround,
    ByteOrderMark,
    WindowsLines,
    Dots,
    MissingNulls,
    EscapedWhole,
}

impl Damage {
    pub(super) const ALL: [Self; 50] = [
        Self::SingleQuotes,
        Self::SmartQuotes,
        Self::MixedQuotes,
        Self::BareKeys,
        Self::BareTexts,
        Self::TrailingCommas,
        Self::MissingComma,
        Self::DoubledComma,
        Self::Semicolons,
        Self::LineComments,
        Self::HashComments,
        Self::BlockComments,
        Self::Python,
        Self::Undefined,
        Self::RawLines,
        Self::RawQuotes,
        Self::NumbersAsTexts,
        Self::Thousands,
        Self::Units,
        Self::BooleansAsTexts,
        Self::BooleansAsWords,
        Self::ChoiceInCapitals,
        Self::ChoiceInSentence,
        Self::CamelKeys,
        Self::SpacedKeys,
        Self::TypoInKey,
        Self::ExtraKey,
        Self::ScalarForList,
        Self::ListForScalar,
        Self::JsonInText,
        Self::EqualSigns,
        Self::MissingColon,
        Self::MissingBracket,
        Self::MissingBrackets,
        Self::ExtraBracket,
        Self::WrongBracket,
        Self::MissingMark,
        Self::Fence,
        Self::OpenFence,
        Self::Prose,
        Self::Reasoning,
        Self::Tag,
        Self::Assignment,
        Self::Wrapper,
        Self::ListAround,
        Self::ByteOrderMark,
        Self::WindowsLines,
        Self::Dots,
        Self::MissingNulls,
        Self::EscapedWhole,
    ];
}

/// Numbers that look random, the same in each run.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// Below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn pick<'p, T>(&mut self, all: &'p [T]) -> &'p T {
        &all[self.below(all.len())]
    }
}

/// A schema of every kind of value.
pub(super) fn schema() -> Schema {
    let schema = json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "urgency_level": {"enum": ["low", "medium", "high"]},
            "total_amount": {"type": "number"},
            "item_count": {"type": "integer"},
            "is_final": {"type": "boolean"},
            "remark": {"type": ["string", "null"]},
            "labels": {"type": "array", "items": {"type": "string"}},
            "customer": {"type": "object", "properties": {
                "full_name": {"type": "string"},
                "age": {"type": "integer"},
                "address": {"type": "object", "properties": {
                    "street": {"type": "string"},
                    "city": {"type": "string"},
                }, "required": ["street", "city"], "additionalProperties": false},
            }, "required": ["full_name", "age", "address"], "additionalProperties": false},
            "steps": {"type": "array", "items": {"type": "object", "properties": {
                "action": {"type": "string"},
                "weight": {"type": "number"},
            }, "required": ["action", "weight"], "additionalProperties": false}},
            "scores": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["title", "urgency_level", "total_amount", "item_count", "is_final", "remark", "labels",
            "customer", "steps", "scores"],
        "additionalProperties": false,
    });
    Schema::from_value(&schema).unwrap()
}

const TEXTS: [&str; 14] = [
    "Parcel arrived late",
    "It's broken, and nobody's there",
    "See https://example.com/a?b=c#d for more",
    "Rated 5 of 10 (twice)",
    "Call back: after 17:30",
    "Ann said \"no\" and left",
    "first line\nsecond line",
    "{name} is to be filled in",
    "C:\\temp\\new",
    "Größe, café, 東京 😀",
    "a; b; c",
    "50% off - today only!",
    "#12 of the list",
    "",
];

/// A value of the schema.
pub(super) fn value(random: &mut Random) -> Value {
    let text = |random: &mut Random| Value::from(*random.pick(&TEXTS));
    let list = |random: &mut Random| -> Vec<Value> {
        let words = ["refund", "late delivery", "VIP", "second-hand"];
        let count = random.below(4);
        (0..count).map(|at| Value::from(words[at])).collect()
    };
    let steps: Vec<Value> = (0..random.below(3))
        .map(|_| json!({"action": text(random), "weight": *random.pick(&[0.5, 2.0, 12.25])}))
        .collect();
    let mut scores = Map::new();
    for name in ["speed", "care"].iter().take(random.below(3)) {
        scores.insert((*name).to_owned(), json!(random.below(100)));
    }
    json!({
        "title": text(random),
        "urgency_level": random.pick(&["low", "medium", "high"]),
        "total_amount": random.pick(&[1250.0, 3.5, 20_000.0, 0.25]),
        "item_count": random.pick(&[3, 1200, 45, 7_654_321]),
        "is_final": random.below(2) == 0,
        "remark": if random.below(2) == 0 { Value::Null } else { text(random) },
        "labels": list(random),
        "customer": {
            "full_name": text(random),
            "age": random.pick(&[7, 42]),
            "address": {"street": text(random), "city": text(random)},
        },
        "steps": steps,
        "scores": scores,
    })
}

/// A value printed with damages.
pub(super) fn printed(value: &Value, damages: &[Damage], random: &mut Random) -> String {
    let mut printer = Printer {
        damages,
        text: String::new(),
        once: random.below(4),
        pretty: random.below(2) == 0,
    };
    printer.value(value, 0, "");
    let mut text = printer.text;
    for damage in damages {
        text = around(*damage, &text, random);
    }
    text
}

/// What is done to the text as a whole.
fn around(damage: Damage, text: &str, random: &mut Random) -> String {
    let without_last = |count: usize| {
        let mut rest = text;
        for _ in 0..count {
            rest = rest.trim_end();
            rest = rest.strip_suffix(['}', ']']).unwrap_or(rest);
        }
        rest.to_owned()
    };
    match damage {
        Damage::MissingBracket => without_last(1),
        Damage::MissingBrackets => without_last(2),
        Damage::ExtraBracket => format!("{text}}}"),
        Damage::WrongBracket => format!("{}]", without_last(1)),
        Damage::Fence => format!("```json\n{text}\n```"),
        Damage::OpenFence => format!("```\n{text}"),
        Damage::Prose => {
            format!("Sure, here is what I found (as asked):\n\n{text}\n\nLet me know!")
        }
        Damage::Reasoning => {
            format!("<think>\nMaybe {{\"title\": \"x\"}}? No.\n</think>\n{text}")
        }
        Damage::Tag => format!("<answer>\n{text}\n</answer>"),
        Damage::Assignment => format!("const result = {text};"),
        Damage::Wrapper => format!("{{\"result\": {text}}}"),
        Damage::ListAround => format!("[{text}]"),
        Damage::ByteOrderMark => format!("\u{feff}{text}"),
        Damage::WindowsLines => text.replace('\n', "\r\n"),
        Damage::EscapedWhole => Value::from(text).to_string(),
        Damage::MissingMark => {
            // Of the text at the end of a line or before a comma, the last mark.
            let marks = text.match_indices("\",").map(|(at, _)| at);
            let marks: Vec<usize> = marks.filter(|at| !text[..*at].ends_with('\\')).collect();
            match marks.len() {
                0 => text.to_owned(),
                count => {
                    let at = marks[random.below(count)];
                    format!("{}{}", &text[..at], &text[at + 1..])
                }
            }
        }
        _ => text.to_owned(),
    }
}

struct Printer<'d> {
    damages: &'d [Damage],
    text: String,
    /// At which of the places for it a damage that is done once is done.
    once: usize,
    pretty: bool,
}

impl Printer<'_> {
    fn has(&self, damage: Damage) -> bool {
        self.damages.contains(&damage)
    }

    /// Whether a damage is done here, which is done once.
    fn now(&mut self, damage: Damage) -> bool {
        if !self.has(damage) {
            return false;
        }
        self.once = self.once.wrapping_sub(1);
        self.once == usize::MAX
    }

    fn line(&mut self, depth: usize) {
        if self.pretty {
            self.text.push('\n');
            self.text.push_str(&"  ".repeat(depth));
        }
    }

    fn value(&mut self, value: &Value, depth: usize, key: &str) {
        match value {
            Value::Null => self.text.push_str(if self.has(Damage::Undefined) {
                "undefined"
            } else if self.has(Damage::Python) {
                "None"
            } else {
                "null"
            }),
            Value::Bool(value) => self.boolean(*value),
            Value::Number(number) => self.number(&number.to_string()),
            Value::String(text) => self.string(text, key),
            Value::Array(items) => self.list(items, depth),
            Value::Object(map) => self.object(map, depth),
        }
    }

    fn boolean(&mut self, value: bool) {
        if self.has(Damage::BooleansAsTexts) {
            self.quoted(&value.to_string());
        } else if self.has(Damage::BooleansAsWords) {
            self.quoted(if value { "Yes" } else { "No" });
        } else if self.has(Damage::Python) {
            self.text.push_str(if value { "True" } else { "False" });
        } else {
            self.text.push_str(&value.to_string());
        }
    }

    fn number(&mut self, number: &str) {
        let mut text = number.strip_suffix(".0").unwrap_or(number).to_owned();
        if self.has(Damage::Thousands) && !text.contains('.') {
            let mut at = text.len();
            while at > 3 {
                at -= 3;
                text.insert(at, ',');
            }
        }
        if self.has(Damage::Units) {
            self.quoted(&format!("{text} pieces"));
        } else if self.has(Damage::NumbersAsTexts) {
            self.quoted(&text);
        } else if self.now(Damage::ListForScalar) {
            self.text.push('[');
            self.text.push_str(&text);
            self.text.push(']');
        } else {
            self.text.push_str(&text);
        }
    }

    fn string(&mut self, text: &str, key: &str) {
        if key == "urgency_level" {
            if self.has(Damage::ChoiceInCapitals) {
                return self.quoted(&text.to_uppercase());
            }
            if self.has(Damage::ChoiceInSentence) {
                return self.quoted(&format!("The urgency is {text}."));
            }
        }
        let is_word = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
        if self.has(Damage::BareTexts) && is_word {
            self.text.push_str(text);
        } else {
            self.quoted(text);
        }
    }

    fn quoted(&mut self, text: &str) {
        let (open, close) = if self.has(Damage::SingleQuotes) {
            ('\'', '\'')
        } else if self.has(Damage::SmartQuotes) {
            ('“', '”')
        } else if self.now(Damage::MixedQuotes) {
            ('"', '\'')
        } else {
            ('"', '"')
        };
        self.text.push(open);
        for c in text.chars() {
            match c {
                '\n' if self.has(Damage::RawLines) => self.text.push('\n'),
                '"' if self.has(Damage::RawQuotes) => self.text.push('"'),
                '\n' => self.text.push_str("\\n"),
                '"' | '\\' => {
                    self.text.push('\\');
                    self.text.push(c);
                }
                '\'' if open == '\'' => self.text.push_str("\\'"),
                c => self.text.push(c),
            }
        }
        self.text.push(close);
    }

    fn list(&mut self, items: &[Value], depth: usize) {
        if let [one] = items
            && self.has(Damage::ScalarForList)
        {
            return self.value(one, depth, "");
        }
        self.text.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.comma();
            }
            self.line(depth + 1);
            self.value(item, depth + 1, "");
        }
        self.end(items.is_empty(), depth, ']');
    }

    fn object(&mut self, map: &Map<String, Value>, depth: usize) {
        if depth == 1 && self.has(Damage::JsonInText) && map.contains_key("full_name") {
            let inner = Value::Object(map.clone()).to_string();
            return self.text.push_str(&Value::from(inner).to_string());
        }
        self.text.push('{');
        let is_map = !map.contains_key("title")
            && !map.contains_key("full_name")
            && !map.contains_key("street")
            && !map.contains_key("action");
        let mut first = true;
        for (key, value) in map {
            if value.is_null() && self.has(Damage::MissingNulls) {
                continue;
            }
            if !first {
                self.comma();
            }
            if depth == 0 && self.now(Damage::ExtraKey) {
                self.line(depth + 1);
                self.text
                    .push_str("\"explanation_of_it\": \"none was asked for\"");
                self.comma();
            }
            first = false;
            self.line(depth + 1);
            self.key(key, is_map);
            self.value(value, depth + 1, key);
        }
        self.end(map.is_empty(), depth, '}');
    }

    fn key(&mut self, key: &str, is_map: bool) {
        let mut name = key.to_owned();
        if !is_map {
            if self.has(Damage::CamelKeys) {
                let parts: Vec<&str> = key.split('_').collect();
                name = parts[0].to_owned();
                for part in &parts[1..] {
                    name.push_str(&part[..1].to_uppercase());
                    name.push_str(&part[1..]);
                }
            } else if self.has(Damage::SpacedKeys) {
                name = key.replace('_', " ");
            }
            if name.len() > 5 && self.now(Damage::TypoInKey) {
                name.remove(3);
            }
        }
        if self.has(Damage::BareKeys) {
            self.text.push_str(&name);
        } else {
            self.quoted(&name);
        }
        if self.has(Damage::EqualSigns) {
            self.text.push_str(" = ");
        } else if !self.has(Damage::BareKeys) && self.now(Damage::MissingColon) {
            self.text.push(' ');
        } else {
            self.text.push_str(": ");
        }
    }

    fn comma(&mut self) {
        if self.has(Damage::Semicolons) {
            self.text.push(';');
        } else if self.now(Damage::MissingComma) {
        } else if self.now(Damage::DoubledComma) {
            self.text.push_str(",,");
        } else {
            self.text.push(',');
        }
        if self.has(Damage::BlockComments) {
            self.text.push_str(" /* as said: \"it\", or not */");
        }
        if self.pretty && self.has(Damage::LineComments) {
            self.text.push_str(" // as said, or not");
        }
        if self.pretty && self.has(Damage::HashComments) {
            self.text.push_str(" # as said, or not");
        }
        if !self.pretty {
            self.text.push(' ');
        }
    }

    fn end(&mut self, is_empty: bool, depth: usize, bracket: char) {
        if !is_empty && self.has(Damage::TrailingCommas) {
            self.text.push(',');
        }
        if bracket == ']' && !is_empty && self.now(Damage::Dots) {
            self.text.push_str(", ...");
        }
        if !is_empty {
            self.line(depth);
        }
        self.text.push(bracket);
    }
}
