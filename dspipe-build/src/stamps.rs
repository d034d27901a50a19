//! What each workflow was compiled from, so that it is compiled again only when that
//! is something else.
//!
//! The record lies beside the generated files. It holds workflows without errors
//! only: those with errors are few, and nobody waits less for them.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::compile::Workflow;
use crate::config::Config;

/// What is known of a workflow that was compiled before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stamp {
    /// Of its text.
    pub(crate) text: u64,
    /// The other files that it depends on; `None` for one that was not there.
    pub(crate) files: Vec<(String, Option<u64>)>,
    pub(crate) module: String,
    pub(crate) types: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// All stamps, by the path of the workflow file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stamps(pub(crate) BTreeMap<String, Stamp>);

impl Stamp {
    pub(crate) fn new(workflow: &Workflow, text: &str, warnings: Vec<String>, base: &Path) -> Self {
        let files = workflow.files.iter();
        Self {
            text: hash(text.as_bytes()),
            files: files
                .map(|path| (path.to_string_lossy().into_owned(), state(&base.join(path))))
                .collect(),
            module: workflow.module.clone(),
            types: workflow.types.clone(),
            warnings,
        }
    }

    /// Whether compiling again would give the same again.
    pub(crate) fn holds(&self, text: &str, base: &Path) -> bool {
        let same = |(path, was): &(String, Option<u64>)| state(&base.join(path)) == *was;
        self.text == hash(text.as_bytes()) && self.files.iter().all(same)
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|(path, _)| PathBuf::from(path))
    }

    fn to_json(&self) -> Value {
        json!({
            "text": self.text,
            "files": self.files,
            "module": self.module,
            "types": self.types,
            "warnings": self.warnings,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let files = value.get("files")?.as_array()?.iter().map(|file| {
            let state = file.get(1)?;
            let path = file.get(0)?.as_str()?.to_owned();
            Some((
                path,
                if state.is_null() {
                    None
                } else {
                    Some(state.as_u64()?)
                },
            ))
        });
        Some(Self {
            text: value.get("text")?.as_u64()?,
            files: files.collect::<Option<_>>()?,
            module: value.get("module")?.as_str()?.to_owned(),
            types: texts(value.get("types")?)?,
            warnings: texts(value.get("warnings")?)?,
        })
    }
}

impl Stamps {
    /// The stamps that `text` records. None if it is from another compiler, or was
    /// made with other settings, or is not whole.
    pub(crate) fn read(text: &str, compiler: u64) -> Self {
        let parse = || {
            let value: Value = serde_json::from_str(text).ok()?;
            if value.get("compiler")?.as_u64()? != compiler {
                return None;
            }
            let workflows = value.get("workflows")?.as_object()?.iter();
            workflows
                .map(|(path, stamp)| Some((path.clone(), Stamp::from_json(stamp)?)))
                .collect::<Option<_>>()
        };
        Self(parse().unwrap_or_default())
    }

    pub(crate) fn to_text(&self, compiler: u64) -> String {
        let workflows: serde_json::Map<String, Value> = self
            .0
            .iter()
            .map(|(path, stamp)| (path.clone(), stamp.to_json()))
            .collect();
        json!({ "compiler": compiler, "workflows": workflows }).to_string()
    }
}

/// Who compiles, and how. The program that runs has the compiler in it, so it stands
/// for its version; `None` if it cannot be told, and then nothing is reused.
pub(crate) fn compiler(config: &Config) -> Option<u64> {
    let program = fs::metadata(std::env::current_exe().ok()?).ok()?;
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_PKG_VERSION"), program.len()).hash(&mut hasher);
    program.modified().ok()?.hash(&mut hasher);
    format!("{config:?}").hash(&mut hasher);
    Some(hasher.finish())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// What is in a file; of a directory, that it is there.
fn state(path: &Path) -> Option<u64> {
    match fs::read(path) {
        Ok(bytes) => Some(hash(&bytes)),
        Err(_) => path.exists().then_some(0),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| Some(text.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp {
            text: u64::MAX,
            files: vec![("a \"b\"".to_owned(), None), ("c".to_owned(), Some(7))],
            module: "r#match".to_owned(),
            types: vec!["match::Inputs".to_owned()],
            warnings: vec!["ü\n".to_owned()],
        };
        let stamps = Stamps(BTreeMap::from([("x.yaml".to_owned(), stamp)]));
        let text = stamps.to_text(3);
        assert_eq!(Stamps::read(&text, 3), stamps);
        assert_eq!(Stamps::read(&text, 4), Stamps::default());
        for end in 0..text.len() {
            let _ = text.get(..end).map(|part| Stamps::read(part, 3));
        }
    }
}
