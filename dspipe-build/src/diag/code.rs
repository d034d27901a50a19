//! The stable codes of diagnostics.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// What kind of problem a diagnostic reports. Codes are stable: one that
        /// has been released keeps its number and its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it is printed, such as `E004`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// What the code means, with a wrong and a right example, as Markdown.
            pub const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../errors/", $code, ".md")),)+
                }
            }
        }
    };
}

codes! {
    /// A file or directory could not be read.
    Unreadable = "E001",
    /// The text is not YAML, or uses a part of YAML that workflows do without
    /// (several documents, tags, merge keys).
    Syntax = "E002",
    /// The document is nested too deeply, or its aliases expand to too much.
    TooLarge = "E003",
    /// A mapping has a key that nothing reads.
    UnknownKey = "E004",
    /// A mapping lacks a key that it must have.
    MissingKey = "E005",
    /// A value is of another kind than its key asks for.
    WrongKind = "E006",
    /// A key, step, field or file is there twice, or two names are the same once
    /// they are Rust identifiers.
    Duplicate = "E007",
    /// A name cannot be used: it is empty, reserved, or not made of letters,
    /// digits and underscores.
    InvalidName = "E008",
    /// A step type that dspipe does not run.
    UnknownStepType = "E009",
    /// A type or schema that cannot be understood or contradicts itself.
    InvalidType = "E010",
    /// A language model name that is not `provider/model`, or does not fit the
    /// step's type.
    InvalidLm = "E011",
    /// A template that cannot be parsed.
    InvalidTemplate = "E012",
    /// A template path that leads nowhere.
    UnresolvedPath = "E013",
    /// A value of one type where another is needed.
    TypeMismatch = "E014",
    /// Steps that wait for each other.
    Cycle = "E015",
    /// An example that does not fit its signature.
    InvalidExample = "E016",
    /// A setting whose value makes no sense.
    InvalidSetting = "E017",
    /// A file named by a setting is not there. The workflow runs without it.
    MissingData = "E018",
    /// A part of the format that this version reads but cannot honour.
    Unsupported = "E019",
    /// A comparison that can have only one result, such as an enum with a value
    /// that it does not have.
    ImpossibleComparison = "E020",
    /// A condition that always, or never, holds.
    ConstantCondition = "E021",
    /// A value is used as if it were there, but it may be absent.
    AbsentValue = "E022",
    /// An expression calls a function that does not exist, or calls it wrongly.
    InvalidCall = "E023",
    /// A `$ref` that leads to no type.
    InvalidReference = "E024",
    /// A type that contains itself and could never end.
    InfiniteType = "E025",
    /// A default that is no value of its type, or that nothing would use.
    InvalidDefault = "E026",
    /// Alternatives that cannot be told apart in a reply.
    AmbiguousAlternatives = "E027",
    /// A type under `types` that nothing refers to.
    UnusedType = "E028",
    /// The signature has changed since its prompt was optimized.
    StaleArtifact = "E029",
    /// A file of optimized prompts that cannot be used.
    InvalidArtifact = "E030",
    /// The name of an LM that `lms` does not have.
    UnknownAlias = "E031",
    /// LMs that fall back to each other.
    FallbackCycle = "E032",
    /// An LM under `lms` that no step runs on.
    UnusedAlias = "E033",
    /// The key of a provider, or something else that is secret, in a workflow file.
    SecretInFile = "E034",
    /// A file of training data whose text cannot be read as its format, or that holds nothing.
    InvalidData = "E035",
    /// A record of training data that belongs to no step.
    UnplacedRecord = "E036",
    /// Sizes that ask for more records than there are.
    DataSize = "E037",
    /// Records that give different outputs for one input.
    ConflictingRecords = "E038",
    /// Settings that contradict each other, or that nothing will use.
    ConflictingSettings = "E039",
    /// A variable of a loop where there is no such loop, or one that loops do not have.
    LoopVariable = "E040",
    /// The file of a workflow that is called cannot be read, or has errors.
    NestedWorkflow = "E041",
    /// Workflows that call each other.
    WorkflowCycle = "E042",
    /// A module that the rest of its step does not go with.
    UnfitModule = "E045",
    /// An image or a document where there can be none, or for an LM that takes none.
    MisplacedMedia = "E046",
}

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    /// Takes `E004`, and `e004`.
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownCode {
                text: text.to_owned(),
            })
    }
}

/// A text that is not the code of a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode {
    text: String,
}

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = Code::ALL.last().map_or("", |code| code.as_str());
        write!(
            f,
            "there is no diagnostic `{}`; they are E001 to {last}",
            self.text
        )
    }
}

impl std::error::Error for UnknownCode {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn numbers_ascend() {
        for pair in Code::ALL.windows(2) {
            assert!(
                pair[0].as_str() < pair[1].as_str(),
                "{} {}",
                pair[0],
                pair[1]
            );
        }
    }
}
