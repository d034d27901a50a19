//! An LM that answers from recordings.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Cassettes, Mode};
use crate::lm::{BoxFuture, Lm, LmError, LmName, Reply, Request};

type Make = Box<dyn Fn() -> Result<Arc<dyn Lm>, LmError> + Send + Sync>;

pub(super) struct Recorded {
    cassettes: Cassettes,
    name: LmName,
    make: Make,
    inner: OnceLock<Arc<dyn Lm>>,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("cassettes", &self.cassettes)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Recorded {
    pub(super) fn new(cassettes: Cassettes, name: LmName, make: Make) -> Self {
        Self {
            cassettes,
            name,
            make,
            inner: OnceLock::new(),
        }
    }

    fn inner(&self) -> Result<&Arc<dyn Lm>, LmError> {
        if let Some(inner) = self.inner.get() {
            return Ok(inner);
        }
        let made = (self.make)()?;
        Ok(self.inner.get_or_init(|| made))
    }

    async fn answer(&self, request: &Request) -> Result<Reply, LmError> {
        let mode = self.cassettes.mode()?;
        if mode != Mode::All
            && let Some(reply) = self.cassettes.replay(&self.name, request)?
        {
            return Ok(reply);
        }
        if mode == Mode::None {
            return Err(self.cassettes.miss(&self.name, request).into());
        }
        // Of those who ask the same at the same time, one asks and the others read its recording: otherwise a
        // replay would give all of them the reply that came last.
        let gate = self.cassettes.gate(&self.name, request);
        let _turn = gate.turn().await;
        if mode == Mode::New
            && let Some(reply) = self.cassettes.replay(&self.name, request)?
        {
            return Ok(reply);
        }
        // A failure is not recorded: the next run shall ask again.
        let reply = self.inner()?.complete(request).await?;
        self.cassettes.record(&self.name, request, &reply)?;
        Ok(reply)
    }
}

impl Lm for Recorded {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.answer(request))
    }
}
