//! Field types and schemas: the part of JSON Schema that the format takes.

use std::collections::HashMap;

use super::optional_text;
use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::ty::{self, TypeExpr};
use crate::yaml::{self, Kind, MapReader, Node, What};

/// A type with what is known about it.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The whole of it, or the field it belongs to.
    pub(crate) span: Span,
    pub(crate) ty: Option<Spanned<TypeExpr>>,
    /// A type that is missing or unreadable has been reported.
    pub(crate) reported: bool,
    /// `$ref`: a named type, here or in another file.
    pub(crate) reference: Option<Spanned<String>>,
    pub(crate) title: Option<Spanned<String>>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) properties: Option<Vec<Property>>,
    pub(crate) required: Option<Vec<Spanned<String>>>,
    pub(crate) additional: Option<Spanned<Additional>>,
    pub(crate) items: Option<Box<Schema>>,
    /// `enum` or `const`: scalars, each once.
    pub(crate) choices: Option<Spanned<Vec<Choice>>>,
    /// `anyOf` or `oneOf`.
    pub(crate) alternatives: Option<Spanned<Vec<Schema>>>,
    pub(crate) default: Option<Node>,
    /// `x-rust-type`: the user's type in place of a generated one.
    pub(crate) rust_type: Option<Spanned<String>>,
    /// Rare and large.
    pub(crate) bounds: Box<Bounds>,
    pub(crate) nullable: bool,
}

/// A value that is written out.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) text: Spanned<String>,
    /// Whether it stands without quotes, and may be a number or a boolean.
    pub(crate) plain: bool,
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
    pub(crate) exclusive_minimum: Option<Spanned<f64>>,
    pub(crate) exclusive_maximum: Option<Spanned<f64>>,
    pub(crate) multiple_of: Option<Spanned<f64>>,
    pub(crate) min_length: Option<Spanned<u32>>,
    pub(crate) max_length: Option<Spanned<u32>>,
    pub(crate) min_items: Option<Spanned<u32>>,
    pub(crate) max_items: Option<Spanned<u32>>,
    /// `uniqueItems: true`.
    pub(crate) unique_items: Option<Spanned<bool>>,
    /// A regular expression, not yet known to be one.
    pub(crate) pattern: Option<Spanned<String>>,
}

impl Schema {
    /// Reads the schema keys of a field: in the field itself, under `schema:`, or both.
    pub(crate) fn read_field(mut field: MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let what = field.what();
        let schema = field.optional("schema");
        // Without a `schema`, the field must say its type itself.
        let says_type = ["$ref", "anyOf", "oneOf", "const"];
        let ty = match schema {
            None if !says_type.iter().any(|key| field.has(key)) => {
                field.required("type", diagnostics)
            }
            _ => field.optional("type"),
        };
        let mut own = Self::read_keys(&mut field, ty, diagnostics);
        own.reported |= schema.is_none();
        field.finish(diagnostics);
        let nested = schema
            .and_then(|node| Self::read(node, format_args!("the schema of {what}"), diagnostics));
        if let Some(nested) = nested {
            own.fill_from(nested, diagnostics);
        }
        own
    }

