//! Commands of `iptables` that are nothing but one rule with one address.

use ferroban_engine::Network;

use super::{Edit, Set, Way, is_name, network};

/// A rule with one address.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::action::lift) struct Rule {
    /// How long to wait for others, as an option.
    pub(in crate::action::lift) wait: String,
    pub(in crate::action::lift) table: String,
    pub(in crate::action::lift) chain: String,
    /// The arguments before the address, and those behind it.
    parts: (String, String),
    /// It comes to stand behind all others.
    pub(in crate::action::lift) is_last: bool,
}

impl Rule {
    /// The arguments with an address.
    pub(in crate::action::lift) fn line(&self, network: Network) -> String {
        let (before, behind) = &self.parts;
        format!("{before}{network}{behind}")
    }
}

/// Options of `iptables` that `iptables-restore` does not take in its lines, or that make
/// more of a command.
const NOT_IN_LINES: [&str; 12] = [
    "-4", "-6", "-M", "-W", "-c", "-n", "-t", "-v", "-w", "-x", "!", "-f",
];
/// The same in long, of which a beginning is enough.
const LONG: [&str; 4] = ["--wait", "--table", "--source", "--src"];

/// `iptables [-w [SECONDS]] [-t TABLE] -I CHAIN [NUMBER] … -s ADDRESS …`, and the same with
/// `-A` and `-D`.
pub(super) fn read(program: &str, words: &[String], is_v6: bool) -> Option<Edit> {
    let mut words: &[&str] = &words.iter().map(String::as_str).collect::<Vec<&str>>();
    let (mut wait, mut table) = (String::new(), "filter");
    let (operation, chain) = loop {
        match words {
            ["-w" | "--wait", seconds, rest @ ..] if is_number(seconds) => {
                wait = format!(" -w {seconds}");
                words = rest;
            }
            ["-w" | "--wait", rest @ ..] => {
                " -w".clone_into(&mut wait);
                words = rest;
            }
            ["-t" | "--table", name, rest @ ..] => {
                table = name;
                words = rest;
            }
            [operation @ ("-I" | "-A" | "-D"), chain, rest @ ..] => {
                words = rest;
                break (*operation, *chain);
            }
            _ => return None,
        }
    };
    if !is_name(chain) || !is_name(table) {
        return None;
    }
    let mut before = format!("{operation} {chain} ");
    if let [number, rest @ ..] = words
        && operation == "-I"
        && is_number(number)
    {
        before.push_str(number);
        before.push(' ');
        words = rest;
    }
    let (front, network, behind) = around(words)?;
    before.push_str(&front);
    let rule = Rule {
        wait,
        table: table.to_owned(),
        chain: chain.to_owned(),
        parts: (before, behind),
        is_last: operation == "-A",
    };
    (network.address().is_ipv6() == is_v6).then(|| Edit {
        way: Way {
            program: program.to_owned(),
            set: Set::Chain {
                is_v6,
                table: table.to_owned(),
                chain: chain.to_owned(),
            },
            is_added: operation != "-D",
            timed: false,
            exist: false,
            rule: Some(rule),
        },
        network,
        timeout: None,
    })
}

/// The words before the only address, that address, and the words behind it.
fn around(words: &[&str]) -> Option<(String, Network, String)> {
    let at = words
        .iter()
        .position(|word| ["-s", "--source"].contains(word))?;
    let (front, rest) = words.split_at_checked(at)?;
    let [_, address, behind @ ..] = rest else {
        return None;
    };
    let is_plain = |word: &&str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "_./:,+-".contains(c);
        let is_long = word.starts_with("--") && LONG.iter().any(|long| long.starts_with(word));
        let is_apart = NOT_IN_LINES.contains(word) || *word == "-s" || is_long;
        !is_apart && !word.is_empty() && word.chars().all(is_letter)
    };
    if !front.iter().chain(behind).all(is_plain) {
        return None;
    }
    let mut before: String = front.iter().flat_map(|word| [word, " "]).collect();
    before.push_str("-s ");
    let behind = behind.iter().flat_map(|word| [" ", word]).collect();
    Some((before, network(address)?, behind))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::action::lift::plain;

    #[test]
    fn what_is_no_single_rule_is_left_to_the_shell() {
        let rows = [
            "iptables -F f2b-sshd",
            "iptables -C f2b-sshd -s 192.0.2.1 -j DROP",
            "iptables -R f2b-sshd 1 -s 192.0.2.1 -j DROP",
            "iptables -D f2b-sshd 1",
            "iptables -I f2b-sshd 1 -j DROP",
            "iptables -I f2b-sshd 1 -s 192.0.2.1 -s 192.0.2.2 -j DROP",
            "iptables -I f2b-sshd 1 ! -s 192.0.2.1 -j DROP",
            "iptables -I f2b-sshd 1 -s 192.0.2.1,192.0.2.2 -j DROP",
            "iptables -I f2b-sshd 1 -s host.example -j DROP",
            "iptables -I f2b-sshd 1 -s 2001:db8::1 -j DROP",
            "ip6tables -I f2b-sshd 1 -s 192.0.2.1 -j DROP",
            "iptables -I f2b-sshd 1 -s 192.0.2.1 -m comment --comment 'a b' -j DROP",
            "iptables -I f2b-sshd 1 -s 192.0.2.1 -j DROP -t raw",
            "iptables -I f2b-sshd 1 -s 192.0.2.1 -j DROP --wait",
            "iptables -I f2b-sshd 1 -s 192.0.2.1 -j DROP --tab raw",
            "iptables -v -I f2b-sshd 1 -s 192.0.2.1 -j DROP",
            "iptables -I $chain 1 -s 192.0.2.1 -j DROP",
            "iptables -I -n 1 -s 192.0.2.1 -j DROP",
            "iptables -t",
        ];
        for text in rows {
            assert_eq!(plain::read(&text.into()), None, "{text}");
        }
    }
}
