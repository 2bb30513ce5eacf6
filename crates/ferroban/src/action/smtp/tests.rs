use super::*;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ferroban_engine::event::Step as Stage;
use ferroban_engine::{FailId, Match, Ticket, Timestamp};

use crate::action::{Actions, Failure, Fate, Part};
use crate::log::Target;

#[cfg(feature = "tls")]
mod tls;

struct Nothing;

impl Facts for Nothing {
    fn own_name(&self, _with_domain: bool) -> String {
        "host.example".to_owned()
    }
}

/// What the client said, with `+` where it connected.
type Heard = Arc<Mutex<Vec<String>>>;

/// How a server of a test answers.
#[derive(Clone, Default)]
struct Ways {
    offers: Vec<&'static str>,
    /// Commands that begin so are answered so, each with its line end; those that are
    /// answered by nothing are waited with until the client goes.
    answers: Vec<(&'static str, &'static str)>,
    /// Hangs up after so many mails.
    most_mails: Option<usize>,
    /// Whether the answer to `MAIL` drips, and who is told when it has for long.
    drips: Option<(Arc<AtomicBool>, Sender<()>)>,
    /// What stands between before TLS.
    #[cfg(feature = "tls")]
    lie: &'static str,
    #[cfg(feature = "tls")]
    secret: Option<Arc<rustls::ServerConfig>>,
    /// Whether it begins inside TLS.
    #[cfg(feature = "tls")]
    is_inside: bool,
}

impl Ways {
    fn are_dripping(&self) -> bool {
        let drips = self.drips.as_ref();
        drips.is_some_and(|(goes_on, _)| goes_on.load(Ordering::Acquire))
    }
}

/// A mail server on a port of its own, which ends when this is dropped.
struct Server {
    port: u16,
    heard: Heard,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, ends) = (Heard::default(), Arc::new(AtomicBool::new(false)));
        let (told, is_over) = (Arc::clone(&heard), Arc::clone(&ends));
        let serve = move || {
            for client in listener.incoming() {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                lock(&told).push("+".to_owned());
                // A client that gives up is no failure of the server.
                drop(serve(&client.unwrap(), &ways, &told));
            }
        };
        let thread = thread::Builder::new().name("mails".into());
        Self {
            port,
            heard,
            ends,
            thread: Some(thread.spawn(serve).unwrap()),
        }
    }

    /// What it heard, once it has heard all.
    fn heard(mut self) -> Vec<String> {
        self.end();
        lock(&self.heard).clone()
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Release);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(heard: &Heard) -> MutexGuard<'_, Vec<String>> {
    heard.lock().unwrap()
}

/// Both sides of a connection.
trait Both: Read + Write {}

impl<T: Read + Write> Both for T {}

fn serve(client: &TcpStream, ways: &Ways, heard: &Heard) -> io::Result<()> {
    let mut stream: BufReader<Box<dyn Both>> = BufReader::new(Box::new(client.try_clone()?));
    #[cfg(feature = "tls")]
    if ways.is_inside {
        stream = tls::inside(client, ways)?;
    }
    match ways.answers.iter().find(|(to, _)| *to == "+") {
        Some((_, answer)) => say(&mut stream, answer)?,
        None => say(&mut stream, "220 test ESMTP\r\n")?,
    }
    let mut mails = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        lock(heard).push(command.to_owned());
        let mut answers = ways.answers.iter();
        if let Some((_, answer)) = answers.find(|(to, _)| command.starts_with(to)) {
            say(&mut stream, answer)?;
            continue;
        }
        match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => {
                let offers = ways.offers.iter().map(|offer| format!("250-{offer}\r\n"));
                let offers: String = offers.collect();
                say(
                    &mut stream,
                    &format!("250-test\r\n{offers}250 8BITMIME\r\n"),
                )?;
            }
            #[cfg(feature = "tls")]
            "STARTTLS" => {
                say(&mut stream, &format!("220 go\r\n{}", ways.lie))?;
                stream = tls::inside(client, ways)?;
                if !ways.lie.is_empty() {
                    tls::answer_late(&mut stream)?;
                }
            }
            "MAIL" if ways.are_dripping() => return drip(client, ways),
            "AUTH" if command.ends_with("LOGIN") => hear_login(&mut stream, heard)?,
            "AUTH" => say(&mut stream, "235 in\r\n")?,
            "DATA" => {
                say(&mut stream, "354 go\r\n")?;
                hear_letter(&mut stream, heard)?;
                mails += 1;
                let dots = ways.answers.iter().find(|(to, _)| *to == ".");
                say(
                    &mut stream,
                    dots.map_or("250 queued\r\n", |(_, answer)| answer),
                )?;
                if Some(mails) == ways.most_mails {
                    return Ok(());
                }
            }
            "QUIT" => return say(&mut stream, "221 bye\r\n"),
            _ => say(&mut stream, "250 ok\r\n")?,
        }
    }
}

