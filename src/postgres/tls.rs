//! TLS by rustls, with the provider that the HTTP client uses.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Failure, Kind};
use crate::transport::install_tls_provider;

/// Returns the connector that verifies servers by these certificates, or by those of the operating
/// system.
pub(super) fn connector(pem: Option<&[u8]>) -> Result<MakeRustlsConnect, Failure> {
    install_tls_provider();
    if CryptoProvider::get_default().is_none() {
        return Err(Failure::new(Kind::NoTlsProvider));
    }
    let config = match pem {
        Some(pem) => ClientConfig::builder()
            .with_root_certificates(roots(pem)?)
            .with_no_client_auth(),
        None => ClientConfig::with_platform_verifier()
            .map_err(|error| Failure::caused(Kind::Certificates, error))?,
    };
    Ok(MakeRustlsConnect::new(config))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| Failure::new(Kind::Certificates))?;
        roots
            .add(certificate)
            .map_err(|error| Failure::caused(Kind::Certificates, error))?;
    }
    if roots.is_empty() {
        return Err(Failure::new(Kind::Certificates));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_certificates_that_are_none_are_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "no certificate", broken] {
            let failure = connector(Some(pem.as_bytes())).err().unwrap();
            let error = super::super::PostgresError::from(failure);
            assert!(error.to_string().contains("root certificates"), "{error}");
        }
        assert!(connector(None).is_ok());
    }
}
