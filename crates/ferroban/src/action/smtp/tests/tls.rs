//! The same inside TLS.

use super::*;

use crate::action::smtp::error::Step;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Who `localhost` is until 2126; known to nobody but these tests.
const CERTIFICATE: &str = include_str!("localhost.crt");
const KEY: &str = include_str!("localhost.key");

fn secret() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

pub(super) fn inside(client: &TcpStream, ways: &Ways) -> io::Result<BufReader<Box<dyn Both>>> {
    let config = Arc::clone(ways.secret.as_ref().unwrap());
    let connection = ServerConnection::new(config).unwrap();
    let stream = StreamOwned::new(connection, client.try_clone()?);
    Ok(BufReader::new(Box::new(stream)))
}

/// Answers to `EHLO` once the client has gone on, as if the lie before TLS had been it.
pub(super) fn answer_late(stream: &mut BufReader<Box<dyn Both>>) -> io::Result<()> {
    for _ in 0..2 {
        if stream.read_line(&mut String::new())? == 0 {
            return Ok(());
        }
    }
    say(stream, "250-test\r\n250 AUTH PLAIN\r\n250 ok\r\n")
}

fn ways() -> Ways {
    Ways {
        offers: vec!["STARTTLS", "AUTH PLAIN"],
        secret: Some(secret()),
        ..Ways::default()
    }
}

fn options(folder: &Path, tls: &str) -> String {
    let file = folder.join("ca.pem");
    fs::write(&file, CERTIFICATE).unwrap();
    format!(
        "tls={tls}|cafile={}|user=me|password=geheim",
        file.display()
    )
}

#[test]
fn a_password_is_told_inside_tls() {
    let folder = tempfile::tempdir().unwrap();
    for (tls, is_inside) in [("starttls", false), ("tls", true)] {
        let server = Server::start(Ways {
            is_inside,
            ..ways()
        });
        let mut smtp = smtp(server.port, &options(folder.path(), tls));
        smtp.start().unwrap();
        smtp.ban(&ban_of("192.0.2.1")).unwrap();
        smtp.rest();
        drop(smtp);
        let heard = server.heard();
        let said = only(&heard, &["+", "EHLO", "STARTTLS", "AUTH", "MAIL", "QUIT"]);
        let begins: &[&str] = if is_inside {
            &["+"]
        } else {
            &["+", "EHLO host.example", "STARTTLS"]
        };
        let rest = [
            "EHLO host.example",
            "AUTH PLAIN AG1lAGdlaGVpbQ==",
            "MAIL FROM:<fail2ban>",
            "MAIL FROM:<fail2ban>",
            "QUIT",
        ];
        assert_eq!(said, [begins, &rest].concat(), "{tls}");
    }
}

#[test]
fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let server = Server::start(ways());
    let mut smtp = smtp(server.port, "tls=starttls|user=me|password=geheim");
    let error = smtp.start().unwrap_err();
    // A machine may have no certificates at all.
    let is_refused = matches!(
        error.what,
        What::Broken {
            during: Step::Tls,
            ..
        } | What::Trust(_)
    );
    assert!(is_refused, "{error}");
    drop(smtp);
    assert_eq!(only(&server.heard(), &["AUTH", "MAIL"]), [""; 0]);
}

#[test]
fn what_stands_between_before_tls_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    for lie in [
        "250 and a lie\r\n",
        "250-test\r\n250 AUTH LOGIN\r\n250 ok\r\n",
        "250 a\r\n550 b\r\n250 c\r\n250 d\r\n",
        "250 a\r\n250",
    ] {
        let server = Server::start(Ways { lie, ..ways() });
        let mut smtp = smtp(server.port, &options(folder.path(), "starttls"));
        let error = smtp.start().unwrap_err();
        let expected = matches!(error.what, What::Nonsense(Step::Tls));
        assert!(expected, "{lie}: {error}");
        drop(smtp);
        assert_eq!(only(&server.heard(), &["AUTH", "MAIL"]), [""; 0], "{lie}");
    }
}

#[test]
fn without_tls_nothing_is_said_where_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (Ways::default(), "does not offer STARTTLS"),
        (
            Ways {
                answers: vec![("STARTTLS", "454 not now\r\n")],
                ..ways()
            },
            "refused at the start of TLS: 454 not now",
        ),
    ];
    for (ways, expected) in cases {
        let server = Server::start(ways);
        let mut smtp = smtp(server.port, &options(folder.path(), "starttls"));
        let error = smtp.start().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        drop(smtp);
        assert_eq!(only(&server.heard(), &["AUTH", "MAIL"]), [""; 0]);
    }
    fs::write(folder.path().join("none"), "nothing").unwrap();
    let none = format!("tls=tls|cafile={}", folder.path().join("none").display());
    let error = smtp(25, &none).start().unwrap_err();
    assert!(
        error.to_string().contains("it has no certificates"),
        "{error}"
    );
}
