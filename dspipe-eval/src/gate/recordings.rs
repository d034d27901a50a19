//! Whether every recording of a suite is one that a case uses.

use std::fs;

use dspipe_runtime::cassette::{Cassettes, Mode};

use super::Evidence;
use super::judge::named;

pub(super) fn decide(evidence: &Evidence<'_>) -> (bool, String, String) {
    let tally = evidence.tally;
    let Some(directory) = evidence.recordings else {
        return (true, "nothing was replayed".to_owned(), String::new());
    };
    let said = |passed: bool, summary: String| (passed, summary, String::new());
    if tally.errors > 0 || evidence.is_part {
        // A case that ended early has not used all of its own.
        let why = if evidence.is_part {
            "not all cases were selected".to_owned()
        } else {
            format!("{} runs ended in errors", tally.errors)
        };
        let summary = format!("{why}, so which recordings nothing uses is not known");
        return said(!evidence.prune, summary);
    }
    let known = match Cassettes::fixed(directory, Mode::None).names() {
        Ok(known) => known,
        Err(error) => return said(false, format!("{}: {error}", directory.display())),
    };
    let used = |name: &&String| tally.recordings.contains(*name);
    let (used, unused): (Vec<&String>, Vec<&String>) = known.iter().partition(used);
    if unused.is_empty() {
        return said(true, format!("{} recordings, all used", used.len()));
    }
    let names: Vec<&str> = unused.iter().map(|name| name.as_str()).collect();
    if !evidence.prune {
        let summary = format!(
            "{} of {} recordings in {} are used by no case: {}; DSPIPE_PRUNE=1 removes them",
            names.len(),
            known.len(),
            directory.display(),
            named(&names)
        );
        return said(false, summary);
    }
    for name in &names {
        if let Err(error) = fs::remove_file(directory.join(name)) {
            return said(false, format!("{name} cannot be removed: {error}"));
        }
    }
    let summary = format!(
        "{} removed that no case uses: {}",
        names.len(),
        named(&names)
    );
    said(true, summary)
}
