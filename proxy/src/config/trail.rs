//! Who may do what, and where it is recorded: tokens, and the audit log.

use std::collections::HashMap;

use super::candidates::name;
use super::env::{Env, Scope};
use super::file::{Node, Table};
use super::values;
use crate::access::{CONTROL_TOKEN, Hash, Known, Rights, Token};
use crate::audit::{Config, Place};

/// Most tokens: each request that has one is held against all of them.
const TOKENS_MAX: usize = 100;
/// What says that the audit log goes to standard error.
const STDERR: &str = "stderr";

impl<'a> Env<'a> {
    /// The one token that may do everything.
    pub(super) fn control_token(&mut self) -> Option<Token> {
        self.read_optional("CONTROL_TOKEN", Token::parse)
    }

    /// `[[admin.tokens]]`.
    pub(super) fn tokens(&mut self, control: Option<&Token>) -> Vec<Known> {
        let admin = self.file.and_then(|file| file.root.table("admin"));
        let tables = admin.map(|admin| admin.tables("tokens")).unwrap_or_default();
        if let Some((node, _)) = tables.get(TOKENS_MAX) {
            let what = format!("{} tokens; allowed is {TOKENS_MAX}", tables.len());
            self.tell(node.key.clone(), &what, None);
        }
        self.unique(&tables, "admin.tokens", "token");
        let control = control.map(Known::control);
        let mut hashes: HashMap<Hash, String> =
            control.map(|it| (it.hash, it.name)).into_iter().collect();
        let tables = tables.into_iter().take(TOKENS_MAX);
        tables.filter_map(|(node, table)| self.token(node, table, &mut hashes)).collect()
    }

    /// One of them; `None` where something is wrong with it, which is told.
    fn token(
        &mut self,
        node: &'a Node,
        table: &'a Table,
        hashes: &mut HashMap<Hash, String>,
    ) -> Option<Known> {
        let place = self.file.map(|file| file.place(node.key.start)).unwrap_or_default();
        let id = name(table).map_or(place, str::to_owned);
        let scope = Scope::of(table, "admin.tokens", &id);
        let name = self.read_optional_in(&scope.slot("name"), token_name);
        // Whose it is could not be told of one that two have.
        let own = |text: &str| match Hash::parse(text)? {
            hash if hashes.contains_key(&hash) => Err(format!("is that of {}", hashes[&hash])),
            hash => Ok(hash),
        };
        let hash = self.read_optional_in(&scope.slot("sha256"), own);
        let right = |text: &str| values::list(text, Rights::parse_one);
        let rights = self.read_optional_in(&scope.slot("rights"), right);
        let known = Known { name: name?, hash: hash?, rights: Rights::of(&rights?) };
        hashes.insert(known.hash.clone(), known.name.clone());
        Some(known)
    }

    /// `[audit]`.
    pub(super) fn audit(&mut self) -> Option<Config> {
        let slot = self.slot("AUDIT_PATH");
        let path = self.read_optional_in(&slot, |text| Ok(text.to_owned()));
        let max_bytes = self.read("AUDIT_MAX_BYTES", |text| values::whole::<i64>(text, 4096));
        let files = self.read("AUDIT_FILES", |text| values::within(text, 2..=1000));
        let place = match &*path? {
            STDERR => Place::Stderr,
            path => Place::File(self.path(&slot, path)),
        };
        Some(Config { place, max_bytes: max_bytes.unsigned_abs(), files })
    }
}

fn token_name(text: &str) -> values::Parsed<String> {
    match text == CONTROL_TOKEN {
        true => Err("is the name of another".to_owned()),
        false => values::plain_name(text),
    }
}

#[cfg(test)]
mod tests;
