//! Files of training data, read record by record.
//!
//! A file's text is kept for the snippets of diagnostics; its records are not. YAML is the
//! exception: its parser gives whole documents.

mod csv;
mod json;

use std::collections::HashMap;
use std::path::Path;

use crate::diag::{Code, Diagnostics};
use crate::source::{FileId, Sources, Span, Spanned};
use crate::spec::Workflow;
use crate::yaml::{self, Key, Kind, MapReader, Node};

/// Larger files are refused: what a build reads on every change should be small.
pub(crate) const MAX_BYTES: u64 = 32 << 20;
/// YAML files become trees as a whole, at many times their size.
const MAX_YAML_BYTES: usize = 4 << 20;

/// Why a file has no text.
#[derive(Debug)]
pub(crate) enum Unread {
    Missing,
    /// So many bytes.
    TooLarge(u64),
    /// Valid up to this offset.
    NotUtf8(usize),
    Failed(String),
}

/// Gives the text of a file, and notes that the result depends on it.
pub(crate) type ReadFile<'a> = dyn FnMut(&Path) -> Result<String, Unread> + 'a;

/// How the records of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    JsonLines,
    Csv,
    Yaml,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            "csv" => Self::Csv,
            "yaml" | "yml" => Self::Yaml,
            _ => return None,
        })
    }
}

/// A place and what is wrong with the text there.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) problem: String,
}

/// A file that was read, not yet its records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataFile {
    pub(crate) file: FileId,
    format: Format,
}

/// What a data file consists of, in its order.
pub(crate) enum Part<'n> {
    /// The first row of a table.
    Header(&'n [Key]),
    Record(Node),
}

impl DataFile {
    pub(crate) fn new(file: FileId, format: Format) -> Self {
        Self { file, format }
    }

    /// `None`: the file's name does not tell.
    pub(crate) fn format_of(path: &Path) -> Option<Format> {
        Format::of(path)
    }

    /// Whether every value is a piece of text whose meaning depends on the type asked for.
    pub(crate) fn is_table(self) -> bool {
        self.format == Format::Csv
    }

    /// Hands out the parts of the file and what is wrong with its text.
    pub(crate) fn read(self, sources: &Sources, found: &mut dyn FnMut(Result<Part<'_>, Problem>)) {
        let file = self.file;
        let text = sources.file(file).text.as_str();
        let mut records = 0_usize;
        let mut broken = false;
        let mut each = |part: Result<Part<'_>, Malformed>| {
            found(match part {
                Ok(part) => {
                    records += usize::from(matches!(part, Part::Record(_)));
                    Ok(part)
                }
                Err(error) => {
                    broken = true;
                    Err(Problem::Malformed(mark(text, file, error)))
                }
            });
        };
        match self.format {
            Format::Json => {
                let end = json::records(text, file, &mut |node| each(Ok(Part::Record(node))));
                if let Err(error) = end {
                    each(Err(error));
                }
            }
            Format::JsonLines => {
                json::lines(text, file, &mut |node| each(node.map(Part::Record)));
            }
            Format::Csv => csv::records(text, file, &mut each),
            Format::Yaml => {
                let mut diagnostics = Diagnostics::default();
                for node in yaml_records(sources, file, &mut diagnostics) {
                    each(Ok(Part::Record(node)));
                }
                broken |= diagnostics.has_errors();
                found(Err(Problem::Reported(diagnostics)));
            }
        }
        if records == 0 && !broken {
            found(Err(Problem::Empty(Span {
                file,
                start: 0,
                end: 0,
            })));
        }
    }
}

/// What is wrong with a file's text.
pub(crate) enum Problem {
    Malformed(Spanned<String>),
    Reported(Diagnostics),
    Empty(Span),
}

impl Problem {
    pub(crate) fn report(self, diagnostics: &mut Diagnostics) {
        match self {
            Self::Malformed(problem) => {
                diagnostics
                    .error(Code::InvalidData, problem.span, "the data cannot be read")
                    .label(problem.value);
            }
            Self::Reported(more) => diagnostics.append(more),
            Self::Empty(span) => {
                diagnostics
                    .error(Code::InvalidData, span, "the file has no records")
                    .help("add some, or remove the setting that names the file");
            }
        }
    }
}

fn mark(text: &str, file: FileId, error: Malformed) -> Spanned<String> {
    let width = text
        .get(error.at..)
        .and_then(|rest| rest.chars().next())
        .filter(|c| !matches!(c, '\n' | '\r'))
        .map_or(0, char::len_utf8);
    let span = Span {
        file,
        start: error.at,
        end: error.at + width,
    };
    Spanned::new(error.problem, span)
}

