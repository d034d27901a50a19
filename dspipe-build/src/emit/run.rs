//! The step functions and `run`.

use super::printer::Printer;
use super::{Emitter, blocks, doc, expr};
use crate::ir::{Binding, Piece, Plan, Step};

/// The function that runs one step.
pub(super) fn step_function(emitter: &Emitter<'_>, step: &Step, out: &mut Printer) {
    let name = &step.name.ident;
    let fallback = ["Runs step `", &step.name.text, "`."].concat();
    let (input, output) = (emitter.type_name("Input"), emitter.type_name("Output"));
    out.blank();
    out.docs(&doc::item(&fallback, &step.description, &step.source));
    doc::errors(
        ["If there is no reply, or none that is an `", &output, "`."],
        out,
    );
    if emitter.options.skeleton {
        out.line("#[allow(clippy::unused_async)]");
    }
    out.open(["pub async fn ", name, "<R: Runner>("]);
    out.line("runner: &R,");
    out.line(["input: &", name, "::", &input, ","]);
    out.close([") -> Result<", name, "::", &output, ", Error> {"]);
    out.indent();
    if emitter.options.skeleton {
        skeleton("runner, input", out);
    } else {
        out.line(["runner.step::<", name, "::Step>(input).await"]);
    }
    out.close("}");
}

/// With more steps, `run_with` may be longer than people write functions.
const FEW: usize = 5;

/// `run` and `run_with`.
pub(super) fn run(emitter: &Emitter<'_>, out: &mut Printer) {
    let workflow = emitter.workflow;
    let runtime = &emitter.options.runtime;
    let (inputs, outputs) = (emitter.type_name("Inputs"), emitter.type_name("Outputs"));
    let errors = "That of the first step that fails.";
    let result = format!("Result<{outputs}, Error>");
    out.blank();
    out.docs(&doc::item(
        "Runs the workflow.",
        &workflow.description,
        &workflow.source,
    ));
    doc::errors(errors, out);
    out.open(["pub async fn run(inputs: ", &inputs, ") -> ", &result, " {"]);
    out.line(["run_with(", runtime, "::default_runner(), inputs).await"]);
    out.close("}");

    out.blank();
    out.doc("Like [`run`], on a runner of the caller's.");
    doc::errors(errors, out);
    if emitter.options.skeleton {
        out.line("#[allow(clippy::unused_async)]");
    }
    if workflow.steps.len() > FEW || !workflow.blocks.is_empty() {
        out.line("#[allow(clippy::too_many_lines)]");
    }
    out.open([
        "pub async fn run_with<R: Runner>(runner: &R, inputs: ",
        &inputs,
        ") -> ",
        &result,
        " {",
    ]);
    if emitter.options.skeleton {
        skeleton("runner, inputs", out);
    } else {
        let statements = statements(emitter, &workflow.plan);
        if emitter.calls_helpers.get() {
            out.line(["use ", runtime, "::generated::expr;"]);
        }
        out.line(format_args!(
            "let runner = &{runtime}::generated::in_run(runner, &WORKFLOW);"
        ));
        if workflow.inputs.is_empty() {
            out.line(["let ", &inputs, " {} = inputs;"]);
        }
        if !workflow.inputs.is_empty() && workflow.inputs.iter().all(|input| input.uses == 0) {
            out.line("let _ = inputs;");
        }
        for statement in statements {
            out.flow(statement);
        }
        let members: Vec<&str> = workflow
            .members
            .iter()
            .map(|node| output(emitter, *node))
            .collect();
        out.flow(["Ok(", &outputs, " { ", &members.join(", "), " })"]);
    }
    out.close("}");
}

/// The body of a function in a workflow that has errors: it type-checks and, behind
/// the `compile_error!` beside it, is never run.
fn skeleton(arguments: &str, out: &mut Printer) {
    out.line(["let _ = (", arguments, ");"]);
    out.line("::core::unreachable!(\"the workflow has errors\")");
}

/// Statements after which the outputs of all nodes of a plan are in scope.
pub(super) fn statements(emitter: &Emitter<'_>, plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Series(parts) => parts
            .iter()
            .flat_map(|part| statements(emitter, part))
            .collect(),
        Plan::Step(step) => {
            let (name, output) = (output(emitter, *step), call(emitter, *step));
            vec![format!("let {name} = {output};")]
        }
        Plan::Parallel(_) | Plan::Graph(_) => {
            let (pattern, future) = (pattern(emitter, plan), future(emitter, plan));
            vec![format!("let {pattern} = {future}.await?;")]
        }
    }
}

