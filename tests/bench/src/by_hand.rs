//! The step of the workflow `ticket` as somebody writes it who needs no more than this one: reqwest, and
//! `serde_json` with derived types. What no client can do without, and nothing that makes it a runtime.

use std::error::Error;

use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is the same for all tickets.
pub(crate) struct Step {
    model: String,
    instructions: String,
    response_format: Value,
}

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    messages: [Message<'a>; 2],
    response_format: &'a Value,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Answer,
}

#[derive(Deserialize)]
struct Answer {
    content: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "whoever runs it wants them")]
pub(crate) struct Output {
    kind: Kind,
    urgency: u8,
    reply: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Billing,
    Shipping,
    Product,
    Other,
}

impl Step {
    /// The step that sends this request.
    pub(crate) fn of(request: &[u8]) -> Result<Self, Box<dyn Error>> {
        let request: Value = serde_json::from_slice(request)?;
        let text = |path: &str| {
            let text = request.pointer(path).and_then(Value::as_str);
            Ok::<_, Box<dyn Error>>(text.ok_or("the request is of another form")?.to_owned())
        };
        Ok(Self {
            model: text("/model")?,
            instructions: text("/messages/0/content")?,
            response_format: request["response_format"].clone(),
        })
    }

    fn request(&self, ticket: &str) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Asked {
            model: &self.model,
            messages: [
                Message {
                    role: "system",
                    content: &self.instructions,
                },
                Message {
                    role: "user",
                    content: &format!("ticket:\n```\n{ticket}\n```"),
                },
            ],
            response_format: &self.response_format,
        })
    }

    pub(crate) async fn run(
        &self,
        http: &Client,
        url: &str,
        ticket: &str,
    ) -> Result<Output, Box<dyn Error + Send + Sync>> {
        let request = http
            .post(url)
            .header("content-type", "application/json")
            .bearer_auth("sk-bench")
            .body(self.request(ticket)?);
        let reply = request.send().await?.bytes().await?;
        let completion: Completion = serde_json::from_slice(&reply)?;
        let choice = completion.choices.first().ok_or("there is no choice")?;
        Ok(serde_json::from_str(&choice.message.content)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sends_what_it_was_made_of() {
        let request = r#"{"model":"m","messages":[{"role":"system","content":"Be\nkind."},{"role":"user","content":"ticket:\n```\nHelp!\n```"}],"response_format":{"type":"json_schema","json_schema":{"name":"read"}}}"#;
        let step = Step::of(request.as_bytes()).unwrap();
        assert_eq!(step.request("Help!").unwrap(), request.as_bytes());
    }
}
