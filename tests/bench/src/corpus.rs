//! Workflows to measure on: several types of step, each on what the one before gave.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// The text of a workflow with so many steps.
pub(crate) fn workflow(name: &str, steps: usize) -> String {
    let mut text =
        format!("workflow:\n  name: {name}\n  description: \"To measure on\"\n  steps:\n");
    for step in 0..steps {
        let source = match step {
            0 => String::new(),
            _ => format!(", template: \"{{{{steps.step_{}.summary}}}}\"", step - 1),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"    - name: step_{step}
      type: dspy_openai
      description: "Takes a text apart"
      signature:
        instructions: "Read the text. Say what it is about, how sure you are, and what is in it."
        input_fields:
          - {{name: text, type: string, description: "What to read"{source}}}
          - {{name: limit, type: integer, description: "How much to say"}}
        output_fields:
          - {{name: summary, type: string, description: "In one sentence"}}
          - {{name: mood, type: enum, enum: [calm, angry, joyful], description: "Its tone"}}
          - {{name: score, type: number, minimum: 0, maximum: 1, description: "How sure"}}
          - name: parts
            type: array
            description: "What it consists of"
            items:
              type: object
              required: [title]
              properties:
                title: {{type: string}}
                words: {{type: integer, minimum: 0}}
                tags: {{type: array, items: {{type: string}}}}
"#
        );
    }
    text
}

/// Fills a package with workflows.
pub(crate) fn write(package: &Path, workflows: usize, steps: usize) -> io::Result<()> {
    let directory = package.join("workflows");
    fs::create_dir_all(&directory)?;
    for number in 0..workflows {
        let name = format!("flow_{number:05}");
        fs::write(
            directory.join(format!("{name}.yaml")),
            workflow(&name, steps),
        )?;
    }
    Ok(())
}

/// The types of [`workflow`] as people write them when serde does all the work.
pub(crate) fn types(steps: usize) -> String {
    const DERIVES: &str =
        "#[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]";
    let mut text = format!(
        "{DERIVES} pub struct Inputs {{ pub text: String, pub limit: i64 }}\n\
         {DERIVES} pub struct Outputs {{\n"
    );
    for step in 0..steps {
        let _ = writeln!(text, "    pub step_{step}: step_{step}::Output,");
    }
    text.push_str("}\n");
    for step in 0..steps {
        let _ = write!(
            text,
            r#"/// Takes a text apart.
pub mod step_{step} {{
    /// What it takes.
    {DERIVES}
    pub struct Input {{
        /// What to read
        pub text: String,
        /// How much to say
        pub limit: i64,
    }}

    /// What it gives.
    {DERIVES}
    pub struct Output {{
        /// In one sentence
        pub summary: String,
        /// Its tone
        pub mood: Mood,
        /// How sure
        pub score: f64,
        /// What it consists of
        pub parts: Vec<PartsItem>,
    }}

    /// Its tone
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Mood {{
        /// `calm`
        Calm,
        /// `angry`
        Angry,
        /// `joyful`
        Joyful,
    }}

    /// A part
    {DERIVES}
    pub struct PartsItem {{
        /// Its title
        pub title: String,
        /// How long it is
        pub words: Option<i64>,
        /// What it is about
        pub tags: Option<Vec<String>>,
    }}
}}
"#
        );
    }
    text
}
