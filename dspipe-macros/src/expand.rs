//! The attribute: arguments and item in, items out.

use proc_macro2::TokenStream;
use quote::quote;

use crate::item::Item;
use crate::mistake::Mistake;
use crate::module;
#[cfg(feature = "structs")]
use crate::structs;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let expanded = Item::parse(item).and_then(|parsed| match parsed {
        Item::Module(module) => module::expand(arguments, module),
        Item::Struct => on_struct(arguments, item),
    });
    expanded.unwrap_or_else(|mistake| {
        let error = mistake.to_compile_error();
        // With the item itself kept, the mistake is the only error.
        quote!(#error #item)
    })
}

#[cfg(feature = "structs")]
fn on_struct(arguments: TokenStream, item: &TokenStream) -> Result<TokenStream, Mistake> {
    structs::expand(arguments, item)
}

#[cfg(not(feature = "structs"))]
fn on_struct(_: TokenStream, _: &TokenStream) -> Result<TokenStream, Mistake> {
    let message = "this attribute on a struct needs the feature `structs`";
    let help = "dspipe-runtime = { …, features = [\"structs\"] }";
    Err(Mistake::new(proc_macro2::Span::call_site(), message).help(help))
}
