//! Settings that name a file: certificates and keys.

use std::path::Path;

use super::env::{Env, Given, Slot};
use super::file;
use crate::listen::tls::{Fault, Identity, certificates};
use crate::upstream::{ClientIdentity, Trust};

/// Largest file; all authorities that there are take a tenth of it.
pub(super) const BYTES_MAX: u64 = 4 << 20;

impl<'a> Env<'a> {
    /// `TLS_CERT` and `TLS_KEY`: both or none.
    pub(super) fn identity(&mut self) -> Option<Identity> {
        let (cert, key) = (self.slot("TLS_CERT"), self.slot("TLS_KEY"));
        self.pair(&cert, &key, Identity::from_pem)
    }

    /// What is shown to an upstream that asks for it: both or none.
    pub(super) fn client_identity(
        &mut self,
        cert: &Slot<'a>,
        key: &Slot<'a>,
    ) -> Option<ClientIdentity> {
        self.pair(cert, key, ClientIdentity::from_pem)
    }

    /// A certificate chain and its key.
    fn pair<T>(
        &mut self,
        cert: &Slot<'a>,
        key: &Slot<'a>,
        build: impl Fn(&[u8], &[u8]) -> Result<T, Fault>,
    ) -> Option<T> {
        let without = |env: &Self, other| format!("is set without {}", env.called(other));
        match (self.file(cert), self.file(key)) {
            (Said::Read(named_cert, chain), Said::Read(named_key, secret)) => {
                match build(&chain, &secret) {
                    Ok(identity) => return Some(identity),
                    Err(Fault::Certificate(why)) => self.bad(cert, &named_cert, &why),
                    Err(Fault::Key(why)) => self.bad(key, &named_key, &why),
                }
            }
            (Said::Read(given, _), Said::Nothing) => {
                self.bad(cert, &given, &without(self, key));
            }
            (Said::Nothing, Said::Read(given, _)) => {
                self.bad(key, &given, &without(self, cert));
            }
            // Unset, or told already.
            _ => {}
        }
        None
    }

    /// `UPSTREAM_CA`: believed besides the system's own.
    pub(super) fn trust(&mut self) -> Trust {
        let slot = self.slot("UPSTREAM_CA");
        let Said::Read(given, pem) = self.file(&slot) else {
            return Trust::default();
        };
        match certificates(&pem) {
            Ok(found) => return Trust::System(found),
            Err(why) => self.bad(&slot, &given, &why),
        }
        Trust::default()
    }

    fn file(&mut self, slot: &Slot<'a>) -> Said<'a> {
        // What the path in the settings file leads to may be there alone where that path holds.
        if self.is_overruled(slot) {
            self.check_overruled(slot, |_| Ok(()));
        }
        let given = self.given(slot);
        self.note(slot, given.as_ref());
        let Some(given) = given else { return Said::Nothing };
        let read = match (given.node, self.file) {
            (Some(_), Some(file)) => bytes(&file.path(&given.text), BYTES_MAX),
            _ => bytes(Path::new(&given.text), BYTES_MAX),
        };
        match read {
            Ok(bytes) => Said::Read(given, bytes),
            Err(why) => {
                self.bad(slot, &given, &why);
                Said::Unreadable
            }
        }
    }
}

/// What is in a plain file, of at most so many bytes.
pub(super) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    // A pipe could be waited for without end, and gives what it has once: a reload would find nothing.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err("is no plain file".to_owned());
    }
    file::bytes(path, most)
}

enum Said<'a> {
    Nothing,
    Unreadable,
    /// The path, and what is there.
    Read(Given<'a>, Vec<u8>),
}
