//! Where a path leads, and what is there.

use super::templates::Binder;
use crate::diag::Code;
use crate::ir::{Expr, ExprKind, Hop, Path, Root, Type, TypeDefKind, TypeKind};
use crate::source::Span;
use crate::yaml::Node;

impl Binder<'_> {
    /// The value of a path, as step number `step` sees it.
    pub(super) fn path(&mut self, step: usize, parts: &[&str], span: Span) -> Option<Expr> {
        let whole = parts.join(".");
        if self.seen.is_some() && parts.first() != Some(&"global_vars") {
            return self.seen_path(parts, &whole, span);
        }
        if let Some(found) = self.seen_before(parts, &whole, span) {
            return found;
        }
        if let Some(found) = self.loop_path(step, parts, &whole, span) {
            return found;
        }
        if let Some((node, rest)) = self.block_in(parts) {
            return self.seen_block(step, node, rest, &whole, span);
        }
        match parts {
            ["inputs", name, rest @ ..] => self.input_path(step, name, rest, &whole, span),
            ["global_vars", name, rest @ ..] => self.constant(name, rest, &whole, span),
            ["steps", name, field, rest @ ..] => {
                self.step_path(step, name, field, rest, &whole, span)
            }
            ["steps", name] => {
                self.names_no_value(&whole, span, &format!("add a field: `steps.{name}.…`"));
                None
            }
            ["inputs" | "steps" | "global_vars"] => {
                self.names_no_value(&whole, span, &format!("add a name: `{whole}.…`"));
                None
            }
            [name, field, rest @ ..] if self.step_named(name).is_some() => {
                self.step_path(step, name, field, rest, &whole, span)
            }
            [name] if self.step_named(name).is_some() => {
                self.names_no_value(&whole, span, &format!("add a field: `{name}.…`"));
                None
            }
            _ => {
                self.unknown_root(step, parts, &whole, span);
                None
            }
        }
    }

    pub(super) fn step_named(&self, name: &str) -> Option<usize> {
        self.workflow
            .steps()
            .iter()
            .position(|step| step.name.value == name)
    }

    /// The node of the block that a path starts with, and what follows.
    fn block_in<'p, 't>(&self, parts: &'p [&'t str]) -> Option<(usize, &'p [&'t str])> {
        let (name, rest) = match parts {
            [] | ["inputs" | "global_vars", ..] => return None,
            ["steps", name, rest @ ..] | [name, rest @ ..] => (name, rest),
        };
        let mut blocks = self.workflow.blocks().iter();
        let block = blocks.position(|block| block.name.value == *name)?;
        Some((self.workflow.node_of_block(block), rest))
    }

    fn seen_block(
        &mut self,
        step: usize,
        node: usize,
        rest: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Expr> {
        if self.sees(step, node) {
            return self.block_path(step, node, rest, whole, span);
        }
        self.report_unseen(node, rest, span);
        None
    }

    fn names_no_value(&mut self, whole: &str, span: Span, label: &str) {
        self.diagnostics
            .error(
                Code::UnresolvedPath,
                span,
                format!("`{whole}` names no value"),
            )
            .label(label);
    }

    fn input_path(
        &mut self,
        step: usize,
        name: &str,
        rest: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Expr> {
        let Some(input) = self.input(name) else {
            let known = self
                .inputs
                .iter()
                .map(|input| input.field.name.text.as_str());
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("the workflow has no input `{name}`"),
                )
                .label("unknown input")
                .meant_in(self.sources, span, name, known)
                .help_if_none("an input field without a `template` is an input of the workflow");
            return None;
        };
        self.uses(step, input);
        let field = &self.inputs[input].field;
        let hop = Hop {
            field: field.name.ident.clone(),
            optional: matches!(field.ty.kind, TypeKind::Optional(_)),
            boxed: false,
        };
        let ty = field.ty.clone();
        self.descend(Root::Input(input), false, vec![hop], ty, rest, whole, span)
    }

    fn step_path(
        &mut self,
        step: usize,
        name: &str,
        field: &str,
        rest: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Expr> {
        let inside = !self.workflow.blocks().is_empty();
        let target = inside.then(|| self.step_named(name)).flatten();
        if let Some(target) = target.filter(|it| !self.sees(step, *it)) {
            self.report_unseen(target, &[&[field], rest].concat(), span);
            return None;
        }
        let (target, output) = self.output(step, name, field, span)?;
        let hop = Hop {
            field: output.name.ident.clone(),
            optional: matches!(output.ty.kind, TypeKind::Optional(_)),
            boxed: false,
        };
        let absent = self.workflow.steps()[target].condition.is_some()
            && !self.present[step].contains(&target);
        self.descend(
            Root::Step(target),
            absent,
            vec![hop],
            output.ty,
            rest,
            whole,
            span,
        )
    }

    /// Follows properties down into a value.
    #[expect(clippy::too_many_arguments, reason = "the parts of one path")]
    pub(super) fn descend(
        &mut self,
        root: Root,
        root_optional: bool,
        mut hops: Vec<Hop>,
        mut ty: Type,
        rest: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Expr> {
        for part in rest {
            let inner = match &ty.kind {
                TypeKind::Optional(inner) => inner,
                _ => &ty,
            };
            let TypeKind::Struct(reference) = &inner.kind else {
                if !inner.is_broken() {
                    let described = self.describe(inner);
                    let untyped = matches!(inner.kind, TypeKind::Any | TypeKind::Object);
                    let diagnostic = self.diagnostics.error(
                        Code::UnresolvedPath,
                        span,
                        format!("`{whole}` looks for `{part}` in {described}"),
                    );
                    diagnostic.label("this cannot be followed");
                    if let TypeKind::Union(_) = inner.kind {
                        diagnostic.help(
                            "which of its types it is shows at run time: match on it in Rust",
                        );
                    }
                    if untyped {
                        diagnostic
                            .help("give the field a `schema`, so that the path can be checked");
                    }
                }
                return None;
            };
            let types = self.types;
            let TypeDefKind::Struct(properties) = &types[reference.0].kind else {
                return None;
            };
            let Some(found) = properties.iter().find(|p| p.name.text == *part) else {
                let known: Vec<&str> = properties.iter().map(|p| p.name.text.as_str()).collect();
                self.diagnostics
                    .error(
                        Code::UnresolvedPath,
                        span,
                        format!("`{whole}`: there is no property `{part}`"),
                    )
                    .label("unknown property")
                    .meant_in(self.sources, span, part, known);
                return None;
            };
            hops.push(Hop {
                field: found.name.ident.clone(),
                optional: matches!(found.ty.kind, TypeKind::Optional(_)),
                boxed: found.boxed,
            });
            ty = found.ty.clone();
        }
        let may_be_absent = root_optional || hops.iter().any(|hop| hop.optional);
        let ty = match ty.kind {
            TypeKind::Optional(_) | TypeKind::Broken => ty,
            _ if may_be_absent => Type::new(TypeKind::Optional(Box::new(ty))),
            _ => ty,
        };
        Some(Expr {
            ty,
            kind: ExprKind::Path(Path {
                root,
                root_optional,
                hops,
            }),
        })
    }

    fn constant(&mut self, name: &str, rest: &[&str], whole: &str, span: Span) -> Option<Expr> {
        let variables = &self.workflow.global_vars;
        let Some((_, node)) = variables.iter().find(|(key, _)| key.value == name) else {
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("there is no variable `{name}` in `global_vars`"),
                )
                .label("unknown variable")
                .meant_in(
                    self.sources,
                    span,
                    name,
                    variables.iter().map(|(key, _)| key.value.as_str()),
                );
            return None;
        };
        if let Some(part) = rest.first() {
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("`{whole}` looks for `{part}` in a constant"),
                )
                .label("this cannot be followed");
            return None;
        }
        constant(node)
    }

    fn unknown_root(&mut self, node: usize, parts: &[&str], whole: &str, span: Span) {
        let first = parts.first().copied().unwrap_or_default();
        let variables = self.loop_variables(node);
        let diagnostic = self.diagnostics.error(
            Code::UnresolvedPath,
            span,
            format!("`{whole}` leads nowhere"),
        );
        diagnostic.label("unknown name");
        if self
            .inputs
            .iter()
            .any(|input| input.field.name.text == first)
        {
            diagnostic.help(format!("did you mean `inputs.{whole}`?"));
        } else if self
            .workflow
            .global_vars
            .iter()
            .any(|(key, _)| key.value == first)
        {
            diagnostic.help(format!("did you mean `global_vars.{whole}`?"));
        } else {
            let starts = ["inputs", "steps", "global_vars"];
            let variables = variables.iter().map(String::as_str);
            let known: Vec<&str> = self
                .workflow
                .names()
                .chain(variables)
                .chain(starts)
                .collect();
            match crate::diag::nearest(first, known.iter().copied()) {
                Some(_) => _ = diagnostic.meant_in(self.sources, span, first, known),
                None => {
                    diagnostic.help(
                        "a path starts with `inputs.`, `steps.`, `global_vars.` or a step's name",
                    );
                }
            }
        }
    }
}

/// A variable's value; `None` where it is none, which has been reported.
pub(super) fn constant(node: &Node) -> Option<Expr> {
    let (kind, value) = match node.to_json() {
        serde_json::Value::String(text) => (TypeKind::String, ExprKind::Text(text)),
        serde_json::Value::Bool(value) => (TypeKind::Boolean, ExprKind::Boolean(value)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => (TypeKind::Integer, ExprKind::Integer(number)),
            None => (TypeKind::Number, ExprKind::Number(number.as_f64()?)),
        },
        _ => return None,
    };
    Some(Expr {
        ty: Type::new(kind),
        kind: value,
    })
}
