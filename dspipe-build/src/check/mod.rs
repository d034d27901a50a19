//! From what is written to what is meant: names, types, templates, order,
//! examples. Every problem is recorded; what comes out of a workflow with
//! problems is good enough to generate a skeleton from.

mod alternatives;
mod blocks;
mod calls;
mod cases;
mod cells;
mod checks;
mod choices;
mod conditions;
mod constant;
mod data;
mod demos;
mod exprs;
mod functions;
mod graph;
mod limits;
mod lm;
mod lms;
mod media;
mod module;
mod named;
mod names;
mod objects;
mod optimized;
mod paths;
mod records;
mod recursion;
mod scopes;
mod settings;
mod sizes;
mod templates;
mod types;
mod values;

use std::collections::BTreeSet;

pub(crate) use cases::{Signatures, tags};
pub(crate) use lm::is_name as is_lm_name;
pub(crate) use names::{another, module_name};

use crate::artifact::Artifact;
use crate::data::{DataFile, DataFiles};
use crate::diag::{Code, Diagnostics};
use crate::ir;
use crate::library::Library;
use crate::nested::Nested;
use crate::source::{Sources, Spanned};
use crate::spec;

/// Proof that a workflow went through [`check`]: only this module can make one.
#[derive(Debug)]
pub(crate) struct Checked(());

/// Checks one workflow.
pub(crate) fn check(
    workflow: &spec::Workflow,
    library: &Library,
    nested: &Nested,
    sources: &Sources,
    data: &DataFiles,
    artifact: Option<&Artifact>,
    diagnostics: &mut Diagnostics,
) -> ir::Workflow {
    let name = names::workflow(&workflow.name, diagnostics);
    let mut node_names = names::nodes(workflow, diagnostics);

    // Outputs first: templates refer to them, wherever in the file they are.
    let types::Lowered {
        mut steps,
        inputs,
        mut types,
    } = types::lower(workflow, library, sources, diagnostics);
    let results = blocks::results(workflow, nested, &node_names, &steps, &mut types, sources);

    let bound = templates::bind(
        workflow,
        &mut steps,
        &inputs,
        &types,
        &results,
        nested,
        sources,
        diagnostics,
    );
    settings::check(workflow, diagnostics);
    let fields = data::Fields::new(&steps, &inputs, &types);
    let file_demos = data::check(workflow, fields, sources, data, diagnostics);
    let plans = graph::plan(workflow, &bound.dependencies, &bound.places, diagnostics);

    let mut lms = lms::Lms::new(workflow, diagnostics);
    let declared = artifact.map(|_| steps.clone()).unwrap_or_default();
    let mut checked_steps = Vec::with_capacity(steps.len());
    let bindings = bound.step_inputs.into_iter().zip(bound.guards);
    let mut dependencies = bound.dependencies;
    let of_blocks = dependencies.split_off(workflow.steps().len());
    let block_names = node_names.split_off(workflow.steps().len());
    let judged = bound.checks.into_iter().zip(bound.modules);
    let bindings = bindings.zip(dependencies).zip(judged);
    for ((((step, fields), (((inputs, guard), after), (checks, module))), name), file_demos) in
        workflow
            .steps()
            .iter()
            .zip(steps)
            .zip(bindings)
            .zip(node_names)
            .zip(file_demos)
    {
        let config = step.dspy_config.clone().over(&workflow.dspy_config);
        let lm = step.lm.clone().over(&workflow.lm);
        let lm_name = lm::name(step, workflow, &lms, diagnostics);
        let chain = lm_name
            .as_deref()
            .map(|name| lms.chain(name, &step.lm, &workflow.lm))
            .unwrap_or_default();
        let lm_name = lm_name.map(|name| lms.model(&name).map_or(name, str::to_owned));
        media::check((step, lm_name.as_deref(), lm.adapter), &inputs, diagnostics);
        lm::settings(&lm, diagnostics);
        let signature = step.signature.as_ref();
        let mut demos = demos::check(step, &config, &fields, &types, diagnostics);
        demos.extend(file_demos);
        checked_steps.push(ir::Step {
            name,
            description: text(step.description.as_ref()),
            source: sources.location(step.name.span),
            instructions: text(signature.and_then(|s| s.instructions.as_ref())),
            adapter: lm.adapter.unwrap_or_default(),
            lm: lm_name,
            temperature: lm.temperature.map(|t| t.value),
            max_tokens: lm.max_tokens.map(|t| t.value),
            streams: step.streams,
            lms: chain,
            demos,
            optimized: Vec::new(),
            guard,
            after: after.into_iter().collect(),
            inputs,
            outputs: fields.outputs,
            checks,
            module,
        });
    }
    lms.report_unused(diagnostics);
    let mut checked = ir::Workflow {
        name,
        description: text(workflow.description.as_ref()),
        source: sources.location(workflow.name.span),
        inputs: bound.workflow_inputs,
        steps: checked_steps,
        blocks: blocks_of(
            workflow,
            sources,
            block_names.into_iter().zip(results),
            bound.blocks,
            plans.blocks,
            of_blocks,
        ),
        members: nodes_of(workflow, &workflow.members.top),
        plan: plans.workflow,
        types,
        checked: Checked(()),
    };
    if let Some(artifact) = artifact {
        optimized::apply(artifact, &mut checked, &declared, diagnostics);
    }
    checked
}

