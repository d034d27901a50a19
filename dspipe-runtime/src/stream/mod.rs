//! Outputs of steps while they come.
//!
//! A step with `stream: true` in its workflow file has, besides its output type, a partial one: a struct of
//! the same fields, each of them optional. Texts, lists and objects grow; numbers, enums and everything else
//! are there when they are whole.
//!
//! A partial output shows what the LM has written and is right as it is. It is not held against limits, and
//! nothing in it is repaired: that is for the output at the end, which is read from the whole reply as
//! without a stream, and may therefore differ.

mod give;
mod part;
mod parts;
mod scan;
mod sections;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Error;
use crate::lm::{BoxFuture, Stream};
use crate::signature::Signature;

pub(crate) use give::Giver;
use give::Giving;
pub use part::{Part, Partial, Take};
pub(crate) use parts::{AtOnce, InParts, Replies};

/// A step that can be streamed.
///
/// The compiler implements it for the type `Step` of a step with `stream: true`.
pub trait Streaming: Signature<Input: crate::Read, Output: 'static> + 'static {
    /// What has come of the output so far.
    type Partial: Partial;
}

/// An item of a stream of outputs.
pub enum Streamed<S: Streaming> {
    /// More of the output has come; this is all of it so far.
    ///
    /// It is changed in place if it is dropped before the next item is asked for, and copied if it is kept.
    Partial(Arc<S::Partial>),
    /// The reply could not be used, and the LM is asked once more: what came so far is void.
    Restarted,
    /// The output, whole and checked. The last item.
    Done(S::Output),
}

impl<S: Streaming> fmt::Debug for Streamed<S>
where
    S::Partial: fmt::Debug,
    S::Output: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partial(partial) => f.debug_tuple("Partial").field(partial).finish(),
            Self::Restarted => f.write_str("Restarted"),
            Self::Done(output) => f.debug_tuple("Done").field(output).finish(),
        }
    }
}

/// The outputs of a step: any number of partial ones, then the whole one or an error.
#[must_use = "nothing is asked before it is polled"]
pub struct OutputStream<S: Streaming>(Giving<Item<S>>);

type Item<S> = Result<Streamed<S>, Error>;

impl<S: Streaming> OutputStream<S> {
    pub(crate) fn new(future: impl FnOnce(Giver<Item<S>>) -> BoxFuture<'static, Item<S>>) -> Self {
        Self(Giving::new(future))
    }

    /// The next item, as `next` of the crates that extend streams.
    pub async fn next(&mut self) -> Option<Item<S>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<S: Streaming> Stream for OutputStream<S> {
    type Item = Item<S>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

impl<S: Streaming> fmt::Debug for OutputStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputStream")
            .field("step", &S::DEF.step)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
