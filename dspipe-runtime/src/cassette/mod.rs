//! Recorded replies of LMs, for tests and runs that must not ask anybody.
//!
//! Every interaction is a file of its own, named by what was asked for and by a hash of the whole request:
//! the LM, the messages, the schema, the parameters, the repetition. Files of one directory can be added,
//! reviewed and deleted one by one, and two branches that record different things do not meet.
//!
//! ```no_run
//! use dspipe_runtime::LocalRunner;
//! use dspipe_runtime::cassette::{Cassettes, Mode};
//!
//! // `DSPIPE_RECORD` overrides the mode: `DSPIPE_RECORD=new cargo test`.
//! let runner = LocalRunner::from_env().with_cassettes(Cassettes::open("cassettes", Mode::None));
//! ```

mod file;
mod lm;
mod miss;
mod uses;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, fmt, fs, io};

use crate::lm::{Lm, LmError, LmName, Reply, Request};

pub use file::Interaction;
use lm::Recorded;
pub use miss::Miss;
pub use uses::uses;

pub use crate::secret::scrub_all;

/// The environment variable that overrides the mode.
const VARIABLE: &str = "DSPIPE_RECORD";

/// When a request goes to the LM, and when its reply is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Never: what is not recorded is an error.
    #[default]
    None,
    /// If the directory has no recordings at all; otherwise never.
    Once,
    /// If there is no recording of it.
    New,
    /// Always; recordings are replaced.
    All,
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "none" => Ok(Self::None),
            "once" => Ok(Self::Once),
            "new" => Ok(Self::New),
            "all" => Ok(Self::All),
            _ => Err(UnknownMode(text.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Once => "once",
            Self::New => "new",
            Self::All => "all",
        })
    }
}

/// A text that is no mode of recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode of recording; they are none, once, new and all")]
pub struct UnknownMode(String);

/// Why a recording could not be used or made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// Nothing is recorded for the request, and the mode forbids asking.
    #[error("{0}")]
    Miss(Box<Miss>),
    /// A file cannot be read or written.
    #[error("the recording {} cannot be {doing}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What the system says.
        reason: String,
    },
    /// A file is not a recording.
    #[error("{} is no recording: {reason}; delete it and record anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The environment asks for a mode that there is not.
    #[error("{VARIABLE}: {0}")]
    Mode(#[from] UnknownMode),
}

/// A directory of recordings. Cloning is cheap and shares what was used.
#[derive(Clone, Debug)]
pub struct Cassettes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    mode: Result<Mode, UnknownMode>,
    /// The names of the files that were replayed or written.
    used: Mutex<BTreeSet<String>>,
    /// By file, who waits for its reply to be recorded.
    asking: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Lets one at a time ask for what one file holds.
struct Gate<'a> {
    shared: &'a Shared,
    file: String,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Gate<'_> {
    async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lock.lock().await
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        let mut asking = self.shared.asking();
        // The map's and this one.
        if Arc::strong_count(&self.lock) <= 2 {
            asking.remove(&self.file);
        }
    }
}

impl Shared {
    fn asking(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        // Nothing that runs under the lock can leave the map half changed.
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cassettes {
    /// The recordings of a directory, which comes to be when something is recorded. `DSPIPE_RECORD` in the
    /// environment, if it is set, is the mode instead of `mode`.
    pub fn open(directory: impl Into<PathBuf>, mode: Mode) -> Self {
        let mode = match env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(mode),
        };
        Self::with(directory.into(), mode)
    }

    /// The recordings of a directory, in this mode whatever the environment says.
    pub fn fixed(directory: impl Into<PathBuf>, mode: Mode) -> Self {
        Self::with(directory.into(), Ok(mode))
    }

    fn with(directory: PathBuf, mode: Result<Mode, UnknownMode>) -> Self {
        // Whether there was anything at the start decides for the whole run.
        let mode = mode.map(|mode| match mode {
            Mode::Once if has_recordings(&directory) => Mode::None,
            Mode::Once => Mode::New,
            mode => mode,
        });
        Self(Arc::new(Shared {
            directory,
            mode,
            used: Mutex::default(),
            asking: Mutex::default(),
        }))
    }

    /// Where the recordings are.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Whether a request may go to an LM.
    pub fn records(&self) -> bool {
        !matches!(self.0.mode, Ok(Mode::None))
    }

    /// An LM that answers from the recordings, and asks another one where the mode allows it. The other one
    /// is made only then: replaying needs no key.
    pub fn wrap(
        &self,
        name: LmName,
        inner: impl Fn() -> Result<Arc<dyn Lm>, LmError> + Send + Sync + 'static,
    ) -> Arc<dyn Lm> {
        Arc::new(Recorded::new(self.clone(), name, Box::new(inner)))
    }

    /// The recordings that nothing has used so far, sorted.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn unused(&self) -> io::Result<Vec<PathBuf>> {
        let used = self.used();
        let mut unused = recordings(&self.0.directory)?;
        unused.retain(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            !name.is_some_and(|name| used.contains(name))
        });
        Ok(unused)
    }

    /// The names of all recordings, sorted.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let paths = recordings(&self.0.directory)?.into_iter();
        let names = paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        Ok(names.collect())
    }

    /// Every recording, by its file.
    ///
    /// # Errors
    /// If the directory or a file cannot be read, or a file is not a recording.
    pub fn all(&self) -> Result<BTreeMap<PathBuf, Interaction>, CassetteError> {
        let io = |error: io::Error| CassetteError::Io {
            path: self.0.directory.clone(),
            doing: "read",
            reason: error.to_string(),
        };
        recordings(&self.0.directory)
            .map_err(io)?
            .into_iter()
            .map(|path| Ok((path.clone(), file::read(&path)?)))
            .collect()
    }

    fn mode(&self) -> Result<Mode, CassetteError> {
        Ok(self.0.mode.clone()?)
    }

    fn used(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Nothing that runs under the lock can leave the set half changed.
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, name: &LmName, request: &Request) -> Gate<'_> {
        let file = file::name(name, request);
        let lock = Arc::clone(self.0.asking().entry(file.clone()).or_default());
        Gate {
            shared: &self.0,
            file,
            lock,
        }
    }

    /// The recorded reply, if there is one.
    fn replay(&self, name: &LmName, request: &Request) -> Result<Option<Reply>, CassetteError> {
        let file = file::name(name, request);
        let path = self.0.directory.join(&file);
        match file::read(&path) {
            Ok(interaction) => {
                uses::note(&file);
                self.used().insert(file);
                Ok(Some(interaction.reply))
            }
            Err(CassetteError::Io { .. }) if !path.exists() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn record(&self, name: &LmName, request: &Request, reply: &Reply) -> Result<(), CassetteError> {
        let file = file::name(name, request);
        let interaction = Interaction::new(name, request, reply);
        file::write(&self.0.directory, &file, &interaction)?;
        uses::note(&file);
        self.used().insert(file);
        Ok(())
    }

    fn miss(&self, name: &LmName, request: &Request) -> CassetteError {
        CassetteError::Miss(Box::new(Miss::find(self, name, request)))
    }
}

fn has_recordings(directory: &Path) -> bool {
    recordings(directory).is_ok_and(|found| !found.is_empty())
}

/// The files of recordings, sorted; none where there is no directory.
fn recordings(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_recording = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_recording && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
