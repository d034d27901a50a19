//! Optimized prompts that are read while the program runs, in place of those that were compiled in.
//!
//! ```no_run
//! use dspipe_runtime::{Artifacts, LocalRunner};
//!
//! // As `DSPIPE_ARTIFACTS=prompts` does for every program.
//! let runner = LocalRunner::from_env().with_artifacts(Artifacts::open("prompts"));
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::changes::{DemoText, PromptText};
use crate::lm::LmName;
use crate::read::{Strictness, parse, schema_of};
use crate::signature::{FieldDef, SignatureDef};

/// What files of this version say.
const VERSION: u64 = 1;

const ENDING: &str = ".optimized.json";

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// Files of optimized prompts, as optimizers write them beside workflows. They are read again when they
/// change; one that cannot be read, or does not fit its workflow, is ignored with a warning, and what was
/// there before stays in use. Cloning is cheap and shares what was read.
#[derive(Clone, Debug)]
pub struct Artifacts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    looked: Option<Instant>,
    files: HashMap<PathBuf, File>,
}

#[derive(Debug)]
struct File {
    stamp: Stamp,
    artifact: Arc<Artifact>,
    /// By step and LM, what was found fit: `None` is what was not.
    fitted: HashMap<(String, String), Option<Arc<PromptText>>>,
}

/// Changes with the content.
type Stamp = (Option<SystemTime>, u64);

#[derive(Debug, Default, Deserialize)]
struct Artifact {
    version: u64,
    workflow: String,
    variants: Vec<Variant>,
}

#[derive(Debug, Deserialize)]
struct Variant {
    lm: Option<String>,
    steps: HashMap<String, StepPrompt>,
}

#[derive(Debug, Deserialize)]
struct StepPrompt {
    signature: Option<OptimizedFrom>,
    instructions: String,
    #[serde(default)]
    demos: Vec<WrittenDemo>,
}

/// What the signature was when the prompt was found: names and types in words.
#[derive(Debug, Deserialize)]
struct OptimizedFrom {
    inputs: Option<Map<String, Value>>,
    outputs: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct WrittenDemo {
    inputs: Value,
    outputs: Value,
    #[serde(default)]
    augmented: bool,
}

impl Artifacts {
    /// The prompts of a file, or of all `.optimized.json` files of a directory. They may come up later.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            path: path.into(),
            loaded: Mutex::default(),
        }))
    }

    /// The prompt of a step for an LM, if there is one that fits: that for the LM, else that for any, else the
    /// first, as it is with compiled prompts.
    pub(crate) fn prompt(&self, def: &SignatureDef, lm: &LmName) -> Option<Arc<PromptText>> {
        let mut loaded = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked.is_none_or(|looked| looked.elapsed() >= PAUSE) {
            loaded.looked = Some(Instant::now());
            loaded.look(&self.0.path);
        }
        let mut files: Vec<_> = loaded
            .files
            .iter_mut()
            .filter(|(_, file)| file.artifact.workflow == def.workflow)
            .collect();
        files.sort_by_key(|(path, _)| path.as_path());
        let (path, file) = files.into_iter().next()?;
        let lm = lm.to_string();
        let key = (def.step.to_owned(), lm);
        if let Some(known) = file.fitted.get(&key) {
            return known.clone();
        }
        let found = file.artifact.prompt_for(def.step, &key.1);
        let fitted = found.and_then(|prompt| match fit(prompt, def) {
            Ok(prompt) => Some(Arc::new(prompt)),
            Err(reason) => {
                let (step, path) = (def.step, path.display());
                tracing::warn!(%path, step, reason, "an optimized prompt does not fit and is ignored");
                None
            }
        });
        file.fitted.insert(key, fitted.clone());
        fitted
    }
}

