//! What all requests of a step share. It is worked out for the first of them and kept: looking up the LM, its price
//! and the prompt for each anew was a tenth of a call.

use std::collections::HashMap;
use std::fmt;
use std::ptr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::changes::Chosen;
use crate::lm::{Lm, LmError, LmName, Money, Price, Prices, Reply};
use crate::runner::LocalRunner;
use crate::signature::SignatureDef;
use crate::trace::Observer;

/// What all requests of a step share.
pub(crate) struct Setup {
    pub(crate) lm: Arc<dyn Lm>,
    pub(crate) prompt: Chosen,
    pub(crate) log: Option<Arc<dyn Observer>>,
    prices: Prices,
    /// That of the LM. A fallback has its own.
    price: Option<Price>,
}

impl Setup {
    fn new(runner: &LocalRunner, def: &SignatureDef) -> Result<Self, LmError> {
        let log = runner.log.clone()?;
        let prices = runner.prices.clone()?;
        let lm = runner.lm(&runner.lm_name(def)?, runner.described(def))?;
        let prompt = runner.prompt(def, lm.name());
        let price = price(runner, def, &prices, lm.name());
        Ok(Self {
            lm,
            prompt,
            log,
            prices,
            price,
        })
    }

    /// What a reply cost, if the price of its LM is known.
    pub(crate) fn cost(
        &self,
        runner: &LocalRunner,
        def: &SignatureDef,
        reply: &Reply,
    ) -> Option<Money> {
        let price = match &reply.lm {
            Some(other) => price(runner, def, &self.prices, other),
            None => self.price,
        };
        // What costs something, and nobody says how much of it there was, has no cost that is known.
        let price = price.filter(|price| !reply.usage.is_unknown() || price.is_free())?;
        Some(price.cost(&reply.usage))
    }
}

/// The price of an LM; one that a workflow file gives counts where nobody else has said another.
fn price(runner: &LocalRunner, def: &SignatureDef, prices: &Prices, of: &LmName) -> Option<Price> {
    let mut described = runner.described(def).iter();
    let described = described.find(|def| of.is(def.lm));
    prices.get_or(of, described.and_then(|def| def.price.as_ref()))
}

/// The setups of a runner's steps. Clones share them.
///
/// A runner whose settings are changed has to begin with new ones.
#[derive(Clone, Default)]
pub(crate) struct Setups(Arc<RwLock<HashMap<usize, Kept>>>);

struct Kept {
    /// How often LMs had been put in place of others.
    lms_changed: usize,
    setup: Arc<Setup>,
}

impl fmt::Debug for Setups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setups")
    }
}

impl Setups {
    /// The setup of a step, as it was or a new one.
    ///
    /// # Errors
    /// Why there is no LM. The next call tries again.
    pub(crate) fn of(
        &self,
        runner: &LocalRunner,
        def: &'static SignatureDef,
    ) -> Result<Arc<Setup>, LmError> {
        if runner.asks_anew() {
            return Setup::new(runner, def).map(Arc::new);
        }
        // What is known about a step never moves, so its address says which one it is.
        let key = ptr::from_ref(def).addr();
        let lms_changed = runner.lms_changed();
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get(&key)
            && kept.lms_changed == lms_changed
        {
            return Ok(Arc::clone(&kept.setup));
        }
        drop(kept);
        let setup = Arc::new(Setup::new(runner, def)?);
        let kept = Kept {
            lms_changed,
            setup: Arc::clone(&setup),
        };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, kept);
        Ok(setup)
    }
}
