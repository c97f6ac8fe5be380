//! What a TLS listener shows its clients: a certificate chain, the key to it, and the protocols.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A checked certificate with its key.
#[derive(Clone)]
pub struct Identity {
    /// What clients, and the health check, see.
    pub certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// The identity that is shown now; another one may take its place.
pub struct Shown(RwLock<TlsAcceptor>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl Shown {
    /// Shows this one at first.
    pub fn new(identity: &Identity) -> Self {
        Self(RwLock::new(identity.acceptor()))
    }

    /// Takes the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows this one to connections that come from now on.
    pub fn show(&self, identity: &Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity.acceptor();
    }
}

/// Which of the two is wrong, and why.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The certificate chain.
    Certificate(String),
    /// The key, or it belongs to another certificate.
    Key(String),
}

impl Identity {
    /// Reads a certificate chain, the listener's own first, and its key, both in PEM.
    ///
    /// # Errors
    /// See [`Fault`]; the text never repeats what was read.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain = certificates(chain).map_err(Fault::Certificate)?;
        let certificate = chain[0].clone();
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| Fault::Key("has no private key in PEM".to_owned()))?;
        let config = ServerConfig::builder().with_no_client_auth();
        let mut config = config
            .with_single_cert(chain, key)
            .map_err(|error| Fault::Key(format!("does not go with the certificate ({error})")))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// Takes connections with this identity.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// The certificates in a PEM text, at least one.
///
/// # Errors
/// Why there is none.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("has no certificate in PEM".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("is no PEM ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let ((chain, key), (_, other)) = (pair(), pair());
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let fault = Identity::from_pem(chain.as_bytes(), other.as_bytes()).unwrap_err();
        assert!(matches!(fault, Fault::Key(why) if why.contains("does not go with")));
    }

    #[test]
    fn what_is_no_pem_is_told_apart_by_file() {
        let (chain, key) = pair();
        for text in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key] {
            let fault = Identity::from_pem(text.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(matches!(fault, Fault::Certificate(_)), "{fault:?}");
        }
        for text in ["", "nonsense", &chain] {
            let fault = Identity::from_pem(chain.as_bytes(), text.as_bytes()).unwrap_err();
            assert!(matches!(fault, Fault::Key(_)), "{fault:?}");
        }
    }
}
