//! Which commands are nothing but one change of one set.
//!
//! Whatever a shell could read in another way is not plain: a variable, a pattern, a second
//! command. So is what `nft` or `ipset` could: another order of words, a list, a name
//! instead of an address.

mod rule;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ferroban_engine::Network;

use crate::action::ipset::{LONGEST_NAME, LONGEST_TIMEOUT};
use crate::action::nftables::Element;
use crate::action::nftables::elsewhere::Place;
use crate::process::script::Script;
pub(super) use rule::Rule;

/// A program whose commands we know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tool {
    Nft,
    Ipset,
    Iptables,
    Ip6tables,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Ipset => "ipset",
            Self::Iptables => "iptables",
            Self::Ip6tables => "ip6tables",
        }
    }
}

/// Which set is changed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::action) enum Set {
    Nft(Place),
    Ipset(String),
    /// A chain of rules, of IPv6 or not.
    Chain {
        is_v6: bool,
        table: String,
        chain: String,
    },
}

/// As a command names it.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nft(Place { family, table, set }) => {
                let known = FAMILIES.iter().find(|(_, number)| number == family);
                let family = known.map_or("", |(name, _)| *name);
                write!(f, "{family} {table} {set}")
            }
            Self::Ipset(name) => f.write_str(name),
            Self::Chain { chain, .. } => f.write_str(chain),
        }
    }
}

/// A change of one set: one element comes, or goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::action) struct Edit {
    pub(super) way: Way,
    pub(super) network: Network,
    /// How long it stays, if that is said; 0 is for ever.
    pub(super) timeout: Option<Duration>,
}

/// What a command has in common with others: the same change of the same set, by the same
/// program. This is what is learnt.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Way {
    /// The word that names the program.
    pub(super) program: String,
    pub(super) set: Set,
    /// It comes into the set; else it leaves it.
    pub(super) is_added: bool,
    /// How long it stays is said.
    pub(super) timed: bool,
    /// What is there already, or not there, is fine.
    pub(super) exist: bool,
    /// The rule, where it is one.
    pub(super) rule: Option<Rule>,
}

impl Way {
    /// The command, as far as it is the same for all.
    pub(super) fn text(&self) -> String {
        let verb = self.set.verb(self.is_added);
        format!("{} {verb} {}", self.program, self.set)
    }
}

impl Edit {
    pub(super) fn element(&self) -> Element {
        Element {
            network: self.network,
            timeout: self.timeout.filter(|time| !time.is_zero()),
        }
    }
}

/// The families of tables, as `nft` names them, with their numbers (`NFPROTO_*`).
const FAMILIES: [(&str, u8); 6] = [
    ("inet", 1),
    ("ip", 2),
    ("arp", 3),
    ("netdev", 5),
    ("bridge", 7),
    ("ip6", 10),
];

/// What a command is, if it is plain.
pub(super) fn read(script: &Script) -> Option<Edit> {
    if !script.args.is_empty() {
        return None;
    }
    let words = words(&script.text)?;
    let (program, rest) = words.split_first()?;
    match program.rsplit('/').next()? {
        "nft" => nft(program, rest),
        "ipset" => ipset(program, rest),
        "iptables" => rule::read(program, rest, false),
        "ip6tables" => rule::read(program, rest, true),
        _ => None,
    }
}

/// Tags that cost nothing: nobody is asked for what they stand for.
const CHEAP: [&str; 4] = ["bantime", "family", "fid", "ip"];

/// Whether a command with its tags may be plain once these are filled, and filling them asks
/// nobody: neither DNS nor the database.
pub(super) fn may_be(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let name = first.rsplit('/').next().unwrap_or_default();
    let mut tags = text.split('<').skip(1);
    let is_cheap = |tag: &str| {
        tag.split_once('>')
            .is_some_and(|(tag, _)| CHEAP.contains(&tag))
    };
    ["nft", "ipset", "iptables", "ip6tables"].contains(&name)
        && !text.trim().contains('\n')
        && tags.all(is_cheap)
}

