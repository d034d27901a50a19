//! Finding and reading workflow files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::artifact;
use crate::compile::{self, Compilation, Workflow};
use crate::config::{self, Config};
use crate::data::{MAX_BYTES, Unread};
use crate::error::Error;
use crate::{glob, overrides};

/// What a configuration names, as it lies in the file system.
#[derive(Debug)]
pub(crate) struct Found {
    /// Files that could be read, each once, and their texts.
    pub(crate) files: Vec<(String, String)>,
    /// Paths that gave no file, with the reason.
    problems: Vec<(String, String)>,
    /// All of these, and directories where new files may come up.
    watched: Vec<String>,
}

/// Reads what a configuration names, relative to `base`, and compiles it.
///
/// Files that cannot be read are diagnostics, like anything else that is wrong.
pub(crate) fn load(config: &Config, base: &Path) -> Result<Compilation, Error> {
    let found = find(config, base)?;
    let compilation = compile(config, base, &found, &|_| true)?;
    check_overrides(config, &compilation, std::iter::empty())?;
    Ok(compilation)
}

/// Finds and reads the files, and holds the rest of the configuration to be right.
pub(crate) fn find(config: &Config, base: &Path) -> Result<Found, Error> {
    config::check(config)?;
    overrides::check(config)?;
    let mut found = Found {
        files: Vec::new(),
        problems: Vec::new(),
        watched: Vec::new(),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for directory in &config.directories {
        // New files are noticed through the directory.
        found.watched.push(display(directory));
        match workflow_files(&base.join(directory)) {
            Ok(names) if names.is_empty() => found.problems.push((
                display(directory),
                "no workflow in this directory (a file ending in .yaml or .yml)".to_owned(),
            )),
            Ok(names) => paths.extend(names.into_iter().map(|name| directory.join(name))),
            Err(error) => found.problems.push((display(directory), explain(&error))),
        }
    }
    for pattern in &config.globs {
        found.glob(pattern, base, &mut paths)?;
    }
    paths.extend(config.files.iter().cloned());
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<(PathBuf, String)> = Vec::with_capacity(paths.len());
    for path in paths {
        let shown = display(&path);
        if seen.insert(shown.clone()) {
            wanted.push((path, shown));
        }
    }
    let parts = wanted.chunks(compile::share(wanted.len())).collect();
    let texts = compile::at_once(parts, |paths: &[(PathBuf, String)]| {
        let read = |(path, _): &(PathBuf, String)| text_of(&base.join(path));
        paths.iter().map(read).collect::<Vec<_>>()
    });
    for ((_, shown), text) in wanted.into_iter().zip(texts.into_iter().flatten()) {
        found.watched.push(shown.clone());
        match text {
            Ok(text) => found.files.push((shown, text)),
            Err(problem) => found.problems.push((shown, problem)),
        }
    }
    Ok(found)
}

impl Found {
    fn glob(&mut self, pattern: &str, base: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
        let error = || Error::Glob {
            pattern: pattern.to_owned(),
        };
        let parts: Vec<&str> = pattern.split('/').collect();
        let fixed = parts
            .iter()
            .take_while(|part| !part.contains(['*', '?']))
            .count()
            .min(parts.len() - 1);
        let root: PathBuf = parts[..fixed].iter().collect();
        let goes_down = root
            .components()
            .any(|part| matches!(part, Component::Normal(_)));
        if !goes_down || pattern.starts_with('/') {
            return Err(error());
        }
        self.watched.push(display(&root));
        let mut matching = Vec::new();
        if let Err(problem) = walk(&base.join(&root), &mut Vec::new(), &mut |below| {
            if glob::matches_parts(&parts[fixed..], below) {
                matching.push(root.join(below.iter().collect::<PathBuf>()));
            }
        }) {
            self.problems.push((display(&root), explain(&problem)));
        } else if matching.is_empty() {
            let problem = format!("no file here matches `{pattern}`");
            self.problems.push((display(&root), problem));
        }
        matching.sort();
        paths.extend(matching);
        Ok(())
    }
}

/// The text of a workflow file, or why there is none.
fn text_of(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| explain(&error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("not UTF-8: the byte at offset {at} is no text")
    })
}

