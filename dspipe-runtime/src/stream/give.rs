//! A stream that is written as a future.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::lm::BoxFuture;

/// Gives items to the stream whose future holds it.
pub(crate) struct Giver<T>(Arc<Mutex<Option<T>>>);

impl<T> Giver<T> {
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives an item, and goes on when the next one is asked for.
    pub(crate) async fn give(&self, item: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
        let mut given = false;
        // Nobody is to be woken: whoever polls takes the item, and polls again for the next one.
        poll_fn(|_| {
            if std::mem::replace(&mut given, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The items that a future gives, and at last the one that it ends with. Dropping the stream drops the
/// future.
pub(super) struct Giving<T: 'static> {
    /// `None`: it has ended.
    future: Option<BoxFuture<'static, T>>,
    given: Giver<T>,
}

impl<T> Giving<T> {
    pub(super) fn new(future: impl FnOnce(Giver<T>) -> BoxFuture<'static, T>) -> Self {
        let slot = Arc::new(Mutex::new(None));
        Self {
            future: Some(future(Giver(Arc::clone(&slot)))),
            given: Giver(slot),
        }
    }
}

impl<T: Send + 'static> Stream for Giving<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(None);
        };
        match future.as_mut().poll(cx) {
            Poll::Ready(last) => {
                self.future = None;
                Poll::Ready(Some(last))
            }
            Poll::Pending => match self.given.take() {
                Some(item) => Poll::Ready(Some(item)),
                None => Poll::Pending,
            },
        }
    }
}
