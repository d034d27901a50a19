//! Which executions are meant.

use rusqlite::types::{ToSql, Value};

use crate::execution::{Time, Verdict};

/// Which executions are meant. The default is all of them; every field that is set narrows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Steps or runs.
    pub kind: Kind,
    /// On this LM.
    pub lm: Option<String>,
    /// Of this run of a workflow.
    pub run: Option<String>,
    /// Begun at this time or later.
    pub since: Option<Time>,
    /// Begun before this time.
    pub until: Option<Time>,
    /// With or without an error.
    pub outcome: Outcome,
    /// With one of these verdicts, if there are any.
    pub verdicts: Vec<Verdict>,
    /// With a score of at least this.
    pub min_score: Option<f64>,
    /// In which order.
    pub order: Order,
    /// At most so many.
    pub limit: Option<u64>,
}

/// Steps or runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Both.
    #[default]
    All,
    /// Runs of whole workflows.
    Runs,
    /// Steps.
    Steps,
    /// Executions of the step of this name.
    Step(String),
}

/// With or without an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Both.
    #[default]
    All,
    /// Without an error.
    Succeeded,
    /// With an error.
    Failed,
    /// With an error of this class.
    Class(String),
}

/// In which order executions come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The last one first.
    #[default]
    NewestFirst,
    /// In the order in which they happened.
    OldestFirst,
    /// Corrected ones, then accepted ones, then those with the best score; of these the newest.
    BestFirst,
}

impl Filter {
    /// What follows the table's name in a query, without order and limit.
    pub(crate) fn clause(&self) -> Clause {
        let mut clause = Clause::default();
        if let Some(workflow) = &self.workflow {
            clause.and("workflow = ?", [workflow.clone()]);
        }
        match &self.kind {
            Kind::All => {}
            Kind::Runs => clause.and("step IS NULL", NONE),
            Kind::Steps => clause.and("step IS NOT NULL", NONE),
            Kind::Step(step) => clause.and("step = ?", [step.clone()]),
        }
        if let Some(lm) = &self.lm {
            clause.and("lm = ?", [lm.clone()]);
        }
        if let Some(run) = &self.run {
            clause.and("run = ?", [run.clone()]);
        }
        if let Some(since) = self.since {
            clause.and("time >= ?", [since.millis()]);
        }
        if let Some(until) = self.until {
            clause.and("time < ?", [until.millis()]);
        }
        match &self.outcome {
            Outcome::All => {}
            Outcome::Succeeded => clause.and("error IS NULL", NONE),
            Outcome::Failed => clause.and("error IS NOT NULL", NONE),
            Outcome::Class(class) => clause.and("error = ?", [class.clone()]),
        }
        if !self.verdicts.is_empty() {
            let marks = vec!["?"; self.verdicts.len()].join(", ");
            let verdicts = self.verdicts.iter().map(|one| one.as_str().to_owned());
            clause.and(&format!("feedback IN ({marks})"), verdicts);
        }
        if let Some(score) = self.min_score {
            clause.and("score >= ?", [score]);
        }
        clause
    }

    /// The rest of a query for whole rows.
    pub(crate) fn order_and_limit(&self) -> String {
        let order = match self.order {
            Order::NewestFirst => "time DESC, id DESC",
            Order::OldestFirst => "time, id",
            Order::BestFirst => {
                "feedback IS 'correct' DESC, feedback IS 'accept' DESC, score DESC, time DESC, id DESC"
            }
        };
        let limit = self
            .limit
            .map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        format!("ORDER BY {order}{limit}")
    }
}

const NONE: [i64; 0] = [];

/// Conditions and their arguments.
#[derive(Default)]
pub(crate) struct Clause {
    pub(crate) sql: String,
    arguments: Vec<Value>,
}

impl Clause {
    fn and<T: Into<Value>>(&mut self, condition: &str, arguments: impl IntoIterator<Item = T>) {
        let word = if self.sql.is_empty() { "WHERE" } else { " AND" };
        self.sql.push_str(word);
        self.sql.push(' ');
        self.sql.push_str(condition);
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }

    pub(crate) fn arguments(&self) -> Vec<&dyn ToSql> {
        self.arguments.iter().map(|one| one as &dyn ToSql).collect()
    }
}
