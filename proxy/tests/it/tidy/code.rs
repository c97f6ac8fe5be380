//! What of a source file is code that runs outside of tests.

use std::fs;
use std::path::Path;

const TEST: &str = "#[cfg(test)]";
/// Modules of tests that are in files of their own.
pub(super) const TESTS: [&str; 2] = ["tests", "properties"];

/// A file without what is there for tests alone.
pub(super) fn code_of(path: &Path) -> String {
    let source = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    without_tests(&source)
}

/// Without the items that are there for tests alone: each of these, and nothing behind it.
fn without_tests(source: &str) -> String {
    let plain = plain(source);
    let (mut kept, mut from) = (String::new(), 0);
    while let Some(at) = plain[from..].find(TEST).map(|at| from + at) {
        kept.push_str(&source[from..at]);
        from = at + TEST.len() + item(&plain[at + TEST.len()..]);
    }
    kept + &source[from..]
}

/// How long the item is that stands here.
fn item(plain: &str) -> usize {
    const TO_SEMICOLON: [&str; 5] = ["use", "const", "static", "type", "let"];
    const TO_BRACE: [&str; 8] =
        ["mod", "fn", "impl", "struct", "enum", "trait", "union", "macro_rules"];
    let (mut depth, mut kind) = (0, None);
    for (at, c) in plain.char_indices() {
        let is_start = !plain[..at].ends_with(is_of_word) && is_of_word(c);
        let is_of_function = plain[at..].starts_with("const fn ");
        if depth == 0 && is_start && kind.is_none() && !is_of_function {
            let word = plain[at..].split(|c| !is_of_word(c)).next().unwrap();
            kind = [&TO_SEMICOLON[..], &TO_BRACE].into_iter().position(|it| it.contains(&word));
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        let ends = c == ';' || (c == '}' && kind == Some(1));
        if depth == 0 && ends && kind.is_some() {
            return at + 1;
        }
        let is_other = depth < 0 || (depth == 0 && kind.is_none() && ";,}".contains(c));
        assert!(!is_other, "no item is behind {TEST}: {}", &plain[..=at]);
    }
    panic!("no end of what is behind {TEST}: {plain}");
}

/// A source with blanks for what is in comments and literals, at the same places.
pub(super) fn plain(source: &str) -> String {
    let (mut plain, mut at) = (String::new(), 0);
    while let Some(c) = source[at..].chars().next() {
        let behind_word = source[..at].ends_with(is_of_word);
        let length = text(&source[at..], behind_word);
        let blank = |c: u8| if c == b'\n' { '\n' } else { ' ' };
        plain.extend(source[at..at + length].bytes().map(blank));
        at += length;
        if length == 0 {
            plain.push(c);
            at += c.len_utf8();
        }
    }
    plain
}

/// How long the comment or literal is that stands here; 0 where there is none.
fn text(rest: &str, behind_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        // Where no quote follows a letter it is a lifetime.
        let mut next = rest.chars().skip(1);
        let is_char = next.next() == Some('\\') || next.next() == Some('\'');
        return if is_char { quoted(rest, '\'') } else { 0 };
    }
    let raw = rest.trim_start_matches(['b', 'c']);
    let Some(raw) = raw.strip_prefix('r').filter(|_| !behind_word && rest.len() < raw.len() + 2)
    else {
        return 0;
    };
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let Some(inner) = raw[hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", &raw[..hashes]);
    let length = inner.find(&end).unwrap_or_else(|| panic!("a text without an end: {rest}"));
    rest.len() - inner.len() + length + end.len()
}

/// Comments like this may be in each other.
fn block(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        let step = match rest.get(at..at + 2) {
            Some("/*") => 1,
            Some("*/") => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 || at >= rest.len() {
            return at.min(rest.len());
        }
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    panic!("a text without an end: {rest}");
}

/// Whether words are made of it: keywords and names.
pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
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
        let source = format!("before();\n{TEST}\n{item}\nbehind();\n{TEST}\n{item}\nlast();");
        assert_eq!(without_tests(&source), "before();\n\nbehind();\n\nlast();", "{item}");
    }
}

#[test]
fn comments_and_literals_are_blank() {
    let blank = |text: &str| plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(blank("a /* b /* c */ d */ e // f\ng /// h"), "a e g");
    assert_eq!(blank(r#"a("b\"c\\", 'd', '\'', b"e", b'f')"#), "a( , , , b , b )");
    assert_eq!(blank("a(r\"b\\\", c, r#\"d\"e\"#, br\"f\") r"), "a( , c, , ) r");
    assert_eq!(
        blank("fn a<'b>(b: &'b str) { for c in \"d\" {} }"),
        "fn a<'b>(b: &'b str) { for c in {} }"
    );
    let text = "'ü' // ü\n\"ü\n\" 'static";
    assert_eq!((plain(text).len(), plain(text).matches('\n').count()), (text.len(), 2));
    assert_eq!(plain(text).trim(), "'static");
}
