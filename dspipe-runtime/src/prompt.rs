//! The one place where a signature and its inputs become messages.
//!
//! The system message holds what does not change between calls (instructions, fields, form of the
//! answer), so that providers can cache it; demos follow as turns of the conversation, the inputs come
//! last. Values stand in fences that are longer than any run of backticks in them, so that no input can
//! pass for another field.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use crate::changes::{Chosen, DemoText};
use crate::lm::Message;
use crate::read::ReadError;
use crate::signature::{Demo, FieldDef, SignatureDef};
use crate::task::Task;

/// A demo, wherever it comes from.
#[derive(Debug)]
pub(crate) struct DemoView<'a> {
    pub(crate) inputs: Vec<(&'a str, &'a str)>,
    pub(crate) output: &'a str,
}

impl<'a> From<&'a Demo> for DemoView<'a> {
    fn from(demo: &'a Demo) -> Self {
        Self {
            inputs: demo.inputs.to_vec(),
            output: demo.output,
        }
    }
}

impl<'a> From<&'a DemoText> for DemoView<'a> {
    fn from(demo: &'a DemoText) -> Self {
        let inputs = demo.inputs.iter();
        Self {
            inputs: inputs
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect(),
            output: &demo.output,
        }
    }
}

/// The messages for a task of a step with these instructions and demos. `input` is the serialized input, one
/// key per input field.
pub(crate) fn render(
    def: &SignatureDef,
    task: &Task<'_>,
    prompt: &Chosen,
    input: &Value,
) -> Vec<Message> {
    let inputs = if task.takes_inputs() { def.inputs } else { &[] };
    let own = inputs.iter().filter_map(|field| {
        let value = input.get(field.name)?;
        Some((field.name, in_text(value)))
    });
    let more = task.more.iter();
    let more = more.map(|more| (&*more.name, Cow::Borrowed(&*more.text)));
    let last = Message::user(fields_text(own.chain(more)));
    let rendered;
    let head = if task.instead.is_none() && task.more.is_empty() {
        prompt.head(|| head(def, task, prompt))
    } else {
        rendered = head(def, task, prompt);
        &rendered
    };
    let mut messages = Vec::with_capacity(head.len() + 1);
    messages.extend_from_slice(head);
    messages.push(last);
    messages
}

/// What comes before the inputs.
fn head(def: &SignatureDef, task: &Task<'_>, prompt: &Chosen) -> Vec<Message> {
    let mut messages = vec![Message::system(system(def, task, prompt.instructions()))];
    if task.instead.is_none() {
        for demo in prompt.demos() {
            let fields = demo.inputs.iter();
            let fields = fields.map(|(name, text)| (*name, Cow::Borrowed(*text)));
            messages.push(Message::user(fields_text(fields)));
            messages.push(Message::assistant(demo.output));
        }
    }
    messages
}

/// What follows a reply that could not be read: all that is wrong with it.
pub(crate) fn render_errors(error: &ReadError) -> Message {
    let mut text = String::from("This answer cannot be used:\n");
    for line in error.lines() {
        push(&mut text, format_args!("- {line}\n"));
    }
    text.push_str("Answer again with the whole JSON object, these mistakes corrected.");
    Message::user(text)
}

/// A value as prompts show it: texts as they are, everything else as compact JSON.
pub(crate) fn value_text(value: &Value) -> String {
    in_text(value).into_owned()
}

fn in_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// What a step is told to do.
pub(crate) fn instructions<'a>(def: &SignatureDef, instructions: &'a str) -> Cow<'a, str> {
    match instructions.trim() {
        "" => Cow::Owned(default_instructions(def)),
        instructions => Cow::Borrowed(instructions),
    }
}

fn system(def: &SignatureDef, task: &Task<'_>, told: &str) -> String {
    let mut text = match &task.instead {
        None => instructions(def, told).into_owned(),
        Some(instead) => instead.instructions.trim().to_owned(),
    };
    let inputs = if task.takes_inputs() { def.inputs } else { &[] };
    if !inputs.is_empty() || !task.more.is_empty() {
        text.push_str("\n\nYou are given:\n");
        let more = task.more.iter();
        let more = more.map(|more| (&*more.name, "string", more.description));
        fields_list(&mut text, listed(inputs).chain(more));
    }
    text.push_str("\n\nAnswer with one JSON object and nothing else. Its fields:\n");
    match &task.instead {
        None => fields_list(&mut text, listed(def.outputs)),
        Some(instead) => {
            let words: Vec<Cow<'_, str>> = instead
                .outputs
                .iter()
                .map(|asked| asked.kind.words())
                .collect();
            let fields = instead.outputs.iter().zip(&words);
            let fields = fields.map(|(asked, ty)| (asked.name, &**ty, asked.description));
            fields_list(&mut text, fields);
        }
    }
    text
}

/// What a step takes and gives, and what it is told, in words.
pub(crate) fn described(def: &SignatureDef, told: &str) -> String {
    system(def, &Task::OUTPUT, told)
}

/// Name, type and description of each field.
fn listed(fields: &[FieldDef]) -> impl Iterator<Item = (&str, &str, &str)> {
    fields
        .iter()
        .map(|field| (field.name, field.ty, field.description))
}

/// As DSPy words it for a signature without instructions (`dspy.Signature`).
fn default_instructions(def: &SignatureDef) -> String {
    let names = |fields: &[FieldDef]| {
        let names: Vec<String> = fields
            .iter()
            .map(|field| format!("`{}`", field.name))
            .collect();
        names.join(", ")
    };
    let mut text = String::new();
    if !def.description.trim().is_empty() {
        push(&mut text, format_args!("{}\n", def.description.trim()));
    }
    if def.inputs.is_empty() {
        push(
            &mut text,
            format_args!("Produce the fields {}.", names(def.outputs)),
        );
    } else {
        push(
            &mut text,
            format_args!(
                "Given the fields {}, produce the fields {}.",
                names(def.inputs),
                names(def.outputs)
            ),
        );
    }
    text
}

