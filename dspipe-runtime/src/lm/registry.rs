//! From the name of an LM to the LM.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "http")]
use super::wire::http;
use super::{Lm, LmError, LmName};

/// The LMs of a process, made when they are first asked for.
///
/// A provider's URL and key come from `<PROVIDER>_BASE_URL` and `<PROVIDER>_API_KEY` in the environment
/// at that time. Cloning is cheap and shares everything, connections included.
#[derive(Clone, Debug, Default)]
pub struct Lms(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    made: Mutex<HashMap<LmName, Arc<dyn Lm>>>,
    #[cfg(feature = "http")]
    client: Mutex<Option<reqwest::Client>>,
}

impl Lms {
    /// No LM is made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an LM of the caller's in, in place of any other of its name.
    #[must_use]
    pub fn with(self, lm: Arc<dyn Lm>) -> Self {
        self.made().insert(lm.name().clone(), lm);
        self
    }

    /// The LM of a name.
    ///
    /// # Errors
    /// [`LmError`] if the provider is unknown, its key is missing, or its part of the runtime is not
    /// built in.
    pub fn get(&self, name: &LmName) -> Result<Arc<dyn Lm>, LmError> {
        if let Some(lm) = self.made().get(name) {
            return Ok(Arc::clone(lm));
        }
        let lm = self.make(name)?;
        // Of two that were made at the same time the first one stays.
        Ok(Arc::clone(self.made().entry(name.clone()).or_insert(lm)))
    }

    #[cfg_attr(not(feature = "http"), expect(clippy::unused_self))]
    fn make(&self, name: &LmName) -> Result<Arc<dyn Lm>, LmError> {
        if name.provider() == "local" {
            #[cfg(feature = "local")]
            return Ok(Arc::new(super::LocalLm::new(name.clone())?));
            #[cfg(not(feature = "local"))]
            return Err(LmError::NotBuilt {
                lm: name.clone(),
                feature: "local",
            });
        }
        let provider =
            super::provider::Provider::of(name, |variable| std::env::var(variable).ok())?;
        #[cfg(feature = "http")]
        return Ok(Arc::new(super::HttpLm::of(
            name.clone(),
            provider,
            self.client()?,
        )?));
        #[cfg(not(feature = "http"))]
        {
            drop(provider);
            Err(LmError::NotBuilt {
                lm: name.clone(),
                feature: "http",
            })
        }
    }

    #[cfg(feature = "http")]
    fn client(&self) -> Result<reqwest::Client, LmError> {
        let mut client = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(http::client(http::CONNECT_TIMEOUT)?).clone()),
        }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<LmName, Arc<dyn Lm>>> {
        // Nothing that runs under the lock can leave the map half changed.
        self.0.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
