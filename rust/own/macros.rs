// SPDX-License-Identifier: GPL-2.0

//! The one macro of `own` that `macro_rules!` cannot make. Runs in the compiler.

extern crate proc_macro;

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Takes `#[pin]` off the fields of a struct. What the kernel's own macro checks besides, it checks
/// when RVS is built with that crate.
#[proc_macro_attribute]
pub fn pin_data(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for tree in item {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let mut fields = Group::new(Delimiter::Brace, unpinned(group.stream()));
                fields.set_span(group.span());
                out.push(fields.into());
            }
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}

fn unpinned(fields: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for tree in fields {
        if let TokenTree::Group(group) = &tree {
            let is_pin = group.delimiter() == Delimiter::Bracket
                && group.stream().to_string().trim() == "pin";
            if is_pin && matches!(out.last(), Some(TokenTree::Punct(p)) if p.as_char() == '#') {
                out.pop();
                continue;
            }
        }
        out.push(tree);
    }
    out.into_iter().collect()
}
