//! One step of a workflow, without the others.

use super::{Emitter, Options, Printer, Scope, types};
use crate::ir::{Home, Type, TypeDef, TypeDefKind, TypeKind, Workflow};

/// The items of a workflow's module that one step needs: its own, and from other modules the types that
/// its fields have.
pub(crate) fn step(workflow: &Workflow, index: usize, options: Options<'_>) -> String {
    let emitter = Emitter::new(workflow, options);
    let mut out = Printer::with_capacity(10_000);
    emitter.prelude(&mut out);
    for home in homes(&emitter, index) {
        match home {
            Home::Workflow => emitter.definitions(Scope::Workflow, &mut out),
            Home::Step(step) if step == index => {
                emitter.step(step, &workflow.steps[step], &mut out);
            }
            Home::Step(node) => others(&emitter, node, &mut out),
        }
    }
    out.into_text()
}

/// The types of another node's module.
fn others(emitter: &Emitter<'_>, node: usize, out: &mut Printer) {
    let workflow = emitter.workflow;
    if let Some(block) = workflow.block_at(node) {
        emitter.block(node, block, out);
        return;
    }
    let name = workflow.name_of(node);
    out.blank();
    out.doc(["The types of step `", &name.text, "`."]);
    out.open(["pub mod ", &name.ident, " {"]);
    emitter.prelude(out);
    let scope = Scope::Step(node);
    emitter.definitions(scope, out);
    // Its output, where what a loop gives is made of it.
    let mut own = workflow.types.iter().filter(|def| def.home == scope.home());
    if let Some(output) = own.find(|def| def.elsewhere.is_some()) {
        types::definition(emitter, scope, output, out);
    }
    out.close("}");
}

/// The step's own module, and those that it needs types of.
fn homes(emitter: &Emitter<'_>, index: usize) -> Vec<Home> {
    let step = &emitter.workflow.steps[index];
    let mut homes = vec![Home::Step(index)];
    let inputs = step.inputs.iter().map(|input| &input.field.ty);
    for ty in inputs.chain(step.outputs.iter().map(|output| &output.ty)) {
        add(emitter.workflow, ty, &mut homes);
    }
    let mut done = 0;
    while let Some(home) = homes.get(done).copied() {
        let types = &emitter.workflow.types;
        for def in types.iter().filter(|def| def.home == home) {
            parts(def).for_each(|ty| add(emitter.workflow, ty, &mut homes));
        }
        done += 1;
    }
    homes
}

fn add(workflow: &Workflow, ty: &Type, homes: &mut Vec<Home>) {
    match &ty.kind {
        TypeKind::List(inner) | TypeKind::Map(inner) | TypeKind::Optional(inner) => {
            add(workflow, inner, homes);
        }
        TypeKind::Struct(reference) | TypeKind::Enum(reference) | TypeKind::Union(reference) => {
            let home = workflow.type_def(*reference).home;
            if !homes.contains(&home) {
                homes.push(home);
            }
        }
        _ => {}
    }
}

/// The types that a type is made of.
fn parts(def: &TypeDef) -> Box<dyn Iterator<Item = &Type> + '_> {
    match &def.kind {
        TypeDefKind::Struct(fields) => Box::new(fields.iter().map(|field| &field.ty)),
        TypeDefKind::Enum(_) => Box::new(std::iter::empty()),
        TypeDefKind::Union(all) => Box::new(all.iter().map(|one| &one.ty)),
    }
}