/// What binds the result of [`future`].
fn pattern(emitter: &Emitter<'_>, plan: &Plan) -> String {
    let pair = |a: &str, b: &str| format!("({a}, {b})");
    match plan {
        Plan::Step(step) => output(emitter, *step).to_owned(),
        Plan::Series(parts) => tuple(emitter, parts),
        Plan::Parallel(parts) => joined(parts, &|part| pattern(emitter, part), &pair),
        Plan::Graph(steps) => joined(steps, &|step| output(emitter, *step).to_owned(), &pair),
    }
}

/// The outputs of all steps of a series.
fn tuple(emitter: &Emitter<'_>, parts: &[Plan]) -> String {
    let steps: Vec<&str> = steps(parts).map(|step| output(emitter, step)).collect();
    format!("({})", steps.join(", "))
}

/// A future of the outputs of all steps of a plan, in the shape of [`pattern`].
fn future(emitter: &Emitter<'_>, plan: &Plan) -> String {
    match plan {
        Plan::Step(node) if is_future(emitter, *node) => started(emitter, *node),
        Plan::Step(step) => format!("async {{ Ok({}) }}", call(emitter, *step)),
        Plan::Series(parts) => {
            let statements = statements(emitter, plan).join(" ");
            format!("async {{ {statements} Ok({}) }}", tuple(emitter, parts))
        }
        Plan::Parallel(parts) => joined(parts, &|part| future(emitter, part), &join),
        Plan::Graph(steps) => graph(emitter, steps),
    }
}

fn join(a: &str, b: &str) -> String {
    format!("runner.join({a}, {b})")
}

/// Steps that each start as soon as what they need is there: a slot hands on the
/// output of each step that another one of them waits for.
fn graph(emitter: &Emitter<'_>, steps: &[usize]) -> String {
    let needed: Vec<Vec<(usize, bool)>> = steps
        .iter()
        .map(|node| sources(emitter, *node, steps))
        .collect();
    let slot = |step: usize| {
        let name = output(emitter, step);
        format!("{}_slot", super::unmarked(name))
    };
    let shared: Vec<usize> = steps
        .iter()
        .copied()
        .filter(|step| {
            let mut all = needed.iter().flatten();
            all.any(|(source, _)| source == step)
        })
        .collect();
    let slots: Vec<String> = shared
        .iter()
        .map(|step| format!("let {} = Slot::new(); ", slot(*step)))
        .collect();
    let blocks: Vec<String> = steps
        .iter()
        .zip(&needed)
        .map(|(step, needed)| {
            let waits: Vec<String> = needed
                .iter()
                .map(|(source, used)| {
                    let slot = slot(*source);
                    if *used {
                        format!("let {} = {slot}.wait().await; ", output(emitter, *source))
                    } else {
                        format!("{slot}.wait().await; ")
                    }
                })
                .collect();
            let waits = waits.concat();
            if shared.contains(step) {
                let (name, slot) = (output(emitter, *step), slot(*step));
                let call = call(emitter, *step);
                format!("async {{ {waits}let {name} = {call}; {slot}.fill(&{name}); Ok({name}) }}")
            } else if is_future(emitter, *step) {
                format!("async {{ {waits}{}.await }}", started(emitter, *step))
            } else {
                format!("async {{ {waits}Ok({}) }}", call(emitter, *step))
            }
        })
        .collect();
    let all = joined(&blocks, &Clone::clone, &join);
    format!("async {{ {}{all}.await }}", slots.concat())
}

/// Which of `steps` a node waits for, and whether it takes values from it.
fn sources(emitter: &Emitter<'_>, node: usize, steps: &[usize]) -> Vec<(usize, bool)> {
    let workflow = emitter.workflow;
    let used = expr::used_steps(workflow, node);
    let after = match workflow.block_at(node) {
        Some(block) => &block.after,
        None => &workflow.steps[node].after,
    };
    after
        .iter()
        .filter(|source| steps.contains(source))
        .map(|source| (*source, used.contains(source)))
        .collect()
}

/// Two by two, in a balanced tree: types nest only as deep as they must.
fn joined<T>(
    parts: &[T],
    leaf: &dyn Fn(&T) -> String,
    join: &dyn Fn(&str, &str) -> String,
) -> String {
    match parts {
        [] => "()".to_owned(),
        [part] => leaf(part),
        parts => {
            let (left, right) = parts.split_at(parts.len().div_ceil(2));
            join(&joined(left, leaf, join), &joined(right, leaf, join))
        }
    }
}

