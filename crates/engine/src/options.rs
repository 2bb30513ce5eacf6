//! The options of a configuration, each listed once.
//!
//! The parser reads its values by these tables, and what lists options for people
//! (the book, the man page, `ferroban config`) is made from them. Where an option may
//! stand is the table it is in: [`JAIL`] for the sections of `jail.conf`, [`VARIABLES`]
//! for what only other options refer to, [`SERVER`] and [`THREAD`] for `fail2ban.conf`.

/// How an option's text is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `true`, `yes`, `on`, `1`, or not.
    Bool,
    /// A whole number.
    Count,
    /// A whole number from 1 on.
    Positive,
    /// Whole numbers, separated by blanks.
    Counts,
    /// A time such as `10m`, in seconds.
    Duration,
    /// A time such as `10m`, or `-1` for ever.
    BanTime,
    /// One of these words, perhaps with options in brackets behind it.
    Choice(&'static [&'static str]),
    /// How much is logged: one of these words, or a number.
    Level(&'static [&'static str]),
    /// Text as it is.
    Text,
    /// Several texts, separated by blanks, commas or line ends.
    List,
    /// Several texts, one a line.
    Lines,
    /// A regular expression.
    Regex,
    /// Several regular expressions, one a line.
    Regexes,
    /// A time zone: an abbreviation, an offset such as `+0200`, or both.
    Zone,
}

impl Kind {
    /// What to write, in words that follow "write".
    ///
    /// ```
    /// use ferroban_engine::options::Kind;
    /// assert_eq!(Kind::Choice(&["warn", "no"]).wanted(), "warn or no");
    /// ```
    #[must_use]
    pub fn wanted(self) -> String {
        let text = match self {
            Self::Bool => "yes or no",
            Self::Count => "a whole number",
            Self::Positive => "a whole number from 1 on",
            Self::Counts => "whole numbers such as 1 2 4 8",
            Self::Duration => "a time such as 600, 10m or 1d 12h",
            Self::BanTime => "a time such as 600, 10m or 1d 12h, or -1 for ever",
            Self::Choice(words) => return alternatives(words),
            Self::Level(words) => return format!("{}, or a number", words.join(", ")),
            Self::Text => "text",
            Self::List => "items separated by blanks, commas or lines",
            Self::Lines => "one item a line",
            Self::Regex => "a regular expression",
            Self::Regexes => "one regular expression a line",
            Self::Zone => "a time zone such as UTC, CET or +0200",
        };
        text.to_owned()
    }
}

/// `a, b or c`.
fn alternatives(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.join(""),
    }
}

/// One option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OptionRow {
    /// Its name in a configuration file.
    pub name: &'static str,
    /// How it is read.
    pub kind: Kind,
    /// Its value where nobody sets one; empty if it then has none.
    pub default: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> OptionRow {
    OptionRow {
        name,
        kind,
        default,
        help,
    }
}

/// A row of [`VARIABLES`]: text that has no default of its own.
const fn named(name: &'static str, help: &'static str) -> OptionRow {
    row(name, Kind::Text, "", help)
}

