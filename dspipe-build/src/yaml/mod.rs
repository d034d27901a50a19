//! YAML with the place of every node. The only user of the YAML parser.

mod locate;
mod node;
#[cfg(test)]
mod oracle;
mod parse;
mod read;
mod simple;
mod syntax;

pub(crate) use locate::{locate_part, locate_placeholder};
pub(crate) use node::{Key, Kind, Node, core_float, core_integer};
pub(crate) use parse::parse;
pub(crate) use read::{MapReader, What, boolean, integer, list, number, size, text, wrong_kind};
