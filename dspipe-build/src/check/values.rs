//! Values in the workflow file and in data files against types.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::limits;
use crate::diag::{Code, Diagnostics, list, nearest};
use crate::ir::{Bounds, Field, Type, TypeDef, TypeDefKind, TypeKind};
use crate::source::Span;
use crate::yaml::{Kind, Node, boolean, integer, number, text};

/// Reads values; what does not fit is reported with one code.
pub(super) struct Values<'a> {
    pub(super) types: &'a [TypeDef],
    pub(super) code: Code,
    /// Fields may be missing, at any depth: nothing is known of them.
    pub(super) partial: bool,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl Values<'_> {
    /// A mapping with these fields, and no others, in the order of the signature.
    pub(super) fn object(
        &mut self,
        node: &Node,
        fields: &[Field],
        what: &str,
    ) -> Option<Map<String, Value>> {
        let Kind::Map(entries) = &node.kind else {
            return self.mismatch(node, what, "a mapping");
        };
        let mut complete = true;
        for (key, _) in entries {
            if !fields.iter().any(|field| field.name.text == key.text) {
                complete = false;
                let known: Vec<&str> = fields.iter().map(|f| f.name.text.as_str()).collect();
                self.diagnostics
                    .error(
                        self.code,
                        key.span,
                        format!("{what} has no field `{}`", key.text),
                    )
                    .label("unknown field")
                    .meant(key.span, &key.text, known);
            }
        }
        let mut values = Map::new();
        for field in fields {
            let name = &field.name.text;
            match entries.iter().find(|(key, _)| key.text == *name) {
                Some((_, value)) => match self.value(value, &field.ty, name) {
                    Some(value) => {
                        values.insert(name.clone(), value);
                    }
                    None => complete = false,
                },
                None if self.partial => {}
                None if field.default.is_some() => {
                    values.extend(field.default.clone().map(|value| (name.clone(), value)));
                }
                None if matches!(field.ty.kind, TypeKind::Optional(_)) => {}
                None => {
                    complete = false;
                    self.diagnostics
                        .error(
                            self.code,
                            first_line(node.span),
                            format!("{what} lacks `{name}`"),
                        )
                        .label(format!("`{name}` is missing here"));
                }
            }
        }
        complete.then_some(values)
    }

    /// One value as JSON, read by its type: `1.0` is a fine string.
    pub(super) fn value(&mut self, node: &Node, ty: &Type, path: &str) -> Option<Value> {
        let what = format_args!("`{path}`");
        let value = match &ty.kind {
            TypeKind::Optional(_) if node.is_null() => return Some(Value::Null),
            TypeKind::Optional(inner) => return self.value(node, inner, path),
            TypeKind::String => Value::String(text(node, what, self.diagnostics)?.value),
            TypeKind::Integer => Value::from(integer(node, what, self.diagnostics)?.value),
            TypeKind::Number => Value::from(number(node, what, self.diagnostics)?.value),
            TypeKind::Boolean => Value::from(boolean(node, what, self.diagnostics)?.value),
            TypeKind::Any | TypeKind::Broken => node.to_json(),
            TypeKind::Media(kind) => {
                self.diagnostics
                    .error(
                        self.code,
                        node.span,
                        format!("{what} is {}, which cannot be written here", kind.words()),
                    )
                    .label("examples and defaults are text and numbers")
                    .help("a step that is shown images or documents has no examples");
                return None;
            }
            TypeKind::Object => match &node.kind {
                Kind::Map(_) => node.to_json(),
                _ => return self.mismatch(node, &what.to_string(), "a mapping"),
            },
            TypeKind::List(item) => self.list(node, item, path)?,
            TypeKind::Map(value) => self.map(node, value, path)?,
            TypeKind::Struct(reference) => match &self.types[reference.0].kind {
                TypeDefKind::Struct(fields) => {
                    Value::Object(self.object(node, fields, &what.to_string())?)
                }
                _ => return None,
            },
            TypeKind::Enum(reference) => self.choice(node, reference.0, path)?,
            TypeKind::Union(reference) => self.alternative(node, reference.0, path)?,
        };
        self.within(&value, ty.bounds(), node.span, path)
            .then_some(value)
    }

    fn list(&mut self, node: &Node, item: &Type, path: &str) -> Option<Value> {
        let Kind::List(items) = &node.kind else {
            return self.mismatch(node, &format!("`{path}`"), "a list");
        };
        // All of them, so that every bad item is reported.
        let values: Vec<Option<Value>> = items
            .iter()
            .enumerate()
            .map(|(index, node)| self.value(node, item, &format!("{path}[{index}]")))
            .collect();
        values
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(Value::Array)
    }

    fn map(&mut self, node: &Node, value: &Type, path: &str) -> Option<Value> {
        let Kind::Map(entries) = &node.kind else {
            return self.mismatch(node, &format!("`{path}`"), "a mapping");
        };
        let values: Vec<Option<(String, Value)>> = entries
            .iter()
            .map(|(key, node)| {
                let read = self.value(node, value, &format!("{path}.{}", key.text))?;
                Some((key.text.clone(), read))
            })
            .collect();
        values
            .into_iter()
            .collect::<Option<Map<_, _>>>()
            .map(Value::Object)
    }

    fn choice(&mut self, node: &Node, type_index: usize, path: &str) -> Option<Value> {
        let written = text(node, format_args!("`{path}`"), self.diagnostics)?;
        let TypeDefKind::Enum(values) = &self.types[type_index].kind else {
            return None;
        };
        let known: Vec<&str> = values
            .iter()
            .map(|value| value.name.text.as_str())
            .collect();
        if known.contains(&written.value.as_str()) {
            return Some(Value::String(written.value));
        }
        let diagnostic = self.diagnostics.error(
            self.code,
            node.span,
            format!("`{written}` is not a value of `{path}`"),
        );
        diagnostic.label(format!("expected one of {}", list(&known)));
        if let Some(near) = nearest(&written.value, known) {
            diagnostic.help(format!("did you mean `{near}`?"));
        }
        None
    }

    /// The first alternative that the value fits; if there is none, what was wrong with the closest.
    fn alternative(&mut self, node: &Node, type_index: usize, path: &str) -> Option<Value> {
        let types = self.types;
        let TypeDefKind::Union(all) = &types[type_index].kind else {
            return None;
        };
        let mut closest: Option<Diagnostics> = None;
        for one in all {
            let mut found = Diagnostics::default();
            let mut reader = Values {
                types,
                code: self.code,
                partial: self.partial,
                diagnostics: &mut found,
            };
            if let Some(value) = reader.value(node, &one.ty, path) {
                return Some(value);
            }
            // A value of another kind altogether says little about what was meant.
            let fits_kind = fits_kind(node, &one.ty);
            if fits_kind
                && closest
                    .as_ref()
                    .is_none_or(|known| found.len() < known.len())
            {
                closest = Some(found);
            }
        }
        match closest {
            Some(found) => self.diagnostics.append(found),
            None => {
                let names: Vec<&str> = all.iter().map(|one| one.ident.as_str()).collect();
                self.diagnostics
                    .error(
                        self.code,
                        node.span,
                        format!("`{path}` fits none of its alternatives"),
                    )
                    .label(format!("expected one of {}", list(&names)));
            }
        }
        None
    }

    fn within(&mut self, value: &Value, bounds: &Bounds, span: Span, path: &str) -> bool {
        let length = value.as_str().map(|text| text.chars().count());
        let items = value.as_array().map(Vec::len);
        let below = |size: Option<usize>, min: Option<u32>| matches!((size, min), (Some(size), Some(min)) if size < min as usize);
        let above = |size: Option<usize>, max: Option<u32>| matches!((size, max), (Some(size), Some(max)) if size > max as usize);
        let number = value.as_f64().and_then(|number| {
            let known = bounds.numbers.is_empty() || bounds.numbers.contains(&number);
            if known {
                limits::outside(bounds, number)
            } else {
                let all: Vec<String> = bounds.numbers.iter().map(ToString::to_string).collect();
                Some(format!("one of {}", all.join(", ")))
            }
        });
        let repeated = value
            .as_array()
            .filter(|_| bounds.unique_items)
            .and_then(|items| {
                let mut seen = HashSet::new();
                items.iter().find(|item| !seen.insert(item.to_string()))
            });
        let problem = if let Some(problem) = number {
            problem
        } else if let (Some(found), Some(wanted)) = (value.as_bool(), bounds.boolean)
            && found != wanted
        {
            format!("`{wanted}`")
        } else if let Some(repeated) = repeated {
            format!("different items; {repeated} is there twice")
        } else if below(length, bounds.min_length) {
            format!("at least {} characters", bounds.min_length.unwrap_or(0))
        } else if above(length, bounds.max_length) {
            format!("at most {} characters", bounds.max_length.unwrap_or(0))
        } else if below(items, bounds.min_items) {
            format!("at least {} items", bounds.min_items.unwrap_or(0))
        } else if above(items, bounds.max_items) {
            format!("at most {} items", bounds.max_items.unwrap_or(0))
        } else if let (Some(pattern), Some(text)) = (&bounds.pattern, value.as_str())
            && regex_lite::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
        {
            format!("a text that matches `{pattern}`")
        } else {
            return true;
        };
        self.diagnostics
            .error(
                self.code,
                span,
                format!("`{path}` is outside of its limits"),
            )
            .label(format!("expected {problem}"));
        false
    }

    fn mismatch<T>(&mut self, node: &Node, what: &str, wanted: &str) -> Option<T> {
        self.diagnostics
            .error(
                self.code,
                node.span,
                format!("{what} must be {wanted}, not {}", node.describe()),
            )
            .label(format!("expected {wanted}"));
        None
    }
}

fn fits_kind(node: &Node, ty: &Type) -> bool {
    matches!(
        (&node.kind, &ty.kind),
        (
            Kind::Map(_),
            TypeKind::Struct(_) | TypeKind::Map(_) | TypeKind::Object
        ) | (Kind::List(_), TypeKind::List(_))
            | (Kind::Scalar { .. }, TypeKind::Enum(_))
    )
}

fn first_line(span: Span) -> Span {
    Span {
        end: span.start + 1,
        ..span
    }
}
