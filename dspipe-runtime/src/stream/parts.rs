//! Replies as a step asks for them: at once, or in parts that are given on.

use std::sync::Arc;

use futures_util::StreamExt;

use super::scan::{Scanner, Tell};
use super::sections::Sections;
use super::{Giver, Partial, Streamed, Streaming};
use crate::adapter::Adapter;
use crate::error::Error;
use crate::lm::{End, Lm, LmError, Reply, Request, Retry};

/// How a step gets its replies.
pub(crate) trait Replies: Send {
    /// Asks, and again as `retry` says.
    fn reply(
        &mut self,
        retry: &Retry,
        lm: &dyn Lm,
        request: &Request,
    ) -> impl Future<Output = Result<Reply, LmError>> + Send;
}

/// Reads pieces out of a reply as its adapter does.
enum Reader {
    Json(Scanner),
    Sections(Sections),
}

impl Reader {
    fn of(adapter: Option<Adapter>) -> Self {
        match adapter {
            Some(Adapter::DspyChat) => Self::Sections(Sections::default()),
            Some(Adapter::DspyJson) | None => Self::Json(Scanner::new()),
        }
    }

    fn push(&mut self, more: &str, tell: &mut Tell<'_>) -> bool {
        match self {
            Self::Json(scanner) => scanner.push(more, tell),
            Self::Sections(sections) => sections.push(more, tell),
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Json(scanner) => scanner.into_text(),
            Self::Sections(sections) => sections.into_text(),
        }
    }
}

/// Whole replies.
pub(crate) struct AtOnce;

impl Replies for AtOnce {
    async fn reply(
        &mut self,
        retry: &Retry,
        lm: &dyn Lm,
        request: &Request,
    ) -> Result<Reply, LmError> {
        retry.complete(lm, request).await
    }
}

/// Replies that are given on while they come.
pub(crate) struct InParts<S: Streaming> {
    giver: Giver<Result<Streamed<S>, Error>>,
    begun: bool,
}

impl<S: Streaming> InParts<S> {
    pub(crate) fn new(giver: Giver<Result<Streamed<S>, Error>>) -> Self {
        Self {
            giver,
            begun: false,
        }
    }
}

impl<S: Streaming> Replies for InParts<S> {
    async fn reply(
        &mut self,
        retry: &Retry,
        lm: &dyn Lm,
        request: &Request,
    ) -> Result<Reply, LmError> {
        if std::mem::replace(&mut self.begun, true) {
            self.giver.give(Ok(Streamed::Restarted)).await;
        }
        let mut partial = Arc::new(S::Partial::default());
        let mut reader = Reader::of(S::DEF.adapter);
        let mut chunks = retry.stream(lm, request);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if reader.push(&chunk.text, &mut |field, part| {
                Arc::make_mut(&mut partial).field(field, part)
            }) {
                let item = Streamed::Partial(Arc::clone(&partial));
                self.giver.give(Ok(item)).await;
            }
            if let Some(End {
                finish,
                usage,
                model,
                lm,
                request_id,
            }) = chunk.end
            {
                return Ok(Reply {
                    text: reader.into_text(),
                    finish,
                    usage,
                    model,
                    lm,
                    request_id,
                });
            }
        }
        Err(LmError::no_end())
    }
}
