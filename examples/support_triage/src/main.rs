//! Sorts support tickets; optimizes and evaluates the workflow that does it.

use std::fs;
use std::io::{self, Read as _};
use std::process::ExitCode;

use dspipe_optimize::Commands;
use support_triage::workflows::triage::{Inputs, Workflow, run};

/// Tickets to sort where none are given.
const TICKETS: [&str; 4] = [
    "You charged my card twice for the same month.",
    "The parcel is in pieces, and half of it is missing.",
    "Since this morning the app only shows a white page.",
    "I cannot sign in, the code never arrives.",
];

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("run") | None => sort(arguments.next().as_deref()).await,
        // `optimize`, `evaluate`, `export`, `import`.
        Some(_) => {
            Commands::new(env!("CARGO_MANIFEST_DIR"))
                .workflow::<Workflow>()
                // The example is to show what is gained over the workflow file, time and again.
                .configure(|optimization| optimization.from_scratch(true))
                .run()
                .await
        }
    }
}

/// Sorts the tickets of a file, one a line; `-` is standard input.
async fn sort(file: Option<&str>) -> ExitCode {
    let text = match file {
        None => Ok(TICKETS.join("\n")),
        Some("-") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        Some(path) => fs::read_to_string(path),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            eprintln!("the tickets cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    for ticket in text.lines().filter(|line| !line.trim().is_empty()) {
        let inputs = Inputs {
            ticket: ticket.to_owned(),
        };
        match run(inputs).await {
            Ok(outputs) => println!("{:<12}  {ticket}", outputs.classify.topic.as_str()),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
