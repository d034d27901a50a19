//! The Python sources that belong to this version of the crate, written where Python can run them.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::LocalError;
use super::home;

/// A file of the package: its place below the directory, and its text.
macro_rules! source {
    ($name:literal) => {
        (
            concat!("dspipe_bridge/", $name),
            include_str!(concat!("../../python/dspipe_bridge/", $name)),
        )
    };
}
/// Files below `bridge/<hash>/`, a directory that Python runs: its `__main__.py` starts the package.
const FILES: &[(&str, &str)] = &[
    (
        "__main__.py",
        "\"\"\"Runs dspipe_bridge from the directory that this file is in.\"\"\"\n\n\
         import runpy\n\n\
         runpy.run_module(\"dspipe_bridge\", run_name=\"__main__\", alter_sys=True)\n",
    ),
    source!("__init__.py"),
    source!("__main__.py"),
    source!("control.py"),
    source!("engine.py"),
    source!("local_server.py"),
    source!("models.py"),
    source!("optimize/__init__.py"),
    source!("optimize/actions.py"),
    source!("optimize/adapter.py"),
    source!("optimize/candidates.py"),
    source!("optimize/connection.py"),
    source!("optimize/errors.py"),
    source!("optimize/examples.py"),
    source!("optimize/job.py"),
    source!("optimize/lm.py"),
    source!("optimize/main.py"),
    source!("optimize/metric.py"),
    source!("optimize/names.py"),
    source!("optimize/optimizers.py"),
    source!("optimize/program.py"),
    source!("optimize/settings.py"),
    source!("optimize/setup.py"),
    source!("optimize/spec.py"),
    source!("optimize/types.py"),
    source!("optimize/work.py"),
    source!("protocol.py"),
    source!("state.py"),
];

/// The sources, with the hash that names them.
pub(super) struct Bridge {
    hash: String,
}

impl Bridge {
    pub(super) fn current() -> Self {
        let parts = FILES
            .iter()
            .flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]);
        Self {
            hash: home::content_hash(parts),
        }
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Writes the files that are missing or differ, and returns the directory. Every process of this
    /// version writes the same, so that no lock is needed.
    pub(super) fn write(&self, home: &Path) -> Result<PathBuf, LocalError> {
        let directory = home.join("bridge").join(&self.hash);
        for (name, text) in FILES {
            let path = directory.join(name);
            if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
                continue;
            }
            if let Some(parent) = path.parent() {
                home::create_dir(parent)?;
            }
            home::write_atomically(&path, text.as_bytes())?;
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_source_of_the_package_is_embedded() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/dspipe_bridge");
        let mut there = BTreeSet::new();
        let mut directories = vec![package.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|end| end == "py") {
                    let name = path.strip_prefix(&package).unwrap();
                    there.insert(format!("dspipe_bridge/{}", name.display()));
                }
            }
        }
        let embedded: BTreeSet<String> = FILES
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .filter(|name| name.starts_with("dspipe_bridge/"))
            .collect();
        assert_eq!(embedded, there);
    }

    #[test]
    fn damaged_files_are_written_again() {
        let home = tempfile::tempdir().unwrap();
        let bridge = Bridge::current();
        let directory = bridge.write(home.path()).unwrap();
        let damaged = directory.join("dspipe_bridge/__main__.py");
        fs::write(&damaged, "half a fi").unwrap();
        assert_eq!(bridge.write(home.path()).unwrap(), directory);
        assert_ne!(fs::read_to_string(&damaged).unwrap(), "half a fi");
    }
}
