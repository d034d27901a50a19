//! JSON Schema of a reply, and types as people read them.

use serde_json::{Map, Value, json};

use crate::ir::{Bounds, Field, Home, Type, TypeDef, TypeDefKind, TypeKind, TypeRef, Workflow};

/// The schema of the object that holds these fields, on one line.
pub(super) fn of_fields(workflow: &Workflow, fields: &[Field]) -> String {
    let mut writer = Writer {
        workflow,
        definitions: Map::new(),
        open: Vec::new(),
    };
    let mut schema = writer.object(fields);
    if let (Value::Object(schema), false) = (&mut schema, writer.definitions.is_empty()) {
        schema.insert("$defs".to_owned(), Value::Object(writer.definitions));
    }
    schema.to_string()
}

/// Types are written where they are used, but for those that contain themselves.
struct Writer<'a> {
    workflow: &'a Workflow,
    definitions: Map<String, Value>,
    /// Recursive types that are being defined.
    open: Vec<TypeRef>,
}

impl Writer<'_> {
    fn object(&mut self, fields: &[Field]) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in fields {
            let mut schema = self.of_type(&field.ty);
            if let Value::Object(schema) = &mut schema {
                describe_in(schema, &field.description);
                if let Some(default) = &field.default {
                    schema.insert("default".to_owned(), default.clone());
                }
            }
            properties.insert(field.name.text.clone(), schema);
            if field.default.is_none() && !matches!(field.ty.kind, TypeKind::Optional(_)) {
                required.push(json!(field.name.text));
            }
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    fn of_type(&mut self, ty: &Type) -> Value {
        let mut schema = match &ty.kind {
            TypeKind::String => json!({"type": "string"}),
            TypeKind::Integer => json!({"type": "integer"}),
            TypeKind::Number => json!({"type": "number"}),
            TypeKind::Boolean => json!({"type": "boolean"}),
            TypeKind::Any | TypeKind::Broken => json!({}),
            TypeKind::Object => json!({"type": "object"}),
            TypeKind::List(item) => json!({"type": "array", "items": self.of_type(item)}),
            TypeKind::Map(value) => {
                json!({"type": "object", "additionalProperties": self.of_type(value)})
            }
            TypeKind::Optional(inner) => {
                json!({"anyOf": [self.of_type(inner), {"type": "null"}]})
            }
            TypeKind::Struct(reference)
            | TypeKind::Enum(reference)
            | TypeKind::Union(reference) => self.named(*reference),
        };
        if let Value::Object(schema) = &mut schema {
            limit(schema, ty.bounds());
        }
        schema
    }

    fn named(&mut self, reference: TypeRef) -> Value {
        let def = self.workflow.type_def(reference);
        if !def.recursive {
            return self.definition(def);
        }
        let name = def.ident.trim_start_matches("r#");
        if !self.definitions.contains_key(name) && !self.open.contains(&reference) {
            self.open.push(reference);
            let definition = self.definition(def);
            self.open.pop();
            self.definitions.insert(name.to_owned(), definition);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn definition(&mut self, def: &TypeDef) -> Value {
        let mut schema = match &def.kind {
            TypeDefKind::Struct(fields) => self.object(fields),
            TypeDefKind::Enum(values) => {
                let texts: Vec<&str> = values.iter().map(|v| v.name.text.as_str()).collect();
                let mut schema = Map::new();
                schema.insert("type".to_owned(), json!("string"));
                schema.insert("enum".to_owned(), json!(texts));
                let meanings: Vec<String> = values
                    .iter()
                    .filter(|value| !value.description.is_empty())
                    .map(|value| format!("{}: {}", value.name.text, value.description))
                    .collect();
                describe_in(&mut schema, &meanings.join("; "));
                return Value::Object(schema);
            }
            TypeDefKind::Union(all) => {
                let all: Vec<Value> = all
                    .iter()
                    .map(|one| {
                        let mut schema = self.of_type(&one.ty);
                        if let Value::Object(schema) = &mut schema {
                            describe_in(schema, &one.description);
                        }
                        schema
                    })
                    .collect();
                json!({"anyOf": all})
            }
        };
        if let Value::Object(schema) = &mut schema
            && def.home == Home::Workflow
        {
            describe_in(schema, &def.description);
        }
        schema
    }
}

/// Adds a description, in front of one that is there.
fn describe_in(schema: &mut Map<String, Value>, description: &str) {
    if description.is_empty() {
        return;
    }
    let text = match schema.get("description").and_then(Value::as_str) {
        Some(more) if more != description => format!("{description}. {more}"),
        _ => description.to_owned(),
    };
    schema.insert("description".to_owned(), json!(text));
}

fn limit(schema: &mut Map<String, Value>, bounds: &Bounds) {
    let mut limit = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(key.to_owned(), value);
        }
    };
    let numbers = bounds.numbers.iter().copied().map(number).collect();
    limit(
        "enum",
        (!bounds.numbers.is_empty()).then_some(Value::Array(numbers)),
    );
    limit("const", bounds.boolean.map(Value::from));
    limit("minimum", bounds.minimum.map(number));
    limit("maximum", bounds.maximum.map(number));
    limit("exclusiveMinimum", bounds.exclusive_minimum.map(number));
    limit("exclusiveMaximum", bounds.exclusive_maximum.map(number));
    limit("multipleOf", bounds.multiple_of.map(number));
    limit("minLength", bounds.min_length.map(Value::from));
    limit("maxLength", bounds.max_length.map(Value::from));
    limit("minItems", bounds.min_items.map(Value::from));
    limit("maxItems", bounds.max_items.map(Value::from));
    limit("uniqueItems", bounds.unique_items.then_some(true.into()));
    limit("pattern", bounds.pattern.clone().map(Value::from));
}

