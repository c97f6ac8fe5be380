//! Settings that name a file: certificates and keys.

use super::Env;
use crate::listen::tls::{Fault, Identity, certificates};
use crate::upstream::Trust;

const CERT: &str = "the path of a PEM file with the certificate chain, together with TLS_KEY";
const KEY: &str = "the path of a PEM file with the private key, together with TLS_CERT";
const AUTHORITY: &str = "the path of a PEM file with one or more certificates";

impl Env<'_> {
    /// `TLS_CERT` and `TLS_KEY`: both or none.
    pub(super) fn identity(&mut self) -> Option<Identity> {
        let chain = self.file("TLS_CERT", CERT);
        let key = self.file("TLS_KEY", KEY);
        match (chain, key) {
            (Given::Read(cert, chain), Given::Read(key, secret)) => {
                match Identity::from_pem(&chain, &secret) {
                    Ok(identity) => return Some(identity),
                    Err(Fault::Certificate(why)) => self.bad("TLS_CERT", &cert, &why, CERT),
                    Err(Fault::Key(why)) => self.bad("TLS_KEY", &key, &why, KEY),
                }
            }
            (Given::Read(cert, _), Given::Unset) => {
                self.bad("TLS_CERT", &cert, "is set without TLS_KEY", CERT);
            }
            (Given::Unset, Given::Read(key, _)) => {
                self.bad("TLS_KEY", &key, "is set without TLS_CERT", KEY);
            }
            // Unset, or told already.
            _ => {}
        }
        None
    }

    /// `UPSTREAM_CA`: believed besides the system's own.
    pub(super) fn trust(&mut self) -> Trust {
        let Given::Read(path, pem) = self.file("UPSTREAM_CA", AUTHORITY) else {
            return Trust::default();
        };
        match certificates(&pem) {
            Ok(found) => return Trust::System(found),
            Err(why) => self.bad("UPSTREAM_CA", &path, &why, AUTHORITY),
        }
        Trust::default()
    }

    fn file(&mut self, name: &str, allowed: &str) -> Given {
        let Some(path) = self.text(name) else { return Given::Unset };
        match std::fs::read(&path) {
            Ok(bytes) => Given::Read(path, bytes),
            Err(error) => {
                self.bad(name, &path, &format!("cannot be read ({error})"), allowed);
                Given::Unreadable
            }
        }
    }

    fn bad(&mut self, name: &str, value: &str, why: &str, allowed: &str) {
        self.errors.push(format!("{name}={value:?}: {why}; allowed is {allowed}"));
    }
}

enum Given {
    Unset,
    Unreadable,
    /// The path, and what is there.
    Read(String, Vec<u8>),
}
