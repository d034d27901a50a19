//! Modules of steps: rewards typed, fields found.

use super::conditions::bare;
use super::exprs::Here;
use super::templates::Binder;
use crate::diag::Code;
use crate::emit::each_root;
use crate::ir::{Best, BoundField, Module, Reward, Root, TypeKind};
use crate::spec::{self, ModuleKind};

/// The reward of an output for which all that should hold does hold.
const ALL: f64 = 1.0;

impl Binder<'_> {
    /// The module of a step, typed.
    pub(super) fn module(&mut self, step: usize, inputs: &[BoundField]) -> Module {
        let workflow = self.workflow;
        let written = &workflow.steps()[step];
        let Some(module) = &written.module else {
            return Module::Predict;
        };
        if written.streams && !matches!(module.kind, ModuleKind::Predict) {
            self.diagnostics
                .error(
                    Code::UnfitModule,
                    module.span,
                    format!("step `{}` streams, and its module cannot", written.name),
                )
                .label("this needs whole outputs to choose from, or several calls for one")
                .help("remove `stream: true`, or the module");
        }
        match &module.kind {
            ModuleKind::Predict => Module::Predict,
            ModuleKind::BestOfN(best) => Module::BestOfN(self.best(step, module, best, inputs)),
            ModuleKind::Refine(best) => Module::Refine(self.best(step, module, best, inputs)),
            ModuleKind::Majority { n, field } => Module::Majority {
                n: *n,
                field: self.voted(step, field.as_ref()),
            },
            ModuleKind::React { tools, max_steps } => Module::React {
                tools: tools.clone(),
                max_steps: *max_steps,
            },
        }
    }

    /// The field whose value is voted on: the one that is named, or as in DSPy the last.
    fn voted(&mut self, step: usize, field: Option<&crate::source::Spanned<String>>) -> String {
        let outputs = &self.steps[step].outputs;
        let Some(name) = field else {
            return outputs
                .last()
                .map(|field| field.name.text.clone())
                .unwrap_or_default();
        };
        if !outputs.is_empty() && outputs.iter().all(|field| field.name.text != name.value) {
            let known: Vec<String> = outputs.iter().map(|f| f.name.text.clone()).collect();
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    name.span,
                    format!("the step has no output `{name}`"),
                )
                .label("unknown field")
                .meant(name.span, &name.value, known.iter().map(String::as_str));
        }
        name.value.clone()
    }

    fn best(
        &mut self,
        step: usize,
        module: &spec::Module,
        written: &spec::Best,
        inputs: &[BoundField],
    ) -> Best {
        let mut best = Best {
            n: written.n,
            threshold: written.threshold,
            fail_count: written.fail_count,
            reward: None,
        };
        match &written.reward {
            Some(reward) => {
                self.see("a reward", step, inputs);
                best.reward = self.reward(step, reward);
                self.seen = None;
                let is_test = |reward: &Reward| reward.value.ty.kind == TypeKind::Boolean;
                if best.reward.as_ref().is_some_and(is_test) {
                    best.threshold = best.threshold.or(Some(ALL));
                }
            }
            None => {
                best.threshold = best.threshold.or(Some(ALL));
                let checks = &self.workflow.steps()[step].checks;
                if !written.has_slip && checks.iter().all(|check| check.is_assert) {
                    self.diagnostics
                        .error(
                            Code::UnfitModule,
                            module.span,
                            "nothing says which output is the best",
                        )
                        .label("there is no `reward`, and the step has no `check`")
                        .help(
                            "add `reward: \"…\"`, an expression over `inputs.…` and `outputs.…`, or `checks`, \
                             of which the share that hold is then the reward",
                        );
                }
            }
        }
        best
    }

    fn reward(&mut self, step: usize, written: &crate::source::Spanned<String>) -> Option<Reward> {
        let here = Here {
            step,
            text: bare(written),
            around: written.span,
        };
        let node = self.parse(&here)?;
        let value = self.operand(&here, &node, None)?;
        match value.ty.kind {
            TypeKind::Boolean | TypeKind::Integer | TypeKind::Number => {}
            TypeKind::Broken => return None,
            _ => {
                self.wrong_operand(&here, &node, &value.ty, "a number, or true or false");
                return None;
            }
        }
        let mut looks = false;
        each_root(&value, &mut |root| looks |= root == Root::Gives);
        if !looks {
            self.diagnostics
                .warning(
                    Code::ConstantCondition,
                    here.span(self.sources, &node.range),
                    "this is the same for every output",
                )
                .label("expected a value of `outputs.…` in it");
        }
        Some(Reward {
            text: super::checks::one_line(here.text),
            value,
        })
    }
}
