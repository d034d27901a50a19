//! Training data in files: every record against its signature.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use super::cells;
use super::demos;
use super::records::{self, Placed, Shape};
use super::sizes::{self, Available};
use super::types::StepTypes;
use crate::data::{DataFile, DataFiles, Part};
use crate::diag::{Code, Diagnostics};
use crate::ir::{Demo, Field, Record, TypeDef};
use crate::source::{Sources, Span};
use crate::spec::Workflow;
use crate::yaml::{Key, Node};

/// As many problems of one file are shown; of the others, the number.
const SHOWN: usize = 20;

/// What records are held to.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    steps: &'a [StepTypes],
    /// The inputs that the workflow declares.
    inputs: &'a [Field],
    types: &'a [TypeDef],
}

impl<'a> Fields<'a> {
    pub(super) fn new(steps: &'a [StepTypes], inputs: &'a [Field], types: &'a [TypeDef]) -> Self {
        Self {
            steps,
            inputs,
            types,
        }
    }
}

/// Checks all files, and takes from them the demos that each step still has room for.
pub(super) fn check(
    workflow: &Workflow,
    fields: Fields<'_>,
    sources: &Sources,
    files: &DataFiles,
    diagnostics: &mut Diagnostics,
) -> Vec<Vec<Demo>> {
    let steps = workflow.steps();
    let mut found = found(workflow);
    // Without its signature, a step cannot say which records are its own.
    let complete = steps.iter().all(|step| step.signature.is_some());
    let shapes = shapes(workflow, fields);
    let mut read = |path, only: Option<usize>| {
        let affected = match only {
            Some(step) => step..step + 1,
            None => 0..found.len(),
        };
        match files.get(path) {
            Some(file) if complete => {
                Reading {
                    file,
                    shapes: &shapes,
                    fields,
                    only,
                    found: &mut found,
                    records: None,
                    seen: HashMap::new(),
                    unplaced: false,
                }
                .run(sources, diagnostics);
            }
            _ => found[affected]
                .iter_mut()
                .for_each(|step| step.available.unknown = true),
        }
    };
    for (index, step) in steps.iter().enumerate() {
        for path in step.data() {
            read(path, Some(index));
        }
    }
    for path in workflow.workflow_data() {
        read(path, None);
    }
    if complete {
        let judging = workflow.judging_data().filter_map(|path| files.get(path));
        let judging = judging.map(|file| (file, None));
        records(workflow, fields, sources, judging, diagnostics);
    }
    let (demos, available): (Vec<_>, Vec<_>) = found
        .into_iter()
        .map(|found| (found.demos, found.available))
        .unzip();
    sizes::check(workflow, &available, diagnostics);
    demos
}

/// Checks the records of files that give no demos, and gives them; `only` is the step that a file is for.
pub(super) fn records(
    workflow: &Workflow,
    fields: Fields<'_>,
    sources: &Sources,
    files: impl Iterator<Item = (DataFile, Option<usize>)>,
    diagnostics: &mut Diagnostics,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut found = found(workflow);
    let shapes = shapes(workflow, fields);
    for (file, only) in files {
        Reading {
            file,
            shapes: &shapes,
            fields,
            only,
            found: &mut found,
            records: Some(&mut records),
            seen: HashMap::new(),
            unplaced: false,
        }
        .run(sources, diagnostics);
    }
    records
}

fn found(workflow: &Workflow) -> Vec<Found> {
    let steps = workflow.steps().iter();
    steps
        .map(|step| Found {
            room: step
                .dspy_config
                .few_shot_examples
                .as_ref()
                .or(workflow.dspy_config.few_shot_examples.as_ref())
                .map_or(0, |count| count.value as usize)
                .saturating_sub(step.examples.len()),
            demos: Vec::new(),
            available: Available::inline(step),
        })
        .collect()
}

fn shapes<'a>(workflow: &'a Workflow, fields: Fields<'a>) -> Vec<Shape<'a>> {
    let steps = workflow.steps().iter().zip(fields.steps);
    let declared = (!fields.inputs.is_empty()).then(|| Shape::of_inputs(fields.inputs));
    steps
        .map(|(step, fields)| Shape {
            step: &step.name.value,
            inputs: &fields.inputs,
            outputs: &fields.outputs,
            given: fields
                .inputs
                .iter()
                .map(|field| is_given(step, field))
                .collect(),
            in_loop: step.within.is_some(),
            is_step: true,
        })
        .chain(declared)
        .collect()
}

fn is_given(step: &crate::spec::Step, field: &Field) -> bool {
    step.signature.iter().any(|signature| {
        signature
            .inputs
            .iter()
            .any(|input| input.name.value == field.name.text && input.template.is_none())
    })
}

/// What the files hold for one step.
struct Found {
    /// How many demos it may take.
    room: usize,
    demos: Vec<Demo>,
    available: Available,
}

/// One file being read.
struct Reading<'a> {
    file: DataFile,
    shapes: &'a [Shape<'a>],
    fields: Fields<'a>,
    only: Option<usize>,
    found: &'a mut [Found],
    /// Where the records are kept, if they are wanted.
    records: Option<&'a mut Vec<Record>>,
    /// By the hash of step and input: the hash of the output, and the first record that has them.
    seen: HashMap<u64, (u64, Span)>,
    /// No row of this table can be placed, which has been said once.
    unplaced: bool,
}

