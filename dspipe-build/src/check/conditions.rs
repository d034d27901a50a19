//! When steps run, and whose outputs are there when they do.

use std::collections::BTreeSet;

use super::constant;
use super::exprs::Here;
use super::functions::boolean;
use super::templates::Binder;
use crate::diag::Code;
use crate::expr::{self, Kind, Node, Operator};
use crate::ir::{Expr, ExprKind, Guard, Path, Root, Type, TypeKind};
use crate::source::{Span, Spanned};
use crate::spec::{self, Condition};

/// The parts of a condition that must all hold. Only the top of it: what stands below `or` or `not` says
/// nothing for certain.
#[derive(Default)]
pub(super) struct Facts<'w> {
    /// Expressions, and the written text that each is a part of.
    expressions: Vec<(&'w str, Span, Node<'w>)>,
    /// Other trees.
    trees: Vec<&'w Condition>,
}

/// The facts of every node. Expressions that cannot be read are reported later.
pub(super) fn facts(workflow: &spec::Workflow) -> Vec<Facts<'_>> {
    (0..workflow.nodes())
        .map(|node| {
            let mut facts = Facts::default();
            if let Some(condition) = workflow.condition_of(node) {
                facts.add(condition);
            }
            facts
        })
        .collect()
}

impl<'w> Facts<'w> {
    fn add(&mut self, condition: &'w Condition) {
        match condition {
            Condition::All(_, parts) => {
                for part in parts {
                    self.add(part);
                }
            }
            Condition::Expression(text) => {
                let inner = bare(text);
                if let Ok(node) = expr::parse(inner) {
                    self.split(inner, text.span, node);
                }
            }
            Condition::Any(..) | Condition::Not(..) => self.trees.push(condition),
        }
    }

    fn split(&mut self, text: &'w str, span: Span, node: Node<'w>) {
        match node.kind {
            Kind::And(parts) => {
                for part in parts {
                    self.split(text, span, part);
                }
            }
            _ => self.expressions.push((text, span, node)),
        }
    }

    /// Whether all that holds for `other` holds here.
    fn cover(&self, other: &Self) -> bool {
        // Trees are compared by no means but being the same one.
        other.trees.is_empty()
            && !other.expressions.is_empty()
            && other.expressions.iter().all(|(_, _, fact)| {
                self.expressions
                    .iter()
                    .any(|(_, _, known)| alike(known, fact))
            })
    }
}

/// A condition's text without the braces that may stand around all of it.
pub(super) fn bare(text: &Spanned<String>) -> &str {
    let text = text.value.trim();
    text.strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .filter(|inner| !inner.contains("{{"))
        .map_or(text, str::trim)
}

/// Whether two expressions are the same but for their places in the text.
fn alike(a: &Node<'_>, b: &Node<'_>) -> bool {
    let all = |a: &[Node<'_>], b: &[Node<'_>]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
    };
    match (&a.kind, &b.kind) {
        (Kind::Path(a), Kind::Path(b)) => without_steps(a) == without_steps(b),
        (Kind::List(a), Kind::List(b))
        | (Kind::And(a), Kind::And(b))
        | (Kind::Or(a), Kind::Or(b)) => all(a, b),
        (Kind::Not(a), Kind::Not(b)) | (Kind::Negate(a), Kind::Negate(b)) => alike(a, b),
        (Kind::Binary(one, a, b), Kind::Binary(other, c, d)) => {
            one == other && alike(a, c) && alike(b, d)
        }
        (Kind::Between(a), Kind::Between(b)) => all(&a[..], &b[..]),
        (
            Kind::Call {
                name: a,
                arguments: c,
                ..
            },
            Kind::Call {
                name: b,
                arguments: d,
                ..
            },
        ) => a == b && all(c, d),
        (a, b) => a == b,
    }
}

fn without_steps<'a, 't>(path: &'a [&'t str]) -> &'a [&'t str] {
    match path {
        ["steps", rest @ ..] => rest,
        other => other,
    }
}

/// What is asked of every pair of nodes, found once.
struct Known<'f, 'w> {
    facts: &'f [Facts<'w>],
    /// The nodes with a condition.
    conditional: Vec<usize>,
    /// Per node, those that its facts say have run.
    tested: Vec<Vec<usize>>,
}

