//! Answers of GraphQL that tell of errors, whatever their status (GraphQL, October 2021, section 7.1).

use crate::annotate::Document;
use crate::json::Kind as Node;

/// All that a response may have.
const MEMBERS: [&[u8]; 3] = [b"data", b"errors", b"extensions"];

/// Theirs of the errors, where both answers are responses of GraphQL and ours has no errors.
pub(super) fn new_errors(ours: &Document<'_>, theirs: &Document<'_>) -> Option<usize> {
    let (here, there) = (member(ours, b"errors"), member(theirs, b"errors")?);
    let silent = here.is_none_or(|node| is_empty(ours, node));
    let failed = is_response(ours) && member(ours, b"data").is_some() && silent;
    (failed && is_response(theirs) && are_errors(theirs, there)).then_some(there)
}

fn is_response(document: &Document<'_>) -> bool {
    let known = |key| {
        let name = document.tape.text(key).unescaped();
        MEMBERS.iter().any(|member| *name == **member)
    };
    document.tape.kind(0) == Node::Object && document.tape.children(0).all(known)
}

fn member(document: &Document<'_>, name: &[u8]) -> Option<usize> {
    if document.tape.kind(0) != Node::Object {
        return None;
    }
    // A response has no more.
    let mut keys = document.tape.children(0).take(MEMBERS.len());
    keys.find(|key| *document.tape.text(*key).unescaped() == *name).map(|key| key + 1)
}

fn is_empty(document: &Document<'_>, node: usize) -> bool {
    match document.tape.kind(node) {
        Node::Null => true,
        Node::Array => document.tape.children(node).next().is_none(),
        _ => false,
    }
}

fn are_errors(document: &Document<'_>, node: usize) -> bool {
    let tape = &document.tape;
    let has_message = |error| {
        tape.kind(error) == Node::Object
            && tape.children(error).any(|key| *tape.text(key).unescaped() == *b"message")
    };
    tape.kind(node) == Node::Array && tape.children(node).next().is_some_and(has_message)
}