    pub(crate) fn read<'n>(
        node: &'n Node,
        what: impl Into<What<'n>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let what = what.into();
        if let Kind::Scalar { text, .. } = &node.kind
            && ty::builtin(text).is_some()
        {
            let quote = if text.contains(['[', '?']) { "\"" } else { "" };
            yaml::wrong_kind(node, what, "a mapping (`key: value`)", diagnostics).suggest(
                "a schema has its type under `type`",
                node.span,
                format!("{{type: {quote}{text}{quote}}}"),
            );
            return None;
        }
        let mut map = MapReader::new(node, what, diagnostics)?;
        let schema = Self::read_map(&mut map, diagnostics);
        map.finish(diagnostics);
        Some(schema)
    }

    /// The root of a file that is a JSON Schema. Its definitions are read when they are referred to.
    pub(crate) fn read_root<'n>(
        node: &'n Node,
        what: impl Into<What<'n>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut map = MapReader::new(node, what, diagnostics)?;
        for definitions in ["$defs", "definitions", "types"] {
            map.optional(definitions);
        }
        let schema = Self::read_map(&mut map, diagnostics);
        map.finish(diagnostics);
        Some(schema)
    }

    fn read_map(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let ty = map.optional("type");
        let title = optional_text(map, "title", diagnostics);
        let description = optional_text(map, "description", diagnostics);
        // Annotations of JSON Schema that say nothing about values.
        for ignored in ["$schema", "$id", "$comment", "examples", "deprecated"] {
            map.optional(ignored);
        }
        let required = required_list(map, diagnostics);
        let schema = Self::read_keys(map, ty, diagnostics);
        Self {
            title,
            description,
            required,
            ..schema
        }
    }

    /// The keys that a field and a schema share.
    fn read_keys(
        map: &mut MapReader<'_>,
        ty: Option<&Node>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let what = map.what();
        let reported = ty.is_some();
        let ty = ty.and_then(|node| type_of(node, what, diagnostics));
        let reference = map
            .optional("$ref")
            .and_then(|node| yaml::text(node, format_args!("`$ref` of {what}"), diagnostics));
        let properties = map
            .optional("properties")
            .and_then(|node| properties(node, what, diagnostics));
        let additional = map
            .optional("additionalProperties")
            .and_then(|node| additional(node, what, diagnostics));
        let items = map
            .optional("items")
            .and_then(|node| Self::read(node, format_args!("the items of {what}"), diagnostics))
            .map(Box::new);
        let mut nullable = map
            .optional("nullable")
            .and_then(|node| yaml::boolean(node, "`nullable`", diagnostics))
            .is_some_and(|nullable| nullable.value);
        let choices = choices(map, &mut nullable, diagnostics);
        let alternatives = alternatives(map, diagnostics);
        let default = map.optional("default").cloned();
        let rust_type = map.optional("x-rust-type").and_then(|node| {
            yaml::text(node, format_args!("`x-rust-type` of {what}"), diagnostics)
        });
        let bounds = Box::new(Bounds::read(map, diagnostics));
        refuse_unsupported(map, diagnostics);
        Self {
            span: map.span(),
            ty,
            reported,
            reference,
            title: None,
            description: None,
            properties,
            required: None,
            additional,
            items,
            choices,
            alternatives,
            default,
            rust_type,
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
            (
                self.alternatives.is_some() && nested.alternatives.is_some(),
                "anyOf",
            ),
            (
                self.reference.is_some() && nested.reference.is_some(),
                "$ref",
            ),
            (
                self.default.is_some() && nested.default.is_some(),
                "default",
            ),
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
        self.alternatives = nested.alternatives.or(self.alternatives.take());
        self.reference = nested.reference.or(self.reference.take());
        self.default = nested.default.or(self.default.take());
        self.rust_type = nested.rust_type.or(self.rust_type.take());
        self.title = nested.title;
        self.nullable |= nested.nullable;
        *self.bounds = nested.bounds.over(std::mem::take(&mut *self.bounds));
    }
}

