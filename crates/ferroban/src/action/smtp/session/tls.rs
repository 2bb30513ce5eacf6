//! The same inside TLS, and who vouches for the server.

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use lettre::transport::smtp::Error as Failed;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::Noop;
use memchr::memmem;

use super::{Session, Way};
use crate::action::smtp::error::{Step, What};
use crate::action::smtp::settings::{Settings, Tls};

/// How long an answer that is there already takes to be read.
const AT_ONCE: Duration = Duration::from_millis(1);
/// With what a certificate begins.
const BEGINS: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Who may vouch for the server, if the connection is to be kept from others.
pub(super) fn parameters(settings: &Settings) -> Result<Option<TlsParameters>, What> {
    if settings.tls == Tls::No {
        return Ok(None);
    }
    let mut tls = TlsParameters::builder(settings.host.clone());
    if let Some(path) = &settings.cafile {
        let wrong = |why: &dyn Display| {
            let name = path.display();
            What::Trust(format!(
                "cafile {name}: {why}; give a file of certificates in PEM"
            ))
        };
        let text = fs::read(path).map_err(|error| wrong(&error))?;
        if memmem::find(&text, BEGINS).is_none() {
            return Err(wrong(&"it has no certificates"));
        }
        let certificate = Certificate::from_pem(&text).map_err(|error| wrong(&error))?;
        tls = tls
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    let tls = tls.build();
    let tls = tls.map_err(|error| What::Trust(format!("TLS cannot be used: {error}; see cafile")));
    Ok(Some(tls?))
}

impl Session {
    /// Nobody else reads or writes from here on.
    pub(super) fn encrypt(&mut self, way: &Way<'_>, tls: &TlsParameters) -> Result<(), What> {
        (way.at)(Step::Tls);
        if !self.0.can_starttls() {
            return Err(What::Lacks("STARTTLS"));
        }
        let failed = |error: Failed| way.failed(&error, Step::Tls);
        self.0.starttls(tls, &way.hello()).map_err(failed)?;
        // What somebody put between before TLS, lettre takes for the first answers inside
        // it. Then one is left over, or that to NOOP, of one line, is that to EHLO.
        self.wait(AT_ONCE, Step::Tls)?;
        match self.0.read_response().map_err(failed) {
            Err(What::Late { .. }) => {}
            _ => return Err(What::Nonsense(Step::Tls)),
        }
        self.wait(way.settings.limit, Step::Tls)?;
        let reply = self.0.command(Noop).map_err(failed)?;
        match reply.message().count() {
            1 => Ok(()),
            _ => Err(What::Nonsense(Step::Tls)),
        }
    }
}
