//! What the executions of a history took, in groups.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Serialize;

use crate::filter::Filter;

/// Executions of one step (or of whole runs) on one LM.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GroupStats {
    /// The workflow's name.
    pub workflow: String,
    /// The step's name; `None` for runs of the whole workflow.
    pub step: Option<String>,
    /// The LM; `None` for runs.
    pub lm: Option<String>,
    /// How many.
    pub executions: u64,
    /// Errors by class.
    pub errors: BTreeMap<String, u64>,
    /// The latency that half of them stayed within, in milliseconds (nearest rank).
    pub latency_p50_ms: u64,
    /// The latency that 95 % of them stayed within, in milliseconds (nearest rank).
    pub latency_p95_ms: u64,
    /// Tokens of the messages.
    pub input_tokens: u64,
    /// Tokens of the replies.
    pub output_tokens: u64,
    /// In US dollars; `None` where no price is known.
    pub cost: Option<f64>,
    /// The mean of the scores, where there are any.
    pub score_mean: Option<f64>,
    /// How many have a score.
    pub scored: u64,
    /// Accepted by a person.
    pub accepted: u64,
    /// Rejected by a person.
    pub rejected: u64,
    /// Corrected by a person.
    pub corrected: u64,
}

/// The groups, sorted by workflow, step and LM. One query each, sorted by SQLite: memory does not grow with
/// the history.
pub(crate) fn stats(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<GroupStats>> {
    let clause = filter.clause();
    let mut statement = connection.prepare(&format!(
        "WITH ranked AS (
            SELECT *,
                row_number() OVER (PARTITION BY workflow, step, lm ORDER BY latency) AS rank,
                count(*) OVER (PARTITION BY workflow, step, lm) AS total
            FROM (SELECT workflow, step, lm, latency, input_tokens, output_tokens, cost, score, feedback
                FROM executions {})
        )
        SELECT workflow, step, lm, count(*),
            min(latency) FILTER (WHERE rank * 100 >= total * 50),
            min(latency) FILTER (WHERE rank * 100 >= total * 95),
            sum(input_tokens), sum(output_tokens), sum(cost), avg(score), count(score),
            count(*) FILTER (WHERE feedback = 'accept'),
            count(*) FILTER (WHERE feedback = 'reject'),
            count(*) FILTER (WHERE feedback = 'correct')
        FROM ranked GROUP BY workflow, step, lm ORDER BY workflow, step, lm",
        clause.sql
    ))?;
    let mut groups = statement
        .query_map(&*clause.arguments(), |row| {
            Ok(GroupStats {
                workflow: row.get(0)?,
                step: row.get(1)?,
                lm: row.get(2)?,
                executions: row.get(3)?,
                errors: BTreeMap::new(),
                latency_p50_ms: row.get(4)?,
                latency_p95_ms: row.get(5)?,
                input_tokens: row.get(6)?,
                output_tokens: row.get(7)?,
                cost: row.get(8)?,
                score_mean: row.get(9)?,
                scored: row.get(10)?,
                accepted: row.get(11)?,
                rejected: row.get(12)?,
                corrected: row.get(13)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    add_errors(connection, filter, &mut groups)?;
    Ok(groups)
}

fn add_errors(
    connection: &Connection,
    filter: &Filter,
    groups: &mut [GroupStats],
) -> rusqlite::Result<()> {
    let clause = filter.clause();
    let mut statement = connection.prepare(&format!(
        "SELECT workflow, step, lm, error, count(*) FROM (SELECT * FROM executions {})
         WHERE error IS NOT NULL GROUP BY workflow, step, lm, error",
        clause.sql
    ))?;
    let mut rows = statement.query(&*clause.arguments())?;
    while let Some(row) = rows.next()? {
        let (workflow, step, lm): (String, Option<String>, Option<String>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let group = groups
            .iter_mut()
            .find(|group| group.workflow == workflow && group.step == step && group.lm == lm);
        if let Some(group) = group {
            group.errors.insert(row.get(3)?, row.get(4)?);
        }
    }
    Ok(())
}
