//! The named types of a workflow: its own, and those of other files that a `$ref` leads to.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::data::{ReadFile, Unread};
use crate::diag::{Code, Diagnostics, nearest};
use crate::source::{FileId, Sources, Span, Spanned};
use crate::spec::{self, Additional, NamedSchema, Schema};
use crate::ty::TypeExpr;
use crate::yaml::{self, Kind, Node};

/// More named types than this in one workflow are not written by people.
const MAX_TYPES: usize = 100_000;

/// Where the types of a file stand: dspipe's own place, and those of JSON Schema.
const PLACES: [&str; 4] = ["/types/", "/workflow/types/", "/$defs/", "/definitions/"];

/// All named types that a workflow can reach.
#[derive(Debug, Default)]
pub(crate) struct Library {
    types: Vec<NamedSchema>,
    /// How many of them are the workflow's own; those come first.
    own: usize,
    /// By the file and the name in it; the empty name is the file as a whole.
    index: HashMap<(FileId, String), usize>,
    /// The target of each `$ref` and of each name, by its place and its text.
    targets: HashMap<(Span, String), usize>,
}

impl Library {
    /// The types, the workflow's own first.
    pub(crate) fn types(&self) -> &[NamedSchema] {
        &self.types
    }

    /// Whether a type stands in the workflow file.
    pub(crate) fn is_own(&self, index: usize) -> bool {
        index < self.own
    }

    /// What a `$ref`, or a name in a type, leads to. `None`: nowhere; for a `$ref`, that is reported.
    pub(crate) fn target(&self, place: Span, text: &str) -> Option<usize> {
        self.targets.get(&(place, text.to_owned())).copied()
    }

    /// The names of the types of a file.
    pub(crate) fn names(&self, file: FileId) -> impl Iterator<Item = &str> {
        self.types
            .iter()
            .filter(move |named| named.name.span.file == file)
            .map(|named| named.name.value.as_str())
    }

    /// Follows every reference of a workflow, and those of what they lead to. The workflow's own types are
    /// taken out of it.
    pub(crate) fn load(
        workflow: &mut spec::Workflow,
        sources: &mut Sources,
        read: &mut ReadFile<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut loader = Loader {
            library: Self::default(),
            files: HashMap::new(),
            roots: HashMap::new(),
            sources,
            read,
            diagnostics,
        };
        for named in std::mem::take(&mut workflow.types) {
            let key = (named.name.span.file, named.name.value.clone());
            if let Some(first) = loader.library.index.get(&key) {
                let first = loader.library.types[*first].name.span;
                loader
                    .diagnostics
                    .error(
                        Code::Duplicate,
                        named.name.span,
                        format!("there are two types called `{}`", named.name),
                    )
                    .label("rename this one")
                    .also(first, "the first one");
                continue;
            }
            loader.add(key, named);
        }
        loader.library.own = loader.library.types.len();
        let mut references = Vec::new();
        for field in &workflow.inputs {
            collect(&field.schema, &mut references);
        }
        for step in workflow.steps() {
            if let Some(signature) = &step.signature {
                for field in signature.inputs.iter().chain(&signature.outputs) {
                    collect(&field.schema, &mut references);
                }
            }
        }
        loader.follow(references);
        let mut done = 0;
        while let Some(named) = loader.library.types.get(done) {
            let mut references = Vec::new();
            collect(&named.schema, &mut references);
            loader.follow(references);
            done += 1;
        }
        loader.library
    }
}

/// Something in a schema that leads to a named type.
enum Reference {
    Path(Spanned<String>),
    Name(Spanned<String>),
}

fn collect(schema: &Schema, into: &mut Vec<Reference>) {
    into.extend(schema.reference.clone().map(Reference::Path));
    if let Some(ty) = &schema.ty {
        names(&ty.value, ty.span, into);
    }
    let properties = schema.properties.iter().flatten();
    for inner in properties.map(|property| &property.schema) {
        collect(inner, into);
    }
    if let Some(Additional::Typed(value)) = schema.additional.as_ref().map(|a| &a.value) {
        collect(value, into);
    }
    for inner in schema.items.iter().map(|items| &**items) {
        collect(inner, into);
    }
    for inner in schema.alternatives.iter().flat_map(|all| &all.value) {
        collect(inner, into);
    }
}

