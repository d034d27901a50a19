//! Checks and asserts: expressions over what a step takes and gives.

use super::conditions::bare;
use super::constant;
use super::exprs::Here;
use super::templates::Binder;
use crate::diag::Code;
use crate::ir::{BoundField, Check, Expr, Field, Hop, Root, TypeKind};
use crate::source::{Span, Spanned};
use crate::spec;

/// What the checks of a step see, and its reward.
pub(super) struct Seen {
    /// `a check`, or another word for who sees it.
    who: &'static str,
    inputs: Vec<Field>,
    outputs: Vec<Field>,
}

impl Binder<'_> {
    /// The checks of a step, typed.
    pub(super) fn checks(&mut self, step: usize, inputs: &[BoundField]) -> Vec<Check> {
        let workflow = self.workflow;
        let written = &workflow.steps()[step].checks;
        if written.is_empty() {
            return Vec::new();
        }
        self.report_same_names(written);
        self.see("a check", step, inputs);
        let checks = written.iter().filter_map(|check| self.check(step, check));
        let checks = checks.collect();
        self.seen = None;
        checks
    }

    /// From here on, paths lead to the fields of this step.
    pub(super) fn see(&mut self, who: &'static str, step: usize, inputs: &[BoundField]) {
        self.seen = Some(Seen {
            who,
            inputs: inputs.iter().map(|input| input.field.clone()).collect(),
            outputs: self.steps[step].outputs.clone(),
        });
    }

    fn check(&mut self, step: usize, written: &spec::Check) -> Option<Check> {
        let here = Here {
            step,
            text: bare(&written.expression),
            around: written.expression.span,
        };
        let node = self.parse(&here)?;
        let test = self.boolean(&here, &node)?;
        if let Some(value) = constant::value(&test) {
            let always = if value { "always" } else { "never" };
            self.diagnostics
                .warning(
                    Code::ConstantCondition,
                    here.span(self.sources, &node.range),
                    format!("this {always} holds"),
                )
                .label(match (value, written.is_assert) {
                    (true, _) => "it says nothing of the output",
                    (false, true) => "the step never gives an output",
                    (false, false) => "it is reported each time",
                });
        }
        let expression = one_line(here.text);
        let name = written.name.as_ref().map(|name| one_line(&name.value));
        Some(Check {
            name: name.unwrap_or_else(|| expression.clone()),
            expression,
            message: written
                .message
                .as_ref()
                .map(|message| one_line(&message.value))
                .unwrap_or_default(),
            is_assert: written.is_assert,
            test,
        })
    }

    fn report_same_names(&mut self, written: &[spec::Check]) {
        let names: Vec<&Spanned<String>> = written.iter().filter_map(|c| c.name.as_ref()).collect();
        for (index, name) in names.iter().enumerate() {
            if let Some(first) = names[..index]
                .iter()
                .find(|first| first.value == name.value)
            {
                super::report_duplicate("check", first, name, &name.value, self.diagnostics);
            }
        }
    }

    /// The value of a path in a check: of the step's own fields, or a constant.
    pub(super) fn seen_path(&mut self, parts: &[&str], whole: &str, span: Span) -> Option<Expr> {
        let seen = self.seen.as_ref()?;
        let (fields, root, name, rest) = match parts {
            ["inputs", name, rest @ ..] => (&seen.inputs, Root::Given, name, rest),
            ["outputs", name, rest @ ..] => (&seen.outputs, Root::Gives, name, rest),
            _ => {
                let is_output =
                    |first: &&&str| seen.outputs.iter().any(|f| f.name.text == ***first);
                let meant = parts.first().filter(is_output);
                let meant = meant.map(|_| format!("did you mean `outputs.{whole}`?"));
                self.diagnostics
                    .error(
                        Code::UnresolvedPath,
                        span,
                        format!("{} does not see `{whole}`", seen.who),
                    )
                    .label("expected `inputs.…` or `outputs.…`, the fields of the step")
                    .help(meant.unwrap_or_else(|| {
                        "a value of another step is seen as an input of this one".to_owned()
                    }));
                return None;
            }
        };
        let Some(field) = fields.iter().find(|field| field.name.text == *name) else {
            let known: Vec<String> = fields.iter().map(|f| f.name.text.clone()).collect();
            let side = if root == Root::Given {
                "input"
            } else {
                "output"
            };
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("the step has no {side} `{name}`"),
                )
                .label("unknown field")
                .meant_in(self.sources, span, name, known.iter().map(String::as_str));
            return None;
        };
        let hop = Hop {
            field: field.name.ident.clone(),
            optional: matches!(field.ty.kind, TypeKind::Optional(_)),
            boxed: field.boxed,
        };
        let ty = field.ty.clone();
        self.descend(root, false, vec![hop], ty, rest, whole, span)
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