/// A line that goes on, some bytes of it each time that nothing more is heard.
fn drip(mut client: &TcpStream, ways: &Ways) -> io::Result<()> {
    let (_, tell) = ways.drips.as_ref().unwrap();
    client.set_read_timeout(Some(Duration::from_millis(5)))?;
    client.write_all(b"250 ")?;
    // It has an end, so that a failure of the test is no hang.
    for drops in 0..2000 {
        if !ways.are_dripping() {
            break;
        }
        client.write_all(b"x")?;
        if client.read(&mut [0]).is_ok() {
            return Ok(());
        }
        if drops == 60 {
            tell.send(()).ok();
        }
    }
    Ok(())
}

fn say(stream: &mut BufReader<Box<dyn Both>>, text: &str) -> io::Result<()> {
    stream.get_mut().write_all(text.as_bytes())?;
    stream.get_mut().flush()
}

fn hear_login(stream: &mut BufReader<Box<dyn Both>>, heard: &Heard) -> io::Result<()> {
    say(stream, "334 VXNlcm5hbWU6\r\n")?;
    for answer in ["334 UGFzc3dvcmQ6\r\n", "235 in\r\n"] {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        lock(heard).push(line.trim_end().to_owned());
        say(stream, answer)?;
    }
    Ok(())
}

fn hear_letter(stream: &mut BufReader<Box<dyn Both>>, heard: &Heard) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == ".\r\n" {
            return Ok(());
        }
        lock(heard).push(format!("| {}", line.trim_end()));
    }
}

fn ban_of(id: &str) -> Ban {
    let line = |text: &str| Match {
        before: text.into(),
        ..Match::default()
    };
    Ban {
        id: FailId::parse(id),
        time: Timestamp::from_secs(1_795_668_000),
        bantime: BanTime::For(600),
        count: 2,
        ticket: Ticket {
            failures: 5,
            matches: vec![line("one <b>"), line(".two")],
            ..Ticket::default()
        },
        restored: false,
    }
}

/// The action with these options of a jail `sshd`, whose mails go to this port.
fn smtp(port: u16, options: &str) -> Smtp {
    let mut all = BTreeMap::from([("port".to_owned(), port.to_string())]);
    all.insert("host".to_owned(), "127.0.0.1".to_owned());
    for pair in options.split('|').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        all.insert(name.to_owned(), value.to_owned());
    }
    let log = Log::nowhere(Level::Info);
    let (jail, name) = ("sshd".parse().unwrap(), "mail".to_owned());
    Smtp::new(jail, name, &all, log, Arc::new(Nothing)).unwrap()
}

/// Lines that begin with one of these.
fn only<'a>(heard: &'a [String], starts: &[&str]) -> Vec<&'a str> {
    let starts_so = |line: &&String| starts.iter().any(|start| line.starts_with(start));
    heard.iter().filter(starts_so).map(String::as_str).collect()
}

