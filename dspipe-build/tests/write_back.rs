//! Prompts that are written into workflow files, with all else kept.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::path::Path;

use dspipe_build::{StepText, write_back};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const PATH: &str = "workflows/triage.yaml";

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => panic!("no map: {value}"),
    }
}

fn demo(text: &str, team: &str) -> (Map<String, Value>, Map<String, Value>) {
    (map(json!({"text": text})), map(json!({"team": team})))
}

fn sort(instructions: &str, examples: &[(&str, &str)]) -> StepText {
    StepText {
        step: "sort".to_owned(),
        instructions: instructions.to_owned(),
        examples: examples.iter().map(|(a, b)| demo(a, b)).collect(),
    }
}

fn written(text: &str, step: StepText) -> String {
    write_back(Path::new(PATH), text, &[step]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A workflow of one step with these lines.
fn workflow(step: &str) -> String {
    format!(
        "workflow:\n  name: triage # the module\n  steps:\n    - name: sort\n      type: dspy_local\n{step}"
    )
}

const SIGNATURE: &str = "      signature: # typed
        # what comes in
        input_fields: [{name: text, type: string}]
        output_fields: [{name: team, type: string}]
";

#[test]
fn what_is_missing_is_added() {
    let old = workflow(SIGNATURE);
    let new = written(
        &old,
        sort("Sort.\nBe quick.", &[("A: b", "other"), ("x\n\ny", "yes")]),
    );
    let expected = workflow(
        "      signature: # typed
        instructions: |-
          Sort.
          Be quick.
        # what comes in
        input_fields: [{name: text, type: string}]
        output_fields: [{name: team, type: string}]
      examples:
        - input:
            text: \"A: b\"
          output:
            team: other
        - input:
            text: |-
              x

              y
          output:
            team: \"yes\"
      dspy_config:
        few_shot_examples: 2
",
    );
    assert_eq!(new, expected);
}

#[test]
fn a_step_in_a_loop_is_found_there() {
    let file = |instructions: &str| {
        format!(
            "workflow:
  name: triage
  inputs: [{{name: texts, type: \"list[string]\"}}]
  steps:
    - {{name: all, type: for_loop, data_source: inputs.texts, steps: []}}
    - name: each # of them
      type: for_loop
      data_source: inputs.texts
      steps:
        - name: inner
          type: for_loop
          iterator: again
          data_source: inputs.texts
          steps:
            - name: sort
              type: dspy_local
              signature:
                instructions: {instructions}
                input_fields: [{{name: text, type: string, template: \"{{{{ item }}}}\"}}]
                output_fields: [{{name: team, type: string}}]
"
        )
    };
    let file = |instructions: &str| file(instructions).replace("steps: []", &other());
    let new = written(&file("Sort. # why"), sort("Label it.", &[]));
    let block = format!("|- # why\n{}Label it.", " ".repeat(18));
    assert_eq!(new, file(&block));
}

/// A step beside the loops, so that places in different lists differ.
fn other() -> String {
    "steps: [{name: other, type: dspy, signature: {input_fields: [{name: text, type: string, template: '{{item}}'}], \
     output_fields: [{name: out, type: string}]}}]"
        .to_owned()
}

#[test]
fn what_is_there_is_replaced_and_comments_stay() {
    let old = workflow(
        "      dspy_config: {metric: exact, few_shot_examples: 1} # few
      examples: # real ones
        # hard
        - input: {text: one} # first
          output: {team: a}

        # easy
        - {input: {text: two}, output: {team: b}} # second
        # the rest
        - file: more.csv
      signature:
        instructions: > # why
          Sort
          it.

        # fields
        input_fields: [{name: text, type: string}]
        output_fields: [{name: team, type: string}]
",
    );
    let new = written(&old, sort("Label it.", &[("two", "b"), ("new", "c")]));
    let expected = workflow(
        "      dspy_config: {metric: exact, few_shot_examples: 2} # few
      examples: # real ones
        # easy
        - {input: {text: two}, output: {team: b}} # second
        - input:
            text: new
          output:
            team: c
        # hard
        - input: {text: one} # first
          output: {team: a}

        # the rest
        - file: more.csv
      signature:
        instructions: |- # why
          Label it.

        # fields
        input_fields: [{name: text, type: string}]
        output_fields: [{name: team, type: string}]
",
    );
    assert_eq!(new, expected);
    // Again, there is nothing to do.
    assert_eq!(
        written(&new, sort("Label it.", &[("two", "b"), ("new", "c")])),
        new
    );
}

#[test]
fn a_file_of_examples_becomes_the_last_item_of_a_list() {
    for (old, kept) in [
        ("data.csv # real", "- file: data.csv"),
        ("'data.csv'", "- file: 'data.csv'"),
        ("{file: data.csv} # real", "- {file: data.csv}"),
    ] {
        let old = workflow(&format!("{SIGNATURE}      examples: {old}\n"));
        let new = written(&old, sort("", &[("a", "b")]));
        let expected =
            format!("          output:\n            team: b\n        {kept}\n      dspy_config:");
        assert!(new.contains(&expected), "{new}");
        assert_eq!(new.matches("# real").count(), old.matches("# real").count());
    }
}

#[test]
fn brackets_stay_brackets() {
    let fields =
        "input_fields: [{name: text, type: string}], output_fields: [{name: team, type: string}]";
    let old = format!(
        "workflow: {{name: triage, steps: [{{name: sort, type: dspy_local, # c1
  examples: [{{input: {{text: a}}, output: {{team: b}}}}, # c2
    {{input: {{text: c}}, output: {{team: d}}}}], # c3
  signature: {{{fields}}}}}]}}
"
    );
    let new = written(&old, sort("Two\nlines", &[("c", "d"), ("é", "x")]));
    let expected = format!(
        "workflow: {{name: triage, steps: [{{dspy_config: {{few_shot_examples: 2}}, name: sort, type: dspy_local, # c1
  examples: [{{input: {{text: c}}, output: {{team: d}}}}, {{input: {{text: \"é\"}}, output: {{team: x}}}}, # c2
    {{input: {{text: a}}, output: {{team: b}}}}], # c3
  signature: {{instructions: \"Two\\nlines\", {fields}}}}}]}}
"
    );
    assert_eq!(new, expected);
}

#[test]
fn empty_lines_that_are_text_stay() {
    for eol in ["\n", "\r\n"] {
        for rest in [
            "",
            "    - name: other\n      type: dspy_local\n      signature: {input_fields: [{name: text, type: string}], output_fields: [{name: mood, type: string}]}\n",
        ] {
            let old = workflow(&format!(
                "{SIGNATURE}      description: |+\n        Sorts.\n\n\n{rest}"
            ));
            let new = written(&old.replace('\n', eol), sort("", &[("a", "b")]));
            let kept = "|+\n        Sorts.\n\n\n      examples:\n".replace('\n', eol);
            assert!(new.contains(&kept), "{new}");
        }
    }
}

#[test]
fn demos_that_lack_a_field_are_left_out() {
    let mut step = sort("Sort.", &[("a", "b")]);
    step.examples
        .insert(0, (map(json!({"text": "z"})), Map::new()));
    let new = written(&workflow(SIGNATURE), step);
    assert!(new.contains("few_shot_examples: 1"), "{new}");
    assert!(!new.contains('z'), "{new}");
}

#[test]
fn what_cannot_be_is_an_error() {
    let wrong_team = StepText {
        examples: vec![(map(json!({"text": "a"})), map(json!({"team": ["b"]})))],
        ..sort("Sort.", &[])
    };
    let other_step = StepText {
        step: "other".to_owned(),
        ..sort("Sort.", &[])
    };
    let shared = workflow(
        "      description: &text Sort.\n      signature:\n        instructions: &it Sort.\n        input_fields: [{name: text, type: string, description: *it}]\n        output_fields: [{name: team, type: string}]\n",
    );
    let tab = workflow(&format!("{SIGNATURE}\texamples: []\n"));
    for (text, step, wanted) in [
        (
            workflow(SIGNATURE),
            wrong_team,
            "the prompts do not fit workflows/triage.yaml",
        ),
        (
            workflow(SIGNATURE),
            other_step,
            "no step of `triage` is called `other`; its steps are sort",
        ),
        (shared, sort("Label.", &[]), "anchors and aliases"),
        (tab, sort("Label.", &[]), "indent with spaces"),
        (
            "workflow: 1\n".to_owned(),
            sort("Label.", &[]),
            "must be a mapping",
        ),
    ] {
        let error = write_back(Path::new(PATH), &text, &[step]).unwrap_err();
        assert!(error.report.contains(wanted), "{}", error.report);
    }
}

#[test]
fn an_alias_gives_way_to_the_text() {
    let old = workflow(
        "      description: &text Sort.\n      signature:\n        instructions: *text # same\n        input_fields: [{name: text, type: string}]\n        output_fields: [{name: team, type: string}]\n",
    );
    let new = written(&old, sort("Label.", &[]));
    assert_eq!(
        new,
        old.replace("*text # same", "|- # same\n          Label.")
    );
}

/// Writes workflow files in many ways, with a comment wherever one may be.
struct Writing {
    lines: Vec<String>,
    comments: usize,
    dice: u64,
}

impl Writing {
    fn throw(&mut self, sides: u64) -> u64 {
        // A generator of Knuth's: small, and the same everywhere.
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# comment {} é: [x]", self.comments)
    }

    /// A line, at times with comments above it and at its end, or an empty line.
    fn line(&mut self, indent: usize, text: &str) {
        match self.throw(6) {
            0 => {
                let above = self.comment();
                self.lines.push(format!("{}{above}", " ".repeat(indent)));
            }
            1 => self.lines.push(String::new()),
            _ => {}
        }
        let end = match self.throw(3) {
            0 => format!(" {}", self.comment()),
            _ => String::new(),
        };
        self.lines
            .push(format!("{}{text}{end}", " ".repeat(indent)));
    }

    /// A line within a value, where a comment would be text.
    fn text(&mut self, indent: usize, text: &str) {
        self.lines.push(format!("{}{text}", " ".repeat(indent)));
    }

    fn signature(&mut self, at: usize) {
        let key = ["signature", "dspy_signature"][usize::from(self.throw(4) == 0)];
        let fields = "input_fields: [{name: text, type: string}], output_fields: [{name: team, type: string}]";
        if self.throw(5) == 0 {
            let instructions = ["", "instructions: 'old', ", "instructions: old one, "];
            let instructions = instructions[usize::try_from(self.throw(3)).unwrap()];
            self.line(at, &format!("{key}: {{{instructions}{fields}}}"));
            return;
        }
        self.line(at, &format!("{key}:"));
        let inside = at + 1 + usize::try_from(self.throw(4)).unwrap();
        let first = self.throw(2) == 0;
        if first {
            self.instructions(inside);
        }
        self.line(inside, "input_fields:");
        self.line(inside, "- name: text");
        self.line(inside + 2, "type: string");
        self.line(inside, "output_fields: [{name: team, type: string}]");
        if !first {
            self.instructions(inside);
        }
    }

    fn instructions(&mut self, at: usize) {
        match self.throw(8) {
            0 => self.line(at, "instructions: Sort the \"text\""),
            1 => self.line(at, "'instructions' : \"Sort # it\""),
            2 => {
                self.line(at, "instructions: |");
                self.text(at + 3, "Sort:");
                self.text(0, "");
                self.text(at + 3, "# no comment");
            }
            3 => {
                self.line(at, "instructions: >-");
                self.text(at + 1, "Sort");
                self.text(at + 1, "it.");
            }
            4 => {
                self.text(at, "instructions: Sort");
                let end = self.comment();
                self.text(at + 2, &format!("it all {end}"));
            }
            5 => {
                self.line(at, "instructions:");
                self.line(at + 2, "Sort it");
            }
            6 => {
                self.line(at, "instructions: &it |2-");
                self.text(at + 2, " Sort");
            }
            _ => {}
        }
    }

    fn config(&mut self, at: usize) {
        match self.throw(6) {
            0 => self.line(at, "dspy_config: {few_shot_examples: 1}"),
            1 => self.line(at, "dspy_config: { metric: exact }"),
            2 => self.line(at, "dspy_config: {}"),
            3 => {
                self.line(at, "dspy_config:");
                self.line(at + 2, "metric: exact");
                self.line(at + 2, "few_shot_examples: 2");
            }
            4 => {
                self.line(at, "dspy_config:");
                self.line(at + 4, "metric: exact");
            }
            _ => {}
        }
    }

    /// Gives the examples that were written.
    fn examples(&mut self, at: usize) -> Vec<Value> {
        let example =
            |text: &str, team: &str| json!({"input": {"text": text}, "output": {"team": team}});
        let file = json!({"file": "more.csv"});
        match self.throw(8) {
            0 => {
                self.line(at, "examples: more.csv");
                vec![file]
            }
            1 => {
                self.line(at, "examples:");
                self.line(at + 2, "file: \"more.csv\"");
                vec![file]
            }
            2 => {
                self.line(at, "examples: {file: more.csv}");
                vec![file]
            }
            3 => {
                self.line(at, "examples: []");
                Vec::new()
            }
            4 => {
                self.line(at, "examples: [ {input: {text: a}, output: {team: x}},");
                self.line(
                    at + 2,
                    "{input: {text: b}, output: {team: y}} , {file: more.csv},",
                );
                self.line(at + 1, "]");
                vec![example("a", "x"), example("b", "y"), file]
            }
            5 => Vec::new(),
            _ => {
                self.line(at, "examples:");
                let inside = at + 2 * usize::try_from(self.throw(2)).unwrap();
                let mut found = Vec::new();
                for (text, team) in [("a", "x"), ("b", "y"), ("# c", "z")] {
                    found.push(example(text, team));
                    match self.throw(5) {
                        0 => {
                            self.line(
                                inside,
                                &format!(
                                    "- {{input: {{text: '{text}'}}, output: {{team: {team}}}}}"
                                ),
                            );
                        }
                        1 => {
                            self.line(inside, "-   output:");
                            self.line(inside + 6, &format!("team: \"{team}\""));
                            self.line(inside + 4, "input:");
                            self.line(inside + 5, "text: |-");
                            self.text(inside + 7, text);
                        }
                        2 => {
                            self.line(inside, "-");
                            self.line(inside + 2, &format!("input: {{text: \"{text}\"}}"));
                            self.line(inside + 2, &format!("output: {{team: {team}}}"));
                        }
                        3 => {
                            self.line(inside, "- file: more.csv");
                            found.insert(found.len() - 1, file.clone());
                            self.line(
                                inside,
                                &format!(
                                    "- {{output: {{team: {team}}}, input: {{text: '{text}'}}}}"
                                ),
                            );
                        }
                        _ => {
                            self.line(inside, &format!("- input: {{text: '{text}'}}"));
                            self.line(inside + 2, "output:");
                            self.line(inside + 4, &format!("team: {team}"));
                        }
                    }
                }
                found
            }
        }
    }

    /// The text, and the examples of its step.
    fn workflow(dice: u64) -> (String, usize, Vec<Value>) {
        let mut writing = Self {
            lines: Vec::new(),
            comments: 0,
            dice,
        };
        let it = &mut writing;
        it.line(0, "workflow:");
        it.line(2, "name: triage");
        if it.throw(3) == 0 {
            it.line(2, "dspy_config: {few_shot_examples: 1}");
        }
        it.line(2, "steps:");
        let at = 2 + 2 * usize::try_from(it.throw(2)).unwrap();
        it.line(at, "- name: sort");
        let at = at + 2;
        it.line(at, "type: dspy_local");
        let mut examples = Vec::new();
        let turn = it.throw(3);
        for part in 0..3 {
            match (part + turn) % 3 {
                0 => it.signature(at),
                1 => it.config(at),
                _ => examples = it.examples(at),
            }
        }
        let other = it.throw(2) == 0;
        if other {
            it.line(at - 2, "- name: other");
            it.line(at, "type: dspy_local");
            it.line(at, "examples: [{input: {text: a}, output: {mood: x}}]");
            it.line(at, "signature:");
            it.line(at + 2, "instructions: Sort");
            it.line(at + 2, "input_fields: [{name: text, type: string}]");
            it.line(at + 2, "output_fields: [{name: mood, type: string}]");
        }
        let eol = ["\n", "\r\n"][usize::from(it.throw(2) == 0)];
        let mut text = it.lines.join(eol);
        if it.throw(3) > 0 {
            text.push_str(eol);
        }
        if it.throw(8) == 0 {
            text.insert(0, '\u{feff}');
        }
        (text, writing.comments, examples)
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("# c".to_owned()),
        Just("true".to_owned()),
        "[ -~]{0,20}",
        "[a-z #:'\"\n\t]{0,30}",
        any::<String>(),
    ]
}

fn teams() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("x".to_owned()),
        Just("y".to_owned()),
        Just("z".to_owned()),
        texts()
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn comments_survive_and_the_prompt_is_there(
        dice: u64,
        instructions in texts(),
        demos in proptest::collection::vec((texts(), teams()), 0..4),
    ) {
        let (text, comments, old) = Writing::workflow(dice);
        let demos: Vec<(&str, &str)> = demos.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let step = sort(&instructions, &demos);
        let new = write_back(Path::new(PATH), &text, std::slice::from_ref(&step));
        let new = match new {
            Ok(new) => new,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        for number in 1..=comments {
            let comment = format!("# comment {number} é: [x]");
            prop_assert_eq!(new.matches(&comment).count(), 1, "{}\n----\n{}", text, new);
        }
        // Lines without what is edited are there as they were.
        let edited = ["instructions", "Sort", "it.", "it all", "# no comment", "few_shot", "dspy_config",
            "signature: {", "examples", "more.csv"];
        let count = |text: &str, line: &str| text.lines().filter(|it| *it == line).count();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let kept = edited.iter().any(|part| line.contains(part)) || count(&new, line) >= count(&text, line);
            prop_assert!(kept, "{line}\n----\n{text}\n----\n{new}");
        }
        if text.contains("\r\n") {
            prop_assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        }

        // By another reader.
        let read = |text: &str| -> Value { serde_yaml::from_str(text.trim_start_matches('\u{feff}')).unwrap() };
        let (before, after) = (read(&text), read(&new));
        let found = &after["workflow"]["steps"][0];
        let signature = if found["signature"].is_null() { &found["dspy_signature"] } else { &found["signature"] };
        let told = signature["instructions"].as_str().unwrap_or_default().trim_end();
        prop_assert_eq!(told, instructions.trim_end());
        let mut wanted: Vec<Value> = Vec::new();
        for (text, team) in &demos {
            let demo = json!({"input": {"text": text}, "output": {"team": team}});
            if !wanted.contains(&demo) {
                wanted.push(demo);
            }
        }
        let config = &found["dspy_config"]["few_shot_examples"];
        let shown = config.as_u64().or(after["workflow"]["dspy_config"]["few_shot_examples"].as_u64());
        prop_assert_eq!(shown.unwrap_or(0), wanted.len() as u64);
        wanted.extend(old.into_iter().filter(|example| !wanted.contains(example)).collect::<Vec<_>>());
        let examples = match &found["examples"] {
            Value::Array(examples) => examples.clone(),
            Value::Null => Vec::new(),
            file if file.is_string() => vec![json!({"file": file})],
            file => vec![file.clone()],
        };
        prop_assert_eq!(&examples, &wanted, "{}", new);
        prop_assert_eq!(&after["workflow"]["steps"][1], &before["workflow"]["steps"][1]);

        // Once it is there, there is nothing left to do.
        prop_assert_eq!(write_back(Path::new(PATH), &new, &[step]).unwrap(), new);
    }

    #[test]
    fn no_text_is_too_strange(
        dice: u64,
        at in any::<proptest::sample::Index>(),
        length in 0_usize..12,
        other in prop_oneof!["[-:#&*|>{}\\[\\]'\" \n\té]{0,4}", Just("&a ".to_owned()), Just("*a".to_owned())],
    ) {
        let (text, ..) = Writing::workflow(dice);
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let end = (at + length).min(chars.len());
        chars.splice(at..end, other.chars());
        let text: String = chars.into_iter().collect();
        let step = sort("Two\nlines", &[("a", "x"), ("new", "y")]);
        // What is refused is refused with a reason; what is not can be written again.
        match write_back(Path::new(PATH), &text, std::slice::from_ref(&step)) {
            Ok(new) => prop_assert_eq!(write_back(Path::new(PATH), &new, &[step]), Ok(new)),
            Err(error) => prop_assert!(!error.report.is_empty()),
        }
    }
}
