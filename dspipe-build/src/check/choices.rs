//! `enum` and `const`: texts as an enum of Rust, numbers and booleans as limits.

use super::limits;
use super::names;
use super::types::Lowering;
use crate::ir::{Bounds, TypeDefKind, TypeKind, TypeRef, Variant};
use crate::source::{Span, Spanned};
use crate::spec::{Choice, Schema};
use crate::ty::TypeExpr;
use crate::yaml::{self, Kind, Node};

impl Lowering<'_> {
    pub(super) fn enumeration(
        &mut self,
        schema: &Schema,
        choices: &[Choice],
        path: &[&str],
        name: Span,
    ) -> TypeKind {
        let values: Vec<(&Spanned<String>, &str)> =
            choices.iter().map(|choice| (&choice.text, "")).collect();
        limits::enum_values(&values, &schema.bounds, self.diagnostics);
        TypeKind::Enum(self.enum_of(schema, &values, path, name))
    }

    /// An enum of these values, each with its description.
    pub(super) fn enum_of(
        &mut self,
        schema: &Schema,
        values: &[(&Spanned<String>, &str)],
        path: &[&str],
        name: Span,
    ) -> TypeRef {
        let texts: Vec<&Spanned<String>> = values.iter().map(|(text, _)| *text).collect();
        let variants = names::variants(&texts, self.diagnostics)
            .into_iter()
            .zip(values)
            .map(|(name, (_, description))| Variant {
                name,
                description: (*description).to_owned(),
            })
            .collect();
        let reference = self.claim(schema, path, name);
        self.types[reference.0].kind = TypeDefKind::Enum(variants);
        reference
    }

    /// The values that a number or a boolean can have.
    pub(super) fn scalar_choices(
        &mut self,
        choices: &Spanned<Vec<Choice>>,
        kind: &TypeKind,
    ) -> Bounds {
        let mut bounds = Bounds::default();
        for choice in &choices.value {
            let node = Node {
                span: choice.text.span,
                kind: Kind::Scalar {
                    text: choice.text.value.clone(),
                    plain: choice.plain,
                },
            };
            let what = "an enum value";
            match kind {
                #[expect(clippy::cast_precision_loss, reason = "limits are floats, too")]
                TypeKind::Integer => bounds.numbers.extend(
                    yaml::integer(&node, what, self.diagnostics).map(|number| number.value as f64),
                ),
                TypeKind::Number => bounds
                    .numbers
                    .extend(yaml::number(&node, what, self.diagnostics).map(|number| number.value)),
                TypeKind::Boolean => {
                    let value = yaml::boolean(&node, what, self.diagnostics);
                    bounds.boolean = value.map(|value| value.value);
                }
                _ => {}
            }
        }
        if choices.value.len() > 1 {
            // Both of them: that is no limit.
            bounds.boolean = None;
        }
        bounds
    }
}

/// The type that values imply when nothing says it.
pub(super) fn scalar_type(choices: &[Choice]) -> TypeExpr {
    let all = |is: fn(&str) -> bool| {
        let mut choices = choices.iter();
        choices.all(|choice| choice.plain && is(&choice.text.value))
    };
    if all(|text| yaml::core_integer(text).is_some()) {
        TypeExpr::Integer
    } else if all(|text| yaml::core_float(text).is_some()) {
        TypeExpr::Number
    } else if all(|text| matches!(text, "true" | "false")) {
        TypeExpr::Boolean
    } else {
        TypeExpr::String
    }
}
