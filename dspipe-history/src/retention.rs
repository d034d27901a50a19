//! How much of a history is kept.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use crate::execution::Time;

/// Rows that are deleted between two looks at the size.
const CHUNK: i64 = 500;

/// What a history may hold. `None` is no limit. The oldest executions go first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The age of the oldest execution.
    pub max_age: Option<Duration>,
    /// The number of executions.
    pub max_rows: Option<u64>,
    /// The size of the data in the file, in bytes.
    pub max_bytes: Option<u64>,
    /// Keeps executions with feedback, whatever the limits say.
    pub keep_feedback: bool,
}

impl Retention {
    /// Whether everything is kept.
    pub fn is_unlimited(&self) -> bool {
        self.max_age.is_none() && self.max_rows.is_none() && self.max_bytes.is_none()
    }
}

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Executions that were deleted.
    pub deleted: u64,
    /// Executions that are left.
    pub left: u64,
    /// The size of the data after it, in bytes.
    pub bytes: u64,
}

/// Deletes what the limits do not allow, in small transactions, so that others can write in between.
pub(crate) fn prune(
    connection: &mut Connection,
    retention: &Retention,
) -> rusqlite::Result<Pruned> {
    let mut deleted = 0;
    if let Some(age) = retention.max_age {
        let oldest = Time::now().before(age).millis();
        loop {
            let gone = delete(connection, retention, "time < ?1", oldest, CHUNK)?;
            deleted += gone;
            if gone == 0 {
                break;
            }
        }
    }
    if let Some(rows) = retention.max_rows {
        loop {
            let excess = count(connection)?.saturating_sub(rows);
            let chunk = i64::try_from(excess).unwrap_or(CHUNK).min(CHUNK);
            let gone = delete(connection, retention, "?1 = 0", 0, chunk)?;
            deleted += gone;
            if gone == 0 {
                break;
            }
        }
    }
    if let Some(bytes) = retention.max_bytes {
        while used(connection)? > bytes {
            // A tenth at a time, so that not much more goes than has to.
            let chunk = i64::try_from(count(connection)? / 10).unwrap_or(CHUNK);
            let gone = delete(connection, retention, "?1 = 0", 0, chunk.clamp(1, CHUNK))?;
            deleted += gone;
            if gone == 0 {
                break;
            }
        }
    }
    if deleted > 0 {
        let mut free = connection.prepare("PRAGMA incremental_vacuum")?;
        let mut steps = free.query([])?;
        while steps.next()?.is_some() {}
        drop(steps);
        drop(free);
        // Readers may keep it from shrinking the journal now; a later one will.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    Ok(Pruned {
        deleted,
        left: count(connection)?,
        bytes: used(connection)?,
    })
}

fn delete(
    connection: &mut Connection,
    retention: &Retention,
    condition: &str,
    argument: i64,
    limit: i64,
) -> rusqlite::Result<u64> {
    let kept = if retention.keep_feedback {
        "AND feedback IS NULL"
    } else {
        ""
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let gone = transaction.execute(
        &format!(
            "DELETE FROM executions WHERE id IN (
                SELECT id FROM executions WHERE {condition} {kept} ORDER BY time, id LIMIT ?2)"
        ),
        params![argument, limit],
    )?;
    transaction.commit()?;
    Ok(gone as u64)
}

fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM executions", [], |row| row.get(0))
}

/// Bytes of pages that hold something.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(pages.saturating_mul(pragma("page_size")?))
}
