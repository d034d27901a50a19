//! How far a live run is.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, otherwise ten lines.
#[derive(Debug)]
pub(super) enum Progress {
    Silent,
    Bar(ProgressBar),
    Lines {
        suite: String,
        all: u64,
        done: AtomicU64,
    },
}

impl Progress {
    pub(super) fn new(suite: &str, all: usize, live: bool) -> Self {
        let all = all as u64;
        if !live || all == 0 {
            return Self::Silent;
        }
        if !io::stderr().is_terminal() {
            let (suite, done) = (suite.to_owned(), AtomicU64::new(0));
            return Self::Lines { suite, all, done };
        }
        let bar = ProgressBar::new(all);
        let style = "{msg} {wide_bar} {pos}/{len} {elapsed_precise}, {eta_precise} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(suite.to_owned());
        Self::Bar(bar)
    }

    /// One more is done; `spent` is what the run has cost so far.
    pub(super) fn advance(&self, spent: f64) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => bar.inc(1),
            Self::Lines { suite, all, done } => {
                let now = done.fetch_add(1, Ordering::Relaxed) + 1;
                if now * 10 / all != (now - 1) * 10 / all {
                    eprintln!("{suite}: {now} of {all} runs, {spent:.4} USD");
                }
            }
        }
    }

    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