fn yaml_records(sources: &Sources, file: FileId, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let text = sources.file(file).text.as_str();
    let start = Span {
        file,
        start: 0,
        end: 0,
    };
    if text.len() > MAX_YAML_BYTES {
        diagnostics
            .error(
                Code::InvalidData,
                start,
                format!("a YAML file of {} MiB", text.len().div_ceil(1 << 20)),
            )
            .help(format!(
                "up to {} MiB are read; JSON Lines may have {}",
                MAX_YAML_BYTES >> 20,
                MAX_BYTES >> 20
            ));
        return Vec::new();
    }
    let no_content = text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if no_content {
        return Vec::new();
    }
    let Some(root) = yaml::parse(sources, file, diagnostics) else {
        return Vec::new();
    };
    match root.kind {
        Kind::List(items) => items,
        Kind::Map(_) => {
            let Some(mut map) = MapReader::new(&root, "the data file", diagnostics) else {
                return Vec::new();
            };
            let records = map
                .required("examples", diagnostics)
                .and_then(|node| yaml::list(node, "`examples`", diagnostics))
                .map(<[Node]>::to_vec);
            map.finish(diagnostics);
            records.unwrap_or_default()
        }
        Kind::Scalar { .. } => {
            diagnostics
                .error(Code::InvalidData, root.span, "the data cannot be read")
                .label("expected a list of records, or `examples:` with one");
            Vec::new()
        }
    }
}

/// The data files of one workflow, by the setting that names them.
#[derive(Debug, Default)]
pub(crate) struct DataFiles(HashMap<Span, DataFile>);

impl DataFiles {
    /// `None`: it could not be read, and that is reported.
    pub(crate) fn get(&self, path: &Spanned<String>) -> Option<DataFile> {
        self.0.get(&path.span).copied()
    }

    /// Reads every file that the workflow names. One that is missing is a warning:
    /// running needs none of them, optimizing does.
    pub(crate) fn load(
        workflow: &Workflow,
        sources: &mut Sources,
        read: &mut ReadFile<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut files = Self::default();
        let mut read_before: HashMap<String, DataFile> = HashMap::new();
        for path in workflow.data_paths() {
            let near = Path::new(&sources.file(path.span.file).path)
                .parent()
                .unwrap_or(Path::new(""))
                .join(&path.value);
            let shown = near.to_string_lossy().replace('\\', "/");
            if let Some(file) = read_before.get(&shown) {
                files.0.insert(path.span, *file);
                continue;
            }
            let text = read(&near);
            let Some(format) = Format::of(&near) else {
                diagnostics
                    .error(
                        Code::InvalidData,
                        path.span,
                        format!("the format of `{path}` is not known"),
                    )
                    .label("expected a name that ends in .json, .jsonl, .csv or .yaml");
                continue;
            };
            match text {
                Ok(text) => {
                    let file = sources.add(shown.clone(), text);
                    let file = DataFile { file, format };
                    read_before.insert(shown, file);
                    files.0.insert(path.span, file);
                }
                Err(problem) => unread(path, problem, diagnostics),
            }
        }
        files
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::TooLarge(bytes) => write!(f, "the file has {} MiB", bytes.div_ceil(1 << 20)),
            Self::NotUtf8(at) => write!(f, "not UTF-8: the byte at offset {at} is no text"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

fn unread(path: &Spanned<String>, problem: Unread, diagnostics: &mut Diagnostics) {
    let (label, help) = match problem {
        Unread::Missing => {
            diagnostics
                .warning(
                    Code::MissingData,
                    path.span,
                    format!("the training data `{path}` is not there"),
                )
                .label("no such file, seen from the directory of this one")
                .help("the workflow runs without it, but cannot be optimized");
            return;
        }
        Unread::TooLarge(bytes) => (
            format!("the file has {} MiB", bytes.div_ceil(1 << 20)),
            Some(format!(
                "a build reads up to {} MiB of one file; take a sample of it",
                MAX_BYTES >> 20
            )),
        ),
        Unread::NotUtf8(at) => (
            format!("not UTF-8: the byte at offset {at} is no text"),
            Some("save it as UTF-8".to_owned()),
        ),
        Unread::Failed(reason) => (reason, None),
    };
    let diagnostic = diagnostics.error(
        Code::InvalidData,
        path.span,
        format!("the training data `{path}` cannot be read"),
    );
    diagnostic.label(label);
    if let Some(help) = help {
        diagnostic.help(help);
    }
}

/// A cell of a table that holds JSON.
pub(crate) fn cell(text: &str) -> Option<Kind> {
    json::value(text)
}
