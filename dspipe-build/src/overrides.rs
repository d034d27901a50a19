//! What the builder says about generated types, by their paths.

use crate::config::Config;
use crate::emit;
use crate::error::Error;
use crate::glob;

/// What is to be done with the types that a pattern matches.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Traits to derive.
    Derive(Vec<String>),
    /// An attribute, `#[…]`.
    Attribute(String),
    /// Another type in its place.
    Replace(String),
}

/// One override of the builder's.
#[derive(Debug, Clone)]
pub(crate) struct Override {
    pub(crate) pattern: String,
    pub(crate) change: Change,
}

impl Override {
    /// Whether it is for this type, given as `workflow::step::Type`.
    pub(crate) fn is_for(&self, path: &str) -> bool {
        let pattern: Vec<&str> = self.pattern.split("::").collect();
        let parts: Vec<&str> = path.split("::").collect();
        glob::matches_parts(&pattern, &parts)
    }

    /// Only a type of a step's has a place that another can take.
    fn can_be_for(&self, path: &str, type_prefix: &str) -> bool {
        let own = ["Inputs", "Outputs", "Input", "Output"];
        let name = path.rsplit("::").next().unwrap_or(path);
        let name = name.strip_prefix(type_prefix).unwrap_or(name);
        !matches!(self.change, Change::Replace(_)) || !own.contains(&name)
    }
}

/// Whether the emitter can take all overrides as they are.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    for Override { pattern, change } in &config.overrides {
        let (what, texts): (_, Vec<&str>) = match change {
            Change::Derive(traits) => ("trait", traits.iter().map(String::as_str).collect()),
            Change::Attribute(text) => ("attribute", vec![text]),
            Change::Replace(ty) => ("type", vec![ty]),
        };
        let is_attribute = what == "attribute";
        for text in texts {
            let is_whole = !is_attribute || (text.starts_with("#[") && text.ends_with(']'));
            if !is_whole || text.is_empty() || !emit::is_balanced(text) {
                return Err(Error::Override {
                    pattern: pattern.clone(),
                    problem: format!("`{text}` is no {what}"),
                });
            }
        }
    }
    Ok(())
}

/// An override that is for no type is a mistake: of a spelling, or of a rename.
pub(crate) fn check_used<'a>(
    config: &Config,
    types: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), Error> {
    let unused = config.overrides.iter().find(|change| {
        !types
            .clone()
            .any(|path| change.is_for(path) && change.can_be_for(path, &config.type_prefix))
    });
    let Some(Override { pattern, change }) = unused else {
        return Ok(());
    };
    let known: Vec<&str> = types.collect();
    let nearest = crate::diag::nearest(pattern, known.iter().copied());
    let mut problem = match change {
        Change::Replace(_) => "no type that can be replaced has this path".to_owned(),
        _ => "no generated type has this path".to_owned(),
    };
    if let Some(nearest) = nearest {
        problem = format!("{problem}; there is `{nearest}`");
    }
    Err(Error::Override {
        pattern: pattern.clone(),
        problem,
    })
}
