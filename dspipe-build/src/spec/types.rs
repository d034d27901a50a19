//! `types:` of a file: schemas with names.

use super::Schema;
use crate::diag::Diagnostics;
use crate::source::Spanned;
use crate::yaml::{Kind, MapReader};

/// A type that fields and other types refer to by its name.
#[derive(Debug)]
pub(crate) struct NamedSchema {
    pub(crate) name: Spanned<String>,
    pub(crate) schema: Schema,
}

/// Reads `types:` beside `workflow:`, or in it.
pub(super) fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Vec<NamedSchema> {
    let Some(node) = map.optional("types") else {
        return Vec::new();
    };
    let Kind::Map(entries) = &node.kind else {
        // Says what is wrong.
        MapReader::new(node, "`types`", diagnostics);
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|(key, node)| {
            let what = format_args!("the type `{}`", key.text);
            let schema = Schema::read(node, what, diagnostics)?;
            let name = Spanned::new(key.text.clone(), key.span);
            Some(NamedSchema { name, schema })
        })
        .collect()
}