const BACKENDS: &[&str] = &["auto", "polling", "pyinotify", "systemd"];
const USEDNS: &[&str] = &["yes", "warn", "no", "raw"];
const LEVELS: &[&str] = &["CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// Every option of a jail that takes effect.
#[rustfmt::skip]
pub const JAIL: &[OptionRow] = &[
    row("enabled", Kind::Bool, "false", "whether the jail is used"),
    row("filter", Kind::Text, "", "the filter that finds failures, with its options in brackets"),
    row("backend", Kind::Choice(BACKENDS), "auto", "where lines come from: auto, polling, pyinotify (files) or systemd (the journal)"),
    row("logpath", Kind::Lines, "", "the files to read, one a line, with * ? [...] and with head or tail behind a blank"),
    row("journalmatch", Kind::Lines, "", "which journal entries to read: FIELD=value, + between alternatives"),
    row("skip_if_nologs", Kind::Bool, "false", "whether a jail whose log files are all missing is skipped rather than an error"),
    row("systemd_if_nologs", Kind::Bool, "true", "whether backend auto may read the journal when all log files are missing"),
    row("logencoding", Kind::Text, "auto", "the encoding of the log files"),
    row("logtimezone", Kind::Zone, "", "the time zone of dates that name none"),
    row("usedns", Kind::Choice(USEDNS), "warn", "whether host names in a log are looked up: yes, warn, no or raw"),
    row("prefregex", Kind::Regex, "", "what every failure matches first; its <F-CONTENT> is what failregex sees"),
    row("failregex", Kind::Regexes, "", "what a failure looks like, instead of the filter's own"),
    row("ignoreregex", Kind::Regexes, "", "what is no failure after all, instead of the filter's own"),
    row("maxlines", Kind::Positive, "1", "how many lines a pattern may look at together"),
    row("datepattern", Kind::Lines, "", "how dates are written, if they are not found by themselves"),
    row("maxretry", Kind::Positive, "3", "how many failures lead to a ban"),
    row("findtime", Kind::Duration, "10m", "within which time they are counted"),
    row("maxmatches", Kind::Count, "5", "how many matched lines are kept per address"),
    row("bantime", Kind::BanTime, "10m", "how long a ban lasts; -1 for ever"),
    row("bantime.increment", Kind::Bool, "false", "whether bans of those who come back last longer"),
    row("bantime.factor", Kind::Text, "1", "what the growth of a ban is multiplied with"),
    row("bantime.formula", Kind::Text, "ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor", "how a ban grows with the number of earlier ones"),
    row("bantime.multipliers", Kind::Counts, "", "what each further ban is multiplied with, instead of the formula"),
    row("bantime.maxtime", Kind::Duration, "", "how long a ban may become"),
    row("bantime.rndtime", Kind::Duration, "", "up to how much is added to a ban by chance"),
    row("bantime.overalljails", Kind::Bool, "false", "whether the bans of all jails count as earlier ones"),
    row("ignoreself", Kind::Bool, "true", "whether this host's own addresses are never counted"),
    row("ignoreip", Kind::List, "", "addresses, networks and host names that are never counted"),
    row("ignorecommand", Kind::Text, "", "a command that says by exit code 0 that an address is not counted"),
    row("ignorecache", Kind::Text, "", "how long its answers are kept: key=\"<ip>\", max-count=100, max-time=5m"),
    row("action", Kind::Text, "", "how to ban, with options in brackets; several are separated by blanks or lines"),
];

/// What a client can call on a command action, sorted.
pub const ACTION_METHODS: &[&str] = &[
    "ban",
    "clearAllParams",
    "consistencyCheck",
    "escapeTag",
    "executeCmd",
    "flush",
    "invalidateBanEpoch",
    "prolong",
    "reban",
    "reload",
    "replaceDynamicTags",
    "replaceTag",
    "start",
    "stop",
    "unban",
];

/// Names that take no effect by themselves: the stock files define them so that other
/// options can refer to them, and pass them to filters and actions.
#[rustfmt::skip]
pub const VARIABLES: &[OptionRow] = &[
    named("mode", "which messages count: passed to the filter"),
    named("port", "the ports that are closed for a banned address"),
    named("protocol", "the protocol of these ports"),
    named("chain", "the chain of the packet filter in which bans begin"),
    named("blocktype", "how packets of a banned address are refused"),
    named("banaction", "the action that bans from ports"),
    named("banaction_allports", "the action that bans from everything"),
    named("action_", "ban only"),
    named("action_mw", "ban, and send a mail with whois data"),
    named("action_mwl", "ban, and send a mail with whois data and log lines"),
    named("action_xarf", "ban, and report to the owner of the address"),
    named("action_cf_mwl", "ban at Cloudflare, and send a mail"),
    named("action_blocklist_de", "report to blocklist.de"),
    named("action_badips", "report to badips.com, which is no more"),
    named("action_badips_report", "report to badips.com, which is no more"),
    named("action_abuseipdb", "report to abuseipdb.com"),
    named("blocklist_de_apikey", "the key for blocklist.de"),
    named("cfemail", "the account at Cloudflare"),
    named("cfapikey", "the key for Cloudflare"),
    named("destemail", "who gets mails"),
    named("sender", "who sends them"),
    named("sendername", "the name of who sends them"),
    named("mta", "the action that sends them: sendmail or mail"),
    named("fail2ban_agent", "how we present ourselves to web services"),
    named("default_backend", "the backend of the backends below"),
    named("syslog_backend", "the backend for services that log to syslog"),
    named("sshd_backend", "the backend for sshd"),
    named("dropbear_backend", "the backend for dropbear"),
    named("proftpd_backend", "the backend for proftpd"),
    named("pureftpd_backend", "the backend for pure-ftpd"),
    named("wuftpd_backend", "the backend for wu-ftpd"),
    named("postfix_backend", "the backend for postfix"),
    named("dovecot_backend", "the backend for dovecot"),
    named("mysql_backend", "the backend for mysqld"),
    named("syslog_local0", "where syslog writes by default"),
    named("syslog_authpriv", "where syslog writes authentication messages"),
    named("syslog_daemon", "where syslog writes messages of daemons"),
    named("syslog_ftp", "where syslog writes messages of FTP servers"),
    named("syslog_user", "where syslog writes messages of users"),
    named("syslog_mail", "where syslog writes messages of mail servers"),
    named("syslog_mail_warn", "where syslog writes their warnings"),
    named("sshd_log", "the log of sshd"),
    named("dropbear_log", "the log of dropbear"),
    named("apache_error_log", "the error logs of apache"),
    named("apache_access_log", "the access logs of apache"),
    named("nginx_error_log", "the error logs of nginx"),
    named("nginx_access_log", "the access logs of nginx"),
    named("lighttpd_error_log", "the error log of lighttpd"),
    named("auditd_log", "the log of auditd"),
    named("exim_main_log", "the log of exim"),
    named("suhosin_log", "the logs that suhosin may write to"),
    named("proftpd_log", "the log of proftpd"),
    named("pureftpd_log", "the log of pure-ftpd"),
    named("wuftpd_log", "the log of wu-ftpd"),
    named("vsftpd_log", "the log of vsftpd"),
    named("postfix_log", "the log of postfix"),
    named("dovecot_log", "the log of dovecot"),
    named("solidpop3d_log", "the log of solid-pop3d"),
    named("mysql_log", "the logs of mysqld"),
    named("roundcube_errors_log", "the error log of roundcube"),
];

/// Every option of `[Definition]` in `fail2ban.conf`.
#[rustfmt::skip]
pub const SERVER: &[OptionRow] = &[
    row("loglevel", Kind::Level(LEVELS), "INFO", "the least that is logged"),
    row("logtarget", Kind::Text, "STDERR", "a file, STDOUT, STDERR, SYSOUT, SYSLOG or SYSTEMD-JOURNAL, with options in brackets"),
    row("syslogsocket", Kind::Text, "auto", "the socket of syslog"),
    row("socket", Kind::Text, "/var/run/fail2ban/fail2ban.sock", "the control socket"),
    row("pidfile", Kind::Text, "/var/run/fail2ban/fail2ban.pid", "where the number of the process is written"),
    row("allowipv6", Kind::Choice(&["auto", "yes", "no"]), "auto", "whether this host has IPv6"),
    row("dbfile", Kind::Text, "/var/lib/fail2ban/fail2ban.sqlite3", "where bans are kept over a restart: a file, :memory: or None"),
    row("dbmaxmatches", Kind::Count, "10", "how many matched lines of a ban are kept there"),
    row("compat", Kind::Choice(&["", "strict"]), "", "ours: strict lets a missing log or filter keep every jail from starting, as fail2ban does"),
    row("dbpurgeage", Kind::Duration, "1d", "how long a ban is kept there after its end"),
];

/// Every option of `[Thread]` in `fail2ban.conf`.
pub const THREAD: &[OptionRow] = &[row(
    "stacksize",
    Kind::Count,
    "",
    "the stack of a thread in KiB: 0, or from 32 on",
)];

/// The row of an option of a jail.
#[must_use]
pub fn jail(name: &str) -> Option<&'static OptionRow> {
    find(JAIL, name)
}

