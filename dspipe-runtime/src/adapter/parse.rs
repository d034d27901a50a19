//! From a reply to the values of the output fields.

use super::Adapter;
use super::coerce::{equal, validate};
use super::print;
use super::python_literal;
use super::repair;
use super::signature::DspySignature;
use super::text::{lines, skip_chars, strip};
use super::types::PyType;
use super::value::{PyDict, PyValue};

/// A reply that DSPy cannot read either.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseFailure {
    /// Nothing like a JSON object was found.
    #[error("the reply holds no JSON object")]
    NoObject,
    /// A value does not fit its field.
    #[error("field `{field}`: {message}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong with the value.
        message: String,
    },
    /// Fields are missing that have no default and may not be `None`.
    #[error("the reply lacks {}", names(.missing))]
    Missing {
        /// The names of the missing fields.
        missing: Vec<String>,
        /// What was read.
        read: PyDict,
    },
}

fn names(missing: &[String]) -> String {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

pub(super) fn parse(
    adapter: Adapter,
    signature: &DspySignature,
    reply: &str,
) -> Result<PyDict, ParseFailure> {
    let found = match adapter {
        Adapter::DspyChat => sections(signature, reply),
        Adapter::DspyJson => object(reply)
            .ok_or(ParseFailure::NoObject)?
            .into_iter()
            .collect(),
    };
    let mut fields = PyDict::new();
    for (name, value) in found {
        if let Some(field) = signature.outputs.iter().find(|field| field.name == name) {
            let value = parse_value(&value, &field.ty).map_err(|message| ParseFailure::Field {
                field: name.clone(),
                message,
            })?;
            fields.insert(name, value);
        }
    }
    complete(signature, fields)
}

/// In the order of the signature, with what stands for absent fields.
fn complete(signature: &DspySignature, mut read: PyDict) -> Result<PyDict, ParseFailure> {
    let mut fields = PyDict::new();
    let mut missing = Vec::new();
    for field in &signature.outputs {
        let absent = || match &field.default {
            Some(default) => Some(default.clone()),
            None => field.ty.allows_none().then_some(PyValue::None),
        };
        match read.shift_remove(&field.name).or_else(absent) {
            Some(value) => {
                fields.insert(field.name.clone(), value);
            }
            None => missing.push(field.name.clone()),
        }
    }
    if missing.is_empty() {
        Ok(fields)
    } else {
        Err(ParseFailure::Missing {
            missing,
            read: fields,
        })
    }
}

/// The texts under the marks of output fields, the first of each.
fn sections(signature: &DspySignature, reply: &str) -> Vec<(String, PyValue)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in lines(reply) {
        match mark(strip(line)) {
            Some((name, length)) => {
                // DSPy measures the mark in the line without its indentation, and cuts the line with it.
                let rest = strip(skip_chars(line, length));
                all.push((
                    name,
                    if rest.is_empty() {
                        Vec::new()
                    } else {
                        vec![rest]
                    },
                ));
            }
            None => {
                if let Some((_, lines)) = all.last_mut() {
                    lines.push(line);
                }
            }
        }
    }
    let mut found: Vec<(String, PyValue)> = Vec::new();
    for (name, lines) in all {
        let is_output = signature.outputs.iter().any(|field| field.name == name);
        if is_output && found.iter().all(|(other, _)| other != name) {
            let text = strip(&lines.join("\n")).to_owned();
            found.push((name.to_owned(), PyValue::Str(text)));
        }
    }
    found
}

/// The name in a mark at the start of a line, and the characters that the mark takes.
fn mark(line: &str) -> Option<(&str, usize)> {
    let (name, _) = line.strip_prefix("[[ ## ")?.split_once(" ## ]]")?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return None;
    }
    Some((name, name.chars().count() + "[[ ## ".len() + " ## ]]".len()))
}

/// The JSON object in a reply.
fn object(reply: &str) -> Option<PyDict> {
    let load = |text: &str| match repair::loads(text) {
        Ok(PyValue::Dict(dict)) => Some(dict),
        _ => None,
    };
    load(reply).or_else(|| load(braced(reply)?))
}

