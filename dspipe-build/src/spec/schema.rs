//! Field types and schemas: the part of JSON Schema that the format takes.

use super::optional_text;
use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::ty::{self, TypeExpr};
use crate::yaml::{self, MapReader, Node};

/// A type with what is known about it.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The whole of it, or the field it belongs to.
    pub(crate) span: Span,
    pub(crate) ty: Option<Spanned<TypeExpr>>,
    /// A type that is missing or unreadable has been reported.
    pub(crate) reported: bool,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) properties: Option<Vec<Property>>,
    pub(crate) required: Option<Vec<Spanned<String>>>,
    pub(crate) additional: Option<Spanned<Additional>>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) choices: Option<Spanned<Vec<Spanned<String>>>>,
    pub(crate) bounds: Bounds,
    pub(crate) nullable: bool,
}

#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: Spanned<String>,
    pub(crate) schema: Schema,
}

/// `additionalProperties`.
#[derive(Debug)]
pub(crate) enum Additional {
    Allowed(bool),
    Typed(Box<Schema>),
}

/// Limits that are enforced on replies.
#[derive(Debug, Default, Clone)]
pub(crate) struct Bounds {
    pub(crate) minimum: Option<Spanned<f64>>,
    pub(crate) maximum: Option<Spanned<f64>>,
    pub(crate) min_length: Option<Spanned<u32>>,
    pub(crate) max_length: Option<Spanned<u32>>,
    pub(crate) min_items: Option<Spanned<u32>>,
    pub(crate) max_items: Option<Spanned<u32>>,
    /// A regular expression, not yet known to be one.
    pub(crate) pattern: Option<Spanned<String>>,
}

impl Schema {
    /// Reads the schema keys of a field: in the field itself, under `schema:`, or both.
    pub(crate) fn read_field(mut field: MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let what = field.what().to_owned();
        let schema = field.optional("schema");
        // Without a `schema`, the field must say its type itself.
        let ty = match schema {
            Some(_) => field.optional("type"),
            None => field.required("type", diagnostics),
        };
        let mut own = Self::read_keys(&mut field, ty, diagnostics);
        own.reported |= schema.is_none();
        field.finish(diagnostics);
        let nested =
            schema.and_then(|node| Self::read(node, format!("the schema of {what}"), diagnostics));
        if let Some(nested) = nested {
            own.fill_from(nested, diagnostics);
        }
        own
    }

    fn read(node: &Node, what: String, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, what, diagnostics)?;
        let ty = map.optional("type");
        let description = optional_text(&mut map, "description", diagnostics);
        // Annotations of JSON Schema that say nothing about values.
        for ignored in ["title", "$schema", "$id", "$comment"] {
            map.optional(ignored);
        }
        let required = required_list(&mut map, diagnostics);
        let schema = Self::read_keys(&mut map, ty, diagnostics);
        map.finish(diagnostics);
        Some(Self {
            description,
            required,
            ..schema
        })
    }

    /// The keys that a field and a schema share.
    fn read_keys(
        map: &mut MapReader<'_>,
        ty: Option<&Node>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let what = map.what().to_owned();
        let reported = ty.is_some();
        let ty = ty
            .and_then(|node| yaml::text(node, format_args!("`type` of {what}"), diagnostics))
            .and_then(|text| ty::parse(&text, diagnostics));
        let properties = map
            .optional("properties")
            .and_then(|node| properties(node, &what, diagnostics));
        let additional = map
            .optional("additionalProperties")
            .and_then(|node| additional(node, &what, diagnostics));
        let items = map
            .optional("items")
            .and_then(|node| Self::read(node, format!("the items of {what}"), diagnostics))
            .map(Box::new);
        let choices = map
            .optional("enum")
            .and_then(|node| choices(node, &what, diagnostics));
        // One value is an enum of one.
        let single = map.optional("const").and_then(|node| {
            let value = yaml::text(node, format_args!("`const` of {what}"), diagnostics)?;
            Some(Spanned::new(vec![value], node.span))
        });
        if let (Some(choices), Some(single)) = (&choices, &single) {
            diagnostics
                .error(
                    Code::Duplicate,
                    single.span,
                    format!("`const` and `enum` in {what}"),
                )
                .label("keep one of them")
                .also(choices.span, "the other one");
        }
        let choices = choices.or(single);
        let nullable = map
            .optional("nullable")
            .and_then(|node| yaml::boolean(node, "`nullable`", diagnostics))
            .is_some_and(|nullable| nullable.value);
        let bounds = Bounds::read(map, diagnostics);
        refuse_unsupported(map, diagnostics);
        Self {
            span: map.span(),
            ty,
            reported,
            description: None,
            properties,
            required: None,
            additional,
            items,
            choices,
            bounds,
            nullable,
        }
    }

    /// Joins a field's own keys with its `schema`. Saying a thing twice is an error.
    fn fill_from(&mut self, nested: Self, diagnostics: &mut Diagnostics) {
        if let (Some(own), Some(inner)) = (&self.ty, &nested.ty)
            && !own.value.admits(&inner.value)
        {
            diagnostics
                .error(
                    Code::InvalidType,
                    inner.span,
                    format!(
                        "the schema says {}, the field says {}",
                        inner.value, own.value
                    ),
                )
                .label("these must agree")
                .also(own.span, "the field's type");
        }
        let twice = [
            (
                self.properties.is_some() && nested.properties.is_some(),
                "properties",
            ),
            (self.items.is_some() && nested.items.is_some(), "items"),
            (self.choices.is_some() && nested.choices.is_some(), "enum"),
        ];
        for (_, key) in twice.iter().filter(|(twice, _)| *twice) {
            diagnostics
                .error(
                    Code::Duplicate,
                    nested.span,
                    format!("`{key}` is in the field and in its schema"),
                )
                .label("keep one of them");
        }
        // The schema's type is at least as precise: `array` there, `list[string]` never.
        if nested.ty.is_some() {
            self.ty = nested.ty;
        }
        self.reported |= nested.reported;
        self.span = nested.span;
        self.description = nested.description;
        self.properties = nested.properties.or(self.properties.take());
        self.required = nested.required;
        self.additional = nested.additional.or(self.additional.take());
        self.items = nested.items.or(self.items.take());
        self.choices = nested.choices.or(self.choices.take());
        self.nullable |= nested.nullable;
        self.bounds = nested.bounds.over(std::mem::take(&mut self.bounds));
    }
}

