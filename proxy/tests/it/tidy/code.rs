//! What of a source file is code that runs outside of tests.

use std::fs;
use std::path::Path;

use proc_macro2::TokenTree;
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};

/// Modules of tests that are in files of their own.
pub(super) const TESTS: [&str; 2] = ["tests", "properties"];

/// A file without what is there for tests alone.
pub(super) fn code_of(path: &Path) -> syn::File {
    let source = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    without_tests(&source)
}

/// Code without comments, and with blanks between words alone.
pub(super) fn text_of(code: &impl ToTokens) -> String {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::new();
    for word in code.to_token_stream().to_string().split_whitespace() {
        if text.ends_with(is_of_word) && word.starts_with(is_of_word) {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

pub(super) fn without_tests(source: &str) -> syn::File {
    let mut file = syn::parse_file(source).unwrap_or_else(|error| panic!("{error} in\n{source}"));
    WithoutTests.visit_file_mut(&mut file);
    file
}

struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(is_for_all);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        item.items.retain(is_for_all);
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(is_for_all);
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_attribute_mut(&mut self, attribute: &mut syn::Attribute) {
        let is_for_tests = attribute.to_token_stream().to_string() == TEST;
        assert!(!is_for_tests, "what this is on is not left out: {TEST}");
    }
}

const TEST: &str = "# [cfg (test)]";

fn is_for_all(item: &impl ToTokens) -> bool {
    let mut tokens = item.to_token_stream().into_iter();
    while let Some(TokenTree::Punct(hash)) = tokens.next()
        && let Some(TokenTree::Group(attribute)) = tokens.next()
    {
        if format!("{hash} {attribute}") == TEST {
            return false;
        }
    }
    true
}

#[test]
fn what_is_for_tests_alone_is_left_out_and_what_follows_is_not() {
    let items = [
        "mod tests;",
        "pub(crate) mod tests;",
        "mod tests { fn a() { \"}\" } }",
        "pub(super) fn a<A, B>(a: [A; 2], b: B) -> u8 where A: C { if a { '}' } else { b'{' } }",
        "#[derive(Debug)]\n/// A } comment;\nstruct A { a: u8, b: [u8; 3] }",
        "struct A(u8, [u8; 2]);",
        "pub const fn a() -> u8 { 1 }",
        "impl<'a> A<'a> for B { fn c(&'a self) {} }",
        "const A: [B; 2] = [B { c: 1 }, B { c: 2 }];",
        "use super::{a::{b, c}, d};",
    ];
    for item in items {
        let source = format!(
            "before!();\n/// A ] comment.\n#[cfg(test)]\n{item}\nbehind!();\n#[cfg(test)]\n{item}\n\
             fn last() {{ #[cfg(test)] {item} x(); }}"
        );
        let kept = text_of(&without_tests(&source));
        assert_eq!(kept, "before!();behind!();fn last(){x();}", "{item}");
    }
    let method = "impl A { #[cfg(test)] fn b() {} fn c() {} }";
    assert_eq!(text_of(&without_tests(method)), "impl A{fn c(){}}");
}