/// Compiles those of the files that are `wanted`.
pub(crate) fn compile(
    config: &Config,
    base: &Path,
    found: &Found,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Compilation, Error> {
    let runtime = config::runtime_path(&config.runtime)?;
    let files: Vec<(&str, &str)> = found
        .files
        .iter()
        .filter(|(path, _)| wanted(path))
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let read = |path: &Path| read_data(&base.join(path));
    let (mut sources, mut workflows) = compile::compile(&files, config, runtime, &read);
    let mut watched = found.watched.clone();
    for workflow in &workflows {
        watched.extend(data_files(workflow, base));
    }
    for (path, problem) in &found.problems {
        workflows.push(compile::unreadable(&mut sources, path, problem));
    }
    deduplicate(&mut watched);
    Ok(Compilation {
        sources,
        workflows,
        watched,
    })
}

/// The text of a data file, if it is of a size to read in a build.
pub(crate) fn read_data(path: &Path) -> Result<String, Unread> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Missing,
        _ => Unread::Failed(explain(&error)),
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Unread::Failed("this is not a file".to_owned()));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Unread::TooLarge(metadata.len()));
    }
    String::from_utf8(fs::read(path).map_err(failed)?)
        .map_err(|error| Unread::NotUtf8(error.utf8_error().valid_up_to()))
}

/// What to watch for the files that a workflow names.
fn data_files(workflow: &Workflow, base: &Path) -> impl Iterator<Item = String> {
    to_watch_all(workflow.files.iter(), base)
}

/// What to watch for files, there or not. Optimized prompts come up beside a workflow; where its directory
/// is not watched anyway, the optimizer touches the workflow.
pub(crate) fn to_watch_all<P: AsRef<Path>>(
    paths: impl Iterator<Item = P>,
    base: &Path,
) -> impl Iterator<Item = String> {
    paths
        .filter(|path| !artifact::is_one(path.as_ref()) || base.join(path.as_ref()).exists())
        .map(|path| to_watch(path.as_ref(), base))
}

/// A file, or where it would come up: Cargo takes a watched path that is not there
/// for changed, each time. That is left only where there is no directory to watch
/// but the whole package.
fn to_watch(path: &Path, base: &Path) -> String {
    let is_place = |place: &&Path| {
        let names_one = place
            .components()
            .next_back()
            .is_some_and(|part| matches!(part, Component::Normal(_)));
        names_one && base.join(place).exists()
    };
    // With `..` in it, the directories on the way are not those that the file is in.
    let goes_down = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let place = path.ancestors().find(is_place).filter(|_| goes_down);
    display(place.unwrap_or(path))
}

/// Each path once, in the order in which they came.
pub(crate) fn deduplicate(paths: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
}

/// Overrides are for types of any workflow; where one has errors, its types may not
/// be known, and the errors come first.
pub(crate) fn check_overrides<'a>(
    config: &Config,
    compilation: &'a Compilation,
    more: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), Error> {
    let workflows = compilation.workflows();
    if workflows.iter().any(|workflow| workflow.errors() > 0) {
        return Ok(());
    }
    let types = workflows
        .iter()
        .flat_map(|workflow| &workflow.types)
        .map(String::as_str);
    overrides::check_used(config, types.chain(more))
}

/// Calls `file` with the parts of the path of each file below a directory. Links to
/// directories are not followed: they may lead in circles.
fn walk(
    directory: &Path,
    below: &mut Vec<String>,
    file: &mut dyn FnMut(&[&str]),
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        below.push(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), below, file)?;
        } else {
            file(&below.iter().map(String::as_str).collect::<Vec<_>>());
        }
        below.pop();
    }
    Ok(())
}

/// The names of the workflow files in a directory, sorted.
fn workflow_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && let Some(name) = path.file_name() {
            names.push(PathBuf::from(name));
        }
    }
    names.sort();
    Ok(names)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The path with `/` between its parts, on every system.
pub(crate) fn display(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
