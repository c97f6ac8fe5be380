//! Whom a TLS connection to an upstream trusts, and what it shows of itself.

use std::io;
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::listen::tls::{Fault, certificates};

/// What the proxy shows of itself to an upstream that asks for a client certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity")
    }
}

impl ClientIdentity {
    /// Reads a certificate chain, the proxy's own first, and its key, both in PEM.
    ///
    /// # Errors
    /// See [`Fault`]; the text never repeats what was read.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain = certificates(chain).map_err(Fault::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| Fault::Key("has no private key in PEM".to_owned()))?;
        ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| Fault::Key(format!("does not go with the certificate ({error})")))?;
        Ok(Self { chain, key: Arc::new(key) })
    }
}

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The system's authorities, and these besides.
    System(Vec<CertificateDer<'static>>),
    /// This certificate and no other, whatever name it bears: for asking oneself.
    Only(CertificateDer<'static>),
}

impl Default for Trust {
    fn default() -> Self {
        Self::System(Vec::new())
    }
}

impl Trust {
    /// A configuration that believes it, and shows this to whoever asks.
    pub(super) fn config(&self, own: Option<&ClientIdentity>) -> io::Result<ClientConfig> {
        let builder = ClientConfig::builder();
        let provider = Arc::clone(builder.crypto_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::System(more) => Arc::new(
                Verifier::new_with_extra_roots(more.iter().cloned(), provider)
                    .map_err(io::Error::other)?,
            ),
            Self::Only(certificate) => {
                Arc::new(Pinned { certificate: certificate.clone(), provider })
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        match own {
            None => Ok(builder.with_no_client_auth()),
            Some(own) => builder
                .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
                .map_err(io::Error::other),
        }
    }
}

/// Believes one certificate.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
