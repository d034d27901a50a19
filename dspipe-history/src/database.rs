//! The SQLite file: how it is opened, and how its layout came about.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::HistoryError;
use crate::redaction::{Redaction, RedactionRule};

/// How long one process waits while another writes.
const BUSY: Duration = Duration::from_secs(10);

/// Marks a file as a history: `dsph` in ASCII.
const APPLICATION: i32 = 0x6473_7068;

/// The steps from an empty file to the layout of today. `user_version` counts those that a file has had:
/// add to the end, never change one that was released.
pub(crate) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE executions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run TEXT,
        workflow TEXT NOT NULL,
        step TEXT,
        time INTEGER NOT NULL,
        latency INTEGER NOT NULL,
        lm TEXT,
        signature TEXT,
        prompt TEXT,
        inputs TEXT NOT NULL,
        outputs TEXT,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        replies INTEGER NOT NULL DEFAULT 0,
        cost REAL,
        error TEXT,
        message TEXT,
        score REAL,
        feedback TEXT CHECK (feedback IN ('accept', 'reject', 'correct')),
        corrected TEXT,
        feedback_time INTEGER,
        version TEXT NOT NULL
    ) STRICT;",
    "ALTER TABLE executions ADD COLUMN redacted TEXT NOT NULL DEFAULT '[]';
     CREATE INDEX executions_by_step ON executions (workflow, step, time);
     CREATE INDEX executions_by_time ON executions (time);
     CREATE INDEX executions_by_run ON executions (run) WHERE run IS NOT NULL;",
    "CREATE TABLE redactions (rule TEXT PRIMARY KEY) STRICT;",
];

/// Opens a history, brings its layout up to date, and makes the file if `create` says so.
pub(crate) fn open(path: &Path, create: bool) -> Result<Connection, HistoryError> {
    if !create && !path.exists() {
        return Err(HistoryError::Missing {
            path: path.to_owned(),
        });
    }
    make_private(path);
    let deadline = Instant::now() + BUSY;
    loop {
        match try_open(path, MIGRATIONS) {
            // While the journal's mode changes, SQLite does not wait for others by itself.
            Err(HistoryError::Sqlite { source, .. })
                if is_busy(&source) && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// Makes the file, for its owner only: SQLite gives the files beside it the same rights.
fn make_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // It may exist; what else is wrong, SQLite says when it opens it.
    let _ = options.open(path);
}

/// Whether another connection was in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

pub(crate) fn try_open(path: &Path, migrations: &[&str]) -> Result<Connection, HistoryError> {
    let sqlite = |source| HistoryError::Sqlite {
        path: path.to_owned(),
        source,
    };
    // The path is a path, also where it looks like a URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY).map_err(sqlite)?;
    check_owner(&connection, path)?;
    // Space that pruning frees goes back to the file system. Only an empty file takes this setting.
    connection
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .map_err(sqlite)?;
    let _: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    // With WAL, a crash of the machine may lose the last transactions but never tears one.
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(sqlite)?;
    migrate(&mut connection, path, migrations)?;
    Ok(connection)
}

fn check_owner(connection: &Connection, path: &Path) -> Result<(), HistoryError> {
    let sqlite = |source| HistoryError::Sqlite {
        path: path.to_owned(),
        source,
    };
    // In this order: another process may make tables and mark at this moment, both at once.
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    let application: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sqlite)?;
    // An empty file is one that nobody has written to yet.
    if application == APPLICATION || (application == 0 && tables == 0) {
        return Ok(());
    }
    Err(HistoryError::Foreign {
        path: path.to_owned(),
    })
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), HistoryError> {
    let sqlite = |source| HistoryError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if version(connection).map_err(sqlite)? == known {
        return Ok(());
    }
    // Another process may do the same at this moment; the second one to get the lock finds it done.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite)?;
    let found = version(&transaction).map_err(sqlite)?;
    if found > known {
        return Err(HistoryError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for migration in migrations.iter().skip(found as usize) {
        transaction.execute_batch(migration).map_err(sqlite)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION)
        .map_err(sqlite)?;
    transaction
        .pragma_update(None, "user_version", known)
        .map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// Adds rules to those of the file, and returns all of them.
pub(crate) fn remember(
    connection: &Connection,
    redaction: Redaction,
) -> rusqlite::Result<Redaction> {
    let stored = stored_rules(connection)?;
    let all = stored.clone().and(redaction);
    if all != stored {
        for rule in all.rules() {
            // Plain texts always serialize.
            let rule = serde_json::to_string(&rule).unwrap_or_default();
            connection.execute("INSERT OR IGNORE INTO redactions VALUES (?1)", [rule])?;
        }
    }
    Ok(all)
}

fn stored_rules(connection: &Connection) -> rusqlite::Result<Redaction> {
    let mut statement = connection.prepare("SELECT rule FROM redactions")?;
    let rules = statement.query_map([], |row| {
        let text: String = row.get(0)?;
        // A rule that cannot be read must not be passed over.
        serde_json::from_str::<RedactionRule>(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
        })
    })?;
    let mut rules = rules;
    rules.try_fold(
        Redaction::new(),
        |redaction, rule| Ok(redaction.with(rule?)),
    )
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.db");
        (directory, path)
    }

    #[test]
    fn an_older_layout_is_brought_up_to_date_and_keeps_its_rows() {
        let (_directory, path) = file();
        let old = try_open(&path, &MIGRATIONS[..1]).unwrap();
        old.execute(
            "INSERT INTO executions (workflow, step, time, latency, inputs, version)
             VALUES ('w', 's', 5, 7, '{\"a\":1}', '0.0.1')",
            [],
        )
        .unwrap();
        assert!(old.prepare("SELECT redacted FROM executions").is_err());
        drop(old);

        let new = open(&path, false).unwrap();
        let row: (String, i64, String) = new
            .query_row("SELECT step, time, redacted FROM executions", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, ("s".to_owned(), 5, "[]".to_owned()));
        assert_eq!(version(&new).unwrap() as usize, MIGRATIONS.len());
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let (_directory, path) = file();
        drop(try_open(&path, &MIGRATIONS[..1]).unwrap());
        let broken = [MIGRATIONS[0], "CREATE TABLE more (x); SELECT nonsense;"];
        assert!(try_open(&path, &broken).is_err());
        let still = try_open(&path, &MIGRATIONS[..1]).unwrap();
        assert_eq!(version(&still).unwrap(), 1);
        assert!(still.prepare("SELECT x FROM more").is_err());
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let (_directory, path) = file();
        drop(open(&path, true).unwrap());
        let error = try_open(&path, &MIGRATIONS[..1]).unwrap_err();
        assert!(matches!(
            error,
            HistoryError::Newer {
                found: 3,
                known: 1,
                ..
            }
        ));
    }

    #[test]
    fn a_database_of_something_else_is_left_alone() {
        let (_directory, path) = file();
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x)")
            .unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(
            open(&path, true),
            Err(HistoryError::Foreign { .. })
        ));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made_by_reading() {
        let (_directory, path) = file();
        assert!(matches!(
            open(&path, false),
            Err(HistoryError::Missing { .. })
        ));
        assert!(!path.exists());
    }
}
