//! JSON Schemas that metrics hold outputs against.
//!
//! They may say more than the types of workflows can, and nothing is compiled from them: what is checked is that each
//! keyword has a value of its kind, all the way down. Keywords that are not known are left to the validator.

use super::Checker;
use crate::source::Span;
use crate::yaml::{self, Kind, Node};

/// What a keyword has.
enum Takes {
    Schema,
    Schemas,
    /// Schemas by name.
    Named,
    Size,
    Number,
    Flag,
    Names,
    Text,
    List,
}

const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

fn takes(keyword: &str) -> Option<Takes> {
    Some(match keyword {
        "items"
        | "additionalProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Takes::Schema,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Takes::Schemas,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            Takes::Named
        }
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
        | "minContains" | "maxContains" => Takes::Size,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            Takes::Number
        }
        "uniqueItems" => Takes::Flag,
        "required" => Takes::Names,
        // Patterns are those of JavaScript, which know more than ours.
        "pattern" | "$ref" => Takes::Text,
        "enum" => Takes::List,
        _ => return None,
    })
}

impl Checker<'_> {
    /// The schema of a metric: a mapping.
    pub(super) fn schema(&mut self, options: Option<&Node>, span: Span) {
        match options {
            Some(node) if matches!(node.kind, Kind::Map(_)) => self.schema_in(node),
            _ => self.setting(
                options.map_or(span, |node| node.span),
                "`schema` takes a JSON Schema",
                "expected a mapping, as in `{type: string}`",
            ),
        }
    }

    fn schema_in(&mut self, node: &Node) {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "false") => {
                return;
            }
            _ => {
                yaml::wrong_kind(node, "a JSON Schema", "a mapping", self.diagnostics);
                return;
            }
        };
        for (key, value) in entries {
            let keyword = key.text.as_str();
            if keyword == "type" {
                self.type_of_schema(value);
                continue;
            }
            let what = format!("`{keyword}` of a JSON Schema");
            match takes(keyword) {
                None => {}
                // Older drafts have a list here.
                Some(Takes::Schema) => match &value.kind {
                    Kind::List(items) if keyword == "items" => self.schemas(items),
                    _ => self.schema_in(value),
                },
                Some(Takes::Schemas) => {
                    let items = yaml::list(value, what, self.diagnostics).unwrap_or_default();
                    self.schemas(items);
                }
                Some(Takes::Named) => match &value.kind {
                    Kind::Map(named) => named.iter().for_each(|(_, it)| self.schema_in(it)),
                    _ => _ = yaml::wrong_kind(value, what, "a mapping", self.diagnostics),
                },
                Some(Takes::Size) => _ = yaml::size(value, what, self.diagnostics),
                Some(Takes::Number) => _ = yaml::number(value, what, self.diagnostics),
                Some(Takes::Flag) => _ = yaml::boolean(value, what, self.diagnostics),
                Some(Takes::Names) => {
                    for item in yaml::list(value, what, self.diagnostics).unwrap_or_default() {
                        yaml::text(item, "the name of a property", self.diagnostics);
                    }
                }
                Some(Takes::Text) => _ = yaml::text(value, what, self.diagnostics),
                Some(Takes::List) => _ = yaml::list(value, what, self.diagnostics),
            }
        }
    }

    fn schemas(&mut self, items: &[Node]) {
        for item in items {
            self.schema_in(item);
        }
    }

    fn type_of_schema(&mut self, node: &Node) {
        let names = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for name in names {
            // `null` is a name here, however it is written; JSON has it in quotes.
            let text = match &name.kind {
                Kind::Scalar { text, .. } => text.as_str(),
                _ => "",
            };
            if !TYPES.contains(&text) || name.is_null() {
                let problem = yaml::wrong_kind(name, "a type", "one of JSON's", self.diagnostics);
                if name.is_null() {
                    problem.help("write `'null'`, with quotes");
                } else {
                    problem.meant(name.span, text, TYPES);
                }
            }
        }
    }
}
