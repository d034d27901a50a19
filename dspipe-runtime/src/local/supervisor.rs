//! One process's leases: who asks first does the work, who asks meanwhile waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tokio::sync::watch;

use super::error::LocalError;
use super::lease::Lease;
use super::server;
use super::settings::Settings;
use super::{Endpoint, Model};

/// Holds one lease per model. [`endpoint`](super::endpoint) uses one for the whole process, with the
/// settings of the environment; make another one only for other settings.
///
/// The work blocks, so it is done on a thread of its own: any async runtime will do, and a caller that
/// goes away leaves nothing half done. Dropping the supervisor gives its leases back.
#[derive(Debug, Clone)]
pub struct Supervisor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    servers: Mutex<HashMap<Model, Server>>,
}

#[derive(Debug)]
enum Server {
    Leased(Endpoint, Lease),
    Starting(watch::Receiver<Option<Answer>>),
}

type Answer = Result<Endpoint, LocalError>;

impl Supervisor {
    /// A supervisor that holds nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            servers: Mutex::default(),
        }))
    }

    /// As [`endpoint`](super::endpoint).
    ///
    /// # Errors
    /// As [`endpoint`](super::endpoint).
    pub async fn endpoint(&self, model: Model) -> Result<Endpoint, LocalError> {
        let mut answer = {
            let mut servers = self.0.servers();
            match servers.get(&model) {
                Some(Server::Leased(endpoint, lease)) if lease.is_alive() => {
                    return Ok(endpoint.clone());
                }
                // A sender that is gone without an answer panicked; its place is taken over.
                Some(Server::Starting(answer)) if answer.has_changed().is_ok() => answer.clone(),
                _ => {
                    let answer = self.begin(model)?;
                    servers.insert(model, Server::Starting(answer.clone()));
                    answer
                }
            }
        };
        match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Err(LocalError::Aborted)),
            Err(_) => Err(LocalError::Aborted),
        }
    }

    /// As [`prepare`](super::prepare).
    ///
    /// # Errors
    /// As [`prepare`](super::prepare).
    pub async fn prepare(&self, _model: Model) -> Result<(), LocalError> {
        // Every model needs the same packages today, so the model only says that one is wanted.
        let shared = Arc::clone(&self.0);
        apart(move || server::prepare(&shared.settings).map(drop)).await
    }

    /// Starts the work on a thread that then takes the place of `Starting`.
    fn begin(&self, model: Model) -> Result<watch::Receiver<Option<Answer>>, LocalError> {
        let (sender, receiver) = watch::channel(None);
        let shared = Arc::clone(&self.0);
        spawn(move || {
            let connected = server::connect(&shared.settings, model);
            let mut servers = shared.servers();
            let answer = match connected {
                Ok((endpoint, lease)) => {
                    servers.insert(model, Server::Leased(endpoint.clone(), lease));
                    Ok(endpoint)
                }
                Err(error) => {
                    servers.remove(&model);
                    Err(error)
                }
            };
            // Under the lock, so that nobody sees `Starting` with an answer.
            sender.send_replace(Some(answer));
            drop(servers);
        })?;
        Ok(receiver)
    }
}

impl Shared {
    fn servers(&self) -> MutexGuard<'_, HashMap<Model, Server>> {
        // Nothing that runs under the lock can leave the map half changed.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does work that blocks on a thread of its own. If the caller goes away, it is done for the next one.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    spawn(move || {
        let _ = sender.send(work());
    })?;
    receiver.await.unwrap_or(Err(LocalError::Aborted))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), LocalError> {
    thread::Builder::new()
        .name("dspipe-local".into())
        .spawn(work)
        .map(drop)
        .map_err(|source: io::Error| {
            LocalError::io("start a thread for", "dspipe".as_ref(), source)
        })
}
