//! From the JSON of a schema to types.

use std::collections::HashMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::super::fold::fold;
use super::merge::APART;
use super::{
    Check, Choice, Ignored, Keys, Limit, ListType, NumberType, ObjectType, Others, Property,
    Schema, SchemaError, Shape, TextType, Type, TypeId,
};

/// Deeper schemas than this are refused, so that building may recurse.
pub(super) const MAX_DEPTH: usize = 64;

/// Keywords that say nothing about what a value may be.
pub(super) const ANNOTATIONS: [&str; 25] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "components",
    "definitions",
    "$anchor",
    "$vocabulary",
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "discriminator",
    "externalDocs",
    "xml",
    "propertyOrdering",
    "markdownDescription",
    "enumDescriptions",
];

/// Keywords that a value cannot be held to here, though they say what it must be.
const REFUSED: [&str; 3] = ["$dynamicRef", "$recursiveRef", "unevaluatedItems"];

/// Keywords that are understood.
const KEYWORDS: [&str; 30] = [
    "$ref",
    "type",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "nullable",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
];

pub(super) fn build(root: &Value) -> Result<Schema, SchemaError> {
    let mut builder = Builder {
        document: root,
        types: Vec::new(),
        known: HashMap::new(),
        pointer: Vec::new(),
        ignored: Vec::new(),
    };
    let root = builder.at_pointer("")?;
    builder.flatten()?;
    let mut keys = Keys::default();
    for ty in &builder.types {
        match &ty.shape {
            Shape::Any => keys.open = true,
            Shape::Object(object) => {
                keys.open |= object.is_open();
                keys.names.extend(
                    object
                        .properties
                        .iter()
                        .map(|property| fold(&property.name)),
                );
            }
            _ => {}
        }
    }
    Ok(Schema {
        types: builder.types,
        root,
        keys,
        ignored: builder.ignored,
    })
}

pub(super) struct Builder<'s> {
    pub(super) document: &'s Value,
    types: Vec<Type>,
    /// Types that have a pointer, so that references may be circular.
    known: HashMap<String, TypeId>,
    pointer: Vec<String>,
    ignored: Vec<Ignored>,
}