/// The first part of a text from a brace to the one that closes it.
fn braced(text: &str) -> Option<&str> {
    let mut open = Vec::new();
    let mut first: Option<(usize, usize)> = None;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open.push(index),
            b'}' => {
                if let Some(start) = open.pop()
                    && first.is_none_or(|(first, _)| start < first)
                {
                    first = Some((start, index + 1));
                }
            }
            _ => {}
        }
        if open.is_empty() && first.is_some() {
            break;
        }
    }
    let (start, end) = first?;
    text.get(start..end)
}

/// A value made to fit the field's type, from its text if it is one.
fn parse_value(value: &PyValue, ty: &PyType) -> Result<PyValue, String> {
    let unquoted;
    let mut value = value;
    match ty {
        PyType::Str => return Ok(PyValue::Str(print::text_of(value))),
        PyType::Enum(class) => {
            let by_value = class
                .members
                .iter()
                .find(|(_, member)| equal(member, value));
            let by_name = || {
                class
                    .members
                    .iter()
                    .find(|(name, _)| value.as_str() == Some(name))
            };
            let found = by_value.or_else(by_name).ok_or_else(|| {
                format!(
                    "{} is neither a value nor a name of {}",
                    print::repr(value),
                    class.name
                )
            })?;
            return Ok(found.1.clone());
        }
        PyType::Literal(allowed) => {
            if allowed.iter().any(|member| equal(member, value)) {
                return Ok(value.clone());
            }
            if let PyValue::Str(text) = value {
                unquoted = PyValue::from(unwrap(text));
                if allowed.contains(&unquoted) {
                    return Ok(unquoted);
                }
                value = &unquoted;
            }
        }
        _ => {}
    }
    let PyValue::Str(text) = value else {
        return validate(value, ty);
    };
    if let PyType::Union(members) = ty
        && members.contains(&PyType::None)
        && members.contains(&PyType::Str)
    {
        return validate(value, ty);
    }
    let found = repair::loads(text).map_err(|_| "it is nested too deeply".to_owned())?;
    let candidate = if found.as_str() == Some("") && !text.is_empty() {
        python_literal::eval(text).unwrap_or_else(|| value.clone())
    } else {
        found
    };
    validate(&candidate, ty)
}

/// A member of a `Literal` without what LMs put around it: `Literal[x]`, `'x'`.
fn unwrap(text: &str) -> &str {
    let mut text = strip(text);
    if let Some(inner) = text
        .strip_prefix("Literal[")
        .or_else(|| text.strip_prefix("str["))
        .and_then(|rest| rest.strip_suffix(']'))
    {
        text = inner;
    }
    for quote in ['"', '\''] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::adapter::DspyField;

    fn signature() -> DspySignature {
        let list = PyType::List(Box::new(PyType::AnyDict));
        let field = DspyField::new("a", list.optional());
        DspySignature {
            instructions: None,
            inputs: Vec::new(),
            outputs: vec![field, DspyField::new("b", PyType::Float)],
        }
    }

    proptest! {
        #[test]
        fn no_reply_panics(reply in r#"([\[\]{}(),:"'`#/\\ \n]|a|b|1|é|-|\.|true|\[\[ ## [ab] ## \]\]\n|```json){0,60}"#) {
            for adapter in [Adapter::DspyChat, Adapter::DspyJson] {
                // What is read is not of interest here.
                let _ = parse(adapter, &signature(), &reply);
            }
        }
    }

    /// Looking ahead from each quotation mark to the end of a text would not end on the first of these.
    #[test]
    fn long_broken_replies_are_given_up() {
        let failure = |part: &str| {
            let reply = part.repeat(20_000);
            parse(Adapter::DspyJson, &signature(), &reply).unwrap_err()
        };
        for part in ["[\"a\" \"b", "[", "{a:{"] {
            assert_eq!(failure(part), ParseFailure::NoObject);
        }
    }
}
