//! The connection with a mail server inside TLS, and who vouches for the server.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::error::{Step, What};
use super::link::Timed;

pub(super) type Stream = StreamOwned<ClientConnection, Timed>;

/// Who may vouch for a server.
#[derive(Clone, Debug)]
pub(super) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those of a file, or else those whom the system trusts.
    pub(super) fn read(cafile: Option<&Path>) -> Result<Self, What> {
        let mut roots = RootCertStore::empty();
        let (certificates, name) = match cafile {
            Some(path) => {
                let name = path.display().to_string();
                let wrong = |error: &dyn std::fmt::Display| {
                    What::Trust(format!(
                        "{name}: certificates cannot be read: {error}; give a file in PEM as cafile"
                    ))
                };
                let all = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
                let all: Result<Vec<_>, _> = all.collect();
                (all.map_err(|error| wrong(&error))?, name)
            }
            None => {
                let all = rustls_native_certs::load_native_certs().certs;
                (all, "the system".to_owned())
            }
        };
        let (known, _) = roots.add_parsable_certificates(certificates);
        if known == 0 {
            return Err(What::Trust(format!(
                "{name} has no certificates to check the server with; install ca-certificates, or give cafile"
            )));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| What::Trust(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Agrees with the server upon a secret, and makes sure that it is the one of that name.
    pub(super) fn encrypt(&self, timed: Timed, host: &str) -> Result<Stream, What> {
        let broken = |source: io::Error| What::Broken {
            during: Step::Tls,
            source,
        };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| broken(io::Error::other(error)))?;
        let connection = ClientConnection::new(Arc::clone(&self.0), name);
        let connection = connection.map_err(|error| broken(io::Error::other(error)))?;
        let mut stream = StreamOwned::new(connection, timed);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(broken)?;
        }
        Ok(stream)
    }
}
