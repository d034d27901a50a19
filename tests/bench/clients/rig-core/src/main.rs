//! The workflow `ticket`, written with rig-core: a prompt, and serde for the reply.

#[path = "../../../src/load.rs"]
mod load;

use std::sync::Arc;

use rig_core::client::CompletionClient;
use rig_core::completion::{AssistantContent, CompletionModel};
use rig_core::providers::openai;
use serde::Deserialize;

const INSTRUCTIONS: &str = "Read the support ticket. Say what it is about and how urgent it is, and answer it kindly. \
    Reply with a JSON object: kind (billing, shipping, product or other), urgency (1 to 5) and reply.";
const TICKET: &str =
    "You took the money for my order twice, and nobody answers my mails. Send one of them back.";

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Billing,
    Shipping,
    Product,
    Other,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Output {
    kind: Kind,
    urgency: u8,
    reply: String,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let arguments = load::Arguments::read(0).ok_or("usage: URL CALLERS SECONDS")?;
    let client = openai::CompletionsClient::builder()
        .api_key("sk-bench")
        .base_url(&arguments.url)
        .build()
        .map_err(|error| error.to_string())?;
    let model = Arc::new(client.completion_model("gpt-5-mini"));
    load::measure(arguments.callers, arguments.time, move || {
        let model = Arc::clone(&model);
        async move {
            let request = model
                .completion_request(TICKET)
                .preamble(INSTRUCTIONS.to_owned())
                .build();
            let response = model
                .completion(request)
                .await
                .map_err(|error| error.to_string())?;
            let text = response.choice.into_iter().find_map(|part| match part {
                AssistantContent::Text(text) => Some(text.text),
                _ => None,
            });
            let text = text.ok_or("the reply has no text")?;
            serde_json::from_str::<Output>(&text)
                .map(drop)
                .map_err(|error| error.to_string())
        }
    })
    .await
}
