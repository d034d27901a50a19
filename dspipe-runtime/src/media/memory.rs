//! Contents that are in use, by their hashes: what was written as JSON in this process can be read in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Contents = HashMap<String, Weak<[u8]>>;

static CONTENTS: Mutex<Option<Contents>> = Mutex::new(None);

/// So many contents are kept before those that nobody uses any more are forgotten.
const MANY: usize = 64;

/// Notes a content.
pub(super) fn note(sha256: &str, data: &Arc<[u8]>) {
    let mut contents = CONTENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let contents = contents.get_or_insert_default();
    if contents.len() >= MANY {
        contents.retain(|_, data| data.strong_count() > 0);
    }
    contents.insert(sha256.to_owned(), Arc::downgrade(data));
}

/// The content of this hash, if it is still in use.
pub(super) fn find(sha256: &str) -> Option<Arc<[u8]>> {
    let contents = CONTENTS.lock().unwrap_or_else(PoisonError::into_inner);
    contents.as_ref()?.get(sha256)?.upgrade()
}