fn fields_list<'f>(text: &mut String, fields: impl Iterator<Item = (&'f str, &'f str, &'f str)>) {
    for (index, (name, ty, description)) in fields.enumerate() {
        let line = if index == 0 { "" } else { "\n" };
        push_all(text, &[line, "- `", name, "` (", ty, ")"]);
        let description = description.trim();
        if !description.is_empty() {
            push_all(text, &[": ", description]);
        }
    }
}

/// Values under their names, each in a fence of its own.
pub(crate) fn fields_text<'a>(fields: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        let fence = "`".repeat(longest_run(&value).max(2) + 1);
        push_all(
            &mut text,
            &[name, ":\n", &fence, "\n", &value, "\n", &fence],
        );
    }
    if text.is_empty() {
        // Providers refuse an empty message.
        text.push_str("Begin.");
    }
    text
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    let Some(first) = text.find('`') else {
        return 0;
    };
    let runs = text[first..].split(|c| c != '`');
    runs.map(str::len).max().unwrap_or(0)
}

/// Pieces as they are: to format them would cost more than all else in a short prompt.
fn push_all(text: &mut String, pieces: &[&str]) {
    text.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        text.push_str(piece);
    }
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::lm::LmName;
    use crate::lm::Role;
    use crate::module::ModuleDef;

    const DEF: SignatureDef = SignatureDef {
        workflow: "support",
        step: "triage",
        source: "workflows/support.yaml:4",
        description: "Finds out how urgent a ticket is",
        instructions: "Rate the ticket.\nBe strict.\n",
        inputs: &[
            FieldDef {
                name: "ticket",
                ty: "string",
                description: "The customer's message",
                sensitive: false,
            },
            FieldDef {
                name: "tags",
                ty: "list of string",
                description: "",
                sensitive: false,
            },
        ],
        outputs: &[FieldDef {
            name: "urgency",
            ty: "\"low\" | \"high\"",
            description: "How urgent it is",
            sensitive: false,
        }],
        input_schema: "{}",
        output_schema: "{}",
        demos: &[Demo {
            inputs: &[("ticket", "It burns!"), ("tags", "[\"fire\"]")],
            output: "{\"urgency\":\"high\"}",
        }],
        optimized: &[],
        adapter: None,
        lm: None,
        temperature: None,
        max_tokens: None,
        lms: &[],
        checks: &[],
        module: ModuleDef::Predict,
    };

    fn shown(messages: &[Message]) -> String {
        let messages: Vec<String> = messages
            .iter()
            .map(|message| format!("[{:?}]\n{}\n", message.role, message.content))
            .collect();
        messages.join("\n")
    }

    #[test]
    fn a_request_reads_like_this() {
        let input = json!({"ticket": "Where is ```my``` parcel?", "tags": ["a", "b"]});
        insta::assert_snapshot!(shown(&render(&DEF, &Task::OUTPUT, &DEF.prompt_for(&LmName::embedded()).into(), &input)), @r#"
        [System]
        Rate the ticket.
        Be strict.

        You are given:
        - `ticket` (string): The customer's message
        - `tags` (list of string)

        Answer with one JSON object and nothing else. Its fields:
        - `urgency` ("low" | "high"): How urgent it is

        [User]
        ticket:
        ```
        It burns!
        ```

        tags:
        ```
        ["fire"]
        ```

        [Assistant]
        {"urgency":"high"}

        [User]
        ticket:
        ````
        Where is ```my``` parcel?
        ````

        tags:
        ```
        ["a","b"]
        ```
        "#);
    }

    #[test]
    fn without_instructions_the_fields_say_what_to_do() {
        let def = SignatureDef {
            instructions: " ",
            demos: &[],
            ..DEF
        };
        let messages = render(
            &def,
            &Task::OUTPUT,
            &def.prompt_for(&LmName::embedded()).into(),
            &json!({"ticket": "x", "tags": []}),
        );
        assert!(messages[0].content.starts_with(
            "Finds out how urgent a ticket is\nGiven the fields `ticket`, `tags`, produce the fields `urgency`."
        ));
        let def = SignatureDef { inputs: &[], ..def };
        let messages = render(
            &def,
            &Task::OUTPUT,
            &def.prompt_for(&LmName::embedded()).into(),
            &json!({}),
        );
        assert_eq!(messages[1], Message::user("Begin."));
    }

    #[test]
    fn errors_are_told_one_by_one() {
        let error = crate::read::read_json::<String>("3").unwrap_err();
        let message = render_errors(&error);
        assert_eq!(message.role, Role::User);
        assert!(
            message
                .content
                .contains("- the answer must be a string, but is 3\n")
        );
    }

    proptest! {
        #[test]
        fn no_value_ends_its_fence(ticket in "(`|\n|a|tags:){0,40}") {
            let messages = render(&DEF, &Task::OUTPUT, &DEF.prompt_for(&LmName::embedded()).into(), &json!({"ticket": ticket, "tags": []}));
            let last = &messages.last().unwrap().content;
            let fence: String = last.lines().nth(1).unwrap().to_owned();
            prop_assert!(!ticket.contains(&fence));
            let expected = format!("ticket:\n{fence}\n{ticket}\n{fence}\n\ntags:\n```\n[]\n```");
            prop_assert_eq!(last, &expected);
        }
    }
}
