//! What stands before an LM: something that lets calls through, and learns how they ended.

use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, future, stream};

use super::{BoxFuture, BoxStream, Chunk, Lm, LmError, LmName, Reply, Request, Usage};
use crate::media::{Attachment, Content, MediaKind};

/// Lets calls through, now, later or not at all.
pub(super) trait Gate: Send + Sync + fmt::Debug {
    type Pass: Pass;

    fn enter<'a>(
        &'a self,
        lm: &'a LmName,
        request: &'a Request,
    ) -> impl Future<Output = Result<Self::Pass, LmError>> + Send + 'a;
}

/// A call that was let through. One that is dropped unsettled was given up by its caller.
pub(super) trait Pass: Send {
    fn settle(self, outcome: Result<&Usage, &LmError>);
}

/// An LM behind a gate.
pub(super) struct Gated<G> {
    pub(super) lm: Arc<dyn Lm>,
    pub(super) gate: G,
}

impl<G: fmt::Debug> fmt::Debug for Gated<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gated")
            .field(&self.gate)
            .field(&self.lm)
            .finish()
    }
}

impl<G: Gate> Gated<G> {
    async fn complete(&self, request: &Request) -> Result<Reply, LmError> {
        let pass = self.gate.enter(self.lm.name(), request).await?;
        let result = self.lm.complete(request).await;
        pass.settle(result.as_ref().map(|reply| &reply.usage));
        result
    }

    /// The stream, once it is let through. Settled with its last chunk or its error.
    async fn open<'a>(
        &'a self,
        request: &'a Request,
    ) -> Result<BoxStream<'a, Result<Chunk, LmError>>, LmError> {
        let pass = self.gate.enter(self.lm.name(), request).await?;
        let chunks = self.lm.stream(request);
        let watched = chunks.scan(Some(pass), |pass, chunk| {
            let outcome = match &chunk {
                Ok(chunk) => chunk.end.as_ref().map(|end| Ok(&end.usage)),
                Err(error) => Some(Err(error)),
            };
            if let Some(outcome) = outcome
                && let Some(pass) = pass.take()
            {
                pass.settle(outcome);
            }
            future::ready(Some(chunk))
        });
        Ok(Box::pin(watched))
    }
}

impl<G: Gate> Lm for Gated<G> {
    fn name(&self) -> &LmName {
        self.lm.name()
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.complete(request))
    }

    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        Box::pin(stream::once(self.open(request)).try_flatten())
    }
}

/// More tokens than an image has at any provider by its documentation, and than documents of this size have
/// as a rule; nobody but the provider can count the pages behind a URL.
fn media_tokens(media: &Attachment) -> usize {
    const IMAGE: usize = 16_384;
    const UNKNOWN: usize = 65_536;
    match (&media.content, media.kind) {
        (_, MediaKind::Image) => IMAGE,
        (Content::Url(_), MediaKind::Document) => UNKNOWN,
        (Content::Bytes { size, .. }, MediaKind::Document) => {
            usize::try_from(*size).unwrap_or(usize::MAX).max(IMAGE)
        }
    }
}

/// More tokens than the messages and the schema of a request can be: no token is shorter than a byte, and
/// what stands between messages is a few tokens.
pub(super) fn most_input_tokens(request: &Request) -> u64 {
    const BETWEEN: usize = 16;
    let messages = request.messages.iter();
    let messages: usize = messages
        .map(|message| {
            let media: usize = message.media.iter().map(media_tokens).sum();
            message.content.len() + BETWEEN + media
        })
        .sum();
    let schema = request.schema.as_ref();
    let schema = schema.map_or(0, |schema| schema.json.len() + schema.name.len() + BETWEEN);
    u64::try_from(messages + schema).unwrap_or(u64::MAX)
}
