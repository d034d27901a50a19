//! Files of training data: what becomes of their records, and of files that are not as expected.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;

use dspipe_build::Config;
use proptest::prelude::*;

const WORKFLOW: &str = "workflow:
  name: answers
  dspy_config: {few_shot_examples: 3}
  steps:
    - name: answer
      type: dspy
      signature:
        input_fields: [{name: question, type: string}]
        output_fields:
          - {name: answer, type: string}
          - {name: tags, type: \"list[string]?\"}
      examples:
        - input: {question: inline}
          output: {answer: first}
        - file: DATA
";

/// A directory of its own, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dspipe-data-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("workflows")).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The report, the generated code, and what is watched.
    fn load(&self, data: &str) -> (String, String, Vec<String>) {
        self.write("workflows/a.yaml", WORKFLOW.replace("DATA", data));
        let compilation = Config::new()
            .workflow("workflows/a.yaml")
            .load(&self.0)
            .unwrap();
        let workflow = &compilation.workflows()[0];
        let report = compilation.report(workflow);
        let code = workflow.code().unwrap_or_default();
        (report, code, compilation.watched().to_vec())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn demos(code: &str) -> Vec<usize> {
    ["inline", "from file 1", "from file 2", "from file 3"]
        .iter()
        .filter_map(|text| code.find(&format!("{text}\"")))
        .collect()
}

#[test]
fn demos_come_from_files_in_every_format() {
    let scratch = Scratch::new("formats");
    let json: Vec<String> = (1..=3)
        .map(|n| {
            format!("{{\"question\": \"from file {n}\", \"answer\": \"a\", \"tags\": [\"t\"]}}")
        })
        .collect();
    let yaml = format!("- {}\n", json.join("\n- "));
    scratch.write("workflows/data/d.json", format!("[{}]", json.join(",")));
    scratch.write("workflows/data/d.jsonl", json.join("\n"));
    scratch.write("workflows/data/d.yaml", yaml);
    scratch.write(
        "workflows/data/d.csv",
        "question,answer,tags\nfrom file 1,a,\"[\"\"t\"\"]\"\nfrom file 2,a,\nfrom file 3,a,\n",
    );
    for name in ["d.json", "d.jsonl", "d.yaml", "d.csv"] {
        let (report, code, watched) = scratch.load(&format!("data/{name}"));
        assert_eq!(report, "", "{name}");
        let demos = demos(&code);
        assert_eq!(demos.len(), 3, "{name}: {code}");
        assert!(demos.is_sorted(), "{name}");
        assert!(code.contains(r#"\"tags\":[\"t\"]"#) || code.contains(r#""tags":["t"]"#));
        let path = format!("workflows/data/{name}");
        assert!(watched.contains(&path), "{watched:?}");
    }
}

#[test]
fn a_file_of_the_workflow_serves_all_its_steps() {
    let scratch = Scratch::new("serves");
    scratch.write(
        "workflows/a.yaml",
        "workflow:
  name: two
  dspy_config: {few_shot_examples: 2, training_size: 2, global_training_data: d.csv}
  steps:
    - name: read
      type: dspy
      signature:
        input_fields: [{name: id, type: string}]
        output_fields: [{name: kind, type: string}]
    - name: count
      type: dspy
      signature:
        input_fields: [{name: kind, type: string, template: '{{steps.read.kind}}'}]
        output_fields: [{name: total, type: integer}]
    - name: also_count
      type: dspy
      signature:
        input_fields: [{name: kind, type: string, template: '{{steps.read.kind}}'}]
        output_fields: [{name: total, type: string}]
",
    );
    // Empty cells are no fields.
    scratch.write(
        "workflows/d.csv",
        "id,kind,total\n,x,1\n7,mail,\n,y,2\n,z,3\n8,post,\n",
    );
    let compilation = Config::new()
        .workflow("workflows/a.yaml")
        .load(&scratch.0)
        .unwrap();
    let workflow = &compilation.workflows()[0];
    assert_eq!(compilation.report(workflow), "");
    let code = workflow.code().unwrap();
    let code: String = code.split_whitespace().collect();
    // As a number for one step, as a text for the other; the third is over the limit.
    for (total, times) in [
        (r#"\"total\":1}"#, 1),
        (r#"\"total\":\"2\"}"#, 1),
        (r#"\"total\":3}"#, 0),
    ] {
        let raw = total.replace('\\', "");
        let found = code.matches(total).count() + code.matches(&raw).count();
        assert_eq!(found, times, "{total}: {code}");
    }
}

#[test]
fn missing_files_are_watched_through_their_directory() {
    let scratch = Scratch::new("missing");
    for (data, watch) in [
        ("later.json", "workflows"),
        ("deep/er/later.json", "workflows"),
        // Nothing smaller than the package is there: the file itself.
        ("../later.json", "workflows/../later.json"),
    ] {
        let (report, _, watched) = scratch.load(data);
        assert!(report.starts_with("warning[E018]"), "{report}");
        assert!(watched.iter().any(|path| path == watch), "{watched:?}");
    }
}

#[test]
fn large_files_are_refused_or_shown_in_part() {
    let scratch = Scratch::new("large");
    let path = scratch.0.join("workflows/big.jsonl");
    fs::File::create(path).unwrap().set_len(100 << 20).unwrap();
    let (report, ..) = scratch.load("big.jsonl");
    assert!(report.contains("the file has 100 MiB"), "{report}");
    assert!(report.contains("a build reads up to 32 MiB"), "{report}");

    // One line of a megabyte, with mistakes at its end and far from each other.
    let good = r#"{"question": "é", "answer": "b"},"#.repeat(30_000);
    let bad = r#"{"question": "é", "answer": "c"}, {"question": 1, "anser": "b"}"#;
    scratch.write("workflows/line.json", format!("[{good}{bad}]"));
    let (report, ..) = scratch.load("line.json");
    assert!(report.len() < 3_000, "{} bytes", report.len());
    assert!(report.contains("line.json:1:990053"), "{report}");
    assert!(report.contains("no field `anser`"), "{report}");
    assert!(report.contains("a different output"), "{report}");
}

fn compiles_or_says_why(name: &str, text: &[u8]) {
    let scratch = Scratch::new(name);
    for extension in ["json", "jsonl", "csv", "yaml"] {
        let file = format!("d.{extension}");
        scratch.write(&format!("workflows/{file}"), text);
        let _ = scratch.load(&file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        compiles_or_says_why("bytes", &bytes);
    }

    #[test]
    fn anything_like_records_is_read_or_refused(
        text in "([\\[\\]{},:\n \"é-]|\"question\"|\"answer\"|\"input\"|\"output\"|question|,answer|[a-c0-9\\\\]){0,40}"
    ) {
        compiles_or_says_why("records", text.as_bytes());
    }
}
