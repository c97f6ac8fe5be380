//! `[[listener]]`: addresses beside that of `[listen]`, where clients are taken or copies of another mirror.

use std::path::PathBuf;

use http::StatusCode;

use super::env::{Env, Scope};
use super::file::{Node, Table, Value};
use super::{Config, Listener, Mode, values};
use crate::listen::passed::{ADMIN, TRAFFIC};
use crate::relay::{self, spool};

/// Most listeners besides `[listen]`.
pub(super) const LISTENERS_MAX: usize = 16;
/// Smallest spool, in bytes.
const SPOOL_LEAST: u64 = 1 << 20;
/// Of relays alone.
const OF_RELAYS: [&str; 6] =
    ["status", "body", "queue_size", "concurrency", "spool", "spool_bytes"];

impl<'a> Env<'a> {
    /// Those of the file.
    pub(super) fn listeners(&mut self) -> Vec<Listener> {
        let Some(file) = self.file else { return Vec::new() };
        let tables = file.root.tables("listener");
        if let Some((node, _)) = tables.get(LISTENERS_MAX) {
            let what = format!("{} listeners; allowed is {LISTENERS_MAX}", tables.len());
            self.tell(node.key.clone(), &what, None);
        }
        let tables = tables.into_iter().take(LISTENERS_MAX);
        tables.filter_map(|(node, table)| self.listener(node, table)).collect()
    }

    fn listener(&mut self, node: &'a Node, table: &'a Table) -> Option<Listener> {
        let place = self.file.map(|file| file.place(node.key.start)).unwrap_or_default();
        let id = match table.get("address").map(|node| &node.value) {
            Some(Value::Text(address)) => address.clone(),
            _ => place,
        };
        let scope = Scope::of(table, "listener", &id);
        let listen = self.read_optional_in(&scope.slot("address"), values::listen);
        let tls = self.read_in(&scope.slot("tls"), values::boolean);
        let relays = self.read_in(&scope.slot("mode"), |text| match text {
            "proxy" => Ok(false),
            "relay" => Ok(true),
            _ => Err("is unknown".to_owned()),
        });
        let config = self.relay(&scope);
        if !relays {
            for slot in OF_RELAYS.map(|name| scope.slot(name)) {
                if let Some(given) = self.given(&slot) {
                    let why = "is for a relay, and this listener is none";
                    self.bad_for(&slot, &given, why, "to leave it out, or mode = \"relay\"");
                }
            }
        }
        let name = self.read_optional_in(&scope.slot("name"), socket_name);
        let mode = if relays { Mode::Relay(config) } else { Mode::Proxy };
        Some(Listener { name, listen: listen?, tls, mode })
    }

    fn relay(&mut self, scope: &Scope<'a>) -> relay::Config {
        let body = scope.slot("body");
        let config = relay::Config {
            status: self.read_in(&scope.slot("status"), status),
            body: self.read_in(&body, |text| Ok(text.to_owned())).into(),
            queue_size: self.read_in(&scope.slot("queue_size"), values::permits),
            concurrency: self.read_in(&scope.slot("concurrency"), values::permits),
            spool: self.spool(scope),
        };
        let bodiless =
            [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
        if bodiless.contains(&config.status)
            && !config.body.is_empty()
            && let Some(given) = self.given(&body)
        {
            let why = format!("answers with status {} have no body", config.status.as_u16());
            self.bad_for(&body, &given, &why, "to leave it out, or another status");
        }
        config
    }

    fn spool(&mut self, scope: &Scope<'a>) -> Option<spool::Config> {
        let (folder, bytes) = (scope.slot("spool"), scope.slot("spool_bytes"));
        let said = self.read_optional_in(&folder, |text| Ok(text.to_owned()));
        let most = self.read_in(&bytes, |text| values::whole(text, SPOOL_LEAST));
        match said {
            Some(text) => {
                let folder = self.file.map(|file| file.path(&text))?;
                Some(spool::Config { folder, bytes: most })
            }
            None => {
                if let Some(given) = self.given(&bytes) {
                    self.bad_for(
                        &bytes,
                        &given,
                        "there is no spool",
                        "a spool, or to leave it out",
                    );
                }
                None
            }
        }
    }

    /// One address cannot be listened on twice, and whoever is to speak TLS needs a certificate.
    pub(super) fn listeners_fit(&mut self, config: &Config) {
        self.two_listeners(config);
        let Some(file) = self.file else { return };
        let (mut spools, mut names): (Vec<PathBuf>, Vec<String>) = Default::default();
        let mut taken = vec![("listen.address", config.listen)];
        taken.extend(config.admin.map(|admin| ("admin.address", admin)));
        for (_, table) in file.root.tables("listener").into_iter().take(LISTENERS_MAX) {
            let scope = Scope::of(table, "listener", "");
            let address = scope.slot("address");
            if let Some(given) = self.given(&address)
                && let Ok(listen) = values::listen(&given.text)
                && listen.addr.port() != 0
            {
                if let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == listen) {
                    let why = format!("is {other}, too");
                    self.bad_for(&address, &given, &why, "another address");
                }
                taken.push(("listener.address", listen));
            }
            let name = scope.slot("name");
            if let Some(given) = self.given(&name) {
                if names.contains(&given.text) {
                    let why = "is that of another listener";
                    self.bad_for(&name, &given, why, "a name for each of them");
                }
                names.push(given.text);
            }
            let spool = scope.slot("spool");
            if let Some(given) = self.given(&spool) {
                let folder = one_name(file.path(&given.text));
                if spools.contains(&folder) {
                    let why = "is that of another listener";
                    self.bad_for(&spool, &given, why, "a folder for each of them");
                }
                spools.push(folder);
            }
            let tls = scope.slot("tls");
            if let Some(given) = self.given(&tls)
                && given.text == "true"
                && config.tls.is_none()
            {
                let why = "there is no certificate";
                self.bad_for(&tls, &given, why, "listen.tls_cert and tls_key besides, or false");
            }
        }
    }
}

/// The same for all names of a folder: `spool`, `./spool/`, and links to it, as far as they are there.
fn one_name(folder: PathBuf) -> PathBuf {
    let named = folder.canonicalize().or_else(|_| std::path::absolute(&folder));
    named.unwrap_or(folder)
}

/// systemd puts colons between them.
fn socket_name(text: &str) -> values::Parsed<String> {
    match [TRAFFIC, ADMIN].contains(&text) {
        true => Err("is the socket of another".to_owned()),
        false => values::plain_name(text),
    }
}

fn status(text: &str) -> values::Parsed<StatusCode> {
    let code = values::within(text, 200..=599)?;
    let code = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    code.ok_or_else(|| "is no status".to_owned())
}

#[cfg(test)]
mod tests;
