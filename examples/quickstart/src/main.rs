//! A support ticket through four typed steps, on a local model.
//!
//! `cargo run -p quickstart` reads the ticket beside this file; give a file to read
//! another one, or `-` to read standard input.

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use dspipe_runtime::{LocalRunner, Trace};
use workflows::support_ticket::{self, Inputs, Outputs, read_ticket::ReportUrgency};

mod workflows {
    dspipe_runtime::include_workflows!();
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let ticket = ticket(std::env::args().nth(1).as_deref())?;
    let trace = Arc::new(Trace::default());
    let runner = LocalRunner::from_env().with_observer(trace.clone());

    println!("{}\n", ticket.trim());
    let outputs = support_ticket::run_with(&runner, Inputs { ticket }).await?;
    print(&outputs);
    println!("\n{}", trace.table());
    Ok(())
}

fn ticket(argument: Option<&str>) -> Result<String, String> {
    match argument {
        None => Ok(include_str!("../ticket.txt").to_owned()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| format!("cannot read standard input: {error}"))?;
            Ok(text)
        }
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
        }
    }
}

/// Every value is typed: a field that the workflow does not have would not compile.
fn print(outputs: &Outputs) {
    let report = &outputs.read_ticket.report;
    let mark = match report.urgency {
        ReportUrgency::Low | ReportUrgency::Normal => "",
        ReportUrgency::High => " (!)",
    };
    println!("product   {}", report.product);
    println!("problem   {}", report.problem);
    println!("urgency   {}{mark}", report.urgency);
    for symptom in &outputs.read_ticket.symptoms {
        println!("symptom   {symptom}");
    }
    println!("team      {}", outputs.choose_team.team);
    println!("reply     {}", outputs.draft_reply.reply);
    println!("note      {}", outputs.write_note.note);
}
