//! `history` and `data` as a user meets them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use dspipe_history::{History, NewExecution, Settings};
use serde_json::{Value, json};

const SIGNATURE: &str = r#"{
    "inputs": {"properties": {"ticket": {"type": "string"}}, "required": ["ticket"]},
    "outputs": {"properties": {"urgency": {"enum": ["low", "high"]}}, "required": ["urgency"]},
    "instructions": "Rate the ticket."
}"#;

struct Project(tempfile::TempDir);

impl Project {
    /// A directory with a history of ten executions, the last of which failed, and a signature.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dspipe-history.db");
        let history = History::open(path, Settings::default()).unwrap();
        let recorder = history.recorder().unwrap();
        for number in 1..=10_u8 {
            let failed = number == 10;
            let urgency = if number % 2 == 0 { "low" } else { "high" };
            recorder.record(NewExecution {
                workflow: "support".to_owned(),
                step: Some("triage".to_owned()),
                lm: Some("test/lm".to_owned()),
                inputs: json!({"ticket": format!("ticket number {number}")}),
                outputs: (!failed).then(|| json!({"urgency": urgency})),
                error: failed.then(|| "timeout".to_owned()),
                score: Some(f64::from(number) / 10.0),
                ..NewExecution::default()
            });
        }
        recorder.flush().unwrap();
        fs::write(directory.path().join("signature.json"), SIGNATURE).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-dspipe"));
        command
            .current_dir(self.path())
            .env_remove("DSPIPE_HISTORY")
            .env_remove("DSPIPE_LM")
            .args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// The output of a command that must succeed.
    fn good(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of a command that must fail.
    fn bad(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn executions_are_listed_shown_and_counted() {
    let project = Project::new();
    let list = project.good("history list --limit 3");
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!(rows.len(), 4, "{list}");
    assert!(
        rows[0].starts_with("id  ") && rows[1].starts_with("10  "),
        "{list}"
    );
    assert!(rows[1].ends_with("timeout"), "{list}");
    assert_eq!(
        project.good("history list --workflow other"),
        "no executions\n"
    );
    let json: Value =
        serde_json::from_str(&project.good("history list --errors --format json")).unwrap();
    assert_eq!(json["executions"][0]["id"], 10);
    assert_eq!(json["executions"].as_array().unwrap().len(), 1);

    let shown = project.good("history show 3");
    assert!(
        shown.contains("ticket number 3") && shown.contains("triage"),
        "{shown}"
    );
    let stats = project.good("history stats");
    assert!(stats.contains("timeout 1"), "{stats}");
    let stats: Value = serde_json::from_str(&project.good("history stats --format json")).unwrap();
    assert_eq!(stats["groups"][0]["executions"], 10);

    assert!(
        project
            .bad("history show 99")
            .contains("there is no execution 99")
    );
    assert!(
        project
            .bad("history list --history no.db")
            .contains("there is no history at no.db")
    );
    assert!(!project.path().join("no.db").exists());
    for wrong in [
        "history prune",
        "history list --since soon",
        "history feedback 1 correct",
    ] {
        assert_ne!(project.run(wrong).status.code(), Some(0), "{wrong}");
    }
}

#[test]
fn an_export_replaces_no_file_unless_forced() {
    let project = Project::new();
    assert_eq!(lines(&project.good("history export")).len(), 10);
    project.write("out.jsonl", "mine");
    assert!(
        project
            .bad("history export -o out.jsonl")
            .contains("--force")
    );
    assert_eq!(project.read("out.jsonl"), "mine");
    project.good("history export -o out.jsonl --force --min-score 0.75");
    assert_eq!(lines(&project.read("out.jsonl")).len(), 3);
}

#[test]
fn pruning_says_what_it_did() {
    let project = Project::new();
    let said = project.good("history prune --max-rows 4");
    assert!(said.starts_with("6 executions deleted, 4 left"), "{said}");
    assert!(project.bad("history prune").contains("--max-age"));
    let said = project.good("history prune --max-bytes 1GB --max-age 1d --format json");
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&json["pruned"]["deleted"], &json["pruned"]["left"]),
        (&0.into(), &4.into())
    );
}

#[test]
fn feedback_decides_what_is_collected() {
    let project = Project::new();
    project.good("history feedback 9 reject");
    project.good("history feedback 1 accept");
    project.write("right.json", r#"{"urgency": "high"}"#);
    project.good("history feedback 10 correct --output right.json");
    let collect =
        "data collect --workflow support --step triage --min-score 0.65 --signature signature.json";
    let said = project.good(&format!("{collect} -o data.jsonl"));
    assert!(said.starts_with("4 examples in data.jsonl"), "{said}");
    assert!(
        said.contains("rejected: 1") && said.contains("not good enough: 5"),
        "{said}"
    );
    let examples = lines(&project.read("data.jsonl"));
    assert_eq!(
        examples[0],
        json!({
            "inputs": {"ticket": "ticket number 10"},
            "outputs": {"urgency": "high"},
            "source": "correction of execution 10",
        })
    );
    assert_eq!(examples[1]["source"], "execution 1");
    assert!(
        project
            .bad(&format!("{collect} -o data.jsonl"))
            .contains("exists")
    );
    let near = format!("{collect} --near 0.5 --force -o data.jsonl --format json");
    let said: Value = serde_json::from_str(&project.good(&near)).unwrap();
    assert_eq!(
        (&said["examples"], &said["details"]["near"]),
        (&1.into(), &3.into())
    );
    project.write("list.json", "[1]");
    assert!(
        project
            .bad("history feedback 1 correct --output list.json")
            .contains("list.json")
    );
}

#[test]
fn validation_points_at_lines_and_fields() {
    let project = Project::new();
    project.write(
        "data.jsonl",
        concat!(
            r#"{"inputs": {"ticket": "one"}, "outputs": {"urgency": "low"}}"#,
            "\n",
            r#"{"inputs": {"ticket": "two"}, "outputs": {"urgency": "urgent"}}"#,
            "\nnonsense\n",
            r#"{"inputs": {"ticket": "one"}, "outputs": {"urgency": "high"}}"#,
            "\n",
        ),
    );
    let output = project.run("data validate data.jsonl --signature signature.json");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "data.jsonl:3:2: expected ident",
        "data.jsonl:2: outputs.urgency: ",
        "data.jsonl:1: outputs.urgency: line 4 has the same inputs and another value",
        "0 of 4 examples valid",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    project.write(
        "good.jsonl",
        "{\"inputs\": {\"ticket\": \"new\"}, \"outputs\": {\"urgency\": \"low\"}}\n",
    );
    assert!(
        project
            .good("data validate good.jsonl --signature signature.json")
            .starts_with("1 of 1 examples valid")
    );
    let leak =
        "data validate good.jsonl --signature signature.json --against good.jsonl --format json";
    let output = project.run(leak);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        json["report"]["examples"][0]["issues"][0]["kind"],
        "leakage"
    );
}

#[test]
fn splits_selections_and_stats_are_of_the_whole() {
    let project = Project::new();
    project.good("data collect --workflow support --step triage -o data.jsonl");
    let all = lines(&project.read("data.jsonl"));
    let said =
        project.good("data split data.jsonl --into parts --shares 0.5,0.3,0.2 --stratify urgency");
    assert!(said.starts_with("urgency"), "{said}");
    let mut parts = Vec::new();
    for part in ["train", "validation", "test"] {
        parts.extend(lines(&project.read(&format!("parts/{part}.jsonl"))));
    }
    let sorted = |mut rows: Vec<Value>| {
        rows.sort_by_key(ToString::to_string);
        rows
    };
    assert_eq!(sorted(parts), sorted(all.clone()));
    assert!(
        project
            .bad("data split data.jsonl --into parts")
            .contains("parts/train.jsonl exists")
    );
    let typo = "data split data.jsonl --into other --stratify urgncy";
    assert!(
        project
            .bad(typo)
            .contains("no example has the output field `urgncy`")
    );
    assert!(!project.path().join("other").exists());

    project.good("data select data.jsonl --count 2 --signature signature.json -o few.jsonl");
    project.write("vectors.jsonl", "[1, 0]\nno\n");
    let bad = project.bad("data select data.jsonl --count 2 --vectors vectors.jsonl -o far.jsonl");
    assert!(bad.contains("vectors.jsonl: line 2"), "{bad}");
    let examples = project.read("data.jsonl").lines().count();
    let vectors = (0..examples).map(|at| format!("[{at}, 1]\n"));
    project.write("vectors.jsonl", &vectors.collect::<String>());
    project.good("data select data.jsonl --count 2 --vectors vectors.jsonl -o far.jsonl");
    let far = project.read("far.jsonl");
    // One of the ends is farthest from whatever was first.
    let data = project.read("data.jsonl");
    let ends = [data.lines().next().unwrap(), data.lines().last().unwrap()];
    assert!(ends.iter().any(|end| far.contains(end)), "{far}");
    let few = lines(&project.read("few.jsonl"));
    assert_eq!(few.len(), 2);
    assert!(few.iter().all(|one| all.contains(one)));
    assert_ne!(few[0]["outputs"], few[1]["outputs"]);

    let stats = project.good("data stats data.jsonl --signature signature.json");
    assert!(stats.contains(r#"urgency: "high" 5, "low" 4"#), "{stats}");
}

/// Answers one request of the chat API with this text, and gives what it was asked.
fn serve(listener: &TcpListener, text: &str) -> Value {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let message = json!({"role": "assistant", "content": text});
    let reply = json!({
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    })
    .to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    write!(
        stream,
        "{head}\r\ncontent-length: {}\r\n\r\n{reply}",
        reply.len()
    )
    .unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn an_lm_makes_up_examples_that_fit() {
    let project = Project::new();
    project.write(
        "data.jsonl",
        "{\"inputs\": {\"ticket\": \"It burns\"}, \"outputs\": {\"urgency\": \"high\"}}\n",
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let child = project
        .command("data synthesize data.jsonl --signature signature.json --count 2 --lm mine/m -o new.jsonl")
        .env("MINE_BASE_URL", url)
        .env("MINE_API_KEY", "key-of-a-test")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let made = |pairs: &[(&str, &str)]| {
        let pairs: Vec<Value> = pairs
            .iter()
            .map(|(ticket, urgency)| {
                json!({"inputs": {"ticket": ticket}, "outputs": {"urgency": urgency}})
            })
            .collect();
        json!({"examples": pairs}).to_string()
    };
    let first = made(&[
        ("it BURNS!", "high"),
        ("Where is my bill?", "low"),
        ("x y", "soon"),
    ]);
    let asked = serve(&listener, &first).to_string();
    assert!(
        asked.contains("It burns") && asked.contains("Rate the ticket."),
        "{asked}"
    );
    let asked = serve(&listener, &made(&[("No power since noon", "high")])).to_string();
    assert!(
        asked.contains("Where is my bill?") && asked.contains("outputs.urgency"),
        "{asked}"
    );
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("misfits: 1") && said.contains("duplicates: 1"),
        "{said}"
    );
    let made = lines(&project.read("new.jsonl"));
    assert_eq!(made.len(), 2);
    assert!(
        made.iter()
            .all(|one| one["synthetic"] == true && one["source"] == "mine/m")
    );
    assert!(!project.read("new.jsonl").contains("key-of-a-test"));
}
