//! The workflow `ticket`, written with dspy-rs.

#[path = "../../../src/load.rs"]
mod load;

use std::sync::Arc;

use dspy_rs::{ChatAdapter, LM, Predict, Predictor, Signature, configure, example};

const TICKET: &str =
    "You took the money for my order twice, and nobody answers my mails. Send one of them back.";

#[Signature]
struct Ticket {
    /// Read the support ticket. Say what it is about and how urgent it is, and answer it kindly.

    #[input]
    pub ticket: String,

    #[output]
    pub kind: String,

    #[output]
    pub urgency: i8,

    #[output]
    pub reply: String,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let arguments = load::Arguments::read(0).ok_or("usage: URL CALLERS SECONDS")?;
    let lm = LM::builder()
        .base_url(arguments.url)
        .api_key("sk-bench".to_owned())
        .model("gpt-5-mini".to_owned())
        .build()
        .await
        .map_err(|error| error.to_string())?;
    configure(lm, ChatAdapter);
    let predict = Arc::new(Predict::new(Ticket::new()));
    load::measure(arguments.callers, arguments.time, move || {
        let predict = Arc::clone(&predict);
        async move {
            let inputs = example! { "ticket": "input" => TICKET };
            let outputs = predict
                .forward(inputs)
                .await
                .map_err(|error| error.to_string())?;
            match outputs.get("urgency", None).as_i64() {
                Some(4) => Ok(()),
                _ => Err(format!("the urgency is not 4 in {outputs:?}")),
            }
        }
    })
    .await
}