#[test]
fn a_jail_that_starts_bans_and_stops_is_told_of() {
    let server = Server::start(Ways::default());
    let options = "sender=f2b@example.org|dest=root, admin@example.org|matches=matches";
    let mut smtp = smtp(server.port, options);
    smtp.start().unwrap();
    smtp.ban(&ban_of("192.0.2.1")).unwrap();
    smtp.ban(&Ban {
        restored: true,
        ..ban_of("192.0.2.9")
    })
    .unwrap();
    smtp.rest();
    smtp.stop().unwrap();
    smtp.stop().unwrap();
    let heard = server.heard();
    let envelope = [
        "MAIL FROM:<f2b@example.org>",
        "RCPT TO:<root>",
        "RCPT TO:<admin@example.org>",
        "DATA",
    ];
    let dialogue: Vec<&str> = [
        &["+", "EHLO host.example"][..],
        &envelope,
        &envelope,
        &["QUIT", "+", "EHLO host.example"],
        &envelope,
        &["QUIT"],
    ]
    .concat();
    let said: Vec<&str> = heard
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with('|'))
        .collect();
    assert_eq!(
        said, dialogue,
        "mails that wait together go over one connection"
    );
    assert_eq!(
        only(&heard, &["| Subject"]),
        [
            "| Subject: [Fail2Ban] sshd: started on host.example",
            "| Subject: [Fail2Ban] sshd: banned 192.0.2.1 on host.example",
            "| Subject: [Fail2Ban] sshd: stopped on host.example",
        ]
    );
    let text = heard.join("\n");
    for part in [
        "| From: Fail2Ban <f2b@example.org>\n| To: root, admin@example.org\n",
        "| The jail sshd on host.example has banned 192.0.2.1.",
        "| Failures:  5\n| Ban time:  600 second(s), until 20",
        "| Ban no.:   2\n",
        "| Lines of this ban:\n| one <b>\n| ..two\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ids = only(&heard, &["| Message-ID"]);
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[test]
fn nothing_that_was_captured_becomes_a_header_or_a_command() {
    let server = Server::start(Ways::default());
    let mut smtp = smtp(server.port, "matches=matches");
    let mut ban = ban_of("x\r\n.\r\nMAIL FROM:<evil>\r\nBcc: all");
    ban.ticket.matches = vec![Match {
        before: format!("ü\r\n.\r\nRCPT TO:<evil>\u{1b}[2J{}", "y".repeat(60_000)).into(),
        ..Match::default()
    }];
    smtp.ban(&ban).unwrap();
    drop(smtp);
    let heard = server.heard();
    assert_eq!(
        only(&heard, &["MAIL", "RCPT"]),
        ["MAIL FROM:<fail2ban>", "RCPT TO:<root>"]
    );
    let head: Vec<String> = heard
        .iter()
        .take_while(|line| *line != "| ")
        .cloned()
        .collect();
    assert!(head.len() < heard.len());
    assert_eq!(only(&head, &["| Bcc", "| MAIL"]), [""; 0]);
    assert!(heard.len() < 120, "{} lines: it is cut", heard.len());
}

#[test]
fn who_we_are_is_told_in_a_way_that_the_server_knows() {
    let cases = [
        ("AUTH PLAIN LOGIN", vec!["AUTH PLAIN AG1lAGdlaGVpbQ=="]),
        (
            "AUTH CRAM-MD5 LOGIN",
            vec!["AUTH LOGIN", "bWU=", "Z2VoZWlt"],
        ),
    ];
    for (offer, expected) in cases {
        let server = Server::start(Ways {
            offers: vec!["SIZE 1000", offer],
            ..Ways::default()
        });
        let mut smtp = smtp(server.port, "user=me|password=geheim");
        smtp.start().unwrap();
        drop(smtp);
        let heard = server.heard();
        assert_eq!(only(&heard, &["AUTH", "bWU=", "Z2Vo"]), expected);
    }
    let server = Server::start(Ways::default());
    let error = smtp(server.port, "user=me|password=geheim")
        .start()
        .unwrap_err();
    assert!(matches!(error.what, What::Lacks(_)), "{error}");
}

#[test]
fn what_the_server_refuses_is_told_and_the_password_is_not() {
    let cases = [
        ("+", "554 go away\r\n", "at its greeting: 554 go away"),
        (
            "+",
            "HTTP/1.1 400 Bad\r\n",
            "does not speak SMTP at its greeting",
        ),
        (
            "AUTH",
            "535 who is \u{1b}me?\r\n",
            "refused at the login: 535 who is \\u{1b}me?; correct user and password",
        ),
        (
            "MAIL",
            "550 no\r\n",
            "refused at the sender: 550 no; correct sender",
        ),
        (
            "RCPT",
            "550-no\r\n550 such user\r\n",
            "refused at the recipient: 550 no such user; correct dest",
        ),
        ("DATA", "451 later\r\n", "refused at the text: 451 later"),
        (
            ".",
            "552 too large\r\n",
            "refused at the text: 552 too large",
        ),
    ];
    for (to, answer, expected) in cases {
        let server = Server::start(Ways {
            offers: vec!["AUTH PLAIN"],
            answers: vec![(to, answer)],
            ..Ways::default()
        });
        let mut smtp = smtp(server.port, "user=me|password=geheim");
        let error = smtp.start().unwrap_err();
        assert!(!error.what.is_breakdown(), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected), "{to}: {shown}");
        assert!(
            !shown.contains("geheim") && !shown.contains("Z2Vo"),
            "{shown}"
        );
        drop(smtp);
    }
}

