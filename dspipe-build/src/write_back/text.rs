//! Values as YAML that the reader takes for just these values.

use serde_json::{Map, Value};

/// Words that some reader of YAML takes for something else than text.
const RESERVED: [&str; 12] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity",
];

/// In double quotes, on one line.
pub(super) fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Writing to a String cannot fail.
            c if !is_printable(c) => _ = write!(quoted, "\\U{:08X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a character may stand in a YAML file as itself, and is no break of lines.
fn is_printable(c: char) -> bool {
    match c {
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => false,
        ' '..='~' | '\u{a0}'..='\u{fffd}' => true,
        c => c >= '\u{10000}',
    }
}

/// The lines below a `|-` that stand for a text; `None` if it cannot be written so.
pub(super) fn block(text: &str, indent: usize) -> Option<Vec<String>> {
    // The first line tells the reader the indentation, and `|-` takes the last breaks away.
    if text.is_empty() || text.starts_with([' ', '\n']) || text.ends_with('\n') {
        return None;
    }
    let tame = |line: &str| line.chars().all(is_printable) && !line.ends_with(' ');
    if !text.split('\n').all(tame) {
        return None;
    }
    let line = |line: &str| match line {
        "" => String::new(),
        line => format!("{}{line}", " ".repeat(indent)),
    };
    Some(text.split('\n').map(line).collect())
}

/// Any value on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", key_text(key), flow(value));
            let entries: Vec<String> = map.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn key_text(key: &str) -> String {
    if is_plain(key) && !key.contains(' ') {
        key.to_owned()
    } else {
        quoted(key)
    }
}

fn is_plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(word)
        && !text.ends_with(' ')
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// An example as an item of a list, each line at this indentation.
pub(super) fn item(example: &Map<String, Value>, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (side, values) in example {
        let lead = if lines.is_empty() { "- " } else { "  " };
        let lead = format!("{}{lead}", " ".repeat(indent));
        match values {
            Value::Object(values) if !values.is_empty() => {
                lines.push(format!("{lead}{side}:"));
                for (name, value) in values {
                    lines.extend(entry(name, value, indent + 4));
                }
            }
            values => lines.push(format!("{lead}{side}: {}", flow(values))),
        }
    }
    lines
}

/// An entry of a block mapping.
fn entry(name: &str, value: &Value, indent: usize) -> Vec<String> {
    let lead = format!("{}{}:", " ".repeat(indent), key_text(name));
    let body = match value {
        Value::String(text) if text.contains('\n') => block(text, indent + 2),
        _ => None,
    };
    match body {
        Some(body) => [format!("{lead} |-")].into_iter().chain(body).collect(),
        None => vec![format!("{lead} {}", flow(value))],
    }
}
