//! TLS by rustls: what a script may ask for, checked at load time, and the
//! names of what can go wrong in a handshake.

use crate::{Failure, Origin};
use drumfire_reactor::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage,
    NamedGroup, OtherError, RootCertStore, SignatureScheme,
};
use std::io;
use std::sync::{Arc, OnceLock};
use tokio_rustls::client::TlsStream;

/// Sessions that a shard can resume.
const RESUMABLE_SESSIONS: usize = 256;

/// What a run asks of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates (PEM) to trust instead of the system's.
    pub ca: Vec<Vec<u8>>,
    /// The client's certificate chain and its key (PEM each).
    pub client: Option<ClientIdentity>,
    /// Accept any certificate.
    pub insecure: bool,
    /// The name to ask for and to check instead of the URL's host.
    pub server_name: Option<String>,
    /// Do a full handshake for every connection.
    pub no_resumption: bool,
    /// Offer no post-quantum key share, as older clients do: a smaller first message.
    pub classical_key_exchange: bool,
}

/// A client's certificate chain and its key, PEM each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, then its issuers.
    pub chain: Vec<u8>,
    /// The key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: Vec<u8>,
}

/// What is wrong with the options of TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The trusted certificates cannot be read.
    #[error("cannot read the CA certificates: {0}")]
    Ca(String),
    /// The client's certificate cannot be read.
    #[error("cannot read the client's certificate: {0}")]
    Certificate(String),
    /// The client's key cannot be read.
    #[error("cannot read the client's key: {0}\nhint: it must be PEM and not encrypted")]
    Key(String),
    /// The client's certificate and key do not go together.
    #[error("cannot use the client's certificate: {0}")]
    Identity(#[source] rustls::Error),
    /// The server name is neither a DNS name nor an address.
    #[error("`{0}` is neither a DNS name nor an address")]
    ServerName(String),
    /// The versions of TLS cannot be used.
    #[error("cannot set up TLS: {0}")]
    Setup(#[source] rustls::Error),
}

/// Checked options of TLS, shared by all shards. Reading the system's
/// certificates takes milliseconds, so they are read with the first handshake
/// unless [`Tls::load`] reads them before.
#[derive(Clone)]
pub struct Tls {
    options: Arc<Checked>,
}

struct Checked {
    provider: Arc<CryptoProvider>,
    ca: Option<Arc<RootCertStore>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    insecure: bool,
    server_name: Option<ServerName<'static>>,
    no_resumption: bool,
    config: OnceLock<Result<ClientConfig, Failure>>,
}

impl Tls {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// Which of them cannot be used and why.
    pub fn new(options: &TlsOptions) -> Result<Tls, TlsError> {
        let mut provider = aws_lc_rs::default_provider();
        if options.classical_key_exchange {
            provider
                .kx_groups
                .retain(|group| is_classical(group.name()));
        }
        let checked = Checked {
            provider: Arc::new(provider),
            ca: match options.ca.is_empty() {
                true => None,
                false => Some(Arc::new(read_roots(&options.ca)?)),
            },
            identity: options.client.as_ref().map(read_identity).transpose()?,
            insecure: options.insecure,
            server_name: options.server_name.as_deref().map(read_name).transpose()?,
            no_resumption: options.no_resumption,
            config: OnceLock::new(),
        };
        // What can be wrong is found now; only trust in the system's certificates waits.
        if checked.ca.is_some() || checked.insecure || checked.identity.is_some() {
            let config = checked.build().map_err(TlsError::Identity)?;
            // Nobody else has seen it yet, so the cell is empty.
            drop(checked.config.set(Ok(config)));
        }
        Ok(Tls {
            options: Arc::new(checked),
        })
    }

    /// Reads the system's certificates now, before time is measured.
    pub fn load(&self) {
        self.options.config();
    }

    /// A configuration for one shard, with sessions of its own to resume.
    pub(crate) fn shard_config(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, Failure> {
        let mut config = self.options.config().clone()?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = match self.options.no_resumption {
            true => Resumption::disabled(),
            false => Resumption::in_memory_sessions(RESUMABLE_SESSIONS),
        };
        Ok(Arc::new(config))
    }

    /// The name to ask an origin for.
    pub(crate) fn server_name(&self, origin: &Origin) -> Result<ServerName<'static>, Failure> {
        match &self.options.server_name {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(origin.host().to_owned())
                .map_err(|_| Failure::CertificateNameMismatch),
        }
    }
}

impl Default for Tls {
    /// The system's certificates (Mozilla's where it has none), no client
    /// certificate, resumption.
    fn default() -> Tls {
        Tls {
            options: Arc::new(Checked {
                provider: Arc::new(aws_lc_rs::default_provider()),
                ca: None,
                identity: None,
                insecure: false,
                server_name: None,
                no_resumption: false,
                config: OnceLock::new(),
            }),
        }
    }
}

impl Checked {
    fn config(&self) -> &Result<ClientConfig, Failure> {
        self.config
            .get_or_init(|| self.build().map_err(|error| failure_of(&error)))
    }

    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        match &self.identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()),
            None => Ok(builder.with_no_client_auth()),
        }
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        if self.insecure {
            return Ok(Arc::new(AnyCertificate(self.provider.clone())));
        }
        let roots = self.ca.clone().unwrap_or_else(|| Arc::new(system_roots()));
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone());
        let inner = verifier
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Arc::new(NamedErrors(inner)))
    }
}

