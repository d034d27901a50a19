//! A signature: the typed contract of a step.

use super::{Schema, optional_text};
use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::yaml::{self, MapReader, Node, What};

/// What a step takes and gives.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) inputs: Vec<Field>,
    pub(crate) outputs: Vec<Field>,
    pub(crate) instructions: Option<Spanned<String>>,
}

/// One input or output field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Spanned<String>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) schema: Schema,
    /// `required: false`.
    pub(crate) optional: bool,
    /// `sensitive: true`.
    pub(crate) sensitive: bool,
    /// Where an input's value comes from; an output has none.
    pub(crate) template: Option<Spanned<String>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Input,
    Output,
}

impl Signature {
    pub(crate) fn read(node: &Node, step: What<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let what = format!("the signature of {step}");
        let mut map = MapReader::new(node, &what, diagnostics)?;
        let inputs = fields(&mut map, "input_fields", Side::Input, diagnostics);
        let outputs = fields(&mut map, "output_fields", Side::Output, diagnostics);
        let instructions = optional_text(&mut map, "instructions", diagnostics);
        map.finish(diagnostics);
        Some(Self {
            inputs,
            outputs,
            instructions,
        })
    }
}

/// `inputs` of a workflow: those that no step names by itself, such as the list of a loop.
pub(super) fn inputs(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Vec<Field> {
    let Some(node) = map.optional("inputs") else {
        return Vec::new();
    };
    let items = yaml::list(node, "`inputs`", diagnostics).unwrap_or_default();
    items
        .iter()
        // Nothing but its caller gives a workflow a value, so there are no templates, as in outputs.
        .filter_map(|node| Field::read(node, Side::Output, diagnostics))
        .collect()
}

fn fields(
    map: &mut MapReader<'_>,
    key: &'static str,
    side: Side,
    diagnostics: &mut Diagnostics,
) -> Vec<Field> {
    let Some(node) = map.required(key, diagnostics) else {
        return Vec::new();
    };
    let Some(items) = yaml::list(node, format_args!("`{key}`"), diagnostics) else {
        return Vec::new();
    };
    if items.is_empty() {
        diagnostics
            .error(
                Code::MissingKey,
                node.span,
                format!("{} has no fields in `{key}`", map.what()),
            )
            .label("at least one field is needed");
    }
    items
        .iter()
        .filter_map(|node| Field::read(node, side, diagnostics))
        .collect()
}

impl Field {
    fn read(node: &Node, side: Side, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "a field", diagnostics)?;
        map.point_at(Span {
            end: node.span.start + 1,
            ..node.span
        });
        let name = map
            .required("name", diagnostics)
            .and_then(|node| yaml::text(node, "a field's `name`", diagnostics));
        let what = name
            .as_ref()
            .map(|name| ["field `", &name.value, "`"].concat());
        if let (Some(name), Some(what)) = (&name, &what) {
            map.rename(what);
            map.point_at(name.span);
        }
        let description = optional_text(&mut map, "description", diagnostics);
        let template = match side {
            Side::Input => optional_text(&mut map, "template", diagnostics),
            Side::Output => None,
        };
        let optional = field_required(&mut map, diagnostics).is_some_and(|required| !required);
        let sensitive = map
            .optional("sensitive")
            .and_then(|node| yaml::boolean(node, "`sensitive`", diagnostics))
            .is_some_and(|sensitive| sensitive.value);
        let schema = Schema::read_field(map, diagnostics);
        Some(Self {
            name: name?,
            description,
            schema,
            optional,
            sensitive,
            template,
        })
    }
}

/// `required: true|false` belongs to the field; a list belongs in its schema.
fn field_required(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Option<bool> {
    let node = map.optional("required")?;
    yaml::boolean(
        node,
        format_args!(
            "`required` of {} (required properties go under `schema`)",
            map.what()
        ),
        diagnostics,
    )
    .map(|required| required.value)
}
