//! Loops and calls: what they go over or are given, when they end, and what they give.

use std::sync::Arc;

use super::calls::{Imported, Imports};
use super::conditions::{Facts, bare};
use super::exprs::Here;
use super::names;
use super::templates::Binder;
use super::types::{StepTypes, optional};
use crate::diag::{Code, Diagnostics};
use crate::ir::{
    self, Expr, ExprKind, Field, Guard, Home, Name, Type, TypeDef, TypeDefKind, TypeKind, TypeRef,
};
use crate::nested::Nested;
use crate::source::Sources;
use crate::spec::{self, BlockKind, ForLoop};

/// What a round of a loop gives, as a type.
const ROUND: &str = "Iteration";

/// What a loop with a condition gives, as a type.
const RESULT: &str = "Iterations";

/// What a block was found to be.
#[derive(Debug)]
pub(super) struct BoundBlock {
    pub(super) guard: Option<Guard>,
    pub(super) kind: ir::BlockKind,
}

/// What a block gives.
#[derive(Debug, Clone)]
pub(super) struct BlockResult {
    pub(super) ty: Type,
    /// What a round of it gives, if it is a loop.
    pub(super) round: TypeRef,
    /// Of a call: the types of the workflow.
    pub(super) imported: Option<Imported>,
}

impl BlockResult {
    fn broken() -> Self {
        Self {
            ty: Type::broken(),
            round: TypeRef(0),
            imported: None,
        }
    }
}

/// By block, what it gives. The types of rounds, of the outputs that they are made of, and of workflows that are
/// called join the others.
pub(super) fn results(
    workflow: &spec::Workflow,
    nested: &Nested,
    names: &[Name],
    steps: &[StepTypes],
    types: &mut Vec<TypeDef>,
    sources: &Sources,
) -> Vec<BlockResult> {
    let mut results = vec![BlockResult::broken(); workflow.blocks().len()];
    let mut imports = Imports::default();
    for (index, block) in workflow.blocks().iter().enumerate() {
        if let (BlockKind::Call(_), Some(called)) = (&block.kind, nested.of_block(index)) {
            let imported = imports.of(called, workflow.node_of_block(index), types);
            results[index].ty = imported.outputs.clone();
            results[index].imported = Some(imported);
        }
    }
    // Those inside of others come behind them.
    for (index, block) in workflow.blocks().iter().enumerate().rev() {
        if let BlockKind::Call(_) = &block.kind {
            continue;
        }
        let members = block.members.iter().map(|member| workflow.node_of(*member));
        let fields = members.map(|node| {
            let ty = match node.checked_sub(workflow.steps().len()) {
                Some(inner) => results[inner].ty.clone(),
                None => output(node, &names[node], &steps[node], types),
            };
            let guarded = workflow.condition_of(node).is_some();
            member(names[node].clone(), ty, guarded)
        });
        let fields = fields.collect();
        let mut structure = |ident: &str, description: &str, fields| {
            let def = TypeDef {
                ident: ident.to_owned(),
                home: Home::Step(workflow.node_of_block(index)),
                description: description.to_owned(),
                source: sources.location(block.name.span),
                kind: TypeDefKind::Struct(fields),
                replacement: None,
                recursive: false,
                elsewhere: None,
            };
            add(types, def)
        };
        let text = "What a round of the loop gave.";
        let round = structure(ROUND, text, fields);
        let ty = match &block.kind {
            BlockKind::While(_) => {
                let own = |name: &str, kind, description: &str| Field {
                    description: description.to_owned(),
                    ..member(Name::of(name), Type::new(kind), false)
                };
                let text = "What the last round gave; absent if there was none.";
                let last = Field {
                    description: text.to_owned(),
                    ..member(Name::of("last"), Type::new(TypeKind::Struct(round)), true)
                };
                let text = "How many rounds there were.";
                let count = own("iterations", TypeKind::Integer, text);
                let text = "Whether it ended because there may be no more rounds.";
                let exhausted = own("exhausted", TypeKind::Boolean, text);
                let text = "What the loop gave.";
                let fields = vec![last, count, exhausted];
                Type::new(TypeKind::Struct(structure(RESULT, text, fields)))
            }
            _ => {
                let item = Type::new(TypeKind::Struct(round));
                Type::new(TypeKind::List(Box::new(item)))
            }
        };
        results[index] = BlockResult {
            ty,
            round,
            imported: None,
        };
    }
    results
}

/// A property of what a block gives.
pub(super) fn member(name: Name, ty: Type, guarded: bool) -> Field {
    Field {
        name,
        ty: if guarded { optional(ty) } else { ty },
        description: String::new(),
        default: None,
        boxed: false,
        sensitive: false,
    }
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
        elsewhere: Some(String::new()),
    };
    Type::new(TypeKind::Struct(add(types, def)))
}

fn add(types: &mut Vec<TypeDef>, def: TypeDef) -> TypeRef {
    types.push(def);
    TypeRef(types.len() - 1)
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
                Some((&it.iterator, "the item of an outer loop"))
            });
            let nodes = (0..workflow.nodes()).map(|node| (workflow.name_of(node), "a step"));
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
                    .label(format!("{what} has this name"))
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
                BlockKind::While(_) | BlockKind::Call(_) => None,
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
    pub(super) fn block(&mut self, index: usize, nested: &Nested, facts: &Facts<'w>) -> BoundBlock {
        let workflow = self.workflow;
        let node = workflow.node_of_block(index);
        self.depends_on(node);
        let kind = match &workflow.blocks()[index].kind {
            BlockKind::For(it) => {
                let until = it.break_condition.as_ref();
                let until = until.and_then(|it| self.at_end_of_round(index, it));
                // A list that is wrong is reported, and no code comes of it.
                let items = self.items[index].take().unwrap_or_else(|| {
                    let kind = ExprKind::Boolean(false);
                    let ty = Type::broken();
                    (Expr { ty, kind }, Type::broken())
                });
                ir::BlockKind::For(ir::ForLoop {
                    items: items.0,
                    item: names::iterator(&it.iterator, &mut Diagnostics::default()),
                    item_type: items.1,
                    at_once: it.at_once,
                    until: until.into_iter().collect(),
                })
            }
            BlockKind::While(it) => {
                let test = it.condition.as_ref();
                let test = test.and_then(|it| self.at_end_of_round(index, it));
                ir::BlockKind::While(ir::WhileLoop {
                    tests: test.into_iter().collect(),
                    limit: it.max_iterations,
                    round: self.results[index].round,
                })
            }
            BlockKind::Call(it) => {
                let called = nested.of_block(index);
                let imported = self.results[index].imported.as_ref();
                let inputs = match (called, imported) {
                    (Some(called), Some(imported)) => self.call_inputs(node, it, called, imported),
                    _ => Vec::new(),
                };
                ir::BlockKind::Call(ir::Call {
                    workflow: called.map(|it| Arc::clone(&it.workflow)),
                    owner: imported.map_or(node, |it| it.owner),
                    inputs,
                })
            }
        };
        BoundBlock {
            guard: self.guard(node, facts),
            kind,
        }
    }

    /// A condition on what a round gave.
    fn at_end_of_round(&mut self, block: usize, condition: &'w spec::Condition) -> Option<Expr> {
        self.inside = Some(block);
        let test = self.tree(self.workflow.node_of_block(block), condition);
        self.inside = None;
        test
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
