//! What a schema says of a value beyond how it is read: `not`, `if`, `contains`, and keys that need others.

use serde_json::Value;

use super::Coercer;
use crate::read::error::{FieldError, FieldErrorKind, path};
use crate::read::schema::{Check, TypeId};
use crate::read::tree::Node;

impl Coercer<'_> {
    pub(super) fn check(&mut self, value: &Value, check: &Check) {
        match check {
            Check::Never => self.error(FieldErrorKind::Unexpected),
            Check::Not(ty) => {
                if self.against(value, *ty).is_empty() {
                    self.broken("not");
                }
            }
            Check::If {
                test,
                then,
                otherwise,
            } => {
                let holds = self.against(value, *test).is_empty();
                if let Some(ty) = if holds { then } else { otherwise } {
                    self.hold(value, *ty);
                }
            }
            Check::Needs { key, keys } => {
                if value.get(key).is_some() {
                    for needed in keys.iter().filter(|needed| value.get(needed).is_none()) {
                        let place = self.below(needed);
                        self.errors.push(FieldError {
                            path: place,
                            kind: FieldErrorKind::Missing,
                        });
                    }
                }
            }
            Check::NeedsSchema { key, ty } => {
                if value.get(key).is_some() {
                    self.hold(value, *ty);
                }
            }
            Check::Contains { ty, min, max } => {
                let Some(items) = value.as_array() else {
                    return;
                };
                let found = items
                    .iter()
                    .filter(|item| self.against(item, *ty).is_empty())
                    .count();
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                if found < *min {
                    self.broken(if *min == 1 { "contains" } else { "minContains" });
                }
                if max.is_some_and(|max| found > max) {
                    self.broken("maxContains");
                }
            }
        }
    }

    /// Holds a value that was read against another type.
    pub(super) fn hold(&mut self, value: &Value, ty: TypeId) {
        for error in self.against(value, ty) {
            let path = self.below(&error.path);
            self.errors.push(FieldError { path, ..error });
        }
    }

    /// What is wrong with a value as it is, held against a type.
    fn against(&self, value: &Value, ty: TypeId) -> Vec<FieldError> {
        let node = Node::of(value, self.shared);
        let other = Coercer::new(self.schema, "", self.shared, true);
        other.outcome_as(&node, ty).errors
    }

    fn broken(&mut self, keyword: &'static str) {
        self.error(FieldErrorKind::Broken { keyword });
    }

    /// The path of something in the present value.
    fn below(&self, inner: &str) -> String {
        let outer = path(&self.path);
        match (outer.is_empty(), inner.is_empty()) {
            (true, _) => inner.to_owned(),
            (_, true) => outer,
            _ if inner.starts_with('[') => outer + inner,
            _ => format!("{outer}.{inner}"),
        }
    }
}
