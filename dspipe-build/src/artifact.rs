//! The file of optimized prompts beside a workflow file: `triage.optimized.json` for `triage.yaml`.
//!
//! An optimizer writes it, people review and commit it. What it says of how the prompts were found is for
//! them; only the prompts, and what they were found for, are read here.

use std::path::{Path, PathBuf};

use crate::data::{ReadFile, Unread};
use crate::diag::{Code, Diagnostics};
use crate::source::{Sources, Span, Spanned};
use crate::yaml::{self, Kind, MapReader, Node};

/// What files of this version say.
const VERSION: i64 = 1;

const ENDING: &str = ".optimized.json";

/// Optimized prompts of a workflow, as they are written.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) workflow: Option<Spanned<String>>,
    pub(crate) variants: Vec<Variant>,
}

/// The prompts for one LM, or for any.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) span: Span,
    pub(crate) lm: Option<Spanned<String>>,
    pub(crate) steps: Vec<StepPrompt>,
}

/// The prompt of one step.
#[derive(Debug)]
pub(crate) struct StepPrompt {
    pub(crate) step: Spanned<String>,
    pub(crate) optimized_from: Option<OptimizedFrom>,
    pub(crate) instructions: Spanned<String>,
    pub(crate) demos: Vec<WrittenDemo>,
}

/// What the signature was when the prompt was found.
#[derive(Debug)]
pub(crate) struct OptimizedFrom {
    pub(crate) instructions: Option<Spanned<String>>,
    /// Names and types in words.
    pub(crate) inputs: Vec<(Spanned<String>, Spanned<String>)>,
    pub(crate) outputs: Vec<(Spanned<String>, Spanned<String>)>,
}

#[derive(Debug)]
pub(crate) struct WrittenDemo {
    pub(crate) inputs: Node,
    pub(crate) outputs: Node,
    /// Whether a run made it; those of the user may lack fields.
    pub(crate) augmented: bool,
}

/// Where the optimized prompts of a workflow file are.
pub(crate) fn path_of(workflow: &Path) -> PathBuf {
    let stem = workflow.file_stem().unwrap_or_default().to_string_lossy();
    workflow.with_file_name(format!("{stem}{ENDING}"))
}

/// Whether a file of this name has optimized prompts.
pub(crate) fn is_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(ENDING)
}

/// Reads the optimized prompts of a workflow; `None` if there are none.
pub(crate) fn load(
    place: Span,
    sources: &mut Sources,
    read: &mut ReadFile<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Artifact> {
    let path = path_of(Path::new(&sources.file(place.file).path));
    let problem = match read(&path) {
        Ok(text) => {
            let shown = path.to_string_lossy().replace('\\', "/");
            let file = sources.add(shown, text);
            let root = yaml::parse(sources, file, diagnostics)?;
            return Artifact::read(&root, diagnostics);
        }
        Err(Unread::Missing) => return None,
        Err(Unread::TooLarge(bytes)) => format!("the file has {} MiB", bytes >> 20),
        Err(Unread::NotUtf8(at)) => format!("not UTF-8: the byte at offset {at} is no text"),
        Err(Unread::Failed(reason)) => reason,
    };
    diagnostics
        .error(
            Code::InvalidArtifact,
            place,
            format!(
                "the optimized prompts in `{}` cannot be read",
                path.display()
            ),
        )
        .label(problem);
    None
}

impl Artifact {
    fn read(root: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(root, "the file of optimized prompts", diagnostics)?;
        map.point_at(first(root.span));
        let version = map
            .required("version", diagnostics)
            .and_then(|node| yaml::integer(node, "`version`", diagnostics))?;
        if version.value != VERSION {
            diagnostics
                .error(
                    Code::InvalidArtifact,
                    version.span,
                    format!("version {version} of optimized prompts; this is {VERSION}"),
                )
                .help("optimize again, or use the version of dspipe that wrote the file");
            return None;
        }
        let workflow = map
            .required("workflow", diagnostics)
            .and_then(|node| yaml::text(node, "`workflow`", diagnostics));
        let variants = map
            .required("variants", diagnostics)
            .and_then(|node| yaml::list(node, "`variants`", diagnostics))
            .unwrap_or_default()
            .iter()
            .filter_map(|node| Variant::read(node, diagnostics))
            .collect();
        map.finish(diagnostics);
        Some(Self { workflow, variants })
    }
}

impl Variant {
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "a variant", diagnostics)?;
        map.point_at(first(node.span));
        let lm = map
            .optional("lm")
            .filter(|node| !node.is_null())
            .and_then(|node| yaml::text(node, "`lm` of a variant", diagnostics));
        // How the prompts were found, and how good they are.
        for told in [
            "optimizer",
            "seed",
            "metric",
            "data",
            "scores",
            "written_by",
        ] {
            map.optional(told);
        }
        let steps = map.required("steps", diagnostics);
        map.finish(diagnostics);
        let steps = entries(steps?, "`steps` of a variant", diagnostics)
            .iter()
            .filter_map(|(key, node)| {
                let step = Spanned::new(key.text.clone(), key.span);
                StepPrompt::read(step, node, diagnostics)
            })
            .collect();
        Some(Self {
            span: first(node.span),
            lm,
            steps,
        })
    }
}

