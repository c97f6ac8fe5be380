//! Whom a TLS connection to an upstream trusts.

use std::io;
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
};

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
    /// A configuration that believes it.
    pub(super) fn config(&self) -> io::Result<ClientConfig> {
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
        Ok(builder.with_no_client_auth())
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
