//! A mail as it is written: headers, an empty line, text.
//!
//! What an attacker wrote may be in the subject and in the text. Whatever it is, it stays
//! where it belongs: controls are spelled out, other alphabets are encoded, and what is
//! long is cut and says so.

use std::borrow::Cow;
use std::fmt::Write as _;

use ferroban_date::{Zone, rfc3339_millis};
use ferroban_engine::Timestamp;

use super::address::Address;
use super::base64::encoded;
use crate::log;

/// The most of a subject, in bytes.
const MOST_SUBJECT: usize = 200;
/// The most of a line of the text, in bytes.
const MOST_LINE: usize = 2000;
/// The most of a text, in bytes.
const MOST_TEXT: usize = 60_000;
/// The longest line that is sent as it is. Servers need take no more than 998.
const MOST_PLAIN: usize = 900;
/// How much of a text in another alphabet goes into one word of a header.
const WORD: usize = 45;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

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
pub(super) fn letter(mail: &Mail, head: &Head<'_>, zone: &Zone) -> String {
    let to: Vec<String> = head.dest.iter().map(ToString::to_string).collect();
    let mut out = format!(
        "Date: {}\r\nFrom: {} <{}>\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{}>\r\n",
        date(head.time, zone),
        phrase(head.sendername),
        head.sender,
        to.join(",\r\n "),
        unstructured(&mail.subject),
        head.id,
    );
    out.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
    let text = body(&mail.text);
    let is_plain = text.is_ascii() && text.split("\r\n").all(|line| line.len() <= MOST_PLAIN);
    if is_plain {
        out.push_str("Content-Type: text/plain; charset=us-ascii\r\n");
        out.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        out.push_str(&text);
        return out;
    }
    out.push_str("Content-Type: text/plain; charset=utf-8\r\n");
    out.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
    for line in text.as_bytes().chunks(57) {
        out.push_str(&encoded(line));
        out.push_str("\r\n");
    }
    out
}

/// `26 Nov 2026 05:47:45 +0100`.
fn date(time: Timestamp, zone: &Zone) -> String {
    let text = rfc3339_millis(time, zone);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().unwrap_or(1).saturating_sub(1);
    let month = MONTHS.get(month).copied().unwrap_or_default();
    let (clock, sign) = (part(11, 19), part(23, 24));
    let (hours, minutes) = (part(24, 26), part(27, 29));
    format!(
        "{} {month} {} {clock} {sign}{hours}{minutes}",
        part(8, 10),
        part(0, 4)
    )
}

/// A text as the value of a header.
fn unstructured(text: &str) -> String {
    let text = cut(&log::escape(text, false), MOST_SUBJECT);
    if text.is_ascii() && !text.contains("=?") {
        text
    } else {
        words(&text)
    }
}

/// The name before an address.
fn phrase(name: &str) -> String {
    let name = log::escape(name, false);
    if !name.is_ascii() || name.contains("=?") {
        return words(&name);
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Encoded, in words of the length that is allowed.
fn words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, more) = rest.split_at(rest.floor_char_boundary(WORD));
        words.push(format!("=?utf-8?B?{}?=", encoded(word.as_bytes())));
        rest = more;
    }
    words.join("\r\n ")
}

/// The text in lines. Tabs stay.
fn body(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.split('\n');
    while let Some(line) = lines.next() {
        if out.len() > MOST_TEXT {
            let left = lines.count() + 1;
            // Writing to a string cannot fail.
            write!(out, "… ({left} more line(s))\r\n").ok();
            break;
        }
        let parts: Vec<Cow<'_, str>> = cut_line(line)
            .split('\t')
            .map(|part| log::escape(part, false).into_owned().into())
            .collect();
        out.push_str(&parts.join("\t"));
        out.push_str("\r\n");
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

    fn written(subject: &str, name: &str, text: &str) -> String {
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
        letter(&mail, &head, &Zone::posix("CET-1").unwrap())
    }

    #[test]
    fn a_plain_mail_can_be_read_as_it_is() {
        let all = written("hello", "Fail2Ban", "one\n\ttwo");
        let lines: Vec<&str> = all.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "Date: 26 Nov 2026 05:47:45 +0100",
                "From: \"Fail2Ban\" <fail2ban>",
                "To: root,",
                " a@example.org",
                "Subject: hello",
                "Message-ID: <1.2@host>",
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=us-ascii",
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
            ("ü", "Subject: =?utf-8?B?w7w=?=\r\n"),
            ("=?x?Q?y?=", "Subject: =?utf-8?B?PT94P1E/eT89?=\r\n"),
        ];
        for (text, line) in cases {
            let all = written(text, "n", "t");
            assert!(all.contains(line), "{text:?}: {all}");
        }
        let all = written("s", "a \"b\" \\ c", "t");
        assert!(
            all.contains("From: \"a \\\"b\\\" \\\\ c\" <fail2ban>\r\n"),
            "{all}"
        );
        let long = written(&"x".repeat(60_000), "n", "t");
        let subject = long
            .split("\r\n")
            .find(|line| line.starts_with("Subject"))
            .unwrap();
        assert!(
            subject.len() < 90,
            "it is encoded, for the ellipsis is no ASCII: {subject}"
        );
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        assert_eq!(cut("äöü", 3), "ä… (4 more byte(s))");
        let text = body(&format!("{}\n{}", "y".repeat(60_000), "z"));
        assert!(text.contains("… (58000 more byte(s))\r\nz\r\n"));
        let text = body(&"line\n".repeat(60_000));
        assert!(text.len() < 61_000);
        assert!(text.ends_with("more line(s))\r\n"), "{}", text.len());
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_headers_are_ours(
            subject in "(\\PC|[\\r\\n\\t\u{0}\u{1b}\u{2028}=?]){0,300}",
            name in "(\\PC|\"){0,60}",
            text in "(\\PC|[\\r\\n\\t.\u{0}]){0,400}",
        ) {
            let all = written(&subject, &name, &text);
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
