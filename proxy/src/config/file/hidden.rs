//! What of a file is not shown: secrets, and what may be one by a misspelt name.

use std::ops::Range;

use super::{Document, Node, Table, Value};
use crate::config::settings::{self, Kind, Shape};

/// Tables for which a text may stand by mistake that is no secret.
const NO_SECRETS: [&str; 3] = ["path", "host", "client"];

/// Gathers what is not shown: values of secrets and of names that are not known, since they may be
/// misspelt, and texts that may be URLs with a password in them.
pub(super) fn hide(text: &str, table: &Table, shape: &Shape, hidden: &mut Vec<Range<usize>>) {
    for (name, node) in &table.members {
        match shape.child(name) {
            Some(shape) => hide_in(text, node, shape, hidden),
            None => hide_values(text, node, hidden),
        }
    }
}

fn hide_in(text: &str, node: &Node, shape: &Shape, hidden: &mut Vec<Range<usize>>) {
    if shape.leaf.is_some_and(|setting| setting.secret) {
        hidden.push(node.span.clone());
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
        _ => hidden.push(node.span.clone()),
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
        let named = || settings::all().filter(|setting| setting.name() == last);
        named().next().is_some() && named().all(|setting| !setting.secret)
    };
    let is_safe = name(line).map_or(is_header(line), safe);
    let whole = document.lines[line]..document.lines[line] + text(line).len();
    if !is_safe || text(line).contains('@') {
        // The name itself may be seen where it is on this line.
        let from = text(line).find('=').map_or(0, |at| at + 1);
        document.hidden.push(whole.start + from..whole.end.max(whole.start + from + 1));
    }
}
