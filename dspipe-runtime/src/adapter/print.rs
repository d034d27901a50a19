//! Values as Python prints them: `str`, `repr` and `json.dumps(ensure_ascii=False)`.

use std::fmt::Write;

use super::value::PyValue;

/// `str(value)`.
pub(super) fn text_of(value: &PyValue) -> String {
    match value {
        PyValue::Str(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(super) fn repr(value: &PyValue) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &PyValue) {
    match value {
        PyValue::None => out.push_str("None"),
        PyValue::Bool(true) => out.push_str("True"),
        PyValue::Bool(false) => out.push_str("False"),
        PyValue::Int(value) => push(out, format_args!("{value}")),
        PyValue::Float(value) => out.push_str(&float(*value)),
        PyValue::Str(text) => write_text_repr(out, text),
        PyValue::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                write_repr(out, item);
            }
            out.push(']');
        }
        PyValue::Dict(dict) => {
            out.push('{');
            for (index, (key, value)) in dict.iter().enumerate() {
                separate(out, index);
                write_text_repr(out, key);
                out.push_str(": ");
                write_repr(out, value);
            }
            out.push('}');
        }
    }
}

fn write_text_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            _ if is_printable(c) => out.push(c),
            _ => match u32::from(c) {
                code @ ..=0xff => push(out, format_args!("\\x{code:02x}")),
                code @ ..=0xffff => push(out, format_args!("\\u{code:04x}")),
                code => push(out, format_args!("\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// `str.isprintable`. Rust escapes the same characters when it prints a text for debugging, but at its
/// start combining marks too: hence the letter before it.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let text = String::from_iter(['a', c]);
    text.escape_debug().count() == 2
}

/// `json.dumps(value, ensure_ascii=False)`.
pub(super) fn json(value: &PyValue) -> String {
    let mut out = String::new();
    write_json(&mut out, value, None);
    out
}

/// `json.dumps(value, ensure_ascii=False, indent=2)`.
pub(super) fn pretty_json(value: &PyValue) -> String {
    let mut out = String::new();
    write_json(&mut out, value, Some(0));
    out
}

/// `indent` is the depth for one value on a line, `None` for all on one line.
fn write_json(out: &mut String, value: &PyValue, indent: Option<usize>) {
    match value {
        PyValue::None => out.push_str("null"),
        PyValue::Bool(value) => push(out, format_args!("{value}")),
        PyValue::Int(value) => push(out, format_args!("{value}")),
        // Pydantic makes these null before DSPy prints them.
        PyValue::Float(value) if !value.is_finite() => out.push_str("null"),
        PyValue::Float(value) => out.push_str(&float(*value)),
        PyValue::Str(text) => write_json_text(out, text),
        PyValue::List(items) if items.is_empty() => out.push_str("[]"),
        PyValue::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate_json(out, index, indent);
                write_json(out, item, indent.map(|depth| depth + 1));
            }
            end_json(out, indent);
            out.push(']');
        }
        PyValue::Dict(dict) if dict.is_empty() => out.push_str("{}"),
        PyValue::Dict(dict) => {
            out.push('{');
            for (index, (key, value)) in dict.iter().enumerate() {
                separate_json(out, index, indent);
                write_json_text(out, key);
                out.push_str(": ");
                write_json(out, value, indent.map(|depth| depth + 1));
            }
            end_json(out, indent);
            out.push('}');
        }
    }
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push_str(", ");
    }
}

fn separate_json(out: &mut String, index: usize, indent: Option<usize>) {
    match indent {
        None => separate(out, index),
        Some(depth) => {
            out.push_str(if index > 0 { ",\n" } else { "\n" });
            out.extend(std::iter::repeat_n("  ", depth + 1));
        }
    }
}

fn end_json(out: &mut String, indent: Option<usize>) {
    if let Some(depth) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{0}'..='\u{1f}' => push(out, format_args!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// `repr` of a float: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let text = format!("{value}");
        return if text.contains('.') {
            text
        } else {
            text + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn push(out: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_python_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e300, "1e+300"),
            (5e-324, "5e-324"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn texts_are_quoted_as_python_does() {
        for (text, shown) in [
            ("a'b", "\"a'b\""),
            ("a\"'b", "'a\"\\'b'"),
            ("\u{7f}\u{a0}\u{200b}\n\\", "'\\x7f\\xa0\\u200b\\n\\\\'"),
            (
                "é\u{301}日\u{1f600}\u{e0001}",
                "'é\u{301}日\u{1f600}\\U000e0001'",
            ),
        ] {
            assert_eq!(repr(&PyValue::from(text)), shown);
        }
    }
}
