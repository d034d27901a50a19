//! What the environment says about a run.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::unit::Amount;

const LIVE: &str = "DSPIPE_LIVE";
const RUN: &str = "DSPIPE_RUN";
const BUDGET: &str = "DSPIPE_BUDGET";
const CONCURRENCY: &str = "DSPIPE_CONCURRENCY";
const RESUME: &str = "DSPIPE_RESUME";
const UPDATE_BASELINE: &str = "DSPIPE_UPDATE_BASELINE";
const TAGS: &str = "DSPIPE_TAGS";
const PRUNE: &str = "DSPIPE_PRUNE";
const RECORD: &str = "DSPIPE_RECORD";

/// Calls at the same time where nothing is said.
const CALLS: usize = 8;

/// How many runs are kept.
const KEPT: usize = 10;

/// How the cases are run.
#[expect(clippy::struct_excessive_bools, reason = "switches of the environment")]
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Against models, not recordings (`DSPIPE_LIVE=1`): with progress, a budget, and resumed if it was
    /// interrupted.
    pub live: bool,
    /// Whether what is not recorded is asked and recorded (`DSPIPE_RECORD`).
    pub records: bool,
    /// Which cases there are (`DSPIPE_TAGS`).
    pub tags: Tags,
    /// Whether recordings that no case uses are removed (`DSPIPE_PRUNE=1`).
    pub prune: bool,
    /// How many cases run at the same time (`DSPIPE_CONCURRENCY`, or `--test-threads`).
    pub concurrency: usize,
    /// What a run that asks models may cost, in US dollars (`DSPIPE_BUDGET`). Cases that have begun are finished.
    pub budget: Option<Amount>,
    /// Whether to go on with a live run that was interrupted (`DSPIPE_RESUME=0` starts anew).
    pub resume: bool,
    /// Whether gates write their baselines anew (`DSPIPE_UPDATE_BASELINE=1`).
    pub update_baseline: bool,
    /// Which run this is.
    pub run: RunId,
    /// Whether this is another try of nextest's at a test that failed.
    pub again: bool,
}

/// Selects cases by their tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Tags {
    /// `smoke,billing,-slow`: cases that have one of the first two, and not the third.
    pub fn parse(text: &str) -> Self {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let (unwanted, wanted): (Vec<&str>, Vec<&str>) =
            words.partition(|word| word.starts_with('-'));
        let owned = |words: Vec<&str>| -> Vec<String> {
            let words = words.into_iter();
            words
                .map(|word| word.trim_start_matches('-').to_owned())
                .collect()
        };
        Self {
            wanted: owned(wanted),
            unwanted: owned(unwanted),
        }
    }

    /// Whether all cases are selected, whatever their tags.
    pub fn is_all(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    /// Whether a case with these tags is selected.
    pub fn select(&self, tags: &[String]) -> bool {
        let has = |tag: &String| tags.contains(tag);
        (self.wanted.is_empty() || self.wanted.iter().any(has)) && !self.unwanted.iter().any(has)
    }
}

/// Which run this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunId {
    /// One of this process.
    Own,
    /// One of several processes (nextest), by its name.
    Shared(String),
    /// One that the user has named (`DSPIPE_RUN`): results that it has are used again.
    Named {
        /// Its name.
        name: String,
        /// Whether this is its only process, which runs cases again that ended in errors.
        alone: bool,
    },
}

/// A variable of the environment that does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{value}`; it must be {wanted}")]
pub struct BadSetting {
    /// The variable.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
    /// What it should hold.
    pub wanted: &'static str,
}

/// Whether this is a run against models, not recordings: `DSPIPE_LIVE=1`.
pub fn is_live() -> bool {
    matches!(env::var(LIVE).as_deref(), Ok("1" | "true"))
}

