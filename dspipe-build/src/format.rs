//! Tokens to text.

use proc_macro2::TokenStream;

/// The text of a generated file.
pub(crate) fn file(header: &str, tokens: &TokenStream) -> String {
    format!("{header}\n\n{}", body(tokens))
}

#[cfg(feature = "format")]
fn body(tokens: &TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => space_out(&prettyplease::unparse(&file)),
        // rustc reports it at the place; a formatter must not hide it.
        Err(_) => tokens.to_string(),
    }
}

#[cfg(not(feature = "format"))]
fn body(tokens: &TokenStream) -> String {
    tokens.to_string()
}

/// An empty line between items, which prettyplease does not set.
#[cfg(feature = "format")]
fn space_out(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + text.len() / 16);
    let mut previous = "";
    for line in text.lines() {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let ended = matches!(previous.trim(), "}" | "};" | "]")
            || (previous.ends_with(';') && !previous.trim_start().starts_with("let "));
        let starts = ["///", "#[", "pub ", "impl", "async fn", "fn "]
            .iter()
            .any(|start| line.trim_start().starts_with(start));
        if ended && starts && indent(line) == indent(previous) {
            spaced.push('\n');
        }
        spaced.push_str(line);
        spaced.push('\n');
        previous = line;
    }
    spaced
}
