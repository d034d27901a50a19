//! Loops as Rust: the code of their bodies stands in `run_with`, where what is around them is at hand.

use std::collections::BTreeSet;

use super::printer::string;
use super::{Emitter, expr, run};
use crate::ir::{Block, BlockKind, ForLoop, Root, TypeKind};

/// What the item of a loop is called in the code of its body.
pub(super) fn item<'a>(emitter: &Emitter<'a>, block: usize) -> &'a str {
    match emitter.workflow.blocks.get(block).map(|it| &it.kind) {
        Some(BlockKind::For(it)) => &it.item.ident,
        None => "",
    }
}

/// What a block gives, as an expression in an async block that returns a result.
pub(super) fn ran(emitter: &Emitter<'_>, node: usize, block: &Block) -> String {
    match &block.kind {
        BlockKind::For(it) => for_loop(emitter, node, block, it),
    }
}

fn for_loop(emitter: &Emitter<'_>, node: usize, block: &Block, it: &ForLoop) -> String {
    let items = expr::reference(emitter, &it.items);
    let item = pattern(emitter, node, it);
    let name = string(&block.name.text);
    let body = run::statements(emitter, &block.plan).join(" ");
    let body = format!("let runner = &runner.round({name}, __index); {body}");
    let members: Vec<&str> = block
        .members
        .iter()
        .map(|node| run::output(emitter, *node))
        .collect();
    let round = match &block.ty.kind {
        TypeKind::List(round) => emitter.ty(round, emitter.scope.get()),
        _ => String::new(),
    };
    let round = format!("{round} {{ {} }}", members.join(", "));
    if it.at_once > 1 {
        let shared = shared(emitter, node, block);
        let at_once = it.at_once;
        let future = format!("async move {{ {body} Ok({round}) }}");
        let future = match shared.as_str() {
            "" => future,
            shared => format!("{{ {shared}{future} }}"),
        };
        return format!(
            "{{ let __items = {items}; runner.all({at_once}, __items.iter().enumerate()\
             .map(|(__index, {item})| {future}).collect()).await? }}"
        );
    }
    let (done, stop) = match expr::tests(emitter, &it.until) {
        Some(tests) => (format!(" let __done = {tests};"), " if __done { break; }"),
        None => (String::new(), ""),
    };
    format!(
        "{{ let __items = {items}; let mut __rounds = Vec::with_capacity(__items.len()); \
         for (__index, {item}) in __items.iter().enumerate() {{ {body}{done} \
         __rounds.push({round});{stop} }} __rounds }}"
    )
}

/// The pattern that binds an item: copied where that is all there is to it.
fn pattern(emitter: &Emitter<'_>, node: usize, it: &ForLoop) -> String {
    let workflow = emitter.workflow;
    let own = Root::Item(node - workflow.steps.len());
    let mut used = false;
    expr::node_roots(workflow, node, &mut |root| used |= root == own);
    match (used, Emitter::is_copy(&it.item_type)) {
        (false, _) => "_".to_owned(),
        (true, true) => format!("&{}", it.item.ident),
        (true, false) => it.item.ident.clone(),
    }
}

/// References to what rounds that run at the same time share.
fn shared(emitter: &Emitter<'_>, node: usize, block: &Block) -> String {
    let workflow = emitter.workflow;
    let mut names = BTreeSet::new();
    for member in &block.members {
        expr::node_roots(workflow, *member, &mut |root| match root {
            Root::Input(_) => _ = names.insert("inputs"),
            Root::Step(step) if !is_inside(emitter, node, step) => {
                names.insert(run::output(emitter, step));
            }
            _ => {}
        });
    }
    let bound = names.iter().map(|name| format!("let {name} = &{name}; "));
    bound.collect()
}

/// Whether a node is in the body of a block.
fn is_inside(emitter: &Emitter<'_>, block: usize, node: usize) -> bool {
    let members = emitter.workflow.block_at(block).map(|it| &it.members);
    members
        .into_iter()
        .flatten()
        .any(|&member| member == node || is_inside(emitter, member, node))
}
