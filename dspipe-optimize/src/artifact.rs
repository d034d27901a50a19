//! The file of optimized prompts, `triage.optimized.json` beside `triage.yaml`: deterministic text that reads
//! well in a review.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dspipe_build::StepText;
use dspipe_runtime::lm::LmName;
use dspipe_runtime::{FieldDef, Map, SignatureDef, Value, WorkflowDef};
use serde_json::json;

use crate::bridge::{Prompt, Prompts};
use crate::data::{Data, Example};
use crate::error::OptimizeError;
use crate::validate::Comparison;

/// What files of this version say.
const VERSION: u64 = 1;

/// Where the optimized prompts of a workflow file are.
pub fn path_of(workflow: &Path) -> PathBuf {
    let stem = workflow.file_stem().unwrap_or_default().to_string_lossy();
    workflow.with_file_name(format!("{stem}.optimized.json"))
}

/// How prompts were found, for the file.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// The LM that they were found for; `None` where steps run on several.
    pub(crate) lm: Option<&'a LmName>,
    pub(crate) stages: &'a [dspipe_build::Stage],
    pub(crate) seed: u64,
    pub(crate) metric: &'a str,
    pub(crate) data: &'a Data,
    pub(crate) comparison: &'a Comparison,
}

/// Puts prompts into the file of a workflow, in place of those for the same LM. Those for others stay.
///
/// # Errors
/// If the file is there and cannot be read, or cannot be written.
pub(crate) fn write(
    path: &Path,
    def: &WorkflowDef,
    prompts: &Prompts,
    origin: &Origin<'_>,
) -> Result<(), OptimizeError> {
    put(path, def.name, variant(def, prompts, Some(origin)))
}

/// The same for prompts that were found elsewhere.
pub(crate) fn import(
    path: &Path,
    def: &WorkflowDef,
    prompts: &Prompts,
    lm: Option<&LmName>,
) -> Result<(), OptimizeError> {
    let mut variant = variant(def, prompts, None);
    variant["lm"] = json!(lm.map(ToString::to_string));
    put(path, def.name, variant)
}

fn put(path: &Path, workflow: &str, variant: Value) -> Result<(), OptimizeError> {
    let mut variants = existing(path)?;
    match variants.iter_mut().find(|it| it["lm"] == variant["lm"]) {
        Some(known) => *known = variant,
        None => variants.push(variant),
    }
    save(path, workflow, &variants)
}

/// Prompts that were found for the instructions of the program are from now on for these, which took their place
/// in the workflow file.
///
/// # Errors
/// If the file is there and cannot be read, or cannot be written.
pub(crate) fn follow(
    path: &Path,
    def: &WorkflowDef,
    steps: &[StepText],
) -> Result<(), OptimizeError> {
    let mut variants = existing(path)?;
    let mut changed = false;
    for variant in &mut variants {
        for step in steps {
            let Some(step_def) = def.steps.iter().find(|def| def.step == step.step) else {
                continue;
            };
            let pointer = format!("/steps/{}/signature/instructions", pointer_part(&step.step));
            if let Some(Value::String(from)) = variant.pointer_mut(&pointer)
                && from.trim() == step_def.instructions.trim()
                && *from != step.instructions
            {
                from.clone_from(&step.instructions);
                changed = true;
            }
        }
    }
    if changed {
        save(path, def.name, &variants)?;
    }
    Ok(())
}

fn pointer_part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn save(path: &Path, workflow: &str, variants: &[Value]) -> Result<(), OptimizeError> {
    let artifact = json!({"version": VERSION, "workflow": workflow, "variants": variants});
    let mut text = format!("{artifact:#}");
    text.push('\n');
    replace(path, &text).map_err(|source| OptimizeError::Io {
        path: path.to_owned(),
        doing: "written",
        source,
    })
}

fn existing(path: &Path) -> Result<Vec<Value>, OptimizeError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(OptimizeError::Io {
                path: path.to_owned(),
                doing: "read",
                source,
            });
        }
    };
    let artifact: Value =
        serde_json::from_str(&text).map_err(|error| malformed(path, &error.to_string()))?;
    match (&artifact["version"], &artifact["variants"]) {
        (version, Value::Array(variants)) if version.as_u64() == Some(VERSION) => {
            Ok(variants.clone())
        }
        _ => Err(malformed(
            path,
            "it is no file of optimized prompts of version 1",
        )),
    }
}

fn malformed(path: &Path, reason: &str) -> OptimizeError {
    OptimizeError::Io {
        path: path.to_owned(),
        doing: "read",
        source: io::Error::new(io::ErrorKind::InvalidData, reason),
    }
}

fn variant(def: &WorkflowDef, prompts: &Prompts, origin: Option<&Origin<'_>>) -> Value {
    let mut variant = Map::new();
    variant.insert("lm".to_owned(), Value::Null);
    if let Some(origin) = origin {
        variant.insert("lm".to_owned(), json!(origin.lm.map(ToString::to_string)));
        let stages = origin.stages.iter();
        let stages: Vec<Value> = stages
            .map(|stage| json!({"optimizer": stage.optimizer, "settings": stage.settings}))
            .collect();
        variant.insert("optimizer".to_owned(), stages.into());
        variant.insert("seed".to_owned(), origin.seed.into());
        variant.insert("metric".to_owned(), origin.metric.into());
        let set = |examples: &[Example]| json!({"examples": examples.len(), "hash": Data::fingerprint(examples)});
        let data = json!({
            "train": set(&origin.data.train),
            "validation": set(&origin.data.validation),
            "held_out": set(&origin.data.held_out),
        });
        variant.insert("data".to_owned(), data);
        variant.insert("scores".to_owned(), origin.comparison.to_json());
    }
    let steps = def.steps.iter().filter_map(|step| {
        let prompt = prompts.get(step.step)?;
        Some((step.step.to_owned(), prompt_json(step, prompt)))
    });
    variant.insert("steps".to_owned(), Value::Object(steps.collect()));
    Value::Object(variant)
}