impl Loaded {
    fn look(&mut self, path: &Path) {
        let found = match files(path) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "optimized prompts cannot be found");
                return;
            }
        };
        self.files
            .retain(|path, _| found.iter().any(|(known, _)| known == path));
        for (path, stamp) in found {
            let known = self.files.get(&path).map(|file| file.stamp);
            if known == Some(stamp) {
                continue;
            }
            match read(&path) {
                Ok(artifact) => {
                    let file = File {
                        stamp,
                        artifact: Arc::new(artifact),
                        fitted: HashMap::new(),
                    };
                    self.files.insert(path, file);
                }
                Err(reason) => {
                    let path_shown = path.display();
                    tracing::warn!(path = %path_shown, reason, "optimized prompts cannot be read");
                    // Said once; the next change is looked at again.
                    if let Some(file) = self.files.get_mut(&path) {
                        file.stamp = stamp;
                    }
                }
            }
        }
    }
}

fn files(path: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let stamp = |metadata: &fs::Metadata| (metadata.modified().ok(), metadata.len());
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if metadata.is_file() {
        return Ok(vec![(path.to_owned(), stamp(&metadata))]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(ENDING) {
            found.push((entry.path(), stamp(&entry.metadata()?)));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Artifact, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let artifact: Artifact = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if artifact.version == VERSION {
        Ok(artifact)
    } else {
        Err(format!(
            "it is of version {}, and this is {VERSION}",
            artifact.version
        ))
    }
}

impl Artifact {
    fn prompt_for(&self, step: &str, lm: &str) -> Option<&StepPrompt> {
        let mut having = self
            .variants
            .iter()
            .filter(|it| it.steps.contains_key(step));
        let of_lm = having.clone().find(|it| it.lm.as_deref() == Some(lm));
        let of_any = || having.clone().find(|it| it.lm.is_none());
        let variant = of_lm.or_else(of_any).or_else(|| having.next())?;
        variant.steps.get(step)
    }
}

/// The prompt if it is for a signature like this one.
fn fit(prompt: &StepPrompt, def: &SignatureDef) -> Result<PromptText, String> {
    if let Some(from) = &prompt.signature {
        same_types(from.inputs.as_ref(), def.inputs)?;
        same_types(from.outputs.as_ref(), def.outputs)?;
    }
    let schema = schema_of(def.output_schema).map_err(|error| error.to_string())?;
    let mut demos = Vec::with_capacity(prompt.demos.len());
    for (at, demo) in prompt.demos.iter().enumerate() {
        let unknown = |values: &Value, fields: &[FieldDef]| {
            let names = values.as_object().into_iter().flat_map(Map::keys);
            let mut names = names.filter(|name| !fields.iter().any(|field| field.name == *name));
            names.next().cloned()
        };
        let name =
            unknown(&demo.inputs, def.inputs).or_else(|| unknown(&demo.outputs, def.outputs));
        if let Some(name) = name {
            return Err(format!(
                "demo {at} has a field `{name}`, which the step has not"
            ));
        }
        // Those of the user may lack fields.
        if demo.augmented {
            parse(&schema, &demo.outputs.to_string(), Strictness::Strict)
                .map_err(|error| format!("the outputs of demo {at}: {error}"))?;
        }
        demos.push(DemoText::new(def, &demo.inputs, &demo.outputs));
    }
    Ok(PromptText {
        instructions: prompt.instructions.clone(),
        demos,
    })
}

fn same_types(told: Option<&Map<String, Value>>, fields: &[FieldDef]) -> Result<(), String> {
    let Some(told) = told else { return Ok(()) };
    for field in fields {
        match told.get(field.name).and_then(Value::as_str) {
            Some(ty) if ty == field.ty => {}
            Some(ty) => {
                return Err(format!("`{}` is {}, and was {ty}", field.name, field.ty));
            }
            None => return Err(format!("`{}` is new", field.name)),
        }
    }
    let gone = told
        .keys()
        .find(|name| !fields.iter().any(|field| field.name == **name));
    match gone {
        Some(name) => Err(format!("`{name}` is gone")),
        None => Ok(()),
    }
}