impl Settings {
    /// The settings of the environment.
    ///
    /// # Errors
    /// [`BadSetting`].
    pub fn from_env() -> Result<Self, BadSetting> {
        Self::read(|variable| env::var(variable).ok().filter(|value| !value.is_empty()))
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let flag = |variable: &'static str, default: bool| match get(variable).as_deref() {
            None => Ok(default),
            Some("1" | "true") => Ok(true),
            Some("0" | "false") => Ok(false),
            Some(value) => Err(bad(variable, value, "0 or 1")),
        };
        let live = flag(LIVE, false)?;
        // What it may say, the recordings know.
        let records = get(RECORD).is_some_and(|mode| mode != "none") && !live;
        let asks = live || records;
        let concurrency = match get(CONCURRENCY) {
            Some(value) => match value.parse() {
                Ok(number) if number > 0 => number,
                _ => return Err(bad(CONCURRENCY, &value, "a number from 1 up")),
            },
            None if asks => CALLS,
            None => thread::available_parallelism().map_or(1, usize::from),
        };
        let budget = match get(BUDGET) {
            Some(value) => match value.parse::<f64>().map(Amount::try_from) {
                Ok(Ok(budget)) => Some(budget),
                _ => return Err(bad(BUDGET, &value, "an amount in US dollars")),
            },
            None => None,
        };
        let nextest = get("NEXTEST_RUN_ID").filter(|id| is_name(id));
        let run = match (get(RUN), nextest) {
            (Some(name), nextest) if is_name(&name) => RunId::Named {
                name,
                alone: nextest.is_none(),
            },
            (Some(name), _) => {
                return Err(bad(
                    RUN,
                    &name,
                    "letters, digits, `-`, `_` and `.`, with no `.` at first",
                ));
            }
            (None, Some(id)) => RunId::Shared(format!("nextest-{id}")),
            (None, None) => RunId::Own,
        };
        let attempt = get("NEXTEST_ATTEMPT").and_then(|text| text.parse::<u32>().ok());
        Ok(Self {
            live,
            records,
            tags: get(TAGS).map_or_else(Tags::default, |text| Tags::parse(&text)),
            prune: flag(PRUNE, false)?,
            concurrency,
            budget: budget.filter(|_| asks),
            resume: flag(RESUME, true)?,
            update_baseline: flag(UPDATE_BASELINE, false)?,
            run,
            again: attempt.is_some_and(|attempt| attempt > 1),
        })
    }

    /// Whether models may be asked.
    pub(super) fn asks(&self) -> bool {
        self.live || self.records
    }

    /// Whether other processes may work on the same run.
    pub(super) fn is_shared(&self) -> bool {
        self.run != RunId::Own
    }
}

fn bad(variable: &'static str, value: &str, wanted: &'static str) -> BadSetting {
    BadSetting {
        variable,
        value: value.to_owned(),
        wanted,
    }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

/// A directory for the results of a run.
#[derive(Debug)]
pub(super) struct RunDirectory {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Whether it holds results of a run that was interrupted.
    pub(super) resumed: bool,
    /// Held while the run lasts, so that no two processes go on with one.
    _lock: Option<fs::File>,
}

/// What a run leaves when it is over, so that nobody goes on with it.
const ENDED: &str = "ended";

/// What tells whether a run is of the same cases.
const FINGERPRINT: &str = "fingerprint";

impl RunDirectory {
    pub(super) fn open(root: &Path, settings: &Settings, fingerprint: &str) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let (name, resumed, lock) = match &settings.run {
            RunId::Shared(name) => (name.clone(), false, None),
            RunId::Named { name, alone } => {
                let path = root.join(name);
                let known = fs::read_to_string(path.join(FINGERPRINT)).ok();
                if known.as_ref().is_some_and(|known| known != fingerprint) {
                    let reason =
                        format!("the run `{name}` is one of other cases; give {RUN} another name");
                    return Err(io::Error::other(reason));
                }
                (name.clone(), known.is_some() && *alone, None)
            }
            RunId::Own if settings.live => {
                let lock = fs::File::create(root.join("live.lock"))?;
                if lock.try_lock().is_err() {
                    let reason = format!("another live run is at work in {}", root.display());
                    return Err(io::Error::other(reason));
                }
                let resumed = resumable(&root.join("live"), settings.resume, fingerprint)?;
                ("live".to_owned(), resumed, Some(lock))
            }
            RunId::Own => {
                let name = format!("{}-{}", millis(), std::process::id());
                (name, false, None)
            }
        };
        let path = root.join(&name);
        fs::create_dir_all(&path)?;
        if settings.run != RunId::Own || settings.live {
            crate::file::write(&path.join(FINGERPRINT), fingerprint.as_bytes())?;
        }
        prune(root, &name);
        Ok(Self {
            path,
            name,
            resumed,
            _lock: lock,
        })
    }

    /// Marks the run as one with which there is nothing to go on.
    pub(super) fn end(&self) -> io::Result<()> {
        fs::write(self.path.join(ENDED), "")
    }
}

