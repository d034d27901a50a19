//! The file format as Rust types, decoded with every structural error recorded.
//!
//! Decoding is lenient on purpose: what can't be read is reported and left out,
//! so that the rest of the file is still checked and generated.

mod block;
mod checks;
mod condition;
mod example;
mod foreign;
mod lms;
mod module;
mod optimizer;
mod optimizer_settings;
mod schema;
mod settings;
mod signature;
mod step;
mod types;

pub(crate) use block::{Block, BlockKind, Call, ForLoop, Member, Members};
pub(crate) use checks::Check;
pub(crate) use condition::Condition;
pub(crate) use example::Example;
pub(crate) use lms::LmEntry;
pub(crate) use module::{Best, Module, ModuleKind};
pub(crate) use optimizer::Stage;
pub(crate) use schema::{Additional, Bounds, Choice, Property, Schema};
pub(crate) use settings::DspyConfig;
pub(crate) use signature::{Field, Signature};
pub(crate) use step::{Lm, Step, StepType};
pub(crate) use types::NamedSchema;

use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::yaml::{self, MapReader, Node};

/// One workflow file.
#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) name: Spanned<String>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) lm: Lm,
    /// LMs by names of this workflow.
    pub(crate) lms: Vec<LmEntry>,
    pub(crate) dspy_config: DspyConfig,
    /// Constants that templates and conditions name.
    pub(crate) global_vars: Vec<(Spanned<String>, Node)>,
    /// Inputs that are declared besides those that steps name.
    pub(crate) inputs: Vec<Field>,
    /// `types:` of the file.
    pub(crate) types: Vec<NamedSchema>,
    pub(crate) members: Members,
}

impl Workflow {
    /// `None`: there is not enough of a workflow to go on with.
    pub(crate) fn read(root: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut file = MapReader::new(root, "the file", diagnostics)?;
        let entry = file.entry("workflow");
        let mut types = types::read(&mut file, diagnostics);
        file.finish(diagnostics);
        let Some((span, node)) = entry else {
            let help = match types.as_slice() {
                [] => "everything belongs under one `workflow:` key",
                _ => {
                    "a file of types only is referred to by `$ref`; keep it outside of the directory of workflows"
                }
            };
            diagnostics
                .error(
                    Code::MissingKey,
                    start_of(root),
                    "the file has no `workflow`",
                )
                .help(help);
            return None;
        };
        let mut map = MapReader::new(node, "the workflow", diagnostics)?;
        map.point_at(span);
        let name = map
            .required("name", diagnostics)
            .and_then(|node| yaml::text(node, "the workflow's `name`", diagnostics));
        let description = optional_text(&mut map, "description", diagnostics);
        // Free for the user's own purposes; nothing reads them.
        map.optional("version");
        map.optional("metadata");
        let lm = Lm::read(&mut map, diagnostics);
        let lms = lms::read(&mut map, diagnostics);
        let dspy_config = DspyConfig::read(&mut map, diagnostics);
        let global_vars = map
            .optional("global_vars")
            .map(|node| global_vars(node, diagnostics))
            .unwrap_or_default();
        types.extend(types::read(&mut map, diagnostics));
        let inputs = signature::inputs(&mut map, diagnostics);
        let items = map
            .required("steps", diagnostics)
            .and_then(|node| {
                let items = yaml::list(node, "`steps`", diagnostics)?;
                if items.is_empty() {
                    diagnostics
                        .error(Code::MissingKey, node.span, "the workflow has no steps")
                        .label("at least one step is needed");
                }
                Some(items)
            })
            .unwrap_or_default();
        let mut members = Members::default();
        members.top = members.read(items, None, 0, diagnostics);
        foreign::refuse(&mut map, &foreign::WORKFLOW, diagnostics);
        map.finish(diagnostics);
        Some(Self {
            name: name?,
            description,
            lm,
            lms,
            dspy_config,
            global_vars,
            inputs,
            types,
            members,
        })
    }
}

fn global_vars(node: &Node, diagnostics: &mut Diagnostics) -> Vec<(Spanned<String>, Node)> {
    let yaml::Kind::Map(entries) = &node.kind else {
        // Says what is wrong.
        MapReader::new(node, "`global_vars`", diagnostics);
        return Vec::new();
    };
    entries
        .iter()
        .map(|(key, value)| (Spanned::new(key.text.clone(), key.span), value.clone()))
        .collect()
}

impl Workflow {
    /// All steps, those in bodies of loops included, in the order of the file.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.members.steps
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.members.blocks
    }

    /// How many nodes there are: the steps, and behind them the blocks.
    pub(crate) fn nodes(&self) -> usize {
        self.steps().len() + self.blocks().len()
    }

    /// The node of a block.
    pub(crate) fn node_of_block(&self, block: usize) -> usize {
        self.steps().len() + block
    }

    /// The node of a member.
    pub(crate) fn node_of(&self, member: Member) -> usize {
        match member {
            Member::Step(step) => step,
            Member::Block(block) => self.node_of_block(block),
        }
    }

    /// The block that a node is.
    pub(crate) fn block_at(&self, node: usize) -> Option<&Block> {
        self.blocks().get(node.checked_sub(self.steps().len())?)
    }

    pub(crate) fn name_of(&self, node: usize) -> &Spanned<String> {
        match self.block_at(node) {
            Some(block) => &block.name,
            None => &self.steps()[node].name,
        }
    }

    pub(crate) fn condition_of(&self, node: usize) -> Option<&Condition> {
        match self.block_at(node) {
            Some(block) => block.condition.as_ref(),
            None => self.steps()[node].condition.as_ref(),
        }
    }

    /// The block, by its place among all, whose body a node is in.
    pub(crate) fn within(&self, node: usize) -> Option<usize> {
        match self.block_at(node) {
            Some(block) => block.within,
            None => self.steps()[node].within,
        }
    }

    /// The node of this name.
    pub(crate) fn node_named(&self, name: &str) -> Option<usize> {
        let steps = self.steps().iter().map(|step| &step.name);
        let mut names = steps.chain(self.blocks().iter().map(|block| &block.name));
        names.position(|known| known.value == name)
    }

    /// The names of all nodes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps().iter().map(|step| &step.name);
        let names = steps.chain(self.blocks().iter().map(|block| &block.name));
        names.map(|name| name.value.as_str())
    }

    /// Every file of labelled data that the workflow and its steps name.
    pub(crate) fn data_paths(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.workflow_data()
            .chain(self.steps().iter().flat_map(Step::data))
            .chain(self.judging_data())
    }

    /// The files whose records judge prompts, and are no demos.
    pub(crate) fn judging_data(&self) -> impl Iterator<Item = &Spanned<String>> {
        let config = &self.dspy_config;
        [&config.validation_examples_path, &config.test_examples_path]
            .into_iter()
            .flatten()
    }

    /// The files whose records may belong to any step.
    pub(crate) fn workflow_data(&self) -> impl Iterator<Item = &Spanned<String>> {
        let config = &self.dspy_config;
        [&config.global_training_data, &config.training_examples_path]
            .into_iter()
            .flatten()
    }
}

fn start_of(node: &Node) -> Span {
    Span {
        end: node.span.start,
        ..node.span
    }
}

fn optional_text(
    map: &mut MapReader<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    let node = map.optional(key)?;
    yaml::text(node, format_args!("`{key}` of {}", map.what()), diagnostics)
}