impl StepPrompt {
    fn read(step: Spanned<String>, node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let what = format!("the prompt of `{step}`");
        let mut map = MapReader::new(node, &what, diagnostics)?;
        map.point_at(step.span);
        let optimized_from = map
            .optional("signature")
            .and_then(|node| OptimizedFrom::read(node, diagnostics));
        let instructions = map
            .required("instructions", diagnostics)
            .and_then(|node| yaml::text(node, "`instructions`", diagnostics));
        let demos = map
            .optional("demos")
            .and_then(|node| yaml::list(node, "`demos`", diagnostics))
            .unwrap_or_default()
            .iter()
            .filter_map(|node| WrittenDemo::read(node, diagnostics))
            .collect();
        map.finish(diagnostics);
        Some(Self {
            step,
            optimized_from,
            instructions: instructions?,
            demos,
        })
    }
}

impl OptimizedFrom {
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "the signature of a prompt", diagnostics)?;
        let instructions = map
            .optional("instructions")
            .and_then(|node| yaml::text(node, "`instructions`", diagnostics));
        let mut fields = |key: &'static str, diagnostics: &mut Diagnostics| -> Vec<_> {
            let Some(node) = map.optional(key) else {
                return Vec::new();
            };
            entries(node, key, diagnostics)
                .iter()
                .filter_map(|(key, node)| {
                    let ty = yaml::text(node, "a type", diagnostics)?;
                    Some((Spanned::new(key.text.clone(), key.span), ty))
                })
                .collect()
        };
        let inputs = fields("inputs", diagnostics);
        let outputs = fields("outputs", diagnostics);
        map.finish(diagnostics);
        Some(Self {
            instructions,
            inputs,
            outputs,
        })
    }
}

impl WrittenDemo {
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "a demo", diagnostics)?;
        map.point_at(first(node.span));
        let inputs = map.required("inputs", diagnostics);
        let outputs = map.required("outputs", diagnostics);
        let augmented = map
            .optional("augmented")
            .and_then(|node| yaml::boolean(node, "`augmented`", diagnostics))
            .is_some_and(|augmented| augmented.value);
        map.finish(diagnostics);
        Some(Self {
            inputs: inputs?.clone(),
            outputs: outputs?.clone(),
            augmented,
        })
    }
}

fn entries<'n>(
    node: &'n Node,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> &'n [(yaml::Key, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => {
            // Says what is wrong.
            MapReader::new(node, what, diagnostics);
            &[]
        }
    }
}

fn first(span: Span) -> Span {
    Span {
        end: span.start + 1,
        ..span
    }
}
