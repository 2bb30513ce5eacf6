//! A mail as it is written: headers, an empty line, text. How they are encoded is lettre's.
//!
//! What an attacker wrote may be in the subject and in the text. Whatever it is, it stays
//! where it belongs: controls are spelled out, other alphabets are encoded, and what is
//! long is cut and says so.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use email_encoding::headers::writer::EmailWriter;
use email_encoding::headers::{quoted_string, rfc2047};
use ferroban_engine::Timestamp;
use lettre::message::Body;
use lettre::message::header::{
    ContentType, Date, HeaderName, HeaderValue, Headers, MIME_VERSION_1_0, MessageId,
};

use super::address::Address;
use crate::log;

/// The most of a subject, in bytes.
const MOST_SUBJECT: usize = 200;
/// The most of a line of the text, in bytes.
const MOST_LINE: usize = 2000;
/// The most of a text, in bytes.
const MOST_TEXT: usize = 60_000;
/// The end of the year 9999. lettre writes no later dates.
const LAST_SECOND: u64 = 253_402_300_799;

/// What is to be said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mail {
    pub(super) subject: String,
    pub(super) text: String,
}

/// Who says it to whom, and when.
pub(super) struct Head<'a> {
    pub(super) sendername: &'a str,
    pub(super) sender: &'a Address,
    pub(super) dest: &'a [Address],
    pub(super) time: Timestamp,
    /// Different for each mail of this host, without brackets.
    pub(super) id: &'a str,
}

/// The mail in lines that end with a carriage return and a line feed.
pub(super) fn letter(mail: &Mail, head: &Head<'_>) -> Vec<u8> {
    let to: Vec<String> = head.dest.iter().map(ToString::to_string).collect();
    let mut headers = Headers::new();
    headers.set(date(head.time));
    headers.insert_raw(written("From", |writer| {
        quoted_string::encode(&log::escape(head.sendername, false), writer)?;
        writer.space();
        write!(writer, "<{}>", head.sender)
    }));
    headers.insert_raw(plain("To", to.join(", ")));
    headers.insert_raw(subject(&mail.subject));
    headers.set(MessageId::from(format!("<{}>", head.id)));
    headers.insert_raw(plain("Auto-Submitted", "auto-generated".to_owned()));
    headers.set(MIME_VERSION_1_0);
    headers.set(ContentType::TEXT_PLAIN);
    let body = Body::new(body(&mail.text));
    headers.set(body.encoding());
    let mut letter = format!("{headers}\r\n").into_bytes();
    letter.extend(body.into_vec());
    letter
}

