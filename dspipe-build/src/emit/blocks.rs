//! Loops and calls as Rust: the code of bodies stands in `run_with`, where what is around them is at hand.

use std::collections::BTreeSet;

use super::printer::string;
use super::{Emitter, expr, run};
use crate::ir::{
    Binding, Block, BlockKind, Call, ForLoop, Passed, Root, Type, TypeKind, WhileLoop,
};

/// What the item of a loop is called in the code of its body.
pub(super) fn item<'a>(emitter: &Emitter<'a>, block: usize) -> &'a str {
    match emitter.workflow.blocks.get(block).map(|it| &it.kind) {
        Some(BlockKind::For(it)) => &it.item.ident,
        _ => "",
    }
}

/// What a block gives, as an expression in an async block that returns a result.
pub(super) fn ran(emitter: &Emitter<'_>, node: usize, block: &Block) -> String {
    match &block.kind {
        BlockKind::For(it) => for_loop(emitter, node, block, it),
        BlockKind::While(it) => while_loop(emitter, block, it),
        BlockKind::Call(it) => call(emitter, block, it),
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

fn while_loop(emitter: &Emitter<'_>, block: &Block, it: &WhileLoop) -> String {
    let scope = emitter.scope.get();
    let result = emitter.ty(&block.ty, scope);
    let round = emitter.ty(&Type::new(TypeKind::Struct(it.round)), scope);
    let name = string(&block.name.text);
    let helpers = expr::helpers(emitter);
    let body = run::statements(emitter, &block.plan).join(" ");
    let members: Vec<&str> = block
        .members
        .iter()
        .map(|node| run::output(emitter, *node))
        .collect();
    let members = members.join(", ");
    let limit = it.limit;
    let test = expr::failed(emitter, &it.tests);
    format!(
        "{{ let mut __last = None::<{round}>; let mut __index = 0_usize; let exhausted = loop {{ \
         let __done = {test}; if __done {{ break false; }} \
         let __done = __index == {limit}; if __done {{ break true; }} \
         let runner = &runner.round({name}, __index); {body} \
         __last = Some({round} {{ {members} }}); __index += 1; }}; \
         {result} {{ last: __last, iterations: {helpers}::integer(__index), exhausted }} }}"
    )
}

fn call(emitter: &Emitter<'_>, block: &Block, it: &Call) -> String {
    let module = run::output(emitter, it.owner);
    let (caller, name) = (&emitter.workflow.name.text, &block.name.text);
    let (caller, name) = (string(caller), string(name));
    let fields: Vec<String> = it
        .inputs
        .iter()
        .map(|input| {
            let value = match &input.value {
                Passed::Same(binding) => run::binding(emitter, binding),
                Passed::Read(binding) => {
                    let helpers = expr::helpers(emitter);
                    let value = match binding {
                        Binding::Value(value) => expr::reference(emitter, value),
                        Binding::Text(_) => format!("&{}", run::binding(emitter, binding)),
                    };
                    format!("{helpers}::given({caller}, {name}, {value})?")
                }
                Passed::Default(value) => {
                    let helpers = expr::helpers(emitter);
                    let json = string(&value.to_string());
                    format!("{helpers}::default_of({caller}, {name}, {json})?")
                }
                Passed::Nothing => "None".to_owned(),
            };
            let value = if input.wrapped {
                format!("Some({value})")
            } else {
                value
            };
            match &input.name.ident {
                field if *field == value => value,
                field => format!("{field}: {value}"),
            }
        })
        .collect();
    let inputs = emitter.type_name("Inputs");
    let fields = fields.join(", ");
    format!("{module}::run_with(runner, {module}::{inputs} {{ {fields} }}).await?")
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
