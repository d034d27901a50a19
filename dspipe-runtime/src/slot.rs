//! Hands the output of a step to steps that run at the same time and wait for it.

use std::pin::pin;
use std::sync::OnceLock;

use tokio::sync::Notify;

/// A place for one value, filled once.
#[derive(Debug)]
pub struct Slot<T> {
    value: OnceLock<T>,
    filled: Notify,
}

impl<T: Clone> Slot<T> {
    /// An empty slot.
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub fn new() -> Self {
        Self {
            value: OnceLock::new(),
            filled: Notify::new(),
        }
    }

    /// Fills the slot with a copy and wakes everybody who waits.
    pub fn fill(&self, value: &T) {
        // Generated code fills each slot once.
        let _ = self.value.set(value.clone());
        self.filled.notify_waiters();
    }

    /// The value, once it is there.
    pub async fn wait(&self) -> &T {
        loop {
            let mut filled = pin!(self.filled.notified());
            // From here on a `fill` wakes it, so that none is missed between the look and the wait.
            filled.as_mut().enable();
            if let Some(value) = self.value.get() {
                return value;
            }
            filled.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_gets_the_value() {
        let slot = Slot::new();
        let (a, b, ()) = tokio::join!(slot.wait(), slot.wait(), async {
            tokio::task::yield_now().await;
            slot.fill(&7);
        });
        assert_eq!((*a, *b, *slot.wait().await), (7, 7, 7));
    }
}
