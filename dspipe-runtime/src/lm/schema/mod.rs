//! JSON Schemas, rewritten to what a server honours. What is dropped here is still enforced when the
//! reply is read.

mod anthropic;
#[cfg_attr(not(feature = "local"), allow(dead_code))]
mod bounded;
mod form;
mod gemini;
mod strict;

use serde_json::{Map, Value, json};

pub(super) use anthropic::anthropic;
#[cfg(feature = "local")]
pub(super) use bounded::bounded;
pub(super) use form::{Form, Forms};
pub(super) use gemini::gemini;
pub(super) use strict::strict_or_as_is;

use super::{LmError, Message, Role};

pub(super) fn parse(text: &str) -> Result<Value, LmError> {
    serde_json::from_str(text).map_err(|error| LmError::Setting {
        variable: "the output schema".to_owned(),
        reason: error.to_string(),
    })
}

/// The messages with the schema in the last of those that instruct: the way to say it where the server
/// has none of its own.
pub(super) fn in_words(messages: &[Message], schema: &str) -> Vec<Message> {
    let words = format!("The answer must be valid against this JSON Schema:\n{schema}");
    let mut messages = messages.to_vec();
    match messages
        .iter_mut()
        .rfind(|message| message.role == Role::System)
    {
        Some(message) => {
            message.content.push_str("\n\n");
            message.content.push_str(&words);
        }
        None => messages.insert(0, Message::system(words)),
    }
    messages
}

/// Whether any value of some kind fits: an object with keys of any name, a list of anything, or no type.
fn is_open(node: &Map<String, Value>) -> bool {
    match node.get("type").and_then(Value::as_str) {
        Some("object") => !node.contains_key("properties"),
        Some("array") => !node.contains_key("items"),
        Some(_) => false,
        None => !["anyOf", "enum", "const", "type", "$ref"]
            .iter()
            .any(|key| node.contains_key(*key)),
    }
}

fn is_required(object: &Map<String, Value>, name: &str) -> bool {
    let required = object.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

/// The schema, or null.
fn or_null(schema: Value) -> Value {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|ty| ty == "null");
    let choices = schema.get("anyOf").and_then(Value::as_array);
    if is_null(&schema) || choices.is_some_and(|choices| choices.iter().any(is_null)) {
        return schema;
    }
    json!({"anyOf": [schema, {"type": "null"}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_in_words_is_part_of_the_instructions() {
        let messages = [Message::system("Be brief."), Message::user("Hello")];
        assert_eq!(
            in_words(&messages, "{}"),
            [
                Message::system(
                    "Be brief.\n\nThe answer must be valid against this JSON Schema:\n{}"
                ),
                Message::user("Hello"),
            ]
        );
        assert_eq!(
            in_words(&messages[1..], "{}"),
            [
                Message::system("The answer must be valid against this JSON Schema:\n{}"),
                Message::user("Hello"),
            ]
        );
    }
}