fn is_classical(group: NamedGroup) -> bool {
    matches!(
        group,
        NamedGroup::X25519 | NamedGroup::secp256r1 | NamedGroup::secp384r1
    )
}

fn read_roots(pems: &[Vec<u8>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for pem in pems {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TlsError::Ca(error.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Ca(error.to_string()))?;
        }
    }
    match roots.is_empty() {
        true => Err(TlsError::Ca("no PEM certificate in it".to_owned())),
        false => Ok(roots),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(identity: &ClientIdentity) -> Result<Identity, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.chain).collect();
    let chain = chain.map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate("no PEM certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|error| TlsError::Key(error.to_string()))?;
    Ok((chain, key))
}

fn read_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

/// The system's certificates; Mozilla's where there are none, as in a bare container.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// Does the handshake.
pub(crate) async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let connector = tokio_rustls::TlsConnector::from(config);
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| failure_of_io(&error))
}

/// The failure that an error of a TLS stream stands for.
pub(crate) fn failure_of_io(error: &io::Error) -> Failure {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => failure_of(error),
        None => Failure::from_io(error),
    }
}

fn failure_of(error: &rustls::Error) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(error) => failure_of_certificate(error),
        rustls::Error::AlertReceived(alert) => failure_of_alert(*alert),
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Failure::TlsNotSpoken,
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            Failure::TlsIncompatible
        }
        rustls::Error::NoCertificatesPresented => Failure::CertificateRejected,
        _ => Failure::TlsProtocol,
    }
}

fn failure_of_alert(alert: AlertDescription) -> Failure {
    match alert {
        AlertDescription::CertificateRequired => Failure::TlsCertificateRequired,
        AlertDescription::UnknownCA => Failure::TlsUnknownCa,
        AlertDescription::BadCertificate => Failure::TlsBadCertificate,
        AlertDescription::HandshakeFailure => Failure::TlsHandshakeFailure,
        AlertDescription::ProtocolVersion => Failure::TlsProtocolVersion,
        AlertDescription::NoApplicationProtocol => Failure::TlsIncompatible,
        _ => Failure::TlsAlert,
    }
}

fn failure_of_certificate(error: &CertificateError) -> Failure {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Failure::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Failure::CertificateNotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::CertificateNameMismatch
        }
        CertificateError::Revoked => Failure::CertificateRevoked,
        CertificateError::BadSignature => Failure::CertificateSignature,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Failure::CertificatePurpose
        }
        CertificateError::UnknownIssuer => Failure::UnknownLeafIssuer,
        CertificateError::Other(other) => {
            let named = other.0.downcast_ref::<Failure>();
            named.copied().unwrap_or(Failure::CertificateRejected)
        }
        _ => Failure::CertificateRejected,
    }
}

/// Checks as webpki does, and says why an issuer is unknown, as OpenSSL does.
#[derive(Debug)]
struct NamedErrors(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for NamedErrors {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .0
            .verify_server_cert(leaf, intermediates, name, ocsp, now);
        verified.map_err(|error| match unknown_issuer(&error, leaf, intermediates) {
            Some(failure) => CertificateError::Other(OtherError(Arc::new(failure))).into(),
            None => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn unknown_issuer(
    error: &rustls::Error,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Option<Failure> {
    // A root certificate shown as a server's own is refused before its issuer is looked for.
    let ca_as_leaf = matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::Other(_))
    );
    let unknown = matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
    );
    match (is_self_signed(leaf), intermediates.last()) {
        (true, _) if unknown || ca_as_leaf => Some(Failure::SelfSignedLeaf),
        (false, None) if unknown => Some(Failure::UnknownLeafIssuer),
        (false, Some(last)) if unknown && is_self_signed(last) => Some(Failure::SelfSignedChain),
        (false, Some(_)) if unknown => Some(Failure::UnknownChainIssuer),
        _ => None,
    }
}

/// Whether a certificate names itself as its issuer.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

/// Takes any certificate, and still checks that its key signed the handshake.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