impl Reading<'_> {
    fn run(&mut self, sources: &Sources, diagnostics: &mut Diagnostics) {
        let mut room = SHOWN;
        let mut more = 0_usize;
        let mut next = None;
        self.file.read(sources, &mut |part| {
            let mut problems = Diagnostics::default();
            match part {
                Ok(Part::Header(names)) => self.header(names, &mut problems),
                Ok(Part::Record(node)) if !self.unplaced => self.record(node, &mut problems),
                Ok(Part::Record(_)) => {}
                Err(problem) => problem.report(&mut problems),
            }
            let shown = problems.len().min(room);
            let left = diagnostics.append_up_to(room, problems);
            room -= shown;
            more += left.len();
            if next.is_none() {
                next = left.first().copied();
            }
        });
        if let Some(span) = next {
            let s = if more == 1 { "" } else { "s" };
            diagnostics
                .error(
                    Code::InvalidData,
                    span,
                    format!("… and {more} more problem{s} with the records of this file"),
                )
                .label("the next one");
        }
    }

    /// Columns that no record can use are one mistake, not one a row.
    fn header(&mut self, names: &[Key], problems: &mut Diagnostics) {
        for (at, name) in names.iter().enumerate() {
            if let Some(first) = names[..at].iter().find(|first| first.text == name.text) {
                self.unplaced = true;
                problems
                    .error(
                        Code::Duplicate,
                        name.span,
                        format!("the column `{}` is there twice", name.text),
                    )
                    .label("again here")
                    .also(first.span, "first here");
            } else if !records::known(self.shapes, self.only, &name.text) {
                self.unplaced = true;
                problems
                    .error(
                        Code::InvalidExample,
                        name.span,
                        format!("no field is called `{}`", name.text),
                    )
                    .label("unknown column")
                    .meant(
                        name.span,
                        &name.text,
                        records::names(self.shapes, self.only),
                    );
            }
        }
    }

    fn record(&mut self, mut node: Node, problems: &mut Diagnostics) {
        let span = node.span;
        if self.file.is_table() && self.only.is_none() {
            cells::drop_empty(&mut node);
        }
        let Some(placed) = records::place(node, self.shapes, self.only, problems) else {
            return;
        };
        match placed {
            Placed::Steps {
                steps,
                input,
                output,
            } => {
                for step in steps {
                    let fields = &self.fields.steps[step];
                    // Each step reads the cells by its own types.
                    let (mut input, mut output) = (input.clone(), output.clone());
                    if self.file.is_table() {
                        cells::of_types(&mut input, &fields.inputs);
                        cells::of_types(&mut output, &fields.outputs);
                    }
                    self.found[step].available.add(span);
                    let demo = demos::example(&input, &output, fields, self.fields.types, problems);
                    let Some(demo) = demo else {
                        continue;
                    };
                    let inputs: Vec<String> = demo
                        .inputs
                        .iter()
                        .map(|(_, value)| value.to_string())
                        .collect();
                    let hashes = (hash(&(step, inputs)), hash(&demo.output.to_string()));
                    self.compare(hashes, span, problems);
                    if let Some(records) = &mut self.records {
                        records.push(Record::of_step(span, step, &demo));
                    }
                    let found = &mut self.found[step];
                    if found.demos.len() < found.room {
                        found.demos.push(demo);
                    }
                }
            }
            Placed::Workflow { inputs, outputs } => {
                let mut steps: Vec<usize> = outputs.iter().map(|(step, ..)| *step).collect();
                steps.dedup();
                for step in steps {
                    self.found[step].available.add(span);
                }
                let input = self.values(inputs, true, problems);
                let output = self.values(outputs, false, problems);
                if let (Some(input), Some(output)) = (input, output) {
                    let hashes = (hash(&texts(&input)), hash(&texts(&output)));
                    self.compare(hashes, span, problems);
                    if let Some(records) = &mut self.records {
                        records.push(Record::of_workflow(span, input, output));
                    }
                }
            }
        }
    }

    /// Checks values that belong to fields of several steps; gives each with its step.
    fn values(
        &self,
        values: Vec<(usize, usize, Node)>,
        input: bool,
        problems: &mut Diagnostics,
    ) -> Option<Vec<(usize, Map<String, Value>)>> {
        let values: Vec<Option<_>> = values
            .into_iter()
            .map(|(step, at, mut node)| {
                let (fields, what) = match self.fields.steps.get(step) {
                    Some(fields) if !input => (&*fields.outputs, "the record's output"),
                    Some(fields) => (&*fields.inputs, "the record's input"),
                    None => (self.fields.inputs, "the record's input"),
                };
                let field = fields.get(at..=at)?;
                if self.file.is_table() {
                    cells::of_types(&mut node, field);
                }
                let value = demos::values(&node, field, self.fields.types, what, problems)?;
                Some((step, value))
            })
            .collect();
        // All of them first, so that every bad value is reported.
        values.into_iter().collect()
    }

    fn compare(&mut self, (input, output): (u64, u64), span: Span, problems: &mut Diagnostics) {
        match self.seen.get(&input) {
            None => {
                self.seen.insert(input, (output, span));
            }
            Some((same, _)) if *same == output => {}
            Some((_, first)) => {
                problems
                    .warning(
                        Code::ConflictingRecords,
                        span,
                        "the same input as in another record, and a different output",
                    )
                    .label("this record")
                    .also(*first, "the other one")
                    .help("keep the one that is right: an optimizer cannot satisfy both");
            }
        }
    }
}

fn texts(values: &[(usize, Map<String, Value>)]) -> Vec<String> {
    let mut texts: Vec<String> = values
        .iter()
        .map(|(_, value)| Value::Object(value.clone()).to_string())
        .collect();
    texts.sort_unstable();
    texts
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
