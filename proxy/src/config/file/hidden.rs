//! What of a file is not shown: secrets, and what may be one by a misspelt name.

use std::ops::Range;

use super::{Document, Node, Table, Value};
use crate::config::settings::{self, Kind, Shape};

/// Tables for which a text may stand by mistake that is no secret.
const NO_SECRETS: [&str; 3] = ["path", "host", "client"];

/// Words of conditions behind which values stand.
const TESTS: [&str; 3] = ["exact", "prefix", "regex"];

/// Gathers what is not shown: values of secrets, those that conditions on secret headers and on cookies
/// look for, those of names that are not known, since they may be misspelt, and texts that may be URLs with a password in them.
pub(super) fn hide(text: &str, table: &Table, shape: &Shape, hidden: &mut Vec<Range<usize>>) {
    let is_on_secrets = is_on_secrets(table, shape);
    for (name, node) in &table.members {
        match shape.child(name) {
            Some(_) if is_on_secrets && TESTS.contains(&name.as_str()) => {
                hide_whole(node, hidden);
            }
            Some(shape) => hide_in(text, node, shape, hidden),
            None => hide_values(text, node, hidden),
        }
    }
}

/// Whether it is a condition on values that are not shown, or one of which that is not known.
fn is_on_secrets(table: &Table, shape: &Shape) -> bool {
    let name = match table.get("name").map(|node| &node.value) {
        Some(Value::Text(name)) => name,
        _ => return ["header", "cookie"].contains(&shape.name),
    };
    settings::is_on_secrets(shape.name, name)
}

fn hide_in(text: &str, node: &Node, shape: &Shape, hidden: &mut Vec<Range<usize>>) {
    if shape.leaf.is_some_and(|setting| setting.secret) {
        hide_whole(node, hidden);
        return;
    }
    match &node.value {
        Value::Table(table) => hide(text, table, shape, hidden),
        Value::List(items) => items.iter().for_each(|item| hide_in(text, item, shape, hidden)),
        Value::Text(value) => {
            let is_url = shape.leaf.is_none_or(|setting| setting.kind == Kind::Url);
            let is_no_table = shape.leaf.is_none() && !NO_SECRETS.contains(&shape.name);
            if is_no_table || (value.contains('@') && is_url) {
                hidden.push(node.span.clone());
            }
        }
        _ => {}
    }
}

/// Of a table with a line of its own its name is shown, and no value.
fn hide_values(text: &str, node: &Node, hidden: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(table) if has_header(text, node) => {
            table.members.iter().for_each(|(_, node)| hide_values(text, node, hidden));
        }
        Value::List(items) if items.iter().all(|item| has_header(text, item)) => {
            items.iter().for_each(|item| hide_values(text, item, hidden));
        }
        _ => hide_whole(node, hidden),
    }
}

/// With all that is in it: a table of dotted names (`a.b = 1`) stands where its name does.
fn hide_whole(node: &Node, hidden: &mut Vec<Range<usize>>) {
    hidden.push(node.span.clone());
    match &node.value {
        Value::Table(table) => table.members.iter().for_each(|(_, it)| hide_whole(it, hidden)),
        Value::List(items) => items.iter().for_each(|it| hide_whole(it, hidden)),
        _ => {}
    }
}

/// Whether it is a table that begins with a line such as `[mirror]`, or tables that do.
pub(super) fn has_header(text: &str, node: &Node) -> bool {
    match &node.value {
        Value::Table(_) => text[node.span.start..].starts_with('['),
        Value::List(items) => {
            let is_table = |item: &Node| matches!(item.value, Value::Table(_));
            !items.is_empty() && items.iter().all(|it| is_table(it) && has_header(text, it))
        }
        _ => false,
    }
}

/// The same where the text is no TOML: what the line is about must be known, and no secret.
pub(super) fn hide_in_bad_text(document: &mut Document, at: usize) {
    let line = document.line(at);
    let text = |line: usize| document.text_of(line);
    let name = |line: usize| text(line).split_once('=').map(|(name, _)| name);
    let is_header = |line: usize| text(line).trim_start().starts_with('[');
    let safe = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or_default();
        let last = last.trim().trim_matches(['"', '\'']);
        // The value may be one of a header, whose name is on another line.
        if last.is_empty() || TESTS.contains(&last) {
            return false;
        }
        let named = || settings::all().filter(|setting| setting.name() == last);
        named().next().is_some() && named().all(|setting| !setting.secret)
    };
    // What is said in a table on one line has names of its own.
    let is_one = text(line).matches('=').count() == 1;
    let is_safe = name(line).map_or(is_header(line), |name| is_one && safe(name));
    let whole = document.lines[line]..document.lines[line] + text(line).len();
    if !is_safe || text(line).contains('@') {
        // The name itself may be seen where it is on this line, and is one.
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_. \t".contains(c);
        let is_name = |name: &&str| name.chars().all(is_of_name);
        let from = name(line).filter(is_name).map_or(0, |name| name.len() + 1);
        document.hidden.push(whole.start + from..whole.end.max(whole.start + from + 1));
    }
}
