//! From a signature, demos and inputs to messages.

use super::Adapter;
use super::json_schema;
use super::print;
use super::signature::{DspyField, DspySignature};
use super::text::{dedent, lines, strip};
use super::types::PyType;
use super::value::{PyDict, PyValue};
use crate::lm::Message;

/// What DSPy puts before values of its types for images and the like.
const TYPE_MARKER: &str = "<<CUSTOM-TYPE-START-IDENTIFIER>>";

const INCOMPLETE: &str =
    "This is an example of the task, though some input or output fields are not supplied.";

/// Why there are no messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A list for a field of type `str` holds something else than texts, which DSPy cannot print.
    #[error(
        "field `{field}`: {item} in the list cannot be shown in a field of type `str`: make the items texts, or give the field the type `list`"
    )]
    ListItem {
        /// The field.
        field: String,
        /// The item, as Python prints it.
        item: String,
    },
    /// A text of the user's holds DSPy's mark for images and the like, which DSPy would expand.
    #[error(
        "the inputs hold `{TYPE_MARKER}`, which DSPy takes for an image or a file: take it out"
    )]
    TypeMarker,
    /// What was said before is not a list of messages with fields.
    #[error("field `{field}`: {message}")]
    History {
        /// The field.
        field: String,
        /// What is wrong.
        message: &'static str,
    },
}

pub(super) fn render(
    adapter: Adapter,
    signature: &DspySignature,
    demos: &[PyDict],
    inputs: &PyDict,
) -> Result<Vec<Message>, RenderError> {
    let writer = Writer {
        json: adapter == Adapter::DspyJson,
    };
    let mut messages = vec![Message::system(writer.system(signature))];
    writer.demos(&mut messages, signature, demos)?;
    let (past, signature) = history(signature);
    if let Some(field) = past {
        writer.history(&mut messages, &signature, field, inputs)?;
    }
    let text = writer.user(&signature, inputs, "", true)?;
    messages.push(Message::user(text));
    if messages.iter().any(|message| {
        message.role == crate::lm::Role::User && message.content.contains(TYPE_MARKER)
    }) {
        return Err(RenderError::TypeMarker);
    }
    Ok(messages)
}

/// The field for what was said before, and the signature without it.
fn history(signature: &DspySignature) -> (Option<&DspyField>, DspySignature) {
    let mut rest = signature.clone();
    let field = signature
        .inputs
        .iter()
        .find(|field| field.ty == PyType::History);
    if let Some(field) = field {
        rest.inputs.retain(|other| other.name != field.name);
    }
    (field, rest)
}

struct Writer {
    json: bool,
}

impl Writer {
    fn system(&self, signature: &DspySignature) -> String {
        let instructions = dedent(&signature.instructions());
        let mut objective = String::new();
        for line in lines(&instructions) {
            objective.push_str("\n        ");
            objective.push_str(line);
        }
        format!(
            "Your input fields are:\n{}\nYour output fields are:\n{}\n{}\nIn adhering to this structure, your objective is: {objective}",
            descriptions(&signature.inputs),
            descriptions(&signature.outputs),
            self.structure(signature),
        )
    }

    fn structure(&self, signature: &DspySignature) -> String {
        let opening = "All interactions will be structured in the following way, with the appropriate values filled in.";
        let inputs = sections(
            signature
                .inputs
                .iter()
                .map(|field| (field, place(field, false))),
        );
        let places = signature
            .outputs
            .iter()
            .map(|field| (field, place(field, true)));
        let parts = if self.json {
            let outputs = places.map(|(field, text)| (field.name.clone(), PyValue::Str(text)));
            vec![
                opening.to_owned(),
                "Inputs will have the following structure:".to_owned(),
                inputs,
                "Outputs will be a JSON object with the following fields.".to_owned(),
                print::pretty_json(&PyValue::Dict(outputs.collect())),
            ]
        } else {
            vec![
                opening.to_owned(),
                inputs,
                sections(places),
                "[[ ## completed ## ]]\n".to_owned(),
            ]
        };
        strip(&parts.join("\n\n")).to_owned()
    }

