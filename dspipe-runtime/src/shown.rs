//! What was asked and replied, as it may be shown: without secrets and sensitive values.

use serde_json::Value;

use crate::call::request;
use crate::lm::{Message, Params, Reply};
use crate::secret::scrub_all;
use crate::signature::FieldDef;
use crate::task::Purpose;
use crate::trace::Exchange;

/// Stands for what is not shown.
pub(crate) const HIDDEN: &str = "****";

/// The messages of a request.
pub(crate) fn messages(exchange: &Exchange<'_>) -> Vec<Message> {
    let def = exchange.def;
    let mut messages = exchange.request.messages.clone();
    let (hides_input, hides_output) = (is_any_sensitive(def.inputs), is_any_sensitive(def.outputs));
    if hides_input || hides_output {
        let mut input = exchange.input.clone();
        for field in def.inputs.iter().filter(|field| field.sensitive) {
            if let Some(value) = input.get_mut(field.name) {
                *value = Value::from(HIDDEN);
            }
        }
        let task = exchange.task.hidden();
        let first = request(
            def,
            &task,
            exchange.prompt,
            Params::default(),
            (&input, exchange.media),
        );
        let first = first.map(|request| request.messages).unwrap_or_default();
        for (at, message) in messages.iter_mut().enumerate() {
            match first.get(at) {
                Some(shown) => message.content.clone_from(&shown.content),
                // Behind the first request stands what quotes a reply.
                None if hides_output || first.is_empty() => HIDDEN.clone_into(&mut message.content),
                None => {}
            }
        }
    }
    for message in &mut messages {
        message.content = scrub_all(&message.content);
    }
    messages
}

/// The text of a reply.
pub(crate) fn reply(exchange: &Exchange<'_>, reply: &Reply) -> String {
    let def = exchange.def;
    // On the way to the output, an LM quotes what it was given.
    let quotes = exchange.purpose != Purpose::Output && is_any_sensitive(def.inputs);
    if quotes || is_any_sensitive(def.outputs) {
        HIDDEN.to_owned()
    } else {
        scrub_all(&reply.text)
    }
}

fn is_any_sensitive(fields: &[FieldDef]) -> bool {
    fields.iter().any(|field| field.sensitive)
}