fn properties(node: &Node, what: What<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Property>> {
    let yaml::Kind::Map(entries) = &node.kind else {
        MapReader::new(node, format_args!("`properties` of {what}"), diagnostics);
        return None;
    };
    let mut all = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let what = format_args!("property `{}` of {what}", key.text);
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
    what: What<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Additional>> {
    let value = match &node.kind {
        yaml::Kind::Map(_) => {
            let what = format_args!("`additionalProperties` of {what}");
            Additional::Typed(Box::new(Schema::read(node, what, diagnostics)?))
        }
        _ => Additional::Allowed(yaml::boolean(node, "`additionalProperties`", diagnostics)?.value),
    };
    Some(Spanned::new(value, node.span))
}

/// One name, or a list of them as JSON Schema has it, of which one may be `null`.
fn type_of(
    node: &Node,
    what: What<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<TypeExpr>> {
    let Kind::List(items) = &node.kind else {
        if node.is_null() {
            return Some(Spanned::new(TypeExpr::Null, node.span));
        }
        let text = yaml::text(node, format_args!("`type` of {what}"), diagnostics)?;
        return ty::parse(&text, diagnostics);
    };
    let mut nullable = false;
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        if item.is_null() || matches!(&item.kind, Kind::Scalar { text, .. } if text == "null") {
            nullable = true;
            continue;
        }
        let text = yaml::text(item, format_args!("a `type` of {what}"), diagnostics)?;
        all.push(ty::parse(&text, diagnostics)?.value);
    }
    let ty = match all.len() {
        0 => {
            diagnostics
                .error(
                    Code::InvalidType,
                    node.span,
                    "a list of types without a type",
                )
                .label("name at least one type besides `null`");
            return None;
        }
        1 => all.remove(0),
        _ => TypeExpr::OneOf(all),
    };
    let ty = match ty {
        TypeExpr::Optional(_) => ty,
        ty if nullable => TypeExpr::Optional(Box::new(ty)),
        ty => ty,
    };
    Some(Spanned::new(ty, node.span))
}

/// `enum`, or `const`, which is an enum of one. A `null` among the values makes the type nullable.
fn choices(
    map: &mut MapReader<'_>,
    nullable: &mut bool,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Vec<Choice>>> {
    let what = map.what();
    let listed = map
        .optional("enum")
        .and_then(|node| choice_list(node, what, nullable, diagnostics));
    let single = map.optional("const").and_then(|node| {
        let choice = choice(node, format_args!("`const` of {what}"), diagnostics)?;
        Some(Spanned::new(vec![choice], node.span))
    });
    if let (Some(listed), Some(single)) = (&listed, &single) {
        diagnostics
            .error(
                Code::Duplicate,
                single.span,
                format!("`const` and `enum` in {what}"),
            )
            .label("keep one of them")
            .also(listed.span, "the other one");
    }
    listed.or(single)
}

fn choice_list(
    node: &Node,
    what: What<'_>,
    nullable: &mut bool,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Vec<Choice>>> {
    let items = yaml::list(node, format_args!("`enum` of {what}"), diagnostics)?;
    let mut values: Vec<Choice> = Vec::with_capacity(items.len());
    let mut seen: HashMap<String, Span> = HashMap::new();
    for item in items {
        if item.is_null() {
            *nullable = true;
            continue;
        }
        let Some(value) = choice(item, "an enum value", diagnostics) else {
            continue;
        };
        if let Some(first) = seen.get(&value.text.value) {
            diagnostics
                .error(
                    Code::Duplicate,
                    value.text.span,
                    format!("the enum value `{}` is there twice", value.text),
                )
                .also(*first, "first here");
            continue;
        }
        seen.insert(value.text.value.clone(), value.text.span);
        values.push(value);
    }
    if values.is_empty() {
        diagnostics
            .error(Code::InvalidType, node.span, "an enum without values")
            .label("list at least one value");
        return None;
    }
    Some(Spanned::new(values, node.span))
}

fn choice(
    node: &Node,
    what: impl std::fmt::Display,
    diagnostics: &mut Diagnostics,
) -> Option<Choice> {
    let text = yaml::text(node, what, diagnostics)?;
    let plain = matches!(node.kind, Kind::Scalar { plain: true, .. });
    Some(Choice { text, plain })
}

/// `anyOf`, `oneOf`, or `allOf` of one, as tools write it around a `$ref`.
fn alternatives(
    map: &mut MapReader<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Vec<Schema>>> {
    let what = map.what();
    let mut found: Option<Spanned<Vec<Schema>>> = None;
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some((span, node)) = map.entry(key) else {
            continue;
        };
        let Some(items) = yaml::list(node, format_args!("`{key}` of {what}"), diagnostics) else {
            continue;
        };
        if items.is_empty() || (key == "allOf" && items.len() > 1) {
            let (code, label) = match key {
                "allOf" => (Code::Unsupported, "types cannot be merged"),
                _ => (Code::InvalidType, "list at least one schema"),
            };
            diagnostics
                .error(
                    code,
                    span,
                    format!("`{key}` of {what}: {} schemas", items.len()),
                )
                .label(label);
            continue;
        }
        if let Some(first) = &found {
            diagnostics
                .error(
                    Code::Duplicate,
                    span,
                    format!("{what} has alternatives twice"),
                )
                .label("keep one of them")
                .also(first.span, "the others");
            continue;
        }
        let schemas = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                let what = format_args!("alternative {} of {what}", index + 1);
                Schema::read(item, what, diagnostics)
            })
            .collect();
        found = Some(Spanned::new(schemas, span));
    }
    map.forget(&["allOf"]);
    found
}

/// Keywords of JSON Schema that would be wrong to ignore.
fn refuse_unsupported(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) {
    for key in UNSUPPORTED {
        let Some((span, node)) = map.entry(key) else {
            continue;
        };
        // What code generators say about the width of numbers; their limits say it, too.
        if key == "format"
            && let Kind::Scalar { text, .. } = &node.kind
            && ["int", "uint", "float", "double"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
        {
            continue;
        }
        let diagnostic = diagnostics.error(
            Code::Unsupported,
            span,
            format!("`{key}` is not supported in {}", map.what()),
        );
        if matches!(key, "$defs" | "definitions") {
            diagnostic
                .label("definitions have a place of their own")
                .help("move them to `types:`, beside `workflow:`, and refer to them by name");
        } else {
            diagnostic
                .label("dspipe would not enforce this")
                .help("say it in the `description`, or check the value in Rust");
        }
    }
    map.forget(&UNSUPPORTED);
}

const UNSUPPORTED: [&str; 24] = [
    "not",
    "if",
    "then",
    "else",
    "format",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "unevaluatedProperties",
    "dependentRequired",
    "dependentSchemas",
    "contentEncoding",
    "contentMediaType",
    "$anchor",
    "$dynamicRef",
    "$defs",
    "definitions",
];

impl Bounds {
    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.minimum.is_none()
            && self.maximum.is_none()
            && self.exclusive_minimum.is_none()
            && self.exclusive_maximum.is_none()
            && self.multiple_of.is_none()
            && self.min_length.is_none()
            && self.max_length.is_none()
            && self.min_items.is_none()
            && self.max_items.is_none()
            && self.unique_items.is_none()
            && self.pattern.is_none()
    }

    fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let mut number = |key| {
            let node = map.optional(key)?;
            yaml::number(node, format_args!("`{key}`"), diagnostics)
        };
        let (minimum, maximum) = (number("minimum"), number("maximum"));
        let exclusive_minimum = number("exclusiveMinimum");
        let exclusive_maximum = number("exclusiveMaximum");
        let multiple_of = number("multipleOf");
        let unique_items = map
            .optional("uniqueItems")
            .and_then(|node| yaml::boolean(node, "`uniqueItems`", diagnostics))
            .filter(|unique| unique.value);
        let what = map.what();
        let pattern = map
            .optional("pattern")
            .and_then(|node| yaml::text(node, format_args!("`pattern` of {what}"), diagnostics));
        let mut size = |key| {
            let node = map.optional(key)?;
            yaml::size(node, format_args!("`{key}`"), diagnostics)
        };
        Self {
            minimum,
            maximum,
            exclusive_minimum,
            exclusive_maximum,
            multiple_of,
            unique_items,
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
            exclusive_minimum: self.exclusive_minimum.or(outer.exclusive_minimum),
            exclusive_maximum: self.exclusive_maximum.or(outer.exclusive_maximum),
            multiple_of: self.multiple_of.or(outer.multiple_of),
            unique_items: self.unique_items.or(outer.unique_items),
            min_length: self.min_length.or(outer.min_length),
            max_length: self.max_length.or(outer.max_length),
            min_items: self.min_items.or(outer.min_items),
            max_items: self.max_items.or(outer.max_items),
            pattern: self.pattern.or(outer.pattern),
        }
    }
}