/// `5` rather than `5.0`: some servers take only whole numbers for integers.
fn number(limit: f64) -> Value {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if limit.fract() == 0.0 && limit.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
        return json!(limit as i64);
    }
    json!(limit)
}

/// A type in words, for prompts: `list of string`, `"low" | "high"`.
pub(super) fn describe(workflow: &Workflow, ty: &Type) -> String {
    Words {
        workflow,
        open: Vec::new(),
    }
    .ty(ty)
}

struct Words<'a> {
    workflow: &'a Workflow,
    /// Recursive types around the one that is being described.
    open: Vec<TypeRef>,
}

impl Words<'_> {
    fn ty(&mut self, ty: &Type) -> String {
        match &ty.kind {
            TypeKind::String => "string".to_owned(),
            TypeKind::Integer | TypeKind::Number if !ty.bounds().numbers.is_empty() => {
                numbers(ty.bounds())
            }
            TypeKind::Integer => "integer".to_owned(),
            TypeKind::Number => "number".to_owned(),
            TypeKind::Boolean => match ty.bounds().boolean {
                Some(value) => value.to_string(),
                None => "boolean".to_owned(),
            },
            TypeKind::Any | TypeKind::Broken => "any JSON value".to_owned(),
            TypeKind::Object => "object".to_owned(),
            TypeKind::List(item) if item.kind == TypeKind::Any => "list".to_owned(),
            TypeKind::List(item) => format!("list of {}", self.part(item)),
            TypeKind::Map(value) => format!("map of names to {}", self.part(value)),
            TypeKind::Optional(inner) => format!("{} or null", self.part(inner)),
            TypeKind::Struct(reference)
            | TypeKind::Enum(reference)
            | TypeKind::Union(reference) => self.named(*reference),
        }
    }

    fn named(&mut self, reference: TypeRef) -> String {
        let def = self.workflow.type_def(reference);
        let name = def.ident.trim_start_matches("r#");
        if self.open.contains(&reference) {
            return name.to_owned();
        }
        if def.recursive {
            self.open.push(reference);
        }
        let text = match &def.kind {
            TypeDefKind::Struct(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|field| format!("\"{}\": {}", field.name.text, self.ty(&field.ty)))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
            TypeDefKind::Enum(values) => {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| match value.description.as_str() {
                        "" => format!("{:?}", value.name.text),
                        meaning => format!("{:?} ({meaning})", value.name.text),
                    })
                    .collect();
                values.join(" | ")
            }
            TypeDefKind::Union(all) => {
                let all: Vec<String> = all.iter().map(|one| self.part(&one.ty)).collect();
                all.join(" or ")
            }
        };
        if def.recursive {
            self.open.pop();
            // Named, so that what is inside of it can say so.
            return format!("{name} = {text}");
        }
        text
    }

    /// A type inside another: in parentheses, if it could be taken apart wrongly.
    fn part(&mut self, ty: &Type) -> String {
        let text = self.ty(ty);
        let alternatives = matches!(ty.kind, TypeKind::Union(_));
        if text.contains(' ') && (alternatives || !text.starts_with('{')) {
            format!("({text})")
        } else {
            text
        }
    }
}

fn numbers(bounds: &Bounds) -> String {
    let all: Vec<String> = bounds.numbers.iter().map(ToString::to_string).collect();
    all.join(" | ")
}