/// Whether the last live run can be gone on with; if not, it gets another name.
fn resumable(path: &Path, resume: bool, fingerprint: &str) -> io::Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let same = fs::read_to_string(path.join(FINGERPRINT)).is_ok_and(|text| text == fingerprint);
    if resume && same && !path.join(ENDED).exists() {
        return Ok(true);
    }
    // A directory that is there is not replaced.
    let name = (millis()..).map(|time| path.with_file_name(format!("live-{time}")));
    if let Some(free) = name.into_iter().find(|name| !name.exists()) {
        fs::rename(path, free)?;
    }
    Ok(false)
}

fn millis() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis())
}

/// Removes all but the last runs. What cannot be removed stays.
fn prune(root: &Path, current: &str) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    let mut runs: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.file_name() != current && entry.file_name() != "live")
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    runs.sort();
    let surplus = runs.len().saturating_sub(KEPT);
    for (_, path) in runs.into_iter().take(surplus) {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_decides() {
        let settings = read(&[]).unwrap();
        assert!(!settings.live && settings.run == RunId::Own && !settings.again);
        let settings = read(&[("DSPIPE_LIVE", "1"), ("DSPIPE_BUDGET", "0.5")]).unwrap();
        assert!(settings.live && settings.budget == Some(Amount::try_from(0.5).unwrap()));
        assert_eq!(
            read(&[("DSPIPE_BUDGET", "0.5")]).unwrap().budget,
            None,
            "replays are free"
        );
        let settings = read(&[("NEXTEST_RUN_ID", "ab-1"), ("NEXTEST_ATTEMPT", "2")]).unwrap();
        assert_eq!(settings.run, RunId::Shared("nextest-ab-1".to_owned()));
        assert!(settings.again);
        let named = read(&[("NEXTEST_RUN_ID", "ab-1"), ("DSPIPE_RUN", "monday")]).unwrap();
        let monday = |alone| RunId::Named {
            name: "monday".to_owned(),
            alone,
        };
        assert_eq!(named.run, monday(false));
        assert_eq!(read(&[("DSPIPE_RUN", "monday")]).unwrap().run, monday(true));
    }

    #[test]
    fn what_it_cannot_mean_is_refused() {
        for (name, value) in [
            ("DSPIPE_LIVE", "yes"),
            ("DSPIPE_BUDGET", "-1"),
            ("DSPIPE_BUDGET", "ten"),
            ("DSPIPE_CONCURRENCY", "0"),
            ("DSPIPE_RUN", "../x"),
            ("DSPIPE_RUN", ".."),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.variable, name);
        }
    }

    #[test]
    fn a_live_run_is_gone_on_with_only_if_it_was_interrupted() {
        let root = tempfile::tempdir().unwrap();
        let live = read(&[("DSPIPE_LIVE", "1")]).unwrap();
        let open =
            |settings: &Settings, print: &str| RunDirectory::open(root.path(), settings, print);
        let first = open(&live, "a").unwrap();
        assert!(!first.resumed);
        assert!(open(&live, "a").is_err(), "two at a time");
        drop(first);
        let again = open(&live, "a").unwrap();
        assert!(again.resumed);
        drop(again);
        assert!(!open(&live, "b").unwrap().resumed, "other cases");
        let anew = Settings {
            resume: false,
            ..live.clone()
        };
        assert!(!open(&anew, "b").unwrap().resumed);
        open(&live, "b").unwrap().end().unwrap();
        assert!(!open(&live, "b").unwrap().resumed, "it was over");
    }

    #[test]
    fn a_named_run_is_of_the_same_cases() {
        let root = tempfile::tempdir().unwrap();
        let settings = read(&[("DSPIPE_RUN", "monday")]).unwrap();
        let open = |print: &str| RunDirectory::open(root.path(), &settings, print);
        open("a").unwrap();
        open("a").unwrap();
        let error = open("b").unwrap_err();
        assert!(error.to_string().contains("DSPIPE_RUN"), "{error}");
    }

    #[test]
    fn tags_select_and_leave_out() {
        let select = |text: &str, tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
            Tags::parse(text).select(&tags)
        };
        assert!(select("", &[]) && select("smoke, other", &["smoke"]));
        assert!(!select("smoke", &["other"]) && !select("smoke,-slow", &["smoke", "slow"]));
        assert!(select("-slow", &[]) && !select("-slow", &["slow"]));
    }

    #[test]
    fn old_runs_go() {
        let root = tempfile::tempdir().unwrap();
        let settings = |n: u32| read(&[("DSPIPE_RUN", &format!("r{n}"))]).unwrap();
        for n in 0..20 {
            RunDirectory::open(root.path(), &settings(n), "").unwrap();
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), KEPT + 1);
        assert!(root.path().join("r19").exists());
    }
}