fn properties(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Vec<Property>> {
    let yaml::Kind::Map(entries) = &node.kind else {
        MapReader::new(node, format!("`properties` of {what}"), diagnostics);
        return None;
    };
    let mut all = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let what = format!("property `{}` of {what}", key.text);
        if let Some(schema) = Schema::read(value, what, diagnostics) {
            all.push(Property {
                name: Spanned::new(key.text.clone(), key.span),
                schema,
            });
        }
    }
    Some(all)
}

fn required_list(
    map: &mut MapReader<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Spanned<String>>> {
    let node = map.optional("required")?;
    let items = yaml::list(
        node,
        format_args!("`required` of {}", map.what()),
        diagnostics,
    )?;
    Some(
        items
            .iter()
            .filter_map(|item| yaml::text(item, "a required property", diagnostics))
            .collect(),
    )
}

fn additional(
    node: &Node,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Additional>> {
    let value = match &node.kind {
        yaml::Kind::Map(_) => {
            let what = format!("`additionalProperties` of {what}");
            Additional::Typed(Box::new(Schema::read(node, what, diagnostics)?))
        }
        _ => Additional::Allowed(yaml::boolean(node, "`additionalProperties`", diagnostics)?.value),
    };
    Some(Spanned::new(value, node.span))
}

fn choices(
    node: &Node,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Vec<Spanned<String>>>> {
    let items = yaml::list(node, format_args!("`enum` of {what}"), diagnostics)?;
    if items.is_empty() {
        diagnostics
            .error(Code::InvalidType, node.span, "an enum without values")
            .label("list at least one value");
        return None;
    }
    let mut values: Vec<Spanned<String>> = Vec::with_capacity(items.len());
    for item in items {
        let Some(value) = yaml::text(item, "an enum value", diagnostics) else {
            continue;
        };
        if let Some(first) = values.iter().find(|other| **other == value) {
            diagnostics
                .error(
                    Code::Duplicate,
                    value.span,
                    format!("the enum value `{value}` is there twice"),
                )
                .also(first.span, "first here");
            continue;
        }
        values.push(value);
    }
    Some(Spanned::new(values, node.span))
}

/// Keywords of JSON Schema that would be wrong to ignore.
fn refuse_unsupported(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) {
    const UNSUPPORTED: [&str; 12] = [
        "$ref",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "if",
        "default",
        "format",
        "multipleOf",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "uniqueItems",
    ];
    for key in UNSUPPORTED {
        if let Some((span, _)) = map.entry(key) {
            diagnostics
                .error(
                    Code::Unsupported,
                    span,
                    format!("`{key}` is not supported in {}", map.what()),
                )
                .label("dspipe would not enforce this")
                .help("say it in the `description`, or check the value in Rust");
        }
    }
    map.forget(&UNSUPPORTED);
}

impl Bounds {
    fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let mut number = |key| {
            let node = map.optional(key)?;
            yaml::number(node, format_args!("`{key}`"), diagnostics)
        };
        let (minimum, maximum) = (number("minimum"), number("maximum"));
        let what = format!("`pattern` of {}", map.what());
        let pattern = map
            .optional("pattern")
            .and_then(|node| yaml::text(node, what, diagnostics));
        let mut size = |key| {
            let node = map.optional(key)?;
            yaml::size(node, format_args!("`{key}`"), diagnostics)
        };
        Self {
            minimum,
            maximum,
            min_length: size("minLength"),
            max_length: size("maxLength"),
            min_items: size("minItems"),
            max_items: size("maxItems"),
            pattern,
        }
    }

    fn over(self, outer: Self) -> Self {
        Self {
            minimum: self.minimum.or(outer.minimum),
            maximum: self.maximum.or(outer.maximum),
            min_length: self.min_length.or(outer.min_length),
            max_length: self.max_length.or(outer.max_length),
            min_items: self.min_items.or(outer.min_items),
            max_items: self.max_items.or(outer.max_items),
            pattern: self.pattern.or(outer.pattern),
        }
    }
}
