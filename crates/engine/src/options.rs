//! The options of a jail, each listed once.
//!
//! The parser reads its values by this table, and what lists options for people
//! (the book, the command line) is made from it.

/// How an option's text is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `true`, `yes`, `on`, `1`, or not.
    Bool,
    /// A whole number.
    Count,
    /// A time such as `10m`, in seconds.
    Duration,
    /// A time such as `10m`, or `-1` for ever.
    BanTime,
    /// Text as it is.
    Text,
    /// Several texts, separated by blanks, commas or line ends.
    List,
    /// Several texts, one a line.
    Lines,
}

/// One option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OptionRow {
    /// Its name in a configuration file.
    pub name: &'static str,
    /// How it is read.
    pub kind: Kind,
    /// Its value where nobody sets one.
    pub default: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
}

/// Every option of a jail that takes effect.
pub const JAIL: &[OptionRow] = &[
    row("enabled", Kind::Bool, "false", "whether the jail is used"),
    row(
        "filter",
        Kind::Text,
        "",
        "the filter that finds failures, with its options in brackets",
    ),
    row(
        "backend",
        Kind::Text,
        "auto",
        "where lines come from: auto, polling, pyinotify (files) or systemd (the journal)",
    ),
    row(
        "logpath",
        Kind::Lines,
        "",
        "the files to read; the first that exists is taken when the backend is auto",
    ),
    row(
        "journalmatch",
        Kind::Text,
        "",
        "which journal entries to read: FIELD=value, + between alternatives",
    ),
    row(
        "maxretry",
        Kind::Count,
        "5",
        "how many failures lead to a ban",
    ),
    row(
        "findtime",
        Kind::Duration,
        "10m",
        "within which time they are counted",
    ),
    row(
        "bantime",
        Kind::BanTime,
        "10m",
        "how long a ban lasts; -1 for ever",
    ),
    row(
        "maxmatches",
        Kind::Count,
        "5",
        "how many matched lines are kept per address",
    ),
    row(
        "ignoreip",
        Kind::List,
        "",
        "addresses and networks that are never counted",
    ),
    row(
        "ignoreself",
        Kind::Bool,
        "true",
        "whether this host's own addresses are never counted",
    ),
    row(
        "action",
        Kind::Text,
        "ferroban",
        "how to ban, with its options in brackets",
    ),
];

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

/// The row of an option of a jail.
#[must_use]
pub fn jail(name: &str) -> Option<&'static OptionRow> {
    JAIL.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_listed_once_with_help() {
        for (index, row) in JAIL.iter().enumerate() {
            assert!(
                JAIL.iter()
                    .skip(index + 1)
                    .all(|other| other.name != row.name),
                "{}",
                row.name
            );
            assert!(
                !row.help.is_empty() && !row.help.ends_with('.'),
                "{}",
                row.name
            );
        }
        assert_eq!(jail("maxretry").map(|row| row.kind), Some(Kind::Count));
        assert_eq!(jail("max_retry"), None);
    }
}