impl<'w> Binder<'w> {
    /// Per node, the conditional nodes that have run whenever it runs.
    pub(super) fn presence(&self, facts: &[Facts<'w>]) -> Vec<BTreeSet<usize>> {
        let known = Known {
            facts,
            conditional: (0..facts.len())
                .filter(|node| self.workflow.condition_of(*node).is_some())
                .collect(),
            tested: facts.iter().map(|facts| self.tested(facts)).collect(),
        };
        let mut all: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); facts.len()];
        let (steps, nodes) = (self.workflow.steps().len(), facts.len());
        if known.conditional.is_empty() {
            return all;
        }
        // Blocks first, and outer ones before those in them: what has run for a loop has run for its body.
        for node in (steps..nodes).chain(0..steps) {
            let outer = self.workflow.within(node);
            let outer = outer.map(|block| all[self.workflow.node_of_block(block)].clone());
            all[node] = self.present_for(node, outer.unwrap_or_default(), &known);
        }
        all
    }

    fn present_for(
        &self,
        node: usize,
        mut present: BTreeSet<usize>,
        known: &Known<'_, 'w>,
    ) -> BTreeSet<usize> {
        let workflow = self.workflow;
        let mut open: Vec<usize> = present.iter().copied().chain([node]).collect();
        for &other in &known.conditional {
            if other != node
                && workflow.within(node) == workflow.within(other)
                && known.facts[node].cover(&known.facts[other])
                && present.insert(other)
            {
                open.push(other);
            }
        }
        // What is known of a node that has run may tell of further ones.
        while let Some(ran) = open.pop() {
            for &other in &known.tested[ran] {
                if other != node && self.sees(node, other) && present.insert(other) {
                    open.push(other);
                }
            }
        }
        present
    }

    /// The nodes that have run, by these facts.
    fn tested(&self, facts: &Facts<'w>) -> Vec<usize> {
        let expressions = facts.expressions.iter();
        expressions
            .filter_map(|(_, _, fact)| self.present_step(fact))
            .collect()
    }

    /// The step of `steps.x != null`.
    fn present_step(&self, fact: &Node<'_>) -> Option<usize> {
        match &fact.kind {
            Kind::Binary(Operator::NotEqual, a, b) => match (&a.kind, &b.kind) {
                (_, Kind::Null) => self.conditional_step(a),
                (Kind::Null, _) => self.conditional_step(b),
                _ => None,
            },
            _ => None,
        }
    }

    /// The node that a path names by itself, if it has a condition.
    pub(super) fn conditional_step(&self, node: &Node<'_>) -> Option<usize> {
        let Kind::Path(parts) = &node.kind else {
            return None;
        };
        if self.seen.is_some() {
            return None;
        }
        let [name] = without_steps(parts) else {
            return None;
        };
        let workflow = self.workflow;
        // In the condition of a `while_loop` that is the round before, not this one.
        let before = self.inside.filter(|block| {
            let kind = &workflow.blocks()[*block].kind;
            matches!(kind, spec::BlockKind::While(_))
        });
        workflow
            .node_named(name)
            .filter(|node| workflow.condition_of(*node).is_some())
            .filter(|node| before.is_none() || workflow.within(*node) != before)
    }

    /// A conditional step's whole output, to be compared with null.
    pub(super) fn whole_step(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        step: usize,
    ) -> Option<Expr> {
        let span = here.span(self.sources, &node.range);
        if !self.sees(here.step, step) {
            self.report_unseen(step, &[], span);
            return None;
        }
        self.depend(here.step, step, span);
        Some(Expr {
            ty: Type::new(TypeKind::Optional(Box::new(Type::new(TypeKind::Any)))),
            kind: ExprKind::Path(Path {
                root: Root::Step(step),
                root_optional: true,
                hops: Vec::new(),
            }),
        })
    }

    /// The condition of a step, typed; tests of presence that the guard makes anyway are left out.
    pub(super) fn guard(&mut self, step: usize, facts: &Facts<'w>) -> Option<Guard> {
        let condition = self.workflow.condition_of(step)?;
        self.report_unreadable(step, condition);
        let mut tests = Vec::new();
        for (text, span, fact) in &facts.expressions {
            let here = Here {
                step,
                text,
                around: *span,
            };
            if let Some(present) = self.present_step(fact) {
                // It names the step, so it waits for it.
                self.whole_step(&here, fact, present);
                continue;
            }
            if let Some(test) = self.boolean(&here, fact) {
                match constant::value(&test) {
                    Some(value) => {
                        self.warn_constant(value, here.span(self.sources, &fact.range));
                        tests.push(boolean(ExprKind::Boolean(value)));
                    }
                    None => tests.push(test),
                }
            }
        }
        for tree in &facts.trees {
            tests.extend(self.tree(step, tree));
        }
        // What has run for the loop around it is at hand there already.
        let outer = self.workflow.within(step);
        let outer = outer.map(|block| &self.present[self.workflow.node_of_block(block)]);
        let (beside, around) = (&self.dependencies[step], &self.outer[step]);
        let ran = self.present[step]
            .iter()
            .copied()
            .filter(|other| outer.is_none_or(|outer| !outer.contains(other)))
            .filter(|other| beside.contains(other) || around.contains(other))
            .collect();
        Some(Guard {
            ran,
            tests,
            text: condition.text(),
        })
    }

    pub(super) fn tree(&mut self, step: usize, tree: &'w Condition) -> Option<Expr> {
        match tree {
            Condition::Expression(text) => {
                let here = Here {
                    step,
                    text: bare(text),
                    around: text.span,
                };
                let node = self.parse(&here)?;
                self.boolean(&here, &node)
            }
            Condition::All(_, parts) => Some(boolean(ExprKind::And(self.trees(step, parts)?))),
            Condition::Any(_, parts) => Some(boolean(ExprKind::Or(self.trees(step, parts)?))),
            Condition::Not(_, inner) => {
                let inner = self.tree(step, inner)?;
                Some(boolean(ExprKind::Not(Box::new(inner))))
            }
        }
    }

    fn trees(&mut self, step: usize, parts: &'w [Condition]) -> Option<Vec<Expr>> {
        let typed: Vec<Option<Expr>> = parts.iter().map(|part| self.tree(step, part)).collect();
        typed.into_iter().collect()
    }

    /// Expressions at the top that could not be taken apart; those in trees are read there.
    fn report_unreadable(&mut self, step: usize, condition: &'w Condition) {
        match condition {
            Condition::All(_, parts) => {
                for part in parts {
                    self.report_unreadable(step, part);
                }
            }
            Condition::Expression(text) => {
                let here = Here {
                    step,
                    text: bare(text),
                    around: text.span,
                };
                self.parse(&here);
            }
            Condition::Any(..) | Condition::Not(..) => {}
        }
    }

    fn warn_constant(&mut self, value: bool, span: Span) {
        let always = if value { "always" } else { "never" };
        self.diagnostics
            .warning(
                Code::ConstantCondition,
                span,
                format!("this {always} holds"),
            )
            .label(if value {
                "the step runs without it, too"
            } else {
                "the step never runs"
            });
    }
}