#[test]
fn who_may_get_it_gets_it_and_who_may_not_is_told() {
    let server = Server::start(Ways {
        answers: vec![("RCPT TO:<b", "550 unknown\r\n")],
        ..Ways::default()
    });
    let mut smtp = smtp(server.port, "dest=a b c");
    let error = smtp.start().unwrap_err();
    let expected = "sent, but not to b (550 unknown); correct dest";
    assert!(error.to_string().ends_with(expected), "{error}");
    drop(smtp);
    assert_eq!(only(&server.heard(), &["| Subject"]).len(), 1);
}

/// A server that says nothing, or too much, at any point.
#[test]
fn no_server_holds_up_bans_for_longer_than_a_mail_may_take() {
    let line = format!("250-{}\r\n", "x".repeat(900));
    let endless = Box::leak(line.repeat(200).into_boxed_str());
    let wide = Box::leak(format!("250 {}\r\n", "x".repeat(5000)).into_boxed_str());
    let cases = [
        ("+", "", true),
        ("EHLO", "250-dripping", true),
        ("MAIL", "", true),
        ("DATA", "", true),
        (".", "", true),
        ("MAIL", &*endless, false),
        ("MAIL", &*wide, false),
        ("MAIL", wide.trim_end(), true),
    ];
    for (to, answer, is_late) in cases {
        let server = Server::start(Ways {
            answers: vec![(to, answer)],
            ..Ways::default()
        });
        let mut smtp = smtp(server.port, "");
        if is_late {
            smtp.settings.limit = Duration::from_millis(100);
        }
        let before = clock::tick();
        let error = smtp.start().unwrap_err();
        assert!(clock::tick() - before < Duration::from_secs(5), "{to}");
        match error.what {
            What::Late { .. } if is_late => {}
            What::Nonsense(_) if !is_late => {}
            _ => panic!("{to} {answer}: {error}"),
        }
        drop(smtp);
    }
}

/// lettre's own limit is one for each read, and never reached here.
#[test]
fn a_server_that_drips_keeps_one_thread_and_no_ban() {
    let (tell, told) = channel();
    let goes_on = Arc::new(AtomicBool::new(true));
    let server = Server::start(Ways {
        drips: Some((Arc::clone(&goes_on), tell)),
        ..Ways::default()
    });
    let mut smtp = smtp(server.port, "");
    smtp.settings.limit = Duration::from_millis(100);
    let before = clock::tick();
    let error = smtp.ban(&ban_of("192.0.2.1")).unwrap_err();
    assert!(clock::tick() - before < Duration::from_secs(5));
    assert!(
        error.to_string().ends_with(
            "took longer than 0.1 second(s), at the sender; see whether it works, or raise timeout"
        ),
        "{error}"
    );
    // So many drops take three times as long as a read may.
    told.recv().unwrap();
    let before = clock::tick();
    for _ in 0..20 {
        let error = smtp.ban(&ban_of("192.0.2.2")).unwrap_err();
        assert!(matches!(error.what, What::Hanging), "{error}");
    }
    assert!(clock::tick() - before < Duration::from_secs(1), "at once");

    goes_on.store(false, Ordering::Release);
    let mailer = smtp.mailer.as_mut().unwrap();
    mailer.is_late = false;
    assert!(mailer.ends_until(clock::tick() + Duration::from_secs(60)));
    smtp.settings.limit = Duration::from_secs(60);
    smtp.ban(&ban_of("192.0.2.3")).unwrap();
    drop(smtp);
    let heard = server.heard();
    assert_eq!(only(&heard, &["+"]).len(), 2, "one thread at a time");
    assert_eq!(only(&heard, &["| Subject"]).len(), 1);
}

