//! A history, to be read and written.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::Value;

use crate::database;
use crate::error::HistoryError;
use crate::execution::{COLUMNS, Execution, Feedback, Time};
use crate::filter::Filter;
use crate::recorder::{Prices, Recorder};
use crate::redaction::{Redaction, keys_of, remove_place, scrub};
use crate::retention::{self, Pruned, Retention};
use crate::stats::{self, GroupStats};
use crate::writer::{WhenFull, Writer, WriterSettings};

/// How a history records.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is kept out of the file.
    pub redaction: Redaction,
    /// What LMs cost.
    pub prices: Prices,
    /// What is deleted while recording: at the first execution, and after every thousand.
    pub retention: Retention,
    /// How many executions wait at most to be written.
    pub queue: usize,
    /// What happens when that many wait.
    pub when_full: WhenFull,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            redaction: Redaction::default(),
            prices: Prices::default(),
            retention: Retention::default(),
            queue: 8192,
            when_full: WhenFull::default(),
        }
    }
}

/// A history: one SQLite file, which several processes may use at once.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    settings: Settings,
    connection: Mutex<Connection>,
    /// Shared by the recorders, and gone with the last of them.
    writer: Mutex<Weak<Writer>>,
}

impl History {
    /// Opens the file, or makes it, readable for its owner only. What the settings keep out of it is kept
    /// out from then on, whoever opens it.
    ///
    /// # Errors
    /// [`HistoryError`] if it cannot be opened, is no history, or is one of a newer dspipe.
    pub fn open(path: impl AsRef<Path>, settings: Settings) -> Result<Self, HistoryError> {
        let path = path.as_ref().to_owned();
        let connection = database::open(&path, true)?;
        Self::of(path, connection, settings)
    }

    /// Opens a file that is there.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`HistoryError::Missing`].
    pub fn existing(path: impl AsRef<Path>) -> Result<Self, HistoryError> {
        let path = path.as_ref().to_owned();
        let connection = database::open(&path, false)?;
        Self::of(path, connection, Settings::default())
    }

