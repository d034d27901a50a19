//! Short hashes that tell whether two executions were asked for in the same way.

use std::fmt::Write;

use dspipe_runtime::{SignatureDef, WorkflowDef};
use sha2::{Digest, Sha256};

/// Bytes of a hash that are kept: 16 hexadecimal digits.
const BYTES: usize = 8;

/// What identifies a step beyond its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprints {
    /// Of the names and types of the fields.
    pub(crate) signature: String,
    /// Of everything that the LM is told besides the inputs, and of how it samples.
    pub(crate) prompt: String,
}

impl Fingerprints {
    pub(crate) fn of(def: &SignatureDef) -> Self {
        let mut hash = Hash::default();
        for fields in [def.inputs, def.outputs] {
            hash.count(fields.len());
            for field in fields {
                hash.part(field.name);
                hash.part(field.ty);
            }
        }
        hash.part(def.output_schema);
        let signature = hash.clone().digits();
        hash.part(def.description);
        hash.part(def.instructions);
        for field in def.inputs.iter().chain(def.outputs) {
            hash.part(field.description);
        }
        hash.count(def.demos.len());
        for demo in def.demos {
            hash.count(demo.inputs.len());
            for (name, value) in demo.inputs {
                hash.part(name);
                hash.part(value);
            }
            hash.part(demo.output);
        }
        hash.part(&format!("{:?} {:?}", def.temperature, def.max_tokens));
        Self {
            signature,
            prompt: hash.digits(),
        }
    }

    /// Those of a run of a workflow: of what its caller gives, and of all its steps. Without it, of nothing.
    pub(crate) fn of_workflow(def: Option<&WorkflowDef>) -> Self {
        let (mut signature, mut prompt) = (Hash::default(), Hash::default());
        if let Some(def) = def {
            signature.part(def.input_schema);
            for step in def.steps {
                let of_step = Self::of(step);
                signature.part(step.step);
                signature.part(&of_step.signature);
                prompt.part(&of_step.prompt);
            }
        }
        Self {
            signature: signature.digits(),
            prompt: prompt.digits(),
        }
    }
}

/// A hash of texts, each with its length, so that no two lists of texts run together.
#[derive(Clone, Default)]
pub(crate) struct Hash(Sha256);

impl Hash {
    pub(crate) fn part(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    /// The hash as a number.
    pub(crate) fn number(self) -> u64 {
        let mut bytes = [0; BYTES];
        for (to, from) in bytes.iter_mut().zip(self.0.finalize()) {
            *to = from;
        }
        u64::from_be_bytes(bytes)
    }

    fn digits(self) -> String {
        let mut digits = String::with_capacity(2 * BYTES);
        // Writing to a string does not fail.
        let _ = write!(digits, "{:016x}", self.number());
        digits
    }
}

#[cfg(test)]
mod tests {
    use dspipe_runtime::FieldDef;

    use super::*;
    use crate::test_support::DEF;

    #[test]
    fn instructions_change_the_prompt_and_types_change_both() {
        let first = Fingerprints::of(&DEF);
        assert_eq!(first, Fingerprints::of(&DEF));
        let told = Fingerprints::of(&SignatureDef {
            instructions: "Otherwise.",
            ..DEF
        });
        assert_eq!(told.signature, first.signature);
        assert_ne!(told.prompt, first.prompt);
        let typed = Fingerprints::of(&SignatureDef {
            inputs: &[FieldDef {
                name: "ticket",
                ty: "integer",
                description: "",
                sensitive: false,
            }],
            ..DEF
        });
        assert_ne!(typed.signature, first.signature);
        assert_ne!(typed.prompt, first.prompt);
    }

    #[test]
    fn where_a_step_is_defined_does_not_matter() {
        let moved = SignatureDef {
            source: "elsewhere.yaml:99",
            ..DEF
        };
        assert_eq!(Fingerprints::of(&moved), Fingerprints::of(&DEF));
    }
}
