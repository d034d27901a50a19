//! What changed in the prompts, to be read by people.

use std::fmt::Write as _;

use dspipe_runtime::Value;
use similar::{ChangeTag, TextDiff};

use crate::bridge::{Demo, Prompts};

/// Per step, the lines of instructions that went (`-`) and came (`+`), and the demos.
pub(crate) fn diff(before: &Prompts, after: &Prompts) -> String {
    let mut text = String::new();
    for (step, after) in after {
        let before = before
            .get(step)
            .cloned()
            .unwrap_or_else(|| crate::bridge::Prompt {
                instructions: String::new(),
                demos: Vec::new(),
            });
        let same_words = before.instructions.trim_end() == after.instructions.trim_end();
        if same_words && before.demos == after.demos {
            line(&mut text, format_args!("{step}: as before"));
            continue;
        }
        line(&mut text, format_args!("{step}:"));
        if same_words {
            line(&mut text, format_args!("  instructions as before"));
        } else {
            let (old, new) = (
                before.instructions.trim_end(),
                after.instructions.trim_end(),
            );
            for change in TextDiff::from_lines(old, new).iter_all_changes() {
                let sign = match change.tag() {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                line(
                    &mut text,
                    format_args!("  {sign} {}", change.value().trim_end()),
                );
            }
        }
        for demo in &before.demos {
            if !after.demos.contains(demo) {
                line(&mut text, format_args!("  - demo {}", shown(demo)));
            }
        }
        for demo in &after.demos {
            let sign = if before.demos.contains(demo) {
                ' '
            } else {
                '+'
            };
            line(&mut text, format_args!("  {sign} demo {}", shown(demo)));
        }
    }
    text
}

fn shown(demo: &Demo) -> String {
    const LONGEST: usize = 100;
    let inputs = short(&Value::Object(demo.inputs.clone()), LONGEST);
    let outputs = short(&Value::Object(demo.outputs.clone()), LONGEST);
    let made = if demo.augmented {
        " (made by a run)"
    } else {
        ""
    };
    format!("{inputs} → {outputs}{made}")
}

fn short(value: &Value, longest: usize) -> String {
    let text = value.to_string();
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prompts(instructions: &str, team: &str) -> Prompts {
        let demo =
            json!({"inputs": {"text": "Refund"}, "outputs": {"team": team}, "augmented": true});
        serde_json::from_value(json!({
            "sort": {"instructions": instructions, "demos": [demo]},
            "answer": {"instructions": "Answer.", "demos": []},
        }))
        .unwrap()
    }

    #[test]
    fn lines_that_went_and_came() {
        let before = prompts("Sort it.\nBe quick.", "other");
        let after = prompts("Sort the ticket.\nBe quick.", "billing");
        assert_eq!(
            diff(&before, &after),
            "sort:\n  - Sort it.\n  + Sort the ticket.\n    Be quick.\n  \
             - demo {\"text\":\"Refund\"} → {\"team\":\"other\"} (made by a run)\n  \
             + demo {\"text\":\"Refund\"} → {\"team\":\"billing\"} (made by a run)\n\
             answer: as before\n"
        );
    }
}