    fn of(
        path: PathBuf,
        connection: Connection,
        mut settings: Settings,
    ) -> Result<Self, HistoryError> {
        let redaction = std::mem::take(&mut settings.redaction);
        settings.redaction =
            database::remember(&connection, redaction).map_err(|source| HistoryError::Sqlite {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            path,
            settings,
            connection: Mutex::new(connection),
            writer: Mutex::default(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A recorder. All recorders of a history share one thread that writes.
    ///
    /// # Errors
    /// [`HistoryError`] if the file can no longer be opened or the thread cannot be started.
    pub fn recorder(&self) -> Result<Recorder, HistoryError> {
        let mut shared = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = if let Some(writer) = shared.upgrade() {
            writer
        } else {
            let settings = WriterSettings {
                queue: self.settings.queue,
                when_full: self.settings.when_full,
                retention: self.settings.retention.clone(),
            };
            let connection = database::open(&self.path, true)?;
            let writer = Arc::new(Writer::start(self.path.clone(), connection, &settings)?);
            *shared = Arc::downgrade(&writer);
            writer
        };
        Ok(Recorder {
            writer,
            redaction: Arc::new(self.settings.redaction.clone()),
            prices: Arc::new(self.settings.prices.clone()),
            keys: Arc::new(keys_of(std::env::vars_os())),
        })
    }

    /// The executions that a filter means.
    ///
    /// # Errors
    /// [`HistoryError::Sqlite`].
    pub fn list(&self, filter: &Filter) -> Result<Vec<Execution>, HistoryError> {
        let mut found = Vec::new();
        self.each(filter, |execution| {
            found.push(execution);
            ControlFlow::<()>::Continue(())
        })?;
        Ok(found)
    }

    /// Hands over the executions that a filter means, one at a time: memory does not grow with their number.
    /// Returns what the function breaks with.
    ///
    /// # Errors
    /// [`HistoryError::Sqlite`].
    pub fn each<B>(
        &self,
        filter: &Filter,
        mut take: impl FnMut(Execution) -> ControlFlow<B>,
    ) -> Result<Option<B>, HistoryError> {
        let clause = filter.clause();
        let query = format!(
            "SELECT {COLUMNS} FROM executions {} {}",
            clause.sql,
            filter.order_and_limit()
        );
        let connection = self.lock();
        self.sqlite(|| {
            let mut statement = connection.prepare(&query)?;
            let mut rows = statement.query(&*clause.arguments())?;
            while let Some(row) = rows.next()? {
                if let ControlFlow::Break(end) = take(Execution::of(row)?) {
                    return Ok(Some(end));
                }
            }
            Ok(None)
        })
    }

    /// One execution.
    ///
    /// # Errors
    /// [`HistoryError::NoExecution`], [`HistoryError::Sqlite`].
    pub fn show(&self, id: i64) -> Result<Execution, HistoryError> {
        let connection = self.lock();
        let query = format!("SELECT {COLUMNS} FROM executions WHERE id = ?1");
        self.sqlite(|| connection.query_row(&query, [id], Execution::of).optional())?
            .ok_or_else(|| self.no_execution(id))
    }

    /// What the executions took that a filter means, by workflow, step and LM.
    ///
    /// # Errors
    /// [`HistoryError::Sqlite`].
    pub fn stats(&self, filter: &Filter) -> Result<Vec<GroupStats>, HistoryError> {
        let connection = self.lock();
        self.sqlite(|| stats::stats(&connection, filter))
    }

    /// Writes executions as JSON Lines, one at a time, and returns how many there were.
    ///
    /// # Errors
    /// [`HistoryError::Export`] if the text cannot be written, [`HistoryError::Sqlite`].
    pub fn export(&self, filter: &Filter, out: &mut impl Write) -> Result<u64, HistoryError> {
        let mut count = 0;
        let failed = self.each(filter, |execution| {
            let written = serde_json::to_writer(&mut *out, &execution)
                .map_err(std::io::Error::from)
                .and_then(|()| out.write_all(b"\n"));
            match written {
                Ok(()) => {
                    count += 1;
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            }
        })?;
        match failed {
            None => Ok(count),
            Some(error) => Err(HistoryError::Export(error)),
        }
    }

    /// Writes down what a person says of an output, in place of what was said before. Redacted fields are
    /// kept out of the corrected output too, and the execution then counts as redacted.
    ///
    /// # Errors
    /// [`HistoryError::NoExecution`], [`HistoryError::Sqlite`].
    pub fn feedback(&self, id: i64, feedback: Feedback) -> Result<(), HistoryError> {
        let verdict = feedback.verdict().as_str();
        let execution = self.show(id)?;
        let mut redacted = execution.redacted;
        let corrected = match feedback {
            Feedback::Correct(outputs) => {
                let mut outputs = Value::Object(outputs);
                let mut secrets = std::collections::HashSet::new();
                let places = self.settings.redaction.apply(
                    &execution.workflow,
                    execution.step.as_deref(),
                    &mut Value::Null,
                    Some(&mut outputs),
                    &mut secrets,
                );
                // What the workflow calls sensitive, its own row tells.
                for place in &redacted {
                    remove_place(&mut outputs, place);
                }
                scrub(&mut outputs, &secrets);
                redacted.extend(places);
                redacted.sort();
                redacted.dedup();
                Some(outputs.to_string())
            }
            _ => None,
        };
        self.update(
            "UPDATE executions SET feedback = ?2, corrected = ?3, feedback_time = ?4, redacted = ?5
             WHERE id = ?1",
            id,
            params![
                id,
                verdict,
                corrected,
                Time::now().millis(),
                Value::from(redacted).to_string()
            ],
        )
    }

    /// Writes down how good an output is, from 0 to 1.
    ///
    /// # Errors
    /// [`HistoryError::NoExecution`], [`HistoryError::Sqlite`].
    pub fn score(&self, id: i64, score: f64) -> Result<(), HistoryError> {
        self.update(
            "UPDATE executions SET score = ?2 WHERE id = ?1",
            id,
            params![id, score],
        )
    }

    /// Deletes what the limits do not allow, the oldest executions first.
    ///
    /// # Errors
    /// [`HistoryError::Sqlite`].
    pub fn prune(&self, retention: &Retention) -> Result<Pruned, HistoryError> {
        let mut connection = self.lock();
        self.sqlite(|| retention::prune(&mut connection, retention))
    }

    fn update(
        &self,
        sql: &str,
        id: i64,
        arguments: &[&dyn rusqlite::ToSql],
    ) -> Result<(), HistoryError> {
        let mut connection = self.lock();
        let changed = self.sqlite(|| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changed = transaction.execute(sql, arguments)?;
            transaction.commit().map(|()| changed)
        })?;
        if changed == 0 {
            return Err(self.no_execution(id));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // SQLite keeps itself whole, whatever happens under the lock.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sqlite<T>(&self, run: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, HistoryError> {
        run().map_err(|source| HistoryError::Sqlite {
            path: self.path.clone(),
            source,
        })
    }

    fn no_execution(&self, id: i64) -> HistoryError {
        HistoryError::NoExecution {
            path: self.path.clone(),
            id,
        }
    }
}