fn names(ty: &TypeExpr, span: Span, into: &mut Vec<Reference>) {
    match ty {
        TypeExpr::Named(name) => into.push(Reference::Name(Spanned::new(name.clone(), span))),
        TypeExpr::Array(Some(inner))
        | TypeExpr::Object(Some(inner))
        | TypeExpr::Optional(inner) => {
            names(inner, span, into);
        }
        TypeExpr::OneOf(all) => all.iter().for_each(|ty| names(ty, span, into)),
        _ => {}
    }
}

struct Loader<'a, 'r> {
    library: Library,
    /// Files that were read; `None`: there is nothing in them to refer to, and that is reported.
    files: HashMap<PathBuf, Option<(FileId, Rc<Node>)>>,
    /// The trees of those files. The workflow's own is no longer there; its types are known.
    roots: HashMap<FileId, Rc<Node>>,
    sources: &'a mut Sources,
    read: &'a mut ReadFile<'r>,
    diagnostics: &'a mut Diagnostics,
}

impl Loader<'_, '_> {
    fn add(&mut self, key: (FileId, String), named: NamedSchema) -> usize {
        let index = self.library.types.len();
        self.library.types.push(named);
        self.library.index.insert(key, index);
        index
    }

    fn follow(&mut self, references: Vec<Reference>) {
        for reference in references {
            let (target, text) = match reference {
                Reference::Path(text) => (self.path(&text), text),
                Reference::Name(text) => (self.name(&text), text),
            };
            if let Some(target) = target {
                self.library.targets.insert((text.span, text.value), target);
            }
        }
    }

    /// A name stands for a type of the file that it is written in.
    fn name(&mut self, name: &Spanned<String>) -> Option<usize> {
        let file = name.span.file;
        if let Some(known) = self.library.index.get(&(file, name.value.clone())) {
            return Some(*known);
        }
        let root = self.roots.get(&file)?.clone();
        let node = PLACES
            .iter()
            .find_map(|place| pointer(&root, place, &name.value))?;
        self.define(file, &name.value, &node)
    }

