//! The images and documents among the inputs of a step, as a function that gives them.

use super::Emitter;
use super::printer::{Printer, string};
use crate::ir::{Step, TypeKind};

/// `media` of the step's type.
pub(super) fn function(emitter: &Emitter<'_>, step: &Step, out: &mut Printer) {
    if emitter.options.skeleton {
        return;
    }
    let runtime = emitter.options.runtime;
    let fields = step.inputs.iter().filter_map(|input| {
        let field = &input.field;
        let kind = field.ty.media()?;
        let (name, ident) = (string(&field.name.text), &field.name.ident);
        let media = match field.ty.kind {
            TypeKind::Optional(_) => format!("input.{ident}.as_ref()"),
            _ => format!("Some(&input.{ident})"),
        };
        Some(format!(
            "{runtime}::media::Field {{ name: {name}, kind: {runtime}::media::MediaKind::{kind:?}, media: {media} }}"
        ))
    });
    let fields: Vec<String> = fields.collect();
    if fields.is_empty() {
        return;
    }
    let takes = emitter.type_name("Input");
    out.blank();
    out.open(format_args!(
        "fn media(input: &{takes}) -> Vec<{runtime}::media::Field<'_>> {{"
    ));
    out.flow(format_args!("Vec::from([{}])", fields.join(", ")));
    out.close("}");
}
