//! What an LM with tools has thought, done and seen.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::adapter::Adapter;
use crate::prompt;

/// One turn of an LM with tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// What the LM thought.
    pub thought: String,
    /// The tool that it chose, or `finish`.
    pub tool: String,
    /// What it gave the tool.
    pub arguments: Value,
    /// What the tool gave, or what went wrong.
    pub observation: String,
}

/// The turns so far, of which the LM is shown the later ones if not all fit into its context.
#[derive(Debug, Default)]
pub(super) struct Trajectory {
    pub(super) turns: Vec<Turn>,
    shown_from: usize,
}

impl Trajectory {
    /// Shows one turn less; `false` if that would leave none.
    pub(super) fn shorten(&mut self) -> bool {
        let can = self.turns.len() > self.shown_from + 1;
        self.shown_from += usize::from(can);
        can
    }

    /// The turns as prompts show them, their fields named and numbered as in DSPy.
    pub(super) fn text(&self, adapter: Option<Adapter>) -> String {
        let shown = self.turns.iter().enumerate().skip(self.shown_from);
        let fields: Vec<(String, String)> = shown
            .flat_map(|(at, turn)| {
                [
                    (format!("thought_{at}"), turn.thought.clone()),
                    (format!("tool_name_{at}"), turn.tool.clone()),
                    (format!("tool_args_{at}"), turn.arguments.to_string()),
                    (format!("observation_{at}"), turn.observation.clone()),
                ]
            })
            .collect();
        if fields.is_empty() {
            return String::new();
        }
        match adapter {
            None => {
                let fields = fields.iter();
                prompt::fields_text(fields.map(|(name, text)| (&**name, Cow::Borrowed(&**text))))
            }
            Some(_) => {
                let sections: Vec<String> = fields
                    .iter()
                    .map(|(name, text)| format!("[[ ## {name} ## ]]\n{text}"))
                    .collect();
                sections.join("\n\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(thought: &str) -> Turn {
        Turn {
            thought: thought.to_owned(),
            tool: "search".to_owned(),
            arguments: json!({"query": "x"}),
            observation: "```no```".to_owned(),
        }
    }

    #[test]
    fn the_oldest_turns_go_first_and_one_stays() {
        let mut trajectory = Trajectory::default();
        assert_eq!(trajectory.text(None), "");
        assert!(!trajectory.shorten());
        trajectory.turns = vec![turn("one"), turn("two")];
        assert!(trajectory.shorten());
        assert!(!trajectory.shorten());
        insta::assert_snapshot!(trajectory.text(None), @r#"
        thought_1:
        ```
        two
        ```

        tool_name_1:
        ```
        search
        ```

        tool_args_1:
        ```
        {"query":"x"}
        ```

        observation_1:
        ````
        ```no```
        ````
        "#);
        let text = trajectory.text(Some(Adapter::DspyChat));
        assert!(text.starts_with("[[ ## thought_1 ## ]]\ntwo\n\n[[ ## tool_name_1"));
    }
}
