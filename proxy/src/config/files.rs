//! Settings that name a file: certificates and keys.

use super::Env;
use crate::listen::tls::{Fault, Identity, certificates};
use crate::upstream::{ClientIdentity, Trust};

const AUTHORITY: &str = "the path of a PEM file with one or more certificates";

impl Env<'_> {
    /// `TLS_CERT` and `TLS_KEY`: both or none.
    pub(super) fn identity(&mut self) -> Option<Identity> {
        self.pair("TLS_CERT", "TLS_KEY", Identity::from_pem)
    }

    /// What is shown to an upstream that asks for it: both or none.
    pub(super) fn client_identity(&mut self, cert: &str, key: &str) -> Option<ClientIdentity> {
        self.pair(cert, key, ClientIdentity::from_pem)
    }

    /// A certificate chain and its key.
    fn pair<T>(
        &mut self,
        cert_name: &str,
        key_name: &str,
        build: impl Fn(&[u8], &[u8]) -> Result<T, Fault>,
    ) -> Option<T> {
        let of = |what, other| format!("the path of a PEM file with the {what}, with {other}");
        let for_cert = of("certificate chain", key_name);
        let for_key = of("private key", cert_name);
        let chain = self.file(cert_name, &for_cert);
        let key = self.file(key_name, &for_key);
        match (chain, key) {
            (Given::Read(cert, chain), Given::Read(key, secret)) => match build(&chain, &secret) {
                Ok(identity) => return Some(identity),
                Err(Fault::Certificate(why)) => self.bad(cert_name, &cert, &why, &for_cert),
                Err(Fault::Key(why)) => self.bad(key_name, &key, &why, &for_key),
            },
            (Given::Read(cert, _), Given::Unset) => {
                self.bad(cert_name, &cert, &format!("is set without {key_name}"), &for_cert);
            }
            (Given::Unset, Given::Read(key, _)) => {
                self.bad(key_name, &key, &format!("is set without {cert_name}"), &for_key);
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