    fn demos(
        &self,
        messages: &mut Vec<Message>,
        signature: &DspySignature,
        demos: &[PyDict],
    ) -> Result<(), RenderError> {
        let has_any = |demo: &PyDict, fields: &[DspyField]| {
            fields.iter().any(|field| demo.contains_key(&field.name))
        };
        let (complete, incomplete): (Vec<&PyDict>, Vec<&PyDict>) = demos.iter().partition(|demo| {
            signature.fields().all(|field| {
                demo.get(&field.name)
                    .is_some_and(|value| *value != PyValue::None)
            })
        });
        for demo in incomplete {
            if has_any(demo, &signature.inputs) && has_any(demo, &signature.outputs) {
                messages.push(Message::user(
                    self.user(signature, demo, INCOMPLETE, false)?,
                ));
                let missing = "Not supplied for this particular example. ";
                messages.push(Message::assistant(self.assistant(
                    signature,
                    demo,
                    Some(missing),
                )?));
            }
        }
        for demo in complete {
            messages.push(Message::user(self.user(signature, demo, "", false)?));
            messages.push(Message::assistant(self.assistant(signature, demo, None)?));
        }
        Ok(())
    }

    fn history(
        &self,
        messages: &mut Vec<Message>,
        signature: &DspySignature,
        field: &DspyField,
        inputs: &PyDict,
    ) -> Result<(), RenderError> {
        let Some(value) = inputs.get(&field.name) else {
            return Ok(());
        };
        let error = |message| RenderError::History {
            field: field.name.clone(),
            message,
        };
        let turns = value.as_dict().and_then(|past| past.get("messages"));
        let Some(PyValue::List(turns)) = turns else {
            return Err(error("an object with a list `messages` is needed"));
        };
        for turn in turns {
            let turn = turn.as_dict().ok_or_else(|| {
                error("each of `messages` must be an object with one key per field")
            })?;
            if turn.values().any(|value| {
                value
                    .as_dict()
                    .is_some_and(|value| value.contains_key("tool_calls"))
            }) {
                return Err(error("tool calls are not supported"));
            }
            // A turn that holds only outputs is not asked for anything.
            let asks = signature
                .inputs
                .iter()
                .any(|field| turn.contains_key(&field.name));
            let user = self.user(signature, turn, "", asks)?;
            if !user.is_empty() {
                messages.push(Message::user(user));
            }
            let assistant = self.assistant(signature, turn, None)?;
            if !assistant.is_empty() {
                messages.push(Message::assistant(assistant));
            }
        }
        Ok(())
    }

    fn user(
        &self,
        signature: &DspySignature,
        inputs: &PyDict,
        prefix: &str,
        asks: bool,
    ) -> Result<String, RenderError> {
        let mut parts = vec![prefix.to_owned()];
        for field in &signature.inputs {
            if let Some(value) = inputs.get(&field.name) {
                parts.push(section(&field.name, &shown(field, value)?));
            }
        }
        if asks {
            parts.push(self.requirements(signature));
        }
        // As DSPy's empty suffix does; both ends are stripped.
        Ok(strip(&parts.join("\n\n")).to_owned())
    }

    /// What every request ends with.
    fn requirements(&self, signature: &DspySignature) -> String {
        let outputs: Vec<String> = signature
            .outputs
            .iter()
            .map(|field| {
                let mark = if self.json {
                    format!("`{}`", field.name)
                } else {
                    format!("`[[ ## {} ## ]]`", field.name)
                };
                match field.ty {
                    PyType::Str => mark,
                    ref ty => format!("{mark} (must be formatted as a valid Python {})", ty.name()),
                }
            })
            .collect();
        let outputs = outputs.join(", then ");
        if self.json {
            format!("Respond with a JSON object in the following order of fields: {outputs}.")
        } else {
            format!(
                "Respond with the corresponding output fields, starting with the field {outputs}, and then ending with the marker for `[[ ## completed ## ]]`."
            )
        }
    }

    /// A reply. Without `missing`, absent fields are `None`.
    fn assistant(
        &self,
        signature: &DspySignature,
        outputs: &PyDict,
        missing: Option<&str>,
    ) -> Result<String, RenderError> {
        let values = signature.outputs.iter().map(|field| {
            let value = outputs
                .get(&field.name)
                .cloned()
                .unwrap_or_else(|| missing.map_or(PyValue::None, PyValue::from));
            (field, value)
        });
        if self.json {
            let object = values.map(|(field, value)| (field.name.clone(), value));
            return Ok(print::pretty_json(&PyValue::Dict(object.collect())));
        }
        let mut texts = Vec::new();
        for (field, value) in values {
            texts.push((field, shown(field, &value)?));
        }
        Ok(format!(
            "{}\n\n[[ ## completed ## ]]\n",
            sections(texts.into_iter())
        ))
    }
}

