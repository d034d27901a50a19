//! dspipe's directory, and the few operations on files that everything in it shares.
//!
//! ```text
//! env/<hash>/      a virtual environment with third-party packages only
//! bridge/<hash>/   the Python sources that belong to this version of the crate
//! run/<hash>/      a running server's address and log
//! ```

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use super::error::LocalError;

/// The directory: the override, else `dspipe` in the user's cache directory. Always absolute, because
/// child processes with another working directory get paths in it.
pub(super) fn directory(overriding: Option<OsString>) -> Result<PathBuf, LocalError> {
    let home = match overriding {
        Some(path) => PathBuf::from(path),
        None => etcetera::choose_base_strategy()
            .map_err(|_| LocalError::NoHome)?
            .cache_dir()
            .join("dspipe"),
    };
    std::path::absolute(&home).map_err(|source| LocalError::io("use", &home, source))
}

/// Makes a directory with its parents.
pub(super) fn create_dir(path: &Path) -> Result<(), LocalError> {
    fs::create_dir_all(path).map_err(|source| LocalError::io("create", path, source))
}

/// Makes a directory that only this user can look into.
pub(super) fn create_private_dir(path: &Path) -> Result<(), LocalError> {
    create_dir(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|source| LocalError::io("protect", path, source))?;
    }
    Ok(())
}

/// Removes a directory with all that is in it; one that is not there is fine.
pub(super) fn remove_dir(path: &Path) -> Result<(), LocalError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(LocalError::io("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Writes a file so that readers see all of it or none: to another name first, then renamed.
pub(super) fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), LocalError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(
        ".{}-{}.tmp",
        process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    written.map_err(|source| {
        // Best effort: the error that matters is the one above.
        let _ = fs::remove_file(&temporary);
        LocalError::io("write", path, source)
    })
}

/// A short name for contents: the first 16 hexadecimal digits of a SHA-256 over the parts, each preceded
/// by its length so that no two lists of parts look the same.
pub(super) fn content_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let start = digest
        .iter()
        .take(8)
        .fold(0_u64, |start, &byte| start << 8 | u64::from(byte));
    format!("{start:016x}")
}

/// The end of a text file, for an error message; empty if it cannot be read.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    // A log is read as a whole: the server's is made anew at each start and stays small.
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    last_lines(&text, lines)
}

/// The last lines of a text, without the empty ones at its end.
pub(super) fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let one = content_hash([b"ab".as_slice(), b"c"]);
        let two = content_hash([b"a".as_slice(), b"bc"]);
        assert_ne!(one, two);
        assert_eq!(one.len(), 16);
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.json");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_relative_home_becomes_absolute() {
        assert!(directory(Some("somewhere".into())).unwrap().is_absolute());
    }

    #[test]
    fn a_file_in_the_way_is_a_home_that_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = create_dir(&file.join("env")).unwrap_err();
        assert!(
            matches!(error, LocalError::HomeNotWritable { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("DSPIPE_HOME"), "{error}");
    }

    #[test]
    fn the_tail_of_a_text_skips_empty_lines_at_its_end() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("", 2), "");
    }
}