/// The row of a name that only other options use.
#[must_use]
pub fn variable(name: &str) -> Option<&'static OptionRow> {
    find(VARIABLES, name)
}

fn find(table: &'static [OptionRow], name: &str) -> Option<&'static OptionRow> {
    table.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_listed_once_with_help() {
        for table in [&[JAIL, VARIABLES].concat()[..], SERVER, THREAD] {
            for (index, row) in table.iter().enumerate() {
                let name = row.name;
                let mut others = table.iter().skip(index + 1);
                assert!(others.all(|other| other.name != name), "{name} twice");
                assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{name}");
                assert_eq!(name, name.to_lowercase(), "keys are lower-cased");
            }
        }
        assert_eq!(jail("maxretry").map(|row| row.kind), Some(Kind::Positive));
        assert_eq!(jail("max_retry"), None);
        assert!(variable("banaction").is_some() && jail("banaction").is_none());
    }

    #[test]
    fn a_default_is_one_of_the_choices() {
        for row in JAIL.iter().chain(SERVER) {
            if let Kind::Choice(words) | Kind::Level(words) = row.kind {
                assert!(words.contains(&row.default), "{}", row.name);
            }
        }
    }

    #[test]
    fn choices_are_told_as_a_sentence() {
        assert_eq!(alternatives(&[]), "");
        assert_eq!(alternatives(&["a"]), "a");
        assert_eq!(alternatives(&["a", "b", "c"]), "a, b or c");
    }
}