fn section(name: &str, text: &str) -> String {
    format!("[[ ## {name} ## ]]\n{text}")
}

fn sections<'a>(fields: impl Iterator<Item = (&'a DspyField, String)>) -> String {
    let sections: Vec<String> = fields
        .map(|(field, text)| section(&field.name, &text))
        .collect();
    strip(&sections.join("\n\n")).to_owned()
}

/// The list of fields.
fn descriptions(fields: &[DspyField]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let limits = match field.constraints.as_str() {
                "" => String::new(),
                limits => format!("\nConstraints: {limits}"),
            };
            format!(
                "{}. `{}` ({}): {}{limits}",
                index + 1,
                field.name,
                field.ty.name(),
                field.shown_desc(),
            )
        })
        .collect();
    strip(&fields.join("\n")).to_owned()
}

/// What stands for a field's value in the system message.
fn place(field: &DspyField, is_output: bool) -> String {
    let texts = |values: &mut dyn Iterator<Item = &PyValue>| {
        let texts: Vec<String> = values.map(print::text_of).collect();
        texts.join("; ")
    };
    let note = match &field.ty {
        PyType::Str => String::new(),
        _ if !is_output => String::new(),
        PyType::Bool => "must be True or False".to_owned(),
        PyType::Int | PyType::Float => format!("must be a single {} value", field.ty.name()),
        PyType::Enum(class) => {
            let values = texts(&mut class.members.iter().map(|(_, value)| value));
            format!("must be one of: {values}")
        }
        PyType::Literal(values) => {
            let values = texts(&mut values.iter());
            format!("must exactly match (no extra characters) one of: {values}")
        }
        ty => format!("must adhere to the JSON schema: {}", json_schema::text(ty)),
    };
    if note.is_empty() {
        format!("{{{}}}", field.name)
    } else {
        format!(
            "{{{}}}        # note: the value you produce {note}",
            field.name
        )
    }
}

/// A value under its field's mark.
fn shown(field: &DspyField, value: &PyValue) -> Result<String, RenderError> {
    match value {
        PyValue::List(items) if field.ty == PyType::Str => list(field, items),
        PyValue::List(_) | PyValue::Dict(_) => Ok(print::json(value)),
        other => Ok(print::text_of(other)),
    }
}

/// A list in a field that is a text: numbered, in quotation marks that show where an item ends.
fn list(field: &DspyField, items: &[PyValue]) -> Result<String, RenderError> {
    let mut texts = Vec::new();
    for item in items {
        let error = || RenderError::ListItem {
            field: field.name.clone(),
            item: print::repr(item),
        };
        let (text, is_long) = match item {
            PyValue::Str(text) => (text.clone(), text.contains(['\n', '«', '»'])),
            // Python looks for the three among the items or keys, and finds nothing.
            PyValue::List(inner) => {
                let found = inner
                    .iter()
                    .any(|item| matches!(item.as_str(), Some("\n" | "«" | "»")));
                (print::repr(item), found)
            }
            PyValue::Dict(inner) => {
                let found = ["\n", "«", "»"].iter().any(|key| inner.contains_key(*key));
                (print::repr(item), found)
            }
            _ => return Err(error()),
        };
        texts.push(match (is_long, item) {
            (false, _) => format!("«{text}»"),
            (true, PyValue::Str(_)) => format!("«««\n    {}\n»»»", text.replace('\n', "\n    ")),
            // And then fails on what has no `replace`.
            (true, _) => return Err(error()),
        });
    }
    Ok(match texts.as_slice() {
        [] => "N/A".to_owned(),
        [only] => only.clone(),
        all => {
            let all: Vec<String> = all
                .iter()
                .enumerate()
                .map(|(index, text)| format!("[{}] {text}", index + 1))
                .collect();
            all.join("\n")
        }
    })
}