/// The steps of a plan, in the order in which they appear in it.
fn steps(parts: &[Plan]) -> impl Iterator<Item = usize> {
    fn collect(plan: &Plan, into: &mut Vec<usize>) {
        match plan {
            Plan::Step(step) => into.push(*step),
            Plan::Series(parts) | Plan::Parallel(parts) => {
                for part in parts {
                    collect(part, into);
                }
            }
            Plan::Graph(steps) => into.extend(steps),
        }
    }
    let mut all = Vec::new();
    for part in parts {
        collect(part, &mut all);
    }
    all.into_iter()
}

/// The local that holds a node's output.
pub(super) fn output<'a>(emitter: &Emitter<'a>, node: usize) -> &'a str {
    &emitter.workflow.name_of(node).ident
}

/// Whether a node is run by one call that is awaited.
fn is_future(emitter: &Emitter<'_>, node: usize) -> bool {
    let workflow = emitter.workflow;
    workflow.block_at(node).is_none() && workflow.guard_of(node).is_none()
}

/// The output of a node, awaited.
fn ran(emitter: &Emitter<'_>, node: usize) -> String {
    match emitter.workflow.block_at(node) {
        Some(block) => blocks::ran(emitter, node, block),
        None => format!("{}.await?", started(emitter, node)),
    }
}

/// The output of a step, as an expression in an async block that returns a result: awaited, and in an
/// `Option` if the step has a condition.
fn call(emitter: &Emitter<'_>, step: usize) -> String {
    let value = ran(emitter, step);
    let Some(guard) = emitter.workflow.guard_of(step) else {
        return value;
    };
    let tests = expr::tests(emitter, &guard.tests);
    let ran: Vec<&str> = guard
        .ran
        .iter()
        .map(|step| output(emitter, *step))
        .collect();
    if ran.is_empty() {
        let tests = tests.unwrap_or_else(|| "true".to_owned());
        // Nobody asks for what is not where there is an `else`.
        let is_negative = tests.starts_with('!')
            || tests.contains(" != ") && !tests.contains(" && ") && !tests.contains(" || ");
        if is_negative {
            let tests = expr::failed(emitter, &guard.tests);
            return format!("if {tests} {{ None }} else {{ Some({value}) }}");
        }
        return format!("if {tests} {{ Some({value}) }} else {{ None }}");
    }
    let tests = tests.map_or_else(String::new, |tests| format!(" if {tests}"));
    let each = |what: &dyn Fn(&str) -> String| -> String {
        let all: Vec<String> = ran.iter().map(|name| what(name)).collect();
        match all.as_slice() {
            [only] => only.clone(),
            several => format!("({})", several.join(", ")),
        }
    };
    let values = each(&|name| format!("&{name}"));
    let patterns = each(&|name| format!("Some({name})"));
    format!("match {values} {{ {patterns}{tests} => Some({value}), _ => None }}")
}

/// The call of a step's function, its input built in place.
fn started(emitter: &Emitter<'_>, step: usize) -> String {
    let name = output(emitter, step);
    let fields: Vec<String> = emitter.workflow.steps[step]
        .inputs
        .iter()
        .map(|input| {
            let value = binding(emitter, &input.binding);
            format!("{}: {value}", input.field.name.ident)
        })
        .collect();
    let input = emitter.type_name("Input");
    match fields.as_slice() {
        [] => format!("{name}(runner, &{name}::{input} {{}})"),
        _ => format!(
            "{name}(runner, &{name}::{input} {{ {} }})",
            fields.join(", ")
        ),
    }
}

/// The value of an input, owned.
pub(super) fn binding(emitter: &Emitter<'_>, binding: &Binding) -> String {
    match binding {
        Binding::Value(value) => expr::value(emitter, value),
        Binding::Text(pieces) => text(emitter, pieces),
    }
}

fn text(emitter: &Emitter<'_>, pieces: &[Piece]) -> String {
    let helpers = expr::helpers(emitter);
    let pieces: Vec<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(literal) => super::printer::string(literal),
            Piece::Value(value) => expr::shown(emitter, value),
        })
        .collect();
    // Not `format!`: what is between braces would be code.
    format!("{helpers}::concat(&[{}])", pieces.join(", "))
}
