//! Which recordings a piece of work uses.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;

thread_local! {
    /// Of the work that is being polled on this thread.
    static USED: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
}

pub(super) fn note(file: &str) {
    USED.with_borrow_mut(|used| {
        if let Some(used) = used {
            used.insert(file.to_owned());
        }
    });
}

/// Does some work, and gives with its result the names of the recordings that it replayed or made, sorted.
///
/// What it leaves to other tasks is not seen; steps of workflows leave nothing to them.
pub async fn uses<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let mut work = pin!(work);
    let mut used = Some(BTreeSet::new());
    let result = poll_fn(|context| {
        // Between two polls other work may be at it on this thread, and this one on another.
        let others = USED.replace(used.take());
        let polled = work.as_mut().poll(context);
        used = USED.replace(others);
        polled
    });
    let result = result.await;
    (result, used.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_takes_turns_is_told_apart() {
        let work = |name: &'static str| async move {
            note(name);
            tokio::task::yield_now().await;
            note(&format!("{name} again"));
        };
        let (one, two) = tokio::join!(uses(work("one")), uses(work("two")));
        assert_eq!(one.1, ["one", "one again"]);
        assert_eq!(two.1, ["two", "two again"]);
        note("of nobody");
        let (_, inner) = uses(async {
            note("outer");
            uses(work("inner")).await.1
        })
        .await;
        assert_eq!(inner, ["outer"]);
    }
}
