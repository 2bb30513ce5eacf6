//! The usage text of `fail2ban-regex`, laid out as Python's `optparse` does.
//!
//! The explanations are wrapped at the width of the terminal, which is in `COLUMNS`.

use std::env;

/// The first line, which also stands before every mistake.
pub(super) fn usage() -> String {
    let program = env::args_os().next().unwrap_or_default();
    format!(
        "Usage: {} [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]\n",
        program.to_string_lossy()
    )
}

/// The whole text, without the last line end.
pub(super) fn text() -> String {
    let columns = env::var("COLUMNS").ok();
    let columns = columns.and_then(|text| text.trim().parse().ok());
    format!(
        "{}\n{ABOUT}\n{}\n{FOOTER}",
        usage(),
        options(columns.unwrap_or(80))
    )
}

const ABOUT: &str = "Fail2Ban  reads log file that contains password failure report
and bans the corresponding IP addresses using firewall rules.

This tools can test regular expressions for \"fail2ban\".

LOG:
  string                a string representing a log line
  filename              path to a log file (/var/log/auth.log)
  systemd-journal       search systemd journal (systemd-python required),
                        optionally with backend parameters, see `man jail.conf`
                        for usage and examples (systemd-journal[journalflags=1]).

REGEX:
  string                a string representing a 'failregex'
  filter                name of jail or filter, optionally with options (sshd[mode=aggressive])
  filename              path to a filter file (filter.d/sshd.conf)

IGNOREREGEX:
  string                a string representing an 'ignoreregex'
  filename              path to a filter file (filter.d/sshd.conf)
";

const FOOTER: &str = "
Report bugs to https://github.com/fail2ban/fail2ban/issues

Copyright (c) 2004-2008 Cyril Jaquier, 2008- Fail2Ban Contributors
Copyright of modifications held by their respective authors.
Licensed under the GNU General Public License v2 (GPL).

Written by Cyril Jaquier <cyril.jaquier@fail2ban.org>.
Many contributions by Yaroslav O. Halchenko, Steven Hiscocks, Sergey G. Brester (sebres).";

const OPTIONS: &[(&str, &str)] = &[
    ("--version", "show program's version number and exit"),
    ("-h, --help", "show this help message and exit"),
    (
        "-c CONFIG, --config=CONFIG",
        "set alternate config directory",
    ),
    (
        "-d DATEPATTERN, --datepattern=DATEPATTERN",
        "set custom pattern used to match date/times",
    ),
    (
        "--timezone=TIMEZONE, --TZ=TIMEZONE",
        "set time-zone used by convert time format",
    ),
    (
        "-e ENCODING, --encoding=ENCODING",
        "File encoding. Default: system locale",
    ),
    ("-r, --raw", "Raw hosts, don't resolve dns"),
    (
        "--usedns=USEDNS",
        "DNS specified replacement of tags <HOST> in regexp ('yes' - matches all form of hosts, \
         'no' - IP addresses only)",
    ),
    (
        "-L MAXLINES, --maxlines=MAXLINES",
        "maxlines for multi-line regex.",
    ),
    (
        "-m JOURNALMATCH, --journalmatch=JOURNALMATCH",
        "journalctl style matches overriding filter file. \"systemd-journal\" only",
    ),
    (
        "-l LOG_LEVEL, --log-level=LOG_LEVEL",
        "Log level for the Fail2Ban logger to use",
    ),
    ("-V", "get version in machine-readable short format"),
    ("-v, --verbose", "Increase verbosity"),
    (
        "--verbosity=VERBOSE",
        "Set numerical level of verbosity (0..4)",
    ),
    (
        "--verbose-date, --VD",
        "Verbose date patterns/regex in output",
    ),
    (
        "-D, --debuggex",
        "Produce debuggex.com urls for debugging there",
    ),
    ("--no-check-all", "Disable check for all regex's"),
    (
        "-o OUT, --out=OUT",
        "Set token to print failure information only (row, id, ip, msg, host, ip4, ip6, dns, \
         matches, ...)",
    ),
    (
        "-i, --invert",
        "Invert the sense of matching, to output non-matching lines.",
    ),
    ("--print-no-missed", "Do not print any missed lines"),
    ("--print-no-ignored", "Do not print any ignored lines"),
    ("--print-all-matched", "Print all matched lines"),
    (
        "--print-all-missed",
        "Print all missed lines, no matter how many",
    ),
    (
        "--print-all-ignored",
        "Print all ignored lines, no matter how many",
    ),
    (
        "-t, --log-traceback",
        "Enrich log-messages with compressed tracebacks",
    ),
    (
        "--full-traceback",
        "Either to make the tracebacks full, not compressed (as by default)",
    ),
];

/// The table of options, for so many columns.
fn options(columns: usize) -> String {
    let width = columns.saturating_sub(2);
    // The explanations begin where the longest option ends, but not too far right.
    let place = 24.min(width.saturating_sub(20).max(4));
    let room = width.saturating_sub(place).max(11);
    let mut text = String::from("Options:\n");
    for (option, explained) in OPTIONS {
        let mut lines = wrapped(explained, room).into_iter();
        let fits = option.len() <= place.saturating_sub(4);
        if fits {
            let first = lines.next().unwrap_or_default();
            text.push_str(&format!("  {option:<fill$}{first}\n", fill = place - 2));
        } else {
            text.push_str(&format!("  {option}\n"));
        }
        for line in lines {
            text.push_str(&format!("{:place$}{line}\n", ""));
        }
    }
    text
}

/// The words of a text in lines of at most `room` characters; a longer word is broken.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').flat_map(pieces) {
        let (glue, mut word) = word;
        let gap = usize::from(glue && !line.is_empty());
        if line.len() + gap + word.len() <= room {
            line.push_str(if gap > 0 { " " } else { "" });
            line.push_str(word);
            continue;
        }
        // A word that is longer than a line begins where there is room.
        if word.len() > room && line.len() + gap < room {
            let (head, tail) = word
                .split_at_checked(room - line.len() - gap)
                .unwrap_or((word, ""));
            line.push_str(if gap > 0 { " " } else { "" });
            line.push_str(head);
            word = tail;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > room {
            let (head, tail) = word.split_at_checked(room).unwrap_or((word, ""));
            lines.push(head.to_owned());
            word = tail;
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A word may be broken behind a hyphen between letters. With each piece, whether a blank
/// comes before it.
fn pieces(word: &str) -> Vec<(bool, &str)> {
    let bytes = word.as_bytes();
    let mut cuts = vec![0];
    for at in 1..bytes.len().saturating_sub(1) {
        let letter = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_alphabetic);
        if bytes.get(at) == Some(&b'-')
            && at >= 2
            && letter(at - 1)
            && letter(at - 2)
            && letter(at + 1)
        {
            cuts.push(at + 1);
        }
    }
    cuts.push(bytes.len());
    cuts.windows(2)
        .filter_map(|pair| {
            let (start, end) = (*pair.first()?, *pair.last()?);
            Some((start == 0, word.get(start..end)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_wrapped_at_the_width_of_the_terminal() {
        let narrow = options(80);
        assert!(narrow.contains(
            "\n  --usedns=USEDNS       DNS specified replacement of tags <HOST> in regexp\n\
             \x20                       ('yes' - matches all form of hosts, 'no' - IP\n"
        ));
        assert!(narrow.contains("\n  -d DATEPATTERN, --datepattern=DATEPATTERN\n      "));
        let wide = options(200);
        assert!(wide.contains("'no' - IP addresses only)\n"));
        for columns in 0..120 {
            assert!(options(columns).contains("--full-traceback"), "{columns}");
        }
    }
}
