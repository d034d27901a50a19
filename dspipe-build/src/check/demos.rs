//! Examples against their signature, and which of them the prompt shows.

use serde_json::{Map, Value};

use super::types::StepTypes;
use crate::diag::{Code, Diagnostics, list, nearest};
use crate::ir::{Bounds, Demo, Field, Type, TypeDef, TypeDefKind, TypeKind};
use crate::source::Span;
use crate::spec::{self, DspyConfig};
use crate::yaml::{Kind, Node, boolean, integer, number, text};

/// Checks every example of a step; the first `few_shot_examples` become demos.
///
/// Examples are training data first: without that setting the prompt shows none,
/// until an optimizer picks some.
pub(super) fn check(
    step: &spec::Step,
    config: &DspyConfig,
    types: &StepTypes,
    diagnostics: &mut Diagnostics,
) -> Vec<Demo> {
    let shown = config
        .few_shot_examples
        .as_ref()
        .map_or(0, |count| count.value as usize);
    let mut demos = Vec::new();
    for spec::Example { input, output } in &step.examples {
        if let Some(demo) = example(input, output, types, diagnostics)
            && demos.len() < shown
        {
            demos.push(demo);
        }
    }
    demos
}

/// Checks one example against the signature of its step.
pub(super) fn example(
    input: &Node,
    output: &Node,
    types: &StepTypes,
    diagnostics: &mut Diagnostics,
) -> Option<Demo> {
    // Against the types as declared: what a template gives may have a type of another step.
    let input = values(
        input,
        &types.inputs,
        types,
        "the example's input",
        diagnostics,
    );
    let output = values(
        output,
        &types.outputs,
        types,
        "the example's output",
        diagnostics,
    );
    Some(Demo {
        inputs: input?.into_iter().collect(),
        output: Value::Object(output?),
    })
}

/// Checks a mapping against fields of a step.
pub(super) fn values(
    node: &Node,
    fields: &[Field],
    types: &StepTypes,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Map<String, Value>> {
    let mut reader = Values {
        types: &types.types,
        diagnostics,
    };
    reader.object(node, fields, what)
}

struct Values<'a> {
    types: &'a [TypeDef],
    diagnostics: &'a mut Diagnostics,
}

impl Values<'_> {
    /// A mapping with these fields, and no others, in the order of the signature.
    fn object(&mut self, node: &Node, fields: &[Field], what: &str) -> Option<Map<String, Value>> {
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
                        Code::InvalidExample,
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
                None if matches!(field.ty.kind, TypeKind::Optional(_)) => {}
                None => {
                    complete = false;
                    self.diagnostics
                        .error(
                            Code::InvalidExample,
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
    fn value(&mut self, node: &Node, ty: &Type, path: &str) -> Option<Value> {
        let what = format_args!("`{path}`");
        let value = match &ty.kind {
            TypeKind::Optional(_) if node.is_null() => return Some(Value::Null),
            TypeKind::Optional(inner) => return self.value(node, inner, path),
            TypeKind::String => Value::String(text(node, what, self.diagnostics)?.value),
            TypeKind::Integer => Value::from(integer(node, what, self.diagnostics)?.value),
            TypeKind::Number => Value::from(number(node, what, self.diagnostics)?.value),
            TypeKind::Boolean => Value::from(boolean(node, what, self.diagnostics)?.value),
            TypeKind::Any | TypeKind::Broken => node.to_json(),
            TypeKind::Object => match &node.kind {
                Kind::Map(_) => node.to_json(),
                _ => return self.mismatch(node, &what.to_string(), "a mapping"),
            },
            TypeKind::List(item) => self.list(node, item, path)?,
            TypeKind::Map(value) => self.map(node, value, path)?,
            TypeKind::Struct(reference) => match &self.types[reference.index].kind {
                TypeDefKind::Struct(fields) => {
                    Value::Object(self.object(node, fields, &what.to_string())?)
                }
                TypeDefKind::Enum(_) => return None,
            },
            TypeKind::Enum(reference) => self.choice(node, reference.index, path)?,
        };
        self.within(&value, &ty.bounds, node.span, path)
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
        let known: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
        if known.contains(&written.value.as_str()) {
            return Some(Value::String(written.value));
        }
        let diagnostic = self.diagnostics.error(
            Code::InvalidExample,
            node.span,
            format!("`{written}` is not a value of `{path}`"),
        );
        diagnostic.label(format!("expected one of {}", list(&known)));
        if let Some(near) = nearest(&written.value, known) {
            diagnostic.help(format!("did you mean `{near}`?"));
        }
        None
    }

    fn within(&mut self, value: &Value, bounds: &Bounds, span: Span, path: &str) -> bool {
        let number = value.as_f64();
        let length = value.as_str().map(|text| text.chars().count());
        let items = value.as_array().map(Vec::len);
        let below = |size: Option<usize>, min: Option<u32>| matches!((size, min), (Some(size), Some(min)) if size < min as usize);
        let above = |size: Option<usize>, max: Option<u32>| matches!((size, max), (Some(size), Some(max)) if size > max as usize);
        let problem = if let (Some(n), Some(min)) = (number, bounds.minimum)
            && n < min
        {
            format!("at least {min}")
        } else if let (Some(n), Some(max)) = (number, bounds.maximum)
            && n > max
        {
            format!("at most {max}")
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
                Code::InvalidExample,
                span,
                format!("`{path}` is outside of its limits"),
            )
            .label(format!("expected {problem}"));
        false
    }

    fn mismatch<T>(&mut self, node: &Node, what: &str, wanted: &str) -> Option<T> {
        self.diagnostics
            .error(
                Code::InvalidExample,
                node.span,
                format!("{what} must be {wanted}, not {}", node.describe()),
            )
            .label(format!("expected {wanted}"));
        None
    }
}

fn first_line(span: Span) -> Span {
    Span {
        end: span.start + 1,
        ..span
    }
}