impl Builder<'_> {
    pub(super) fn invalid(&self, reason: impl Into<String>) -> SchemaError {
        SchemaError::Invalid {
            pointer: self.shown(),
            reason: reason.into(),
        }
    }

    pub(super) fn unsupported(&self, keyword: &str) -> SchemaError {
        SchemaError::Unsupported {
            pointer: self.shown(),
            keyword: keyword.to_owned(),
        }
    }

    /// Notes a keyword that nothing is held to.
    fn ignore(&mut self, keyword: &str) {
        let ignored = Ignored {
            pointer: self.shown(),
            keyword: keyword.to_owned(),
        };
        if !self.ignored.contains(&ignored) {
            self.ignored.push(ignored);
        }
    }

    fn shown(&self) -> String {
        self.pointer.iter().fold(String::new(), |mut all, part| {
            all.push('/');
            all.push_str(&part.replace('~', "~0").replace('/', "~1"));
            all
        })
    }

    fn new_type(&mut self) -> TypeId {
        self.types.push(Type {
            shape: Shape::Any,
            nullable: false,
            default: None,
            title: None,
            checks: Vec::new(),
        });
        TypeId(self.types.len() - 1)
    }

    /// The type at a pointer into the document.
    fn at_pointer(&mut self, pointer: &str) -> Result<TypeId, SchemaError> {
        if let Some(id) = self.known.get(pointer) {
            return Ok(*id);
        }
        let Some(value) = self.document.pointer(pointer) else {
            return Err(self.invalid(format!("there is nothing at `#{pointer}`")));
        };
        let id = self.new_type();
        self.known.insert(pointer.to_owned(), id);
        let parts = pointer.split('/').skip(1);
        let parts = parts.map(|part| part.replace("~1", "/").replace("~0", "~"));
        let outer = std::mem::replace(&mut self.pointer, parts.collect());
        self.fill(id, value)?;
        self.pointer = outer;
        Ok(id)
    }

    /// A type of its own for a schema below the present one.
    pub(super) fn below(&mut self, parts: &[&str], value: &Value) -> Result<TypeId, SchemaError> {
        if self.pointer.len() + parts.len() > MAX_DEPTH {
            return Err(self.invalid("too many levels"));
        }
        let length = self.pointer.len();
        self.pointer
            .extend(parts.iter().map(|&part| part.to_owned()));
        let id = match plain_reference(value) {
            Some(reference) => {
                let pointer = self.resolve(reference)?;
                self.at_pointer(&pointer)?
            }
            None => {
                let id = self.new_type();
                self.fill(id, value)?;
                id
            }
        };
        self.pointer.truncate(length);
        Ok(id)
    }

    pub(super) fn resolve(&self, reference: &str) -> Result<String, SchemaError> {
        match reference.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(pointer.to_owned())
            }
            _ => Err(self.unsupported(&format!("$ref: {reference}"))),
        }
    }

    fn fill(&mut self, id: TypeId, value: &Value) -> Result<(), SchemaError> {
        let map = match value {
            Value::Bool(true) => return Ok(()),
            Value::Object(map) => map,
            Value::Bool(false) => {
                self.types[id.0].checks.push(Check::Never);
                self.types[id.0].nullable = true;
                return Ok(());
            }
            _ => return Err(self.invalid("a schema is an object")),
        };
        let map = self.merged(map, 0)?;
        let ty = self.read(&map)?;
        self.types[id.0] = ty;
        Ok(())
    }

    fn read(&mut self, map: &Map<String, Value>) -> Result<Type, SchemaError> {
        for key in map.keys() {
            if REFUSED.contains(&key.as_str()) {
                return Err(self.unsupported(key));
            }
            let is_known = KEYWORDS.contains(&key.as_str())
                || ANNOTATIONS.contains(&key.as_str()) && key != "format"
                || key == APART
                || key.starts_with("x-");
            if !is_known {
                self.ignore(key);
            }
        }
        let mut nullable = map.get("nullable") == Some(&Value::Bool(true));
        let shape = if let Some(choices) = self.choices(map)? {
            let (null, choices): (Vec<_>, Vec<_>) = choices
                .into_iter()
                .partition(|choice: &Choice| choice.value.is_null());
            nullable |= !null.is_empty();
            if choices.is_empty() {
                Shape::Null
            } else {
                Shape::Choice(choices)
            }
        } else if let Some((keyword, branches)) = union(map) {
            self.union(map, keyword, branches, &mut nullable)?
        } else {
            let mut names = self.kinds(map)?;
            if names.len() > 1 {
                names.retain(|name| {
                    nullable |= *name == "null";
                    *name != "null"
                });
            }
            match names[..] {
                [one] => self.shape(one, map)?,
                _ => {
                    let mut types = Vec::new();
                    for name in names {
                        let shape = self.shape(name, map)?;
                        let id = self.new_type();
                        self.types[id.0].shape = shape;
                        types.push(id);
                    }
                    Shape::Union(types)
                }
            }
        };
        let text = |key| map.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Type {
            nullable: nullable || matches!(shape, Shape::Null | Shape::Any),
            shape,
            default: map.get("default").cloned(),
            title: text("title"),
            checks: self.checks(map)?,
        })
    }

    /// The values of an `enum` or a `const`, or of branches that are nothing else.
    fn choices(&self, map: &Map<String, Value>) -> Result<Option<Vec<Choice>>, SchemaError> {
        let names = |map: &Map<String, Value>| -> Vec<String> {
            ["title", "description"]
                .iter()
                .filter_map(|key| Some(map.get(*key)?.as_str()?.to_owned()))
                .collect()
        };
        if let Some(value) = map.get("const") {
            return Ok(Some(vec![Choice {
                value: value.clone(),
                names: Vec::new(),
            }]));
        }
        match map.get("enum") {
            Some(Value::Array(values)) if !values.is_empty() => {
                let described = map.get("enumDescriptions").and_then(Value::as_array);
                let choices = values.iter().enumerate().map(|(index, value)| Choice {
                    value: value.clone(),
                    names: described
                        .and_then(|all| all.get(index)?.as_str())
                        .map(str::to_owned)
                        .into_iter()
                        .collect(),
                });
                return Ok(Some(choices.collect()));
            }
            Some(_) => return Err(self.invalid("`enum` is a list of at least one value")),
            None => {}
        }
        let Some((_, branches)) = union(map) else {
            return Ok(None);
        };
        let mut choices = Vec::new();
        for branch in branches {
            let Some(branch) = branch.as_object() else {
                return Ok(None);
            };
            match (branch.get("const"), branch.get("type")) {
                (Some(value), _) => choices.push(Choice {
                    value: value.clone(),
                    names: names(branch),
                }),
                (None, Some(Value::String(kind))) if kind == "null" => choices.push(Choice {
                    value: Value::Null,
                    names: Vec::new(),
                }),
                _ => return Ok(None),
            }
        }
        let any = choices.iter().any(|choice| !choice.value.is_null());
        Ok(any.then_some(choices))
    }

    fn union(
        &mut self,
        map: &Map<String, Value>,
        keyword: &str,
        branches: &[Value],
        nullable: &mut bool,
    ) -> Result<Shape, SchemaError> {
        let mut base = map.clone();
        base.retain(|key, _| {
            key != keyword && key != "nullable" && !ANNOTATIONS.contains(&key.as_str())
        });
        let mut types = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let place = index.to_string();
            let id = if base.is_empty() {
                self.below(&[keyword, &place], branch)?
            } else {
                let both = serde_json::json!({ "allOf": [base, branch] });
                self.below(&[keyword, &place], &both)?
            };
            types.push(id);
        }
        let is_null = |id: &TypeId| matches!(self.types[id.0].shape, Shape::Null);
        let count = types.len();
        types.retain(|id| !is_null(id));
        *nullable |= types.len() < count;
        Ok(if types.is_empty() {
            Shape::Null
        } else {
            Shape::Union(types)
        })
    }

    /// The names of the kinds that a value may be of.
    fn kinds<'m>(&self, map: &'m Map<String, Value>) -> Result<Vec<&'m str>, SchemaError> {
        const ALL: [&str; 8] = [
            "string", "integer", "number", "boolean", "array", "object", "null", "any",
        ];
        let names = match map.get("type") {
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(self.invalid("`type` is a name or a list of names")),
            None => {
                let has = |keys: &[&str]| keys.iter().any(|key| map.contains_key(*key));
                vec![if has(&[
                    "properties",
                    "additionalProperties",
                    "unevaluatedProperties",
                    "propertyNames",
                    "required",
                    "minProperties",
                ]) {
                    "object"
                } else if has(&[
                    "items",
                    "prefixItems",
                    "minItems",
                    "maxItems",
                    "uniqueItems",
                ]) {
                    "array"
                } else if has(&["minLength", "maxLength", "pattern"]) {
                    "string"
                } else if has(&[
                    "minimum",
                    "maximum",
                    "exclusiveMinimum",
                    "exclusiveMaximum",
                    "multipleOf",
                ]) {
                    "number"
                } else {
                    "any"
                }]
            }
        };
        // Gemini writes them in capitals.
        let names: Vec<&str> = names
            .into_iter()
            .map(|name| {
                ALL.into_iter()
                    .find(|known| known.eq_ignore_ascii_case(name))
                    .ok_or_else(|| self.invalid(format!("there is no type `{name}`")))
            })
            .collect::<Result<_, _>>()?;
        if names.is_empty() {
            Err(self.invalid("`type` is empty"))
        } else {
            Ok(names)
        }
    }

    fn shape(&mut self, kind: &str, map: &Map<String, Value>) -> Result<Shape, SchemaError> {
        Ok(match kind {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "integer" => Shape::Number(self.number(map, true)?),
            "number" => Shape::Number(self.number(map, false)?),
            "string" => Shape::Text(TextType {
                min: self.size(map, "minLength")?,
                max: self.size(map, "maxLength")?,
                pattern: self.pattern(map)?,
            }),
            "array" => Shape::List(self.list(map)?),
            "object" => Shape::Object(self.object(map)?),
            _ => Shape::Any,
        })
    }

    fn pattern(&self, map: &Map<String, Value>) -> Result<Option<Regex>, SchemaError> {
        let Some(pattern) = map.get("pattern") else {
            return Ok(None);
        };
        let Some(pattern) = pattern.as_str() else {
            return Err(self.invalid("`pattern` is a text"));
        };
        match Regex::new(pattern) {
            Ok(regex) => Ok(Some(regex)),
            Err(error) => Err(self.invalid(format!("`pattern`: {error}"))),
        }
    }

    fn number(&self, map: &Map<String, Value>, integer: bool) -> Result<NumberType, SchemaError> {
        let limit = |key: &str, exclusive: &str| -> Result<Option<Limit>, SchemaError> {
            let plain = self.float(map, key)?;
            let plain = plain.map(|value| Limit {
                value,
                // Draft 4 has a flag.
                exclusive: map.get(exclusive) == Some(&Value::Bool(true)),
            });
            match map.get(exclusive) {
                None | Some(Value::Bool(_)) => Ok(plain),
                Some(_) => {
                    let value = self.float(map, exclusive)?;
                    let strict = value.map(|value| Limit {
                        value,
                        exclusive: true,
                    });
                    Ok(match (plain, strict) {
                        (Some(plain), Some(strict)) => {
                            let plain_is_tighter = match key {
                                "minimum" => plain.value > strict.value,
                                _ => plain.value < strict.value,
                            };
                            Some(if plain_is_tighter { plain } else { strict })
                        }
                        (plain, strict) => strict.or(plain),
                    })
                }
            }
        };
        let multiple_of = self.float(map, "multipleOf")?;
        if multiple_of.is_some_and(|step| step <= 0.0) {
            return Err(self.invalid("`multipleOf` is above 0"));
        }
        Ok(NumberType {
            integer,
            minimum: limit("minimum", "exclusiveMinimum")?,
            maximum: limit("maximum", "exclusiveMaximum")?,
            multiple_of,
        })
    }

    fn float(&self, map: &Map<String, Value>, key: &str) -> Result<Option<f64>, SchemaError> {
        match map.get(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(value) => Ok(Some(value)),
                None => Err(self.invalid(format!("`{key}` is a number"))),
            },
        }
    }

    pub(super) fn size(
        &self,
        map: &Map<String, Value>,
        key: &str,
    ) -> Result<Option<u32>, SchemaError> {
        let Some(value) = self.float(map, key)? else {
            return Ok(None);
        };
        if value < 0.0 || value.fract() != 0.0 {
            return Err(self.invalid(format!("`{key}` is a whole number, at least 0")));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and positive; beyond the range the end of it"
        )]
        Ok(Some(value as u32))
    }

    fn list(&mut self, map: &Map<String, Value>) -> Result<ListType, SchemaError> {
        let (first, first_key, items_key) = match (map.get("prefixItems"), map.get("items")) {
            (Some(Value::Array(first)), _) => (&first[..], "prefixItems", "items"),
            (Some(_), _) => return Err(self.invalid("`prefixItems` is a list")),
            // Until draft 2019.
            (None, Some(Value::Array(first))) => (&first[..], "items", "additionalItems"),
            (None, _) => (&[][..], "", "items"),
        };
        let mut types = Vec::new();
        for (index, item) in first.iter().enumerate() {
            types.push(self.below(&[first_key, &index.to_string()], item)?);
        }
        let items = match map.get(items_key) {
            Some(Value::Bool(false)) => None,
            Some(items) => Some(self.below(&[items_key], items)?),
            None => Some(self.new_type()),
        };
        if let Some(any) = items.filter(|_| !map.contains_key(items_key)) {
            self.types[any.0].nullable = true;
        }
        Ok(ListType {
            first: types,
            items,
            min: self.size(map, "minItems")?,
            max: self.size(map, "maxItems")?,
            unique: map.get("uniqueItems") == Some(&Value::Bool(true)),
        })
    }

    fn object(&mut self, map: &Map<String, Value>) -> Result<ObjectType, SchemaError> {
        let required: Vec<&str> = match map.get("required") {
            None | Some(Value::Bool(_)) => Vec::new(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(self.invalid("`required` is a list of names")),
        };
        let mut properties = Vec::new();
        match map.get("properties") {
            None => {}
            Some(Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    properties.push(Property {
                        name: name.clone(),
                        ty: self.below(&["properties", name], schema)?,
                        required: required.contains(&name.as_str()),
                    });
                }
            }
            Some(_) => return Err(self.invalid("`properties` is an object")),
        }
        for name in required {
            if !properties.iter().any(|property| property.name == name) {
                let ty = self.new_type();
                self.types[ty.0].nullable = true;
                properties.push(Property {
                    name: name.to_owned(),
                    ty,
                    required: true,
                });
            }
        }
        let names = match map.get("propertyNames") {
            None | Some(Value::Bool(true)) => None,
            Some(names) => Some(self.below(&["propertyNames"], names)?),
        };
        // What is evaluated elsewhere, by `allOf` and its like, was taken in before.
        let others = map
            .get("additionalProperties")
            .or_else(|| map.get("unevaluatedProperties"));
        let mut patterns = Vec::new();
        match map.get("patternProperties") {
            None => {}
            Some(Value::Object(schemas)) => {
                for (pattern, schema) in schemas {
                    let ty = self.below(&["patternProperties", pattern], schema)?;
                    match Regex::new(pattern) {
                        Ok(regex) => patterns.push((regex, ty)),
                        Err(error) => {
                            return Err(self.invalid(format!("`patternProperties`: {error}")));
                        }
                    }
                }
            }
            Some(_) => return Err(self.invalid("`patternProperties` is an object")),
        }
        let others = match others {
            None if properties.is_empty() => Others::Of(self.any()),
            None => Others::Unsaid,
            Some(Value::Bool(false)) => Others::Forbidden,
            Some(Value::Bool(true)) => Others::Of(self.any()),
            Some(schema) => Others::Of(self.below(&["additionalProperties"], schema)?),
        };
        let index = properties.iter().enumerate();
        let index = index.map(|(at, property)| (property.name.clone(), at));
        Ok(ObjectType {
            index: index.collect(),
            properties,
            patterns,
            others,
            names,
            min: self.size(map, "minProperties")?,
            max: self.size(map, "maxProperties")?,
        })
    }

    fn any(&mut self) -> TypeId {
        let id = self.new_type();
        self.types[id.0].nullable = true;
        id
    }

    /// Puts the branches of unions in unions into the outer ones; a union of itself alone is refused.
    fn flatten(&mut self) -> Result<(), SchemaError> {
        for index in 0..self.types.len() {
            let Shape::Union(types) = &self.types[index].shape else {
                continue;
            };
            let mut nullable = self.types[index].nullable;
            let mut flat = Vec::new();
            let mut seen = vec![TypeId(index)];
            let mut open: Vec<TypeId> = types.iter().rev().copied().collect();
            while let Some(id) = open.pop() {
                if seen.contains(&id) {
                    continue;
                }
                seen.push(id);
                let ty = &self.types[id.0];
                match &ty.shape {
                    Shape::Union(types) => {
                        nullable |= ty.nullable;
                        open.extend(types.iter().rev());
                    }
                    _ => flat.push(id),
                }
            }
            if flat.is_empty() {
                return Err(self.invalid("a type consists of itself alone"));
            }
            self.types[index].shape = Shape::Union(flat);
            self.types[index].nullable = nullable;
        }
        Ok(())
    }
}

/// The branches of a schema, and the keyword that has them.
fn union(map: &Map<String, Value>) -> Option<(&'static str, &[Value])> {
    ["anyOf", "oneOf"].into_iter().find_map(|keyword| {
        let branches = map.get(keyword)?.as_array()?;
        (!branches.is_empty()).then_some((keyword, &branches[..]))
    })
}

/// The reference of a schema that says nothing else of a value.
fn plain_reference(value: &Value) -> Option<&str> {
    let map = value.as_object()?;
    let plain = map
        .keys()
        .all(|key| key == "$ref" || key == "title" || key == "description" || key == "$comment");
    if plain {
        map.get("$ref")?.as_str()
    } else {
        None
    }
}
