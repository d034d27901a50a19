//! What was changed to read a reply.

use std::fmt;
use std::ops::Range;

/// One change that was made to read a reply as what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was wrong.
    pub kind: RepairKind,
    /// The bytes of the reply that it is about.
    pub span: Range<usize>,
    /// The value that it is about, as in `parts[2].title`; empty for the whole.
    pub path: String,
    /// What was done, where the kind alone does not say it; may be empty.
    pub note: String,
}

impl Repair {
    /// How much it counts against the reading: 1 for a slip of the form, more for what took a liberty.
    pub fn penalty(&self) -> u32 {
        self.kind.penalty()
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.span;
        write!(f, "{start}..{end}")?;
        if !self.path.is_empty() {
            write!(f, " `{}`", self.path)?;
        }
        write!(f, ": {}", self.kind)?;
        if !self.note.is_empty() {
            write!(f, ": {}", self.note)?;
        }
        write!(f, " (penalty {})", self.penalty())
    }
}

/// What was wrong with a reply, and was put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RepairKind {
    /// Text around the answer, such as a fence or prose.
    Surroundings,
    /// Reasoning before the answer.
    Reasoning,
    /// There were several answers; the one that fits best was taken.
    Chosen,
    /// Texts in other quotation marks than `"`, or with one mark missing.
    Quotes,
    /// Texts or keys without quotation marks.
    Unquoted,
    /// A comma that is missing, or one too many.
    Comma,
    /// `=` or `=>` for `:`, or nothing.
    Colon,
    /// `True`, `None`, `undefined`, `NaN` and their like.
    Literal,
    /// A comment.
    Comment,
    /// A line break or a quotation mark inside a text that was not escaped, or an escape that JSON does not have.
    Escape,
    /// A bracket that is missing, or one too many.
    Bracket,
    /// Something between the parts of an object or a list that belongs to neither.
    Skipped,
    /// The end is missing: brackets or a text are not closed.
    Unfinished,
    /// Not JSON: fields by markers, tags, or lines.
    Layout,
    /// JSON inside a text.
    Encoded,
    /// The answer itself, without the object or the key around it.
    Bare,
    /// The answer inside another object.
    Wrapper,
    /// A key in another case style, or with a typo.
    Key,
    /// A key that was not asked for.
    ExtraKey,
    /// A number that was written as something else.
    Number,
    /// `true` or `false` that was written as something else.
    Boolean,
    /// A text that was written as something else.
    Text,
    /// One of a fixed set of values that was written as something else.
    Choice,
    /// A value for a list of one, or values for a list that were not written as one.
    List,
    /// A list of one for a value.
    Single,
    /// A null that was dropped or assumed, or a word for it.
    Null,
    /// A value that is missing and can only be one.
    Default,
}

impl RepairKind {
    /// How much it counts against a reading.
    pub fn penalty(self) -> u32 {
        match self {
            Self::Surroundings
            | Self::Reasoning
            | Self::Quotes
            | Self::Unquoted
            | Self::Comma
            | Self::Colon
            | Self::Literal
            | Self::Comment
            | Self::Escape => 1,
            Self::Bracket | Self::Layout | Self::Key | Self::ExtraKey | Self::Null => 2,
            Self::Number | Self::Boolean | Self::Text | Self::Choice | Self::Encoded => 3,
            Self::List | Self::Single | Self::Chosen | Self::Wrapper => 4,
            Self::Skipped | Self::Unfinished | Self::Bare | Self::Default => 5,
        }
    }
}

impl fmt::Display for RepairKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surroundings => "text around the answer",
            Self::Reasoning => "reasoning before the answer",
            Self::Chosen => "several answers",
            Self::Quotes => "other quotation marks",
            Self::Unquoted => "texts without quotation marks",
            Self::Comma => "missing or doubled commas",
            Self::Colon => "missing colons",
            Self::Literal => "literals of another language",
            Self::Comment => "comments",
            Self::Escape => "unescaped characters",
            Self::Bracket => "missing or extra brackets",
            Self::Skipped => "something that belongs nowhere",
            Self::Unfinished => "a missing end",
            Self::Layout => "fields that are not JSON",
            Self::Encoded => "JSON inside a text",
            Self::Bare => "the bare answer",
            Self::Wrapper => "the answer inside another object",
            Self::Key => "another name of a key",
            Self::ExtraKey => "a key that was not asked for",
            Self::Number => "a number written otherwise",
            Self::Boolean => "true or false written otherwise",
            Self::Text => "a text written otherwise",
            Self::Choice => "a choice written otherwise",
            Self::List => "a list written otherwise",
            Self::Single => "a list for a single value",
            Self::Null => "null",
            Self::Default => "a value that can only be one",
        })
    }
}