/// The words of a command, if a shell does nothing with it but take it apart.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    // Braces of the shell's own; those in quotes or behind a backslash are the program's.
    let mut braces = false;
    let mut chars = text.trim_matches([' ', '\t', '\n']).chars();
    while let Some(c) = chars.next() {
        if [' ', '\t'].contains(&c) {
            words.extend(finished(word.take(), &mut braces)?);
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\\' => word.push(chars.next().filter(|c| *c != '\n')?),
            '\'' | '"' => quoted(&mut chars, c, word)?,
            '{' | '}' => {
                braces = true;
                word.push(c);
            }
            '!' if word == "-" => word.push(c),
            c if c.is_ascii_alphanumeric() || "@%_+,./:-".contains(c) => word.push(c),
            _ => return None,
        }
    }
    words.extend(finished(word, &mut braces)?);
    Some(words)
}

/// A word that has ended; `None` if a shell may make something else of its braces.
fn finished(word: Option<String>, braces: &mut bool) -> Option<Option<String>> {
    let has_braces = std::mem::take(braces);
    match word {
        Some(word) if has_braces && word != "{" && word != "}" => None,
        word => Some(word),
    }
}

/// What stands in quotes, up to the next one; `None` if a shell would fill it.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, into: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            c if c == quote => return Some(()),
            '$' | '`' | '\\' | '!' if quote == '"' => return None,
            '\n' => return None,
            c => into.push(c),
        }
    }
}

/// `nft add element FAMILY TABLE SET { ADDRESS }`, and the same with `delete`.
fn nft(program: &str, words: &[String]) -> Option<Edit> {
    // `nft` puts its arguments together before it reads them.
    let text = words.join(" ").replace('{', " { ").replace('}', " } ");
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let (is_added, rest) = match words.as_slice() {
        ["add", "element", rest @ ..] => (true, rest),
        ["delete", "element", rest @ ..] => (false, rest),
        _ => return None,
    };
    let family = |name: &str| {
        let mut families = FAMILIES.iter();
        families.find_map(|(known, number)| (*known == name).then_some(*number))
    };
    let (family, table, set, element) = match rest {
        [table, set, "{", element @ .., "}"] if family(table).is_none() => (2, table, set, element),
        [of, table, set, "{", element @ .., "}"] => (family(of)?, table, set, element),
        _ => return None,
    };
    let (address, timeout) = match element {
        [address] => (address, None),
        [address, "timeout", time] if is_added => (address, Some(nft_time(time)?)),
        _ => return None,
    };
    let name = |text: &str| is_name(text).then(|| text.to_owned());
    Some(Edit {
        way: Way {
            program: program.to_owned(),
            set: Set::Nft(Place {
                family,
                table: name(table)?,
                set: name(set)?,
            }),
            is_added,
            timed: timeout.is_some(),
            exist: false,
            rule: None,
        },
        network: network(address)?,
        timeout,
    })
}

/// What `nft` takes for a name, and never for a word of its own language that could
/// stand there.
fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_letter)
}

/// `1d2h3m4s`, or some of that, in this order.
fn nft_time(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut units = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)].iter();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at_checked(end)?;
        let unit = behind.chars().next()?;
        let (_, length) = units.find(|(known, _)| *known == unit)?;
        let number: u64 = number.parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(*length)?)?;
        rest = behind.strip_prefix(unit)?;
    }
    // With 0 it depends on the kernel what becomes of it.
    (seconds > 0).then_some(Duration::from_secs(seconds))
}

/// `ipset [-exist] add SET ADDRESS [timeout SECONDS]`, and the same with `del`.
fn ipset(program: &str, words: &[String]) -> Option<Edit> {
    let (mut exist, mut rest) = (false, Vec::new());
    for word in words {
        match word.as_str() {
            "-exist" | "-!" | "--exist" => exist = true,
            "-quiet" | "-q" | "--quiet" => {}
            word => rest.push(word),
        }
    }
    let (is_added, name, address, timeout) = match rest.as_slice() {
        ["add" | "--add" | "-A", name, address] => (true, name, address, None),
        ["add" | "--add" | "-A", name, address, "timeout", time] => {
            let seconds: u32 = time.parse().ok().filter(|time| *time <= LONGEST_TIMEOUT)?;
            let time = Duration::from_secs(u64::from(seconds));
            (true, name, address, Some(time))
        }
        ["del" | "--del" | "-D", name, address] => (false, name, address, None),
        _ => return None,
    };
    let is_named = !name.starts_with('-') && !name.is_empty() && name.len() <= LONGEST_NAME;
    is_named.then_some(Edit {
        way: Way {
            program: program.to_owned(),
            set: Set::Ipset((*name).to_owned()),
            is_added,
            timed: timeout.is_some(),
            exist,
            rule: None,
        },
        network: network(address)?,
        timeout,
    })
}