#[test]
fn a_server_that_hung_up_meanwhile_is_connected_to_again() {
    let server = Server::start(Ways {
        most_mails: Some(1),
        ..Ways::default()
    });
    let mut smtp = smtp(server.port, "");
    for id in ["192.0.2.1", "192.0.2.2"] {
        smtp.ban(&ban_of(id)).unwrap();
    }
    drop(smtp);
    let heard = server.heard();
    assert_eq!(only(&heard, &["+"]).len(), 2);
    assert_eq!(only(&heard, &["| Subject"]).len(), 2);
}

#[test]
fn a_server_that_cannot_be_reached_is_left_alone_after_some_failures() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut smtp = smtp(port, "");
    for _ in 0..3 {
        let error = smtp.ban(&ban_of("192.0.2.1")).unwrap_err();
        let start = format!("mail server 127.0.0.1:{port}: cannot be reached: Connection refused");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    let error = smtp.ban(&ban_of("192.0.2.1")).unwrap_err();
    assert!(matches!(error.what, What::Resting(_)), "{error}");
    assert!(
        error.to_string().contains("could not be used 3 times"),
        "{error}"
    );
}

#[test]
fn a_name_that_nobody_knows_is_told() {
    let mut smtp = smtp(25, "host=mail.invalid");
    let error = smtp.start().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its address cannot be found: nobody can be asked"),
        "{error}"
    );
}

fn jail(folder: &Path, port: u16) -> (Actions, Log) {
    let log = Log::open(&Target::File(folder.join("log")), Level::Debug).unwrap();
    let mut actions = Actions::new("sshd".parse().unwrap(), log.clone(), Arc::new(Nothing));
    let mut smtp = smtp(port, "user=me|password=geheim");
    smtp.log = log.clone();
    let part = Part::Smtp(Box::new(smtp));
    actions.configure(vec![("mail".to_owned(), part)], &[], true);
    (actions, log)
}

#[test]
fn a_mail_that_is_not_sent_is_a_failure_of_the_action_and_not_repeated() {
    let server = Server::start(Ways {
        offers: vec!["AUTH PLAIN"],
        answers: vec![("RCPT", "550 no\r\n")],
        ..Ways::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let (mut actions, log) = jail(folder.path(), server.port);
    drop(actions.start(&[], Timestamp::from_secs(0), &|| true));
    let ban = ban_of("192.0.2.1");
    actions.run_ban(&ban);
    actions.check(&ban, Timestamp::from_secs(2_000_000_000));
    actions.run_unban(&ban);
    let during = |fate: Fate| fate.failure.map(|Failure { during, id, .. }| (during, id));
    let (_, fates) = actions.take_fates();
    let fates: Vec<_> = fates.into_iter().map(during).collect();
    let failed = [(Stage::Start, None), (Stage::Ban, Some(ban.id.clone()))];
    assert_eq!(fates, failed.map(Some));
    drop(actions);
    assert_eq!(only(&server.heard(), &["MAIL"]).len(), 2);
    log.flush();
    let told = fs::read_to_string(folder.path().join("log")).unwrap();
    for part in [
        "ERROR   Failed to start jail 'sshd' action 'mail': mail server 127.0.0.1:",
        "ERROR   Failed to execute ban jail 'sshd' action 'mail' info 'ActionInfo({'ip': '192.0.2.1'",
        "refused at the recipient: 550 no; correct dest",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("geheim"));
}

#[test]
fn other_options_are_those_of_the_next_mail() {
    let server = Server::start(Ways::default());
    let folder = tempfile::tempdir().unwrap();
    let (mut actions, _) = jail(folder.path(), 1);
    actions.configure(
        vec![(
            "mail".to_owned(),
            Part::Smtp(Box::new(smtp(server.port, "dest=other"))),
        )],
        &[],
        false,
    );
    actions.run_ban(&ban_of("192.0.2.1"));
    let error = actions.call("mail", "ban", None).unwrap_err();
    assert_eq!(error.class, "NotImplementedError");
    drop(actions);
    assert_eq!(only(&server.heard(), &["RCPT"]), ["RCPT TO:<other>"]);
}