/// The records of these files, checked as in [`check`]; without files, those that the workflow names and has
/// itself.
pub(crate) fn records(
    workflow: &spec::Workflow,
    library: &Library,
    sources: &Sources,
    data: &DataFiles,
    files: Option<&[DataFile]>,
    diagnostics: &mut Diagnostics,
) -> Vec<ir::Record> {
    let types::Lowered {
        steps,
        inputs,
        types,
    } = types::lower(workflow, library, sources, diagnostics);
    let fields = data::Fields::new(&steps, &inputs, &types);
    if let Some(files) = files {
        let files = files.iter().map(|file| (*file, None));
        return data::records(workflow, fields, sources, files, diagnostics);
    }
    let mut records = Vec::new();
    for (index, (step, fields)) in workflow.steps().iter().zip(&steps).enumerate() {
        for example in &step.examples {
            let spec::Example { input, output } = example;
            if let Some(demo) = demos::example(input, output, fields, &types, diagnostics) {
                records.push(ir::Record::of_step(input.span, index, &demo));
            }
        }
    }
    let of_steps = workflow.steps().iter().enumerate();
    let of_steps = of_steps.flat_map(|(index, step)| step.data().map(move |it| (it, Some(index))));
    let named = of_steps.chain(workflow.workflow_data().map(|path| (path, None)));
    let files = named.filter_map(|(path, only)| Some((data.get(path)?, only)));
    records.extend(data::records(workflow, fields, sources, files, diagnostics));
    records
}

/// By step, the inputs and the outputs that each of its examples has.
pub(crate) fn required(
    workflow: &spec::Workflow,
    library: &Library,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<(Vec<String>, Vec<String>)> {
    let names = |fields: &[ir::Field]| {
        let needed = |field: &&ir::Field| {
            field.default.is_none() && !matches!(field.ty.kind, ir::TypeKind::Optional(_))
        };
        let needed = fields.iter().filter(needed);
        needed.map(|field| field.name.text.clone()).collect()
    };
    let types::Lowered { steps, .. } = types::lower(workflow, library, sources, diagnostics);
    let steps = steps.iter();
    steps
        .map(|step| {
            let reasons = usize::from(step.reasons);
            let outputs = step.outputs.get(reasons..).unwrap_or_default();
            (names(&step.inputs), names(outputs))
        })
        .collect()
}

/// The blocks of a workflow, once all parts of them are known.
fn blocks_of(
    workflow: &spec::Workflow,
    sources: &Sources,
    results: impl Iterator<Item = (ir::Name, blocks::BlockResult)>,
    bound: Vec<blocks::BoundBlock>,
    plans: Vec<ir::Plan>,
    after: Vec<BTreeSet<usize>>,
) -> Vec<ir::Block> {
    let parts = results.zip(plans).zip(after);
    let blocks = workflow.blocks().iter().zip(bound).zip(parts);
    blocks
        .map(
            |((written, bound), (((name, result), plan), after))| ir::Block {
                name,
                description: text(written.description.as_ref()),
                source: sources.location(written.name.span),
                kind: bound.kind,
                guard: bound.guard,
                after: after.into_iter().collect(),
                members: nodes_of(workflow, &written.members),
                plan,
                ty: result.ty,
            },
        )
        .collect()
}

fn nodes_of(workflow: &spec::Workflow, members: &[spec::Member]) -> Vec<usize> {
    members.iter().map(|it| workflow.node_of(*it)).collect()
}

fn text(text: Option<&Spanned<String>>) -> String {
    text.map(|text| text.value.trim_end().to_owned())
        .unwrap_or_default()
}

/// Reports the second of two things that have one name.
fn report_duplicate(
    what: &str,
    first: &Spanned<String>,
    second: &Spanned<String>,
    ident: &str,
    diagnostics: &mut Diagnostics,
) {
    let several = match what.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{what}s"),
    };
    let message = if first.value == second.value {
        format!("there are two {several} called `{second}`")
    } else {
        format!("the {several} `{first}` and `{second}` are both `{ident}` in Rust")
    };
    diagnostics
        .error(Code::Duplicate, second.span, message)
        .label("rename this one")
        .also(first.span, "the first one");
}
