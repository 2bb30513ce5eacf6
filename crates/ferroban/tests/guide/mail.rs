//! A local mailbox, and a whois server that knows one network.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use crate::machine::read;
use crate::support::wait::{SOON, eventually};

/// Counts the questions of a whois server that answers as long as the world stands.
pub(crate) struct Whois(Arc<AtomicUsize>);

/// Whom whois asks about addresses of the world, and what it says of each.
pub(crate) fn whois_server() -> Whois {
    fs::write("/etc/whois.conf", "^192\\.0\\.2\\. 127.0.0.1\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:43").unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut question = String::new();
            BufReader::new(&stream).read_line(&mut question).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let ip = question.trim();
            write!(stream, "inetnum: {ip}\r\nnetname: EXAMPLE-OF-{ip}\r\n").unwrap();
        }
    };
    let named = thread::Builder::new().name("whois".to_owned());
    named.spawn(answer).unwrap();
    Whois(asked)
}

impl Drop for Whois {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(self.0.load(Ordering::Relaxed) > 0, "whois asked nobody");
        }
    }
}

/// What the mailer has delivered.
pub(crate) struct Mailbox(&'static str);

impl Mailbox {
    pub(crate) fn of_root() -> Self {
        Self("/var/mail/root")
    }

    /// Waits for the mail about a ban, which must say what whois knows.
    pub(crate) fn must_have(&self, name: &str, ip: &str) {
        let mail = self.about(name, ip);
        for part in [
            "\nTo: <root@localhost>\n",
            &format!("inetnum: {ip}"),
            &format!("netname: EXAMPLE-OF-{ip}"),
        ] {
            assert!(mail.contains(part), "{part} is missing:\n{mail}");
        }
        let counted = ["5 attempts", "5 failures"];
        assert!(counted.iter().any(|text| mail.contains(text)), "{mail}");
    }

    /// Waits for the mail about a ban on a machine without whois.
    pub(crate) fn must_miss_whois(&self, name: &str, ip: &str) {
        let mail = self.about(name, ip);
        let told = ["missing whois program", "whois is missing"];
        assert!(told.iter().any(|text| mail.contains(text)), "{mail}");
    }

    /// The mail about a ban.
    fn about(&self, name: &str, ip: &str) -> String {
        let subject = format!("\nSubject: [Fail2Ban] {name}: banned {ip} from ");
        eventually(SOON, &subject, || {
            let text = read(self.0);
            let mut mails = text.split("\n\nFrom ").map(str::to_owned);
            mails.find(|mail| mail.contains(&subject))
        })
    }
}
