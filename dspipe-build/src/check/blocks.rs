//! Loops: what they go over, when they end, and what they give.

use super::conditions::{Facts, bare};
use super::exprs::Here;
use super::names;
use super::templates::Binder;
use super::types::{StepTypes, optional};
use crate::diag::{Code, Diagnostics};
use crate::ir::{
    self, Expr, ExprKind, Field, Guard, Home, Name, Type, TypeDef, TypeDefKind, TypeKind, TypeRef,
};
use crate::source::Sources;
use crate::spec::{self, BlockKind, ForLoop};

/// What a round of a loop gives, as a type.
const ROUND: &str = "Iteration";

/// What a block was found to be.
#[derive(Debug)]
pub(super) struct BoundBlock {
    pub(super) guard: Option<Guard>,
    /// The list, and the type of its items. `None`: something is wrong with it, and reported.
    pub(super) items: Option<(Expr, Type)>,
    pub(super) until: Vec<Expr>,
}

/// By block, the type of what it gives. The types of rounds, and of the outputs that they are made of, join
/// the others.
pub(super) fn results(
    workflow: &spec::Workflow,
    names: &[Name],
    steps: &[StepTypes],
    types: &mut Vec<TypeDef>,
    sources: &Sources,
) -> Vec<Type> {
    let mut results = vec![Type::broken(); workflow.blocks().len()];
    // Those inside of others come behind them.
    for (index, block) in workflow.blocks().iter().enumerate().rev() {
        let members = block.members.iter().map(|member| workflow.node_of(*member));
        let fields = members.map(|node| {
            let ty = match node.checked_sub(workflow.steps().len()) {
                Some(inner) => results[inner].clone(),
                None => output(node, &names[node], &steps[node], types),
            };
            let conditional = workflow.condition_of(node).is_some();
            Field {
                name: names[node].clone(),
                ty: if conditional { optional(ty) } else { ty },
                description: String::new(),
                default: None,
                boxed: false,
                sensitive: false,
            }
        });
        let fields = fields.collect();
        let round = add(
            types,
            TypeDef {
                ident: ROUND.to_owned(),
                home: Home::Step(workflow.node_of_block(index)),
                description: format!("What a round of `{}` gave.", block.name),
                source: sources.location(block.name.span),
                kind: TypeDefKind::Struct(fields),
                replacement: None,
                recursive: false,
                is_output: false,
            },
        );
        results[index] = Type::new(TypeKind::List(Box::new(round)));
    }
    results
}

/// The output of a step as a type among the others.
fn output(step: usize, name: &Name, fields: &StepTypes, types: &mut Vec<TypeDef>) -> Type {
    let def = TypeDef {
        ident: "Output".to_owned(),
        home: Home::Step(step),
        description: format!("What `{}` gives.", name.text),
        source: String::new(),
        kind: TypeDefKind::Struct(fields.outputs.clone()),
        replacement: None,
        recursive: false,
        is_output: true,
    };
    add(types, def)
}

fn add(types: &mut Vec<TypeDef>, def: TypeDef) -> Type {
    types.push(def);
    Type::new(TypeKind::Struct(TypeRef(types.len() - 1)))
}

impl<'w> Binder<'w> {
    /// The iterators of loops: names that nothing else in sight has.
    pub(super) fn check_iterators(&mut self) {
        let workflow = self.workflow;
        for (index, block) in workflow.blocks().iter().enumerate() {
            let Some(written) = block.kind.as_for().map(|it| &it.iterator) else {
                continue;
            };
            let ident = names::iterator(written, self.diagnostics);
            let around = self.around(workflow.node_of_block(index));
            let outer = around.filter_map(|outer| {
                let it = workflow.blocks().get(outer)?.kind.as_for()?;
                Some((&it.iterator, "item"))
            });
            let nodes = (0..workflow.nodes()).map(|node| (workflow.name_of(node), "step"));
            let taken = outer.chain(nodes).find(|(name, _)| {
                names::iterator(name, &mut Diagnostics::default()).ident == ident.ident
            });
            if let Some((first, what)) = taken {
                let (first, span) = (first.clone(), written.span);
                self.diagnostics
                    .error(
                        Code::Duplicate,
                        span,
                        format!(
                            "the item of the loop `{}` is called `{written}`",
                            block.name
                        ),
                    )
                    .label(format!("a {what} has this name"))
                    .also(first.span, "the first one")
                    .help("`iterator` gives the item another name");
            }
        }
    }

    /// The lists that loops go over, outer ones first.
    pub(super) fn bind_items(&mut self) {
        let workflow = self.workflow;
        for (index, block) in workflow.blocks().iter().enumerate() {
            let node = workflow.node_of_block(index);
            let items = match &block.kind {
                BlockKind::For(it) => self.items(node, it),
            };
            self.items.push(items);
        }
    }

    fn items(&mut self, node: usize, written: &ForLoop) -> Option<(Expr, Type)> {
        let source = written.data_source.as_ref()?;
        let text = dotted(bare(source));
        let here = Here {
            step: node,
            text: &text,
            around: source.span,
        };
        let parsed = self.parse(&here)?;
        let list = self.operand(&here, &parsed, None)?;
        match &list.ty.kind {
            TypeKind::List(item) => {
                let item = (**item).clone();
                Some((list, item))
            }
            _ => {
                let ty = list.ty.clone();
                self.wrong_operand(&here, &parsed, &ty, "a list to go over");
                None
            }
        }
    }

    /// What is left to find out about a block, once all that is in its body is known.
    pub(super) fn block(&mut self, index: usize, facts: &Facts<'w>) -> BoundBlock {
        let workflow = self.workflow;
        let node = workflow.node_of_block(index);
        self.depends_on(node);
        let mut until = Vec::new();
        if let Some(block) = workflow.blocks().get(index) {
            match &block.kind {
                BlockKind::For(it) => {
                    if let Some(condition) = &it.break_condition {
                        self.inside = Some(index);
                        until.extend(self.tree(node, condition));
                        self.inside = None;
                    }
                }
            }
        }
        BoundBlock {
            guard: self.guard(node, facts),
            items: self.items.get_mut(index).and_then(Option::take),
            until,
        }
    }
}

/// `step:field`, as other pipelines write a path.
fn dotted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if text.chars().all(word) {
        text.replace(':', ".")
    } else {
        text.to_owned()
    }
}

/// A block, all parts of it bound.
pub(super) fn kind(
    written: &spec::Block,
    items: Option<(Expr, Type)>,
    until: Vec<Expr>,
) -> ir::BlockKind {
    match &written.kind {
        BlockKind::For(it) => {
            // A list that is wrong is reported, and no code comes of it.
            let (items, item_type) = items.unwrap_or_else(|| {
                let kind = ExprKind::Boolean(false);
                let ty = Type::broken();
                (Expr { ty, kind }, Type::broken())
            });
            ir::BlockKind::For(ir::ForLoop {
                items,
                item: names::iterator(&it.iterator, &mut Diagnostics::default()),
                item_type,
                at_once: it.at_once,
                until,
            })
        }
    }
}
