//! Places in outputs, as metrics and snapshots name them.

use super::Checker;
use crate::diag::Code;
use crate::ir::{Field, Type, TypeDefKind, TypeKind};
use crate::source::Span;

/// Where in the output something looks.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// The outputs of all steps, loops and calls, by their names.
    Workflow,
    /// An object with these fields.
    Fields(&'a [Field]),
    Type(&'a Type),
    /// Somewhere in a value of which nothing is known.
    Unknown,
}

impl At<'_> {
    /// The items of a list.
    pub(super) fn items(self) -> Self {
        match self {
            At::Type(ty) => match &stripped(ty).kind {
                TypeKind::List(item) => At::Type(item),
                _ => At::Unknown,
            },
            _ => At::Unknown,
        }
    }
}

pub(super) fn stripped(ty: &Type) -> &Type {
    match &ty.kind {
        TypeKind::Optional(inner) => stripped(inner),
        _ => ty,
    }
}

/// The keys of a path, and how many indexes follow each; `None` if it is no path.
fn parts(text: &str) -> Option<Vec<(&str, usize)>> {
    let parts = text.split('.').map(|part| {
        let (key, mut indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || key.contains(']') {
            return None;
        }
        let mut count = 0;
        while !indexes.is_empty() {
            let (index, rest) = indexes.strip_prefix('[')?.split_once(']')?;
            index.parse::<usize>().ok()?;
            (indexes, count) = (rest, count + 1);
        }
        Some((key, count))
    });
    parts.collect()
}

impl<'a> Checker<'a> {
    /// Where a path leads, seen from `at`.
    pub(super) fn path(&mut self, text: &str, span: Span, mut at: At<'a>) -> At<'a> {
        let Some(parts) = parts(text) else {
            self.setting(
                span,
                format!("`{text}` is no path"),
                "a path reads as `analysis.patterns[0]`",
            );
            return At::Unknown;
        };
        for (key, indexes) in parts {
            let Some(found) = self.key(key, text, span, at) else {
                return At::Unknown;
            };
            at = found;
            for _ in 0..indexes {
                let is_list = match at {
                    At::Type(ty) => matches!(
                        stripped(ty).kind,
                        TypeKind::List(_) | TypeKind::Any | TypeKind::Broken | TypeKind::Union(_)
                    ),
                    At::Unknown => true,
                    At::Workflow | At::Fields(_) => false,
                };
                if !is_list {
                    self.diagnostics
                        .error(
                            Code::UnresolvedPath,
                            span,
                            format!("`{text}` leads nowhere: `{key}` is no list"),
                        )
                        .label("no list");
                    return At::Unknown;
                }
                at = at.items();
            }
        }
        at
    }

    fn key(&mut self, key: &str, path: &str, span: Span, at: At<'a>) -> Option<At<'a>> {
        let signatures = self.signatures;
        let fields = match at {
            At::Unknown => return Some(At::Unknown),
            At::Workflow => {
                if let Some(step) = signatures.top_step(key) {
                    return Some(At::Fields(&signatures.fields[step].outputs));
                }
                let mut blocks = signatures.blocks().iter();
                if let Some(block) = blocks.find(|block| block.name.text == key) {
                    return Some(At::Type(&block.ty));
                }
                self.no_step(key, path, span);
                return None;
            }
            At::Fields(fields) => fields,
            At::Type(ty) => match &stripped(ty).kind {
                TypeKind::Struct(reference) => match &signatures.types[reference.0].kind {
                    TypeDefKind::Struct(fields) => fields.as_slice(),
                    _ => return Some(At::Unknown),
                },
                TypeKind::Map(inner) => return Some(At::Type(inner)),
                TypeKind::Any | TypeKind::Object | TypeKind::Union(_) | TypeKind::Broken => {
                    return Some(At::Unknown);
                }
                TypeKind::List(_) => {
                    self.diagnostics
                        .error(
                            Code::UnresolvedPath,
                            span,
                            format!("`{path}` leads nowhere: there is a list before `{key}`"),
                        )
                        .label("a list has no fields")
                        .help("`[0]` after its name is its first item");
                    return None;
                }
                _ => &[],
            },
        };
        if let Some(field) = fields.iter().find(|field| field.name.text == key) {
            return Some(At::Type(&field.ty));
        }
        self.diagnostics
            .error(
                Code::UnresolvedPath,
                span,
                format!("`{path}` leads nowhere: the output has no `{key}` there"),
            )
            .label("no such field")
            .meant_in(
                self.sources,
                span,
                key,
                fields.iter().map(|field| field.name.text.as_str()),
            );
        None
    }

    fn no_step(&mut self, key: &str, path: &str, span: Span) {
        let signatures = self.signatures;
        let rest = path.strip_prefix(key).unwrap_or_default();
        if let Some(place) = signatures.place_in_loop(key) {
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("`{path}` leads nowhere: `{key}` is a step in a loop"),
                )
                .label("it may have many outputs, or none")
                .help(format!("one of them is `{place}{rest}`"));
            return;
        }
        let diagnostic = self.diagnostics.error(
            Code::UnresolvedPath,
            span,
            format!("`{path}` leads nowhere: the workflow has no step `{key}`"),
        );
        diagnostic.label("unknown step");
        let is_of = |step: &&str| {
            let step = signatures.top_step(step);
            let mut outputs = step
                .iter()
                .flat_map(|step| &signatures.fields[*step].outputs);
            outputs.any(|field| field.name.text == key)
        };
        match signatures.output_names().find(is_of) {
            Some(step) => {
                diagnostic.help(format!(
                    "outputs are by step, then by field: `{step}.{key}`"
                ));
            }
            None => {
                let known = signatures.output_names();
                diagnostic.meant_in(self.sources, span, key, known);
            }
        }
    }
}
