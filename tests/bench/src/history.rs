//! What recording costs: calls a second with and without it, at a thousand executions a second and as fast as
//! it goes.

use std::ffi::OsString;

use crate::client::Client;
use crate::runtime::ROLE;
use crate::server::{Form, Server, When};
use crate::{Outcome, figure, median};

pub(crate) fn run(quick: bool) -> Outcome {
    let (rounds, seconds) = if quick { (1, 0.1) } else { (5, 2.0) };
    // So many callers, each answered after so many milliseconds, make a thousand calls a second.
    for (name, callers, after) in [("at_1000_per_second", 60, 60), ("at_full_speed", 64, 0)] {
        let server = Server::start(When::After(after))?;
        let url = server.url(Form::Json);
        let plain = Client::of_this("dspipe", [ROLE, "dspipe"])?;
        let mut rates = Vec::new();
        for round in 0..rounds {
            let directory = tempfile::tempdir()?;
            let file = directory.path().join("history.db");
            let role: [OsString; 3] = [ROLE.into(), "recorded".into(), file.into()];
            let recorded = Client::of_this("recorded", role)?;
            let rate = |client: &Client| client.measure(&url, callers, seconds);
            // Next to each other, so that a busy moment of the machine meets both; and by turns first.
            rates.push(if round % 2 == 0 {
                let plain = rate(&plain)?;
                (plain.rate, rate(&recorded)?.rate)
            } else {
                let recorded = rate(&recorded)?;
                (rate(&plain)?.rate, recorded.rate)
            });
        }
        figure(
            &format!("history.executions_{name}"),
            median(rates.iter().map(|(_, recorded)| *recorded)),
            "executions/s",
        );
        let cost = rates
            .iter()
            .map(|(plain, recorded)| (1.0 - recorded / plain) * 100.0);
        figure(&format!("history.cost_{name}"), median(cost), "%");
    }
    Ok(())
}