    fn path(&mut self, reference: &Spanned<String>) -> Option<usize> {
        let (path, fragment) = match reference.value.split_once('#') {
            Some((path, fragment)) => (path, fragment),
            None => (reference.value.as_str(), ""),
        };
        let (file, root) = if path.is_empty() {
            let file = reference.span.file;
            let name = PLACES.iter().find_map(|place| fragment.strip_prefix(place));
            if let Some(name) = name
                && let Some(known) = self.library.index.get(&(file, name.to_owned()))
            {
                return Some(*known);
            }
            (file, self.roots.get(&file).cloned())
        } else {
            let (file, root) = self.file(reference, path)?;
            (file, Some(root))
        };
        if fragment.is_empty() {
            let Some(root) = root.filter(|_| !path.is_empty()) else {
                self.nowhere(
                    reference,
                    "expected `#/types/Name`, or a file before the `#`",
                );
                return None;
            };
            return self.whole(file, &root);
        }
        let Some((place, name)) = PLACES
            .iter()
            .find_map(|place| Some((place, fragment.strip_prefix(place)?)))
            .filter(|(_, name)| !name.is_empty() && !name.contains('/'))
        else {
            self.nowhere(
                reference,
                "expected `#/types/Name`, or `#/$defs/Name` in a JSON Schema",
            );
            return None;
        };
        if let Some(known) = self.library.index.get(&(file, name.to_owned())) {
            return Some(*known);
        }
        match root.as_ref().and_then(|root| pointer(root, place, name)) {
            Some(node) => self.define(file, name, &node),
            None => {
                let known: Vec<String> = match &root {
                    Some(root) => PLACES.iter().flat_map(|place| keys(root, place)).collect(),
                    None => self.library.names(file).map(str::to_owned).collect(),
                };
                let diagnostic = self.diagnostics.error(
                    Code::InvalidReference,
                    reference.span,
                    format!("`{reference}` leads to no type"),
                );
                diagnostic.label(format!("there is no `{name}`"));
                match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None if known.is_empty() => diagnostic.help("the file has no types"),
                    None => {
                        let known: Vec<&str> = known.iter().map(String::as_str).collect();
                        diagnostic.help(format!("the types are {}", crate::diag::list(&known)))
                    }
                };
                None
            }
        }
    }

    fn nowhere(&mut self, reference: &Spanned<String>, label: &str) {
        self.diagnostics
            .error(
                Code::InvalidReference,
                reference.span,
                format!("`{reference}` leads to no type"),
            )
            .label(label);
    }

    fn define(&mut self, file: FileId, name: &str, node: &(Span, Node)) -> Option<usize> {
        let (span, node) = node;
        if self.library.types.len() >= MAX_TYPES {
            return None;
        }
        let schema = Schema::read(node, format_args!("the type `{name}`"), self.diagnostics)?;
        let named = NamedSchema {
            name: Spanned::new(name.to_owned(), *span),
            schema,
        };
        Some(self.add((file, name.to_owned()), named))
    }

    /// A file that is one schema. It is named by its `title`, or by itself.
    fn whole(&mut self, file: FileId, root: &Node) -> Option<usize> {
        let key = (file, String::new());
        if let Some(known) = self.library.index.get(&key) {
            return Some(*known);
        }
        let path = &self.sources.file(file).path;
        let stem = path.rsplit('/').next().unwrap_or(path);
        let stem = stem.split('.').next().unwrap_or(stem).to_owned();
        let schema = Schema::read_root(root, format_args!("`{stem}`"), self.diagnostics)?;
        let name = match &schema.title {
            Some(title) => title.clone(),
            None => Spanned::new(stem, first(root.span)),
        };
        Some(self.add(key, NamedSchema { name, schema }))
    }

    /// The file that a reference names, seen from the file that it stands in.
    fn file(&mut self, reference: &Spanned<String>, path: &str) -> Option<(FileId, Rc<Node>)> {
        if path.contains("://") {
            self.nowhere(
                reference,
                "files only: a build reads nothing from the network",
            );
            return None;
        }
        let near = Path::new(&self.sources.file(reference.span.file).path)
            .parent()
            .unwrap_or(Path::new(""))
            .join(path);
        let near = normal(&near);
        if let Some(known) = self.files.get(&near) {
            return known.clone();
        }
        let shown = near.to_string_lossy().replace('\\', "/");
        let root = match (self.read)(&near) {
            Ok(text) => {
                let file = self.sources.add(shown, text);
                let root = yaml::parse(self.sources, file, self.diagnostics).map(Rc::new);
                if let Some(root) = &root {
                    self.roots.insert(file, Rc::clone(root));
                }
                root.map(|root| (file, root))
            }
            Err(problem) => {
                let label = match problem {
                    Unread::Missing => {
                        "no such file, seen from the directory of this one".to_owned()
                    }
                    Unread::TooLarge(bytes) => format!("the file has {} MiB", bytes >> 20),
                    Unread::NotUtf8(at) => format!("not UTF-8: the byte at offset {at} is no text"),
                    Unread::Failed(reason) => reason,
                };
                self.diagnostics
                    .error(
                        Code::InvalidReference,
                        reference.span,
                        format!("the file of `{reference}` cannot be read"),
                    )
                    .label(label);
                None
            }
        };
        self.files.insert(near, root.clone());
        root
    }
}

/// The node at a place that ends in a name, and where its key is.
fn pointer(root: &Node, place: &str, name: &str) -> Option<(Span, Node)> {
    let parent = descend(root, place)?;
    let Kind::Map(entries) = &parent.kind else {
        return None;
    };
    let (key, node) = entries.iter().find(|(key, _)| key.text == name)?;
    Some((key.span, node.clone()))
}

fn keys(root: &Node, place: &str) -> Vec<String> {
    match descend(root, place).map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        _ => Vec::new(),
    }
}

fn descend<'n>(root: &'n Node, place: &str) -> Option<&'n Node> {
    let mut node = root;
    for part in place.split('/').filter(|part| !part.is_empty()) {
        let Kind::Map(entries) = &node.kind else {
            return None;
        };
        node = entries
            .iter()
            .find(|(key, _)| key.text == part)
            .map(|(_, node)| node)?;
    }
    Some(node)
}

/// Without `.` and `a/..`, so that one file has one path.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if whole.file_name().is_some() => {
                whole.pop();
            }
            other => whole.push(other),
        }
    }
    whole
}

fn first(span: Span) -> Span {
    Span {
        end: span.start + 1,
        ..span
    }
}
