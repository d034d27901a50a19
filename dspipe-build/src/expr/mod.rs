//! Expressions of templates and conditions, as written.
//!
//! ```text
//! or      = and { ("or" | "||") and }
//! and     = not { ("and" | "&&") not }
//! not     = ("not" | "!") not | compare
//! compare = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "matches" | ["not"] "in") sum
//!               | "between" sum "and" sum ]
//! sum     = product { ("+" | "-") product }
//! product = unary { ("*" | "/" | "%") unary }
//! unary   = "-" unary | filtered
//! filtered = primary { "|" name [ "(" [ or { "," or } ] ")" ] }
//! primary = number | text | "true" | "false" | "null" | path | name "(" … ")" | "(" or ")" | "[" … "]"
//! path    = name { "." name }
//! ```
//!
//! A `-` inside a name belongs to it; a minus sign needs a space or a parenthesis before it.

mod lex;
mod parse;

use std::ops::Range;

pub(crate) use parse::parse;

/// A part of an expression and its bytes in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node<'t> {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind<'t>,
}

/// What a part of an expression is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<'t> {
    /// `steps.x.y` is `["steps", "x", "y"]`.
    Path(Vec<&'t str>),
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Null,
    List(Vec<Node<'t>>),
    Not(Box<Node<'t>>),
    Negate(Box<Node<'t>>),
    And(Vec<Node<'t>>),
    Or(Vec<Node<'t>>),
    Binary(Operator, Box<Node<'t>>, Box<Node<'t>>),
    /// Value, low, high.
    Between(Box<[Node<'t>; 3]>),
    /// `f(x, y)`, which may be written `x | f(y)`.
    Call {
        name: &'t str,
        at: Range<usize>,
        arguments: Vec<Node<'t>>,
    },
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    Matches,
    In,
    NotIn,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[cfg(test)]
impl Operator {
    /// As it is written.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// The bytes at fault; empty at the end of the text.
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
}
