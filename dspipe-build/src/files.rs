//! Finding and reading workflow files.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::compile::{self, Compilation};
use crate::config::{Config, runtime_path};
use crate::data::{MAX_BYTES, Unread};
use crate::error::Error;
use crate::source::Sources;

/// Reads what a configuration names, relative to `base`, and compiles it.
///
/// Files that cannot be read are diagnostics, like anything else that is wrong.
pub(crate) fn load(config: &Config, base: &Path) -> Result<Compilation, Error> {
    let runtime = runtime_path(&config.runtime)?;
    let mut sources = Sources::default();
    let mut watched = Vec::new();
    let mut problems = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    for directory in &config.directories {
        // New files are noticed through the directory.
        watched.push(display(directory));
        match workflow_files(&base.join(directory)) {
            Ok(names) if names.is_empty() => problems.push((
                display(directory),
                "no workflow in this directory (a file ending in .yaml or .yml)".to_owned(),
            )),
            Ok(names) => paths.extend(names.into_iter().map(|name| directory.join(name))),
            Err(error) => problems.push((display(directory), explain(&error))),
        }
    }
    paths.extend(config.files.iter().cloned());
    let mut files = Vec::new();
    for path in paths {
        let shown = display(&path);
        watched.push(shown.clone());
        match fs::read(base.join(&path)).map(String::from_utf8) {
            Ok(Ok(text)) => files.push(sources.add(shown, text)),
            Ok(Err(error)) => {
                let at = error.utf8_error().valid_up_to();
                problems.push((
                    shown,
                    format!("not UTF-8: the byte at offset {at} is no text"),
                ));
            }
            Err(error) => problems.push((shown, explain(&error))),
        }
    }
    let mut read = |path: &Path| {
        let text = read_data(&base.join(path));
        let watch = match text {
            Err(Unread::Missing) => watched_for(base, path),
            _ => display(path),
        };
        if !watched.contains(&watch) {
            watched.push(watch);
        }
        text
    };
    let mut workflows = compile::compile(&mut sources, &files, &runtime, &mut read);
    for (path, problem) in problems {
        workflows.push(compile::unreadable(&mut sources, &path, &problem));
    }
    Ok(Compilation {
        sources,
        workflows,
        watched,
    })
}

/// The text of a data file, if it is of a size to read in a build.
fn read_data(path: &Path) -> Result<String, Unread> {
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

/// What to watch so that a missing file is noticed when it comes: the nearest directory that
/// is there. Cargo would take the missing file itself for a change, at every build. So it must
/// where that directory is the package, whose every file would count.
fn watched_for(base: &Path, missing: &Path) -> String {
    let plain = missing
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let directory = missing
        .ancestors()
        .skip(1)
        .find(|directory| base.join(directory).is_dir())
        .filter(|directory| plain && directory.components().any(|part| part != Component::CurDir));
    display(directory.unwrap_or(missing))
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
fn display(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
