//! A request that is not recorded, and what is closest to it.

use std::fmt;
use std::path::PathBuf;

use super::file::{self, Interaction};
use super::{Cassettes, VARIABLE};
use crate::lm::{LmName, Reply, Request};

/// Lines around a difference that a message shows.
const CONTEXT: usize = 2;

/// Lines of a difference that a message shows on each side.
const SHOWN: usize = 6;

/// A request without a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The file that would hold it.
    pub file: PathBuf,
    /// The recording that is most like it, and how the two differ.
    pub nearest: Option<(PathBuf, String)>,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no reply is recorded for this request ({} is not there); {VARIABLE}=new records it",
            self.file.display()
        )?;
        if let Some((path, difference)) = &self.nearest {
            write!(
                f,
                "\nthe closest recording is {}:\n{difference}",
                path.display()
            )?;
        }
        Ok(())
    }
}

impl Miss {
    pub(super) fn find(cassettes: &Cassettes, name: &LmName, request: &Request) -> Self {
        let file = cassettes.directory().join(file::name(name, request));
        let wanted = lines(&Interaction::new(name, request, &Reply::default()));
        // What is no recording is not close to anything.
        let known = super::recordings(cassettes.directory()).unwrap_or_default();
        let nearest = known
            .into_iter()
            .filter_map(|path| Some((lines(&file::read(&path).ok()?), path)))
            .max_by_key(|(known, _)| common(known, &wanted))
            .map(|(known, path)| (path, difference(&known, &wanted)));
        Self { file, nearest }
    }
}

/// A request as lines, in an order in which the first difference says most.
fn lines(request: &Interaction) -> Vec<String> {
    let params = serde_json::to_string(&request.params).unwrap_or_default();
    let mut all = vec![
        format!("step: {}", request.schema_name),
        format!("lm: {}", request.lm),
        format!("params: {params}"),
    ];
    for message in &request.messages {
        all.push(format!("[{}]", file::role(message)));
        all.extend(message.content.lines().map(str::to_owned));
        let media = message.media.iter();
        all.extend(media.map(|media| format!("({} {})", media.words(), media.identity())));
    }
    all.push(format!("schema: {}", request.schema));
    all
}

/// How many lines two requests share at their start and their end.
fn common(known: &[String], wanted: &[String]) -> usize {
    let (start, end) = shared(known, wanted);
    start + end
}

fn shared(known: &[String], wanted: &[String]) -> (usize, usize) {
    let pairs = known.iter().zip(wanted);
    let start = pairs.take_while(|(known, wanted)| known == wanted).count();
    let rest = known.len().min(wanted.len()) - start;
    let pairs = known.iter().rev().zip(wanted.iter().rev()).take(rest);
    let end = pairs.take_while(|(known, wanted)| known == wanted).count();
    (start, end)
}

/// The part in which two requests differ, with a few lines around it.
fn difference(known: &[String], wanted: &[String]) -> String {
    let (start, end) = shared(known, wanted);
    let mut shown = Vec::new();
    let before = start.saturating_sub(CONTEXT);
    shown.extend(known[before..start].iter().map(|line| format!("  {line}")));
    for (mark, side) in [("-", known), ("+", wanted)] {
        let lines = &side[start..side.len() - end];
        shown.extend(
            lines
                .iter()
                .take(SHOWN)
                .map(|line| format!("{mark} {line}")),
        );
        if lines.len() > SHOWN {
            shown.push(format!("{mark} … {} more lines", lines.len() - SHOWN));
        }
    }
    let after = &known[known.len() - end..];
    shown.extend(after.iter().take(CONTEXT).map(|line| format!("  {line}")));
    if start + end == known.len() && known.len() == wanted.len() {
        shown = vec![
            "  it reads the same, so a secret or the order of a schema must differ".to_owned(),
        ];
    }
    shown.join("\n")
}
