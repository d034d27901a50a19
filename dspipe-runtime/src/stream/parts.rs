//! Replies as a step asks for them: at once, or in parts that are given on.

use std::sync::Arc;

use futures_util::StreamExt;

use super::scan::Scanner;
use super::{Giver, Partial, Streamed, Streaming};
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
        let mut scanner = Scanner::new();
        let mut chunks = retry.stream(lm, request);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if scanner.push(&chunk.text, &mut |field, part| {
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
            }) = chunk.end
            {
                return Ok(Reply {
                    text: scanner.into_text(),
                    finish,
                    usage,
                    model,
                    lm,
                });
            }
        }
        Err(LmError::no_end())
    }
}
