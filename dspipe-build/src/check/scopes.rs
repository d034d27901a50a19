//! What is seen from where: bodies of loops see themselves and what is around them, and nobody sees into them.

use super::templates::Binder;
use super::types::optional;
use crate::diag::Code;
use crate::ir::{Expr, ExprKind, LoopValue, Path, Root, Type, TypeKind};
use crate::source::Span;
use crate::spec::{BlockKind, ForLoop};

/// The first part of the paths to what a round knows of itself.
const LOOP: &str = "loop";

impl Binder<'_> {
    /// The blocks, by their places among all, whose bodies a node is in; the innermost one first.
    pub(super) fn around(&self, node: usize) -> impl Iterator<Item = usize> {
        let workflow = self.workflow;
        let first = self.inside.or_else(|| workflow.within(node));
        std::iter::successors(first, |block| {
            workflow.blocks().get(*block).and_then(|it| it.within)
        })
    }

    /// Whether a node sees what another one gives.
    pub(super) fn sees(&self, node: usize, target: usize) -> bool {
        match self.workflow.within(target) {
            None => true,
            Some(home) => self.around(node).any(|block| block == home),
        }
    }

    /// Notes that a node waits for another one that it sees, and where it says so. What is in a body waits by
    /// its loop for what is outside.
    pub(super) fn depend(&mut self, node: usize, target: usize, place: Span) {
        let workflow = self.workflow;
        let home = workflow.within(target);
        if self.inside.is_some() && self.inside == home {
            // The end of a round comes behind all that is in it.
            return;
        }
        let mut waiting = node;
        loop {
            let within = workflow.within(waiting);
            if within == home {
                self.dependencies[waiting].insert(target);
                self.places.entry((waiting, target)).or_insert(place);
                return;
            }
            self.outer[waiting].insert(target);
            match within {
                Some(block) => waiting = workflow.node_of_block(block),
                None => return,
            }
        }
    }

    /// Reports a path into the body of a loop that is not around it.
    pub(super) fn report_unseen(&mut self, target: usize, rest: &[&str], span: Span) {
        let workflow = self.workflow;
        let name = &workflow.name_of(target).value;
        let block = workflow
            .within(target)
            .and_then(|at| workflow.blocks().get(at));
        let Some(block) = block else { return };
        let outer = &block.name.value;
        let help = if rest.is_empty() {
            format!("refer to the loop as a whole: `{outer}`")
        } else {
            let each = [&[name.as_str()], rest].concat().join(".");
            format!("what all rounds gave is a list: `steps.{outer} | map('{each}')`")
        };
        self.diagnostics
            .error(
                Code::UnresolvedPath,
                span,
                format!("`{name}` is in the body of the loop `{outer}`"),
            )
            .label("not seen from here")
            .also(block.name.span, "the loop")
            .help(help);
    }

    /// The value of a path that starts with a loop variable; `None` if it does not start with one.
    #[expect(
        clippy::option_option,
        reason = "no loop variable is not the same as a wrong one"
    )]
    pub(super) fn loop_path(
        &mut self,
        node: usize,
        parts: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Option<Expr>> {
        let (first, rest) = parts.split_first()?;
        let blocks = self.workflow.blocks();
        if blocks.is_empty() {
            return None;
        }
        let found = self.around(node).find(|block| {
            let one = blocks.get(*block).and_then(|it| it.kind.as_for());
            one.is_some_and(|it| it.iterator.value == *first)
        });
        if let Some(block) = found {
            return Some(self.item_path(block, rest, whole, span));
        }
        let innermost = self.around(node).next();
        if let (&LOOP, Some(block)) = (first, innermost) {
            return Some(self.own_path(block, rest, whole, span));
        }
        if self.workflow.node_named(first).is_some() {
            return None;
        }
        self.report_outside(first, whole, span).then_some(None)
    }

    /// What the loops around a node call their items.
    pub(super) fn loop_variables(&self, node: usize) -> Vec<String> {
        let blocks = self.workflow.blocks();
        let around = self.around(node).filter_map(|block| blocks.get(block));
        let loops = around.filter_map(|block| block.kind.as_for());
        loops.map(|one| one.iterator.value.clone()).collect()
    }

    fn item_path(&mut self, block: usize, rest: &[&str], whole: &str, span: Span) -> Option<Expr> {
        let ty = self.items.get(block)?.as_ref()?.1.clone();
        let optional = matches!(ty.kind, TypeKind::Optional(_));
        self.descend(
            Root::Item(block),
            optional,
            Vec::new(),
            ty,
            rest,
            whole,
            span,
        )
    }

    /// `loop.…` in the body of a block.
    fn own_path(&mut self, block: usize, rest: &[&str], whole: &str, span: Span) -> Option<Expr> {
        let blocks = self.workflow.blocks();
        let is_for = blocks
            .get(block)
            .is_some_and(|it| it.kind.as_for().is_some());
        let value = match rest {
            ["item", rest @ ..] if is_for => return self.item_path(block, rest, whole, span),
            ["previous", rest @ ..] if !is_for => {
                return self.last_path(block, rest, whole, span);
            }
            ["index"] => Some((LoopValue::Index, TypeKind::Integer)),
            ["first"] => Some((LoopValue::First, TypeKind::Boolean)),
            ["length"] if is_for => Some((LoopValue::Length, TypeKind::Integer)),
            ["last"] if is_for => Some((LoopValue::Last, TypeKind::Boolean)),
            _ => None,
        };
        if let Some((value, kind)) = value {
            return Some(Expr {
                ty: Type::new(kind),
                kind: ExprKind::Loop(value),
            });
        }
        let known: &[&str] = if is_for {
            &["item", "index", "first", "last", "length"]
        } else {
            &["previous", "index", "first"]
        };
        let diagnostic = self.diagnostics.error(
            Code::LoopVariable,
            span,
            format!("this loop has no variable `{whole}`"),
        );
        diagnostic.label("unknown loop variable");
        match rest.first() {
            Some(name) => {
                _ = diagnostic.meant_in(self.sources, span, name, known.iter().copied());
            }
            None => _ = diagnostic.help("add what you want of it, such as `loop.index`"),
        }
        None
    }

    /// Reports a loop variable where there is no loop of that kind; `false` if it is none.
    fn report_outside(&mut self, first: &str, whole: &str, span: Span) -> bool {
        let mut blocks = self.workflow.blocks().iter();
        let owner = blocks.find(|block| {
            let one = block.kind.as_for();
            first == LOOP || one.is_some_and(|it| it.iterator.value == first)
        });
        let Some(owner) = owner else { return false };
        if self.input(first).is_some() {
            return false;
        }
        let message = match first {
            LOOP => format!("`{whole}` outside of a loop"),
            _ => format!("`{first}` is the item of the loop `{}`", owner.name),
        };
        self.diagnostics
            .error(Code::LoopVariable, span, message)
            .label("there is no such variable here")
            .also(owner.name.span, "known in the steps of this loop")
            .help("what a loop gave is `steps.<loop>`, a list with an object for each round");
        true
    }

    /// What a node gave as a whole, or something in it.
    pub(super) fn block_path(
        &mut self,
        node: usize,
        target: usize,
        rest: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Expr> {
        self.depend(node, target, span);
        let workflow = self.workflow;
        let block = workflow.block_at(target)?;
        let ty = self
            .results
            .get(target - workflow.steps().len())?
            .ty
            .clone();
        let absent = block.condition.is_some() && !self.present[node].contains(&target);
        if let (BlockKind::For(_), false) = (&block.kind, rest.is_empty()) {
            let name = &block.name.value;
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("`{whole}` looks into the list that the loop `{name}` gives"),
                )
                .label("a list with an object for each round")
                .also(block.name.span, "the loop")
                .help(format!(
                    "`steps.{name} | map('{}')` is the list of these",
                    rest.join(".")
                ));
            return None;
        }
        if !rest.is_empty() {
            return self.descend(
                Root::Step(target),
                absent,
                Vec::new(),
                ty,
                rest,
                whole,
                span,
            );
        }
        let value = Path {
            root: Root::Step(target),
            root_optional: absent,
            hops: Vec::new(),
        };
        let ty = if absent { optional(ty) } else { ty };
        Some(Expr {
            ty,
            kind: ExprKind::Path(value),
        })
    }

    /// The round before, as `loop.previous` and the condition of a `while_loop` see it: absent in the first one.
    fn last_path(&mut self, block: usize, rest: &[&str], whole: &str, span: Span) -> Option<Expr> {
        let round = self.results.get(block)?.round;
        let ty = Type::new(TypeKind::Struct(round));
        if rest.is_empty() {
            return Some(Expr {
                ty: optional(ty),
                kind: ExprKind::Path(Path {
                    root: Root::Last(block),
                    root_optional: true,
                    hops: Vec::new(),
                }),
            });
        }
        self.descend(Root::Last(block), true, Vec::new(), ty, rest, whole, span)
    }

    /// What a step or a block gave in the round before, where the condition of their loop names it.
    #[expect(
        clippy::option_option,
        reason = "no such path is not the same as a wrong one"
    )]
    pub(super) fn seen_before(
        &mut self,
        parts: &[&str],
        whole: &str,
        span: Span,
    ) -> Option<Option<Expr>> {
        let block = self.inside?;
        let workflow = self.workflow;
        let BlockKind::While(_) = workflow.blocks().get(block)?.kind else {
            return None;
        };
        let parts = match parts {
            ["steps", rest @ ..] => rest,
            other => other,
        };
        let target = workflow.node_named(parts.first()?)?;
        if workflow.within(target) != Some(block) {
            return None;
        }
        Some(self.last_path(block, parts, whole, span))
    }
}

impl BlockKind {
    pub(super) fn as_for(&self) -> Option<&ForLoop> {
        match self {
            Self::For(it) => Some(it),
            Self::While(_) | Self::Call(_) => None,
        }
    }
}