/// A prompt beside the signature that it was found for, so that the build can say what has changed since.
fn prompt_json(def: &SignatureDef, prompt: &Prompt) -> Value {
    let types = |fields: &[FieldDef]| -> Map<String, Value> {
        let fields = fields.iter();
        fields
            .map(|field| (field.name.to_owned(), field.ty.into()))
            .collect()
    };
    let demos: Vec<Value> = prompt
        .demos
        .iter()
        .map(|demo| {
            let mut json = Map::new();
            json.insert("inputs".to_owned(), in_order(&demo.inputs, def.inputs));
            json.insert("outputs".to_owned(), in_order(&demo.outputs, def.outputs));
            if demo.augmented {
                json.insert("augmented".to_owned(), true.into());
            }
            Value::Object(json)
        })
        .collect();
    json!({
        "signature": {
            "instructions": def.instructions,
            "inputs": types(def.inputs),
            "outputs": types(def.outputs),
        },
        "instructions": prompt.instructions,
        "demos": demos,
    })
}

/// The values in the order of the signature; others are not of it.
fn in_order(values: &Map<String, Value>, fields: &[FieldDef]) -> Value {
    let known = fields
        .iter()
        .filter_map(|field| Some((field.name.to_owned(), values.get(field.name)?.clone())));
    Value::Object(known.collect())
}

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(".dspipe")
        .tempfile_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    // Those of a file that is there stay; a new one can be read by all, as others are.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_or(0o644, |found| found.permissions().mode());
        let permissions = fs::Permissions::from_mode(mode);
        temporary.as_file().set_permissions(permissions)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use super::*;

    const DEF: WorkflowDef = WorkflowDef {
        name: "triage",
        description: "",
        source: "workflows/triage.yaml:2",
        inputs: &[],
        input_schema: "{}",
        steps: &[&SignatureDef {
            workflow: "triage",
            step: "sort",
            source: "workflows/triage.yaml:4",
            description: "",
            instructions: "Sort.",
            inputs: &[FieldDef {
                name: "text",
                ty: "string",
                description: "",
                sensitive: false,
            }],
            outputs: &[FieldDef {
                name: "team",
                ty: "\"billing\" | \"other\"",
                description: "",
                sensitive: false,
            }],
            input_schema: "{}",
            output_schema: "{}",
            demos: &[],
            optimized: &[],
            adapter: None,
            lm: None,
            temperature: None,
            max_tokens: None,
            lms: &[],
            checks: &[],
            module: dspipe_runtime::module::ModuleDef::Predict,
        }],
    };

    fn prompts(instructions: &str) -> Prompts {
        let demo = json!({"inputs": {"text": "Refund"}, "outputs": {"team": "billing"}, "augmented": true});
        let prompt = json!({"sort": {"instructions": instructions, "demos": [demo]}});
        Prompts::deserialize(prompt).unwrap_or_default()
    }

    #[test]
    fn a_variant_replaces_that_for_the_same_lm_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = path_of(&directory.path().join("triage.yaml"));
        assert!(path.ends_with("triage.optimized.json"));
        let (small, large): (LmName, LmName) =
            ("a/small".parse().unwrap(), "a/large".parse().unwrap());
        import(&path, &DEF, &prompts("first"), Some(&small)).unwrap();
        import(&path, &DEF, &prompts("other"), Some(&large)).unwrap();
        import(&path, &DEF, &prompts("second"), Some(&small)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let artifact: Value = serde_json::from_str(&text).unwrap();
        let told = |at: usize| {
            let variant = &artifact["variants"][at];
            let prompts = Prompts::deserialize(&variant["steps"]);
            (variant["lm"].clone(), prompts.unwrap())
        };
        assert_eq!(told(0), (json!("a/small"), prompts("second")));
        assert_eq!(told(1), (json!("a/large"), prompts("other")));
        assert_eq!(text.matches("\"lm\"").count(), 2);
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn prompts_follow_the_instructions_that_they_were_found_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("triage.optimized.json");
        let (small, large): (LmName, LmName) =
            ("a/small".parse().unwrap(), "a/large".parse().unwrap());
        import(&path, &DEF, &prompts("first"), Some(&small)).unwrap();
        import(&path, &DEF, &prompts("other"), Some(&large)).unwrap();
        // One of them was stale before.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("Sort.", "Sort them.", 1)).unwrap();
        let step = StepText {
            step: "sort".to_owned(),
            instructions: "second".to_owned(),
            examples: Vec::new(),
        };
        follow(&path, &DEF, &[step]).unwrap();
        let artifact: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let told = |at: usize| {
            let prompt = &artifact["variants"][at]["steps"]["sort"];
            (
                &prompt["signature"]["instructions"],
                &prompt["instructions"],
            )
        };
        assert_eq!(told(0), (&json!("Sort them."), &json!("first")));
        assert_eq!(told(1), (&json!("second"), &json!("other")));
    }

    #[test]
    fn a_file_that_is_none_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("triage.optimized.json");
        fs::write(&path, "{\"mine\": 1}").unwrap();
        assert!(import(&path, &DEF, &prompts("first"), None).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"mine\": 1}");
    }
}
