//! Certificates for HTTPS: given ones, or self-made ones signed by an authority of the target's
//! own that lives as long as the process.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::options::TargetOptions;

/// Why no HTTPS can be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds no certificate or key that can be read.
    #[error("cannot read {what} from {}", file.display())]
    ReadPem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// The authority's certificate could not be written.
    #[error("cannot write the authority's certificate to {}", file.display())]
    WriteAuthority {
        /// Where to.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The certificates and keys do not make a usable configuration.
    #[error("cannot use the certificate or key")]
    Configure(#[from] rustls::Error),
    /// The authority for clients cannot be used.
    #[error("cannot verify clients")]
    Clients(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate with its private key, both as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

/// A certificate authority made on the spot, to sign the target's certificate and those of
/// clients in tests.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one with a fresh key.
    ///
    /// # Errors
    /// Where no key can be generated.
    pub fn new() -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "drumfire target authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate, for those who shall trust it.
    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The same, as rustls takes it.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A certificate for a server of these names and addresses.
    ///
    /// # Errors
    /// Where a name cannot stand in a certificate.
    pub fn server(&self, names: &[&str]) -> Result<Identity, TlsError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(
            names,
            "drumfire target",
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// A certificate for a client of this name.
    ///
    /// # Errors
    /// Where the name cannot stand in a certificate.
    pub fn client(&self, name: &str) -> Result<Identity, TlsError> {
        self.sign(vec![], name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        names: Vec<String>,
        common_name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, TlsError> {
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// What the options say about HTTPS; `None` for plain HTTP. Writes the authority's certificate
/// where that is asked for.
pub(crate) fn from_options(options: &TargetOptions) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    if !options.wants_tls() {
        return Ok(None);
    }
    let identity = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => (read_certificates(certificate)?, read_key(key)?),
        _ => self_made(options)?,
    };
    let clients = match &options.tls_client_ca {
        Some(file) => Some(read_certificates(file)?),
        None => None,
    };
    configure(identity, clients).map(Some)
}

fn self_made(options: &TargetOptions) -> Result<Chain, TlsError> {
    let authority = Authority::new()?;
    if let Some(file) = &options.tls_write_ca {
        std::fs::write(file, authority.certificate_pem()).map_err(|source| {
            TlsError::WriteAuthority {
                file: file.clone(),
                source,
            }
        })?;
    }
    let listen = options.listen.ip();
    chain(&authority.server(&local_names(listen).each_ref().map(String::as_str))?)
}

fn local_names(listen: IpAddr) -> [String; 4] {
    // A certificate with an address twice is valid, so no care is taken where they meet.
    ["localhost", "127.0.0.1", "::1", &listen.to_string()].map(str::to_owned)
}

/// A certificate chain with its key, as rustls takes it.
pub(crate) type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads an identity's PEM.
pub(crate) fn chain(identity: &Identity) -> Result<Chain, TlsError> {
    let in_memory = |source| TlsError::ReadPem {
        what: "the made certificate",
        file: PathBuf::from("memory"),
        source,
    };
    let certificate =
        CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).map_err(in_memory)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(in_memory)?;
    Ok((vec![certificate], key))
}

/// Puts the server's identity and, for mutual TLS, the authorities of clients together.
pub(crate) fn configure(
    (certificates, key): Chain,
    clients: Option<Vec<CertificateDer<'static>>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(authority)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(certificates, key)?;
    // Sessions resume however many clients there are: a ticket is kept by the client, not here.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .and_then(|found| {
            if found.is_empty() {
                Err(rustls::pki_types::pem::Error::NoItemsFound)
            } else {
                Ok(found)
            }
        });
    certificates.map_err(|source| TlsError::ReadPem {
        what: "a certificate",
        file: file.to_owned(),
        source,
    })
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|source| TlsError::ReadPem {
        what: "a private key",
        file: file.to_owned(),
        source,
    })
}