/// An address or a network; nothing that has to be looked up.
fn network(text: &str) -> Option<Network> {
    let Some((address, prefix)) = text.split_once('/') else {
        return Some(Network::single(text.parse().ok()?));
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_number = prefix.chars().all(|c| c.is_ascii_digit());
    let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= most)?;
    (is_number && prefix > 0).then(|| Network::new(address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<Edit> {
        read(&text.into())
    }

    /// A change in few words.
    fn shown(edit: &Edit) -> String {
        let Edit {
            way,
            network,
            timeout,
        } = edit;
        let Way {
            program,
            set,
            is_added,
            exist,
            rule,
            ..
        } = way;
        if let Some(rule) = rule {
            return format!(
                "{program}{} {table}: {}",
                rule.wait,
                rule.line(*network),
                table = rule.table
            );
        }
        let sign = if *is_added { '+' } else { '-' };
        let timeout = timeout.map(|time| format!(" {}s", time.as_secs()));
        let exist = if *exist { " exist" } else { "" };
        format!(
            "{program}: {set} {sign} {network}{}{exist}",
            timeout.unwrap_or_default()
        )
    }

    #[test]
    fn plain_commands_are_understood() {
        let rows = [
            (
                "nft add element inet f2b-table addr-set-sshd \\{ 192.0.2.1 \\}",
                "nft: inet f2b-table addr-set-sshd + 192.0.2.1",
            ),
            (
                "/usr/sbin/nft delete element inet f2b-table addr6-set-x { 2001:db8::1 }\n",
                "/usr/sbin/nft: inet f2b-table addr6-set-x - 2001:db8::1",
            ),
            (
                "nft add element t s '{ 192.0.2.0/24 }'",
                "nft: ip t s + 192.0.2.0/24",
            ),
            (
                "nft \"add element ip6 t s {2001:db8::1}\"",
                "nft: ip6 t s + 2001:db8::1",
            ),
            (
                "nft add element ip t s { 192.0.2.1 timeout 1h30m }",
                "nft: ip t s + 192.0.2.1 5400s",
            ),
            (
                "ipset add f2b-sshd 192.0.2.1",
                "ipset: f2b-sshd + 192.0.2.1",
            ),
            (
                "ipset -exist add f2b-sshd 192.0.2.1 timeout 600",
                "ipset: f2b-sshd + 192.0.2.1 600s exist",
            ),
            (
                "ipset add f2b-sshd 192.0.2.1 timeout 0 -exist",
                "ipset: f2b-sshd + 192.0.2.1 0s exist",
            ),
            (
                "iptables -w -I f2b-sshd 1 -s 192.0.2.1 -j REJECT --reject-with icmp-port-unreachable",
                "iptables -w filter: -I f2b-sshd 1 -s 192.0.2.1 -j REJECT --reject-with icmp-port-unreachable",
            ),
            (
                "/sbin/ip6tables -w 5 -t raw -A c -p tcp --source 2001:db8::1 -j DROP",
                "/sbin/ip6tables -w 5 raw: -A c -p tcp -s 2001:db8::1 -j DROP",
            ),
            (
                "iptables -D f2b-sshd -s 192.0.2.0/24 -j DROP",
                "iptables filter: -D f2b-sshd -s 192.0.2.0/24 -j DROP",
            ),
            (
                " ipset -! del f2b-sshd6 2001:db8::/64 ",
                "ipset: f2b-sshd6 - 2001:db8::/64 exist",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(
                of(text).as_ref().map(shown).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_plain_or_asks_somebody_is_not_filled_for_that() {
        let rows = [
            ("nft add element inet t s \\{ <ip> \\}", true),
            (" /sbin/ipset add s <ip> timeout <bantime>\n", true),
            ("iptables -I f2b-x 1 -s <ip> -j DROP", true),
            ("iptables -I f2b-x 1 -s <ip> -j <ip-host>", false),
            ("ipset add s <ip> comment '<matches>'", false),
            ("ipset add s <ip", false),
            ("ipset add s <ip>\nipset add t <ip>", false),
            ("echo ipset add s <ip>", false),
            ("", false),
        ];
        for (text, expected) in rows {
            assert_eq!(may_be(text), expected, "{text}");
        }
    }

    #[test]
    fn whatever_else_it_could_be_is_left_to_the_shell() {
        let rows = [
            "",
            "nft",
            "ipset",
            "/usr/local/bin/ban add s 192.0.2.1",
            "nft add element inet t s { 192.0.2.1 }; true",
            "nft add element inet t s { 192.0.2.1 } || true",
            "nft add element inet t s { 192.0.2.1 }\nnft list ruleset",
            "nft add element inet t s { 192.0.2.1 } > /dev/null",
            "nft add element inet t $set { 192.0.2.1 }",
            "nft add element inet t \"$set\" { 192.0.2.1 }",
            "nft add element inet t `echo s` { 192.0.2.1 }",
            "nft add element inet t s { 192.0.2.1, 192.0.2.2 }",
            "nft add element inet t s {192.0.2.1,192.0.2.2}",
            "nft add element inet t s { 192.0.2.1-192.0.2.9 }",
            "nft add element inet t s { host.example }",
            "nft add element inet t s { 192.0.2.1 comment x }",
            "nft add element inet t s { 192.0.2.1 timeout 5 }",
            "nft add element inet t s { 192.0.2.1 timeout 5m2h }",
            "nft delete element inet t s { 192.0.2.1 timeout 5m }",
            "nft -a add element inet t s { 192.0.2.1 }",
            "nft add element other t s { 192.0.2.1 }",
            "nft add rule inet t c ip saddr 192.0.2.1 drop",
            "nft create element inet t s { 192.0.2.1 }",
            "nft add element inet t s { 192.0.2.0/33 }",
            "nft add element inet t s { 0.0.0.0/0 }",
            "nft add element inet t s { 192.0.2.*  }",
            "A=b nft add element inet t s { 192.0.2.1 }",
            "ipset add f2b-sshd 192.0.2.1 timeout $([ 600 -le 2147483 ] && echo 600 || echo 0)",
            "ipset add f2b-sshd 192.0.2.1 timeout 2147484",
            "ipset test f2b-sshd 192.0.2.1 || ipset add f2b-sshd 192.0.2.1",
            "ipset add f2b-sshd 192.0.2.1,tcp:22",
            "ipset add f2b-sshd 192.0.2.1 comment x",
            "ipset add -f2b 192.0.2.1",
            "ipset add a-name-that-is-longer-than-the-kernel-has-it 192.0.2.1",
            "ipset -exist",
            "~/ipset add s 192.0.2.1",
        ];
        for text in rows {
            assert_eq!(of(text), None, "{text}");
        }
        let bound = Script {
            text: "ipset add s 192.0.2.1".to_owned(),
            args: vec!["x".to_owned()],
        };
        assert_eq!(read(&bound), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(nft|ipset|iptables|[ -~]{0,5}) ?([ -~]|add|element|inet| -I c | -s |\\{|\\}|192.0.2.1|\\PC){0,40}") {
            let _whatever = of(&text);
        }

        /// What a shell hands over is what we take, word by word.
        #[test]
        fn words_are_those_of_a_shell(given in prop::collection::vec("[a-zA-Z0-9@%_+,./:-]{1,8}|[\\{\\}]", 1..6)) {
            let quoted: Vec<String> = given.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(words(&given.join(" ")).unwrap(), given.clone());
            prop_assert_eq!(words(&quoted.join("\t")).unwrap(), given);
        }
    }
}