fn date(time: Timestamp) -> Date {
    let seconds = u64::try_from(time.secs()).unwrap_or(0).min(LAST_SECOND);
    Date::new(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A header with any text, encoded where it must be.
fn plain(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// A header as it is written here. lettre's own ones want a domain in each address.
fn written(
    name: &'static str,
    write: impl FnOnce(&mut EmailWriter<'_>) -> fmt::Result,
) -> HeaderValue {
    let mut value = String::new();
    // Writing to a string cannot fail.
    write(&mut EmailWriter::new(&mut value, name.len() + 2, 0, false)).ok();
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, String::new(), value)
}

fn subject(text: &str) -> HeaderValue {
    let text = cut(&log::escape(text, false), MOST_SUBJECT);
    if text.contains("=?") {
        // Readers would take it for something that is encoded.
        return written("Subject", |writer| rfc2047::encode(&text, writer));
    }
    plain("Subject", text)
}

/// The text in lines that end with a line feed. Tabs stay.
fn body(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.split('\n');
    while let Some(line) = lines.next() {
        if out.len() > MOST_TEXT {
            let left = lines.count() + 1;
            // Writing to a string cannot fail.
            writeln!(out, "… ({left} more line(s))").ok();
            break;
        }
        let parts: Vec<Cow<'_, str>> = cut_line(line)
            .split('\t')
            .map(|part| log::escape(part, false).into_owned().into())
            .collect();
        out.push_str(&parts.join("\t"));
        out.push('\n');
    }
    out
}

fn cut_line(line: &str) -> Cow<'_, str> {
    if line.len() <= MOST_LINE {
        return line.into();
    }
    cut(line, MOST_LINE).into()
}

/// At most so many bytes of a text, and how many are missing.
fn cut(text: &str, most: usize) -> String {
    let (kept, rest) = text.split_at(text.floor_char_boundary(most));
    if rest.is_empty() {
        return text.to_owned();
    }
    format!("{kept}… ({} more byte(s))", rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn letter_of(subject: &str, name: &str, text: &str) -> String {
        let (sender, dest) = (
            Address::parse("fail2ban").unwrap(),
            ["root", "a@example.org"].map(|text| Address::parse(text).unwrap()),
        );
        let head = Head {
            sendername: name,
            sender: &sender,
            dest: &dest,
            time: Timestamp::from_secs(1_795_668_465),
            id: "1.2@host",
        };
        let mail = Mail {
            subject: subject.to_owned(),
            text: text.to_owned(),
        };
        String::from_utf8(letter(&mail, &head)).unwrap()
    }

    #[test]
    fn a_plain_mail_can_be_read_as_it_is() {
        let all = letter_of("hello", "Fail2Ban", "one\n\ttwo");
        let lines: Vec<&str> = all.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "Date: Thu, 26 Nov 2026 04:47:45 +0000",
                "From: Fail2Ban <fail2ban>",
                "To: root, a@example.org",
                "Subject: hello",
                "Message-ID: <1.2@host>",
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: 7bit",
                "",
                "one",
                "\ttwo",
                "",
            ]
        );
    }

    #[test]
    fn headers_take_whatever_is_in_them() {
        let cases = [
            ("a\r\nBcc: b", "Subject: a\\r\\nBcc: b\r\n"),
            ("ü", "Subject: =?utf-8?b?w7w=?=\r\n"),
            ("=?x?Q?y?=", "Subject: =?utf-8?b?PT94P1E/eT89?=\r\n"),
        ];
        for (text, line) in cases {
            let all = letter_of(text, "n", "t");
            assert!(all.contains(line), "{text:?}: {all}");
        }
        let all = letter_of("s", "a \"b\" \\ c", "t");
        assert!(
            all.contains("From: \"a \\\"b\\\" \\\\ c\" <fail2ban>\r\n"),
            "{all}"
        );
        let long = letter_of(&format!("{} b", "x".repeat(60_000)), "n", "t");
        assert!(long.len() < 700, "{long}");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        assert_eq!(cut("äöü", 3), "ä… (4 more byte(s))");
        let text = body(&format!("{}\n{}", "y".repeat(60_000), "z"));
        assert!(text.contains("… (58000 more byte(s))\nz\n"));
        let text = body(&"line\n".repeat(60_000));
        assert!(text.len() < 61_000);
        assert!(text.ends_with("more line(s))\n"), "{}", text.len());
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_headers_are_ours(
            subject in "(\\PC|[\\r\\n\\t\u{0}\u{1b}\u{2028}=?]){0,300}",
            name in "(\\PC|\"){0,60}",
            text in "(\\PC|[\\r\\n\\t.\u{0}]){0,400}",
        ) {
            let all = letter_of(&subject, &name, &text);
            prop_assert!(all.is_ascii());
            let fits = |line: &str| line.len() <= 998 && !line.contains(['\r', '\n', '\0', '\u{1b}']);
            prop_assert!(all.split("\r\n").all(fits));
            let (head, _) = all.split_once("\r\n\r\n").unwrap();
            let names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with(' '))
                .map(|line| line.split_once(':').unwrap().0)
                .collect();
            prop_assert_eq!(names, [
                "Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version",
                "Content-Type", "Content-Transfer-Encoding",
            ]);
        }
    }
}
