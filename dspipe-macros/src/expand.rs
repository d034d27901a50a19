//! The attribute: arguments and item in, items out.

use proc_macro2::TokenStream;
use quote::quote;

use crate::item::Item;
#[cfg(not(feature = "structs"))]
use crate::mistake::Mistake;
use crate::module;
#[cfg(feature = "structs")]
use crate::structs;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let expanded = Item::parse(item).and_then(|parsed| match parsed {
        Item::Module(module) => module::expand(arguments, module),
        #[cfg(feature = "structs")]
        Item::Struct => Ok(structs::expand(arguments, item)),
        #[cfg(not(feature = "structs"))]
        Item::Struct => Err(no_structs()),
    });
    expanded.unwrap_or_else(|mistake| {
        let error = mistake.to_compile_error();
        // With the item itself kept, the mistake is the only error.
        quote!(#error #item)
    })
}

#[cfg(not(feature = "structs"))]
fn no_structs() -> Mistake {
    let message = "this attribute on a struct needs the feature `structs`";
    let help = "dspipe-runtime = { …, features = [\"structs\"] }";
    Mistake::new(proc_macro2::Span::call_site(), message).help(help)
}
