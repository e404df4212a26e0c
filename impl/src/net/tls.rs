//! Encryption, and proof of who the other side is: TLS 1.3 in which both sides show a certificate.
//!
//! All nodes of a cluster trust one authority, and nothing else. The certificate of a node is signed
//! by it and carries the DNS name that [`certificate_name`] gives, `node-7.shop-4f1c09.quorate`, as a
//! subject alternative name; it serves as client and as server. The name is not one of the DNS: a node
//! may move to any address with its certificate. Where the certificate does not carry the name of the
//! node that the handshake claims, there is no connection.
//!
//! Sessions are not resumed, so each connection looks at the certificate anew.

use std::fmt;
use std::io;
use std::sync::Arc;

use quorate_spec::NodeId;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::{Resumption, verify_server_name};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{
    NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier,
};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, RootCertStore, ServerConfig,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::identity::ClusterId;

/// Whether connections are encrypted. All nodes of a cluster do the same.
#[derive(Clone, Debug)]
pub enum Security {
    /// They are not: anyone who can reach a node can read, write and be any node. It is for a machine
    /// or a network that nobody else is on, and a node says so when it starts.
    Open,
    /// They are, and both sides prove who they are.
    Tls(Tls),
}

/// The certificate of this node, its key, and whom it trusts.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    own: CertificateDer<'static>,
}

/// The name that the certificate of a node carries.
#[must_use]
pub fn certificate_name(cluster: &ClusterId, id: NodeId) -> String {
    format!("node-{id}.{cluster}.quorate")
}

/// What is wrong with the files that a node's certificate is made of.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TlsError {
    /// One of the files does not have what it should.
    #[error("the {file} is not readable as PEM: {error}")]
    Pem {
        /// What the file is for.
        file: &'static str,
        /// What the reader says.
        error: String,
    },
    /// The files do not go together.
    #[error("the certificate, its key and the authority do not go together: {0}")]
    Mismatch(String),
    /// The certificate is that of another node.
    #[error("this node's certificate does not carry the name {0}: make one that does")]
    OtherNode(String),
}

impl Tls {
    /// Takes the certificates in force from PEM: those of the authority, the chain of this node with
    /// its own first, and its private key.
    ///
    /// # Errors
    /// One of them is not readable, or they do not go together.
    pub fn from_pem(authority: &[u8], chain: &[u8], key: &[u8]) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("file of the authority", authority)? {
            roots.add(root).map_err(mismatch)?;
        }
        let chain = certificates("file of the certificate", chain)?;
        let own = chain.first().expect("there is one, or it was refused").clone();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Pem {
            file: "file of the private key",
            error: error.to_string(),
        })?;
        let (roots, provider) = (Arc::new(roots), Arc::new(default_provider()));

        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(mismatch)?
            .with_client_cert_verifier(verifier.build().map_err(mismatch)?)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(mismatch)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(mismatch)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(mismatch)?;
        client.resumption = Resumption::disabled();
        Ok(Tls {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            own,
        })
    }

    /// Whether this node's own certificate is that of the node.
    pub(crate) fn is_of(&self, cluster: &ClusterId, id: NodeId) -> Result<(), TlsError> {
        if proves(&self.own, cluster, id) {
            Ok(())
        } else {
            Err(TlsError::OtherNode(certificate_name(cluster, id)))
        }
    }

    /// Connects to the node, which proves that it is.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        cluster: &ClusterId,
        id: NodeId,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(certificate_name(cluster, id)).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }

    /// Takes a connection of someone whom the authority vouches for. Where that fails the stream is
    /// given back: it has been told why, and needs a moment to hear it.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<server::TlsStream<TcpStream>, (io::Error, TcpStream)> {
        self.acceptor.accept(stream).into_fallible().await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Whether the certificate that the other side showed is that of the node.
pub(crate) fn proves(certificate: &CertificateDer<'_>, cluster: &ClusterId, id: NodeId) -> bool {
    let name = ServerName::try_from(certificate_name(cluster, id));
    let certificate = ParsedCertificate::try_from(certificate);
    let (Ok(name), Ok(certificate)) = (name, certificate) else { return false };
    verify_server_name(&certificate, &name).is_ok()
}

fn certificates(file: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |error: String| TlsError::Pem { file, error };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|it| error(it.to_string()))?;
    if all.is_empty() { Err(error("it has no certificate".into())) } else { Ok(all) }
}

fn mismatch(error: impl fmt::Display) -> TlsError {
    TlsError::Mismatch(error.to_string())
}

/// Why an encrypted connection did not come about.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TlsFault {
    /// The other side's certificate is not one of the authority.
    #[error("TLS: the other side's certificate is not signed by this node's authority")]
    ForeignAuthority,
    /// The other side's certificate is no longer, or not yet, valid.
    #[error("TLS: the other side's certificate has expired, or is not valid yet")]
    Expired,
    /// The other side's certificate is that of another node.
    #[error("TLS: the other side's certificate is not that of the node that was meant")]
    OtherNode,
    /// The other side showed no certificate.
    #[error("TLS: the other side showed no certificate")]
    NoCertificate,
    /// The other side does not accept this node's certificate.
    #[error("TLS: the other side does not accept this node's certificate: {0}")]
    OwnRefused(&'static str),
    /// The other side does not speak TLS.
    #[error("TLS: the other side does not speak it: is it an open node?")]
    NotSpoken,
    /// Something else.
    #[error("TLS: {0}")]
    Other(String),
}

impl TlsFault {
    /// What the error says of TLS, if anything.
    pub(crate) fn of_io(error: &io::Error) -> Option<TlsFault> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(why) => match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    TlsFault::ForeignAuthority
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => TlsFault::OtherNode,
                _ => TlsFault::Other(error.to_string()),
            },
            Error::NoCertificatesPresented => TlsFault::NoCertificate,
            Error::InvalidMessage(_) => TlsFault::NotSpoken,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                    TlsFault::OwnRefused("it is not signed by the other side's authority")
                }
                AlertDescription::CertificateExpired => {
                    TlsFault::OwnRefused("it has expired, or is not valid yet")
                }
                AlertDescription::BadCertificate => {
                    TlsFault::OwnRefused("it is that of another node, or damaged")
                }
                AlertDescription::CertificateRequired => TlsFault::OwnRefused("none was shown"),
                _ => TlsFault::Other(error.to_string()),
            },
            _ => TlsFault::Other(error.to_string()),
        })
    }
}
