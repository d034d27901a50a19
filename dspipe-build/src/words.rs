//! Types in the words that prompts have for them.

use crate::ir::{Bounds, Type, TypeDefKind, TypeKind, TypeRef, Workflow};

/// A type in words, for prompts: `list of string`, `"low" | "high"`.
pub(crate) fn describe(workflow: &Workflow, ty: &Type) -> String {
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
            TypeKind::Media(kind) => kind.name().to_owned(),
            TypeKind::List(item) if item.kind == TypeKind::Any => "list".to_owned(),
            TypeKind::List(item) => ["list of ", &self.part(item)].concat(),
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
                    .map(|field| ["\"", &field.name.text, "\": ", &self.ty(&field.ty)].concat())
                    .collect();
                ["{", &fields.join(", "), "}"].concat()
            }
            TypeDefKind::Enum(values) => {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| match value.description.as_str() {
                        "" => quoted(&value.name.text),
                        meaning => [&quoted(&value.name.text), " (", meaning, ")"].concat(),
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

/// A text as it stands in Rust; most have nothing to escape.
fn quoted(text: &str) -> String {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return ["\"", text, "\""].concat();
    }
    format!("{text:?}")
}

fn numbers(bounds: &Bounds) -> String {
    let all: Vec<String> = bounds.numbers.iter().map(ToString::to_string).collect();
    all.join(" | ")
}
