//! Child processes that do not outlive their owner, and what they know of the user's environment.

use std::env;
use std::ffi::OsString;
use std::process::{Child, ExitStatus};
use std::{io, thread};

/// What Python may know of the user's environment. Keys of LM providers are none of its business.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "TEMP",
    "TMP",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "PATHEXT",
];

/// Those that are set, for a child process that gets nothing else.
pub(super) fn inherited_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED
        .iter()
        .filter_map(|&name| Some((name, env::var_os(name)?)))
}

/// Killed when dropped, unless it has ended or was [released](Running::release).
#[derive(Debug)]
pub(super) struct Running(Option<Child>);

impl Running {
    pub(super) fn new(child: Child) -> Self {
        Self(Some(child))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Lets it live on; a thread collects its exit status, so that no zombie remains.
    pub(super) fn release(mut self) {
        if let Some(mut child) = self.0.take() {
            // Without the thread it is a zombie until this process ends, which hurts nobody.
            let _ = thread::Builder::new()
                .name("dspipe-reaper".into())
                .spawn(move || child.wait());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            // Both can only fail because it has just ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
