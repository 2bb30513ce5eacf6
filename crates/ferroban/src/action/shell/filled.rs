//! A command with all of its tags filled, without an action around it.
//!
//! The two passes as an action makes them, for whoever wants to know what becomes of a
//! command: what the options say may be anything, what the ticket says was written by an
//! attacker.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::bind::{Values, bind};
use super::tags::{Properties, Resolved};

/// A command that could be run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filled {
    /// The command with what the options say: nothing of the ticket is in it.
    pub trusted: String,
    /// What the shell is given to read.
    pub script: String,
    /// What it is given besides, and never reads as a script.
    pub args: Vec<String>,
}

/// Fills the tags of a command, first from options, then from what a ticket says of tags
/// and of captures (`F-user`). The error is a text for people.
pub fn fill(
    command: &str,
    options: &BTreeMap<String, String>,
    ticket: &BTreeMap<String, String>,
) -> Result<Filled, String> {
    let properties: Properties = options.clone();
    let trusted = Resolved::new(&properties, "family=inet4")
        .and_then(|resolved| resolved.fill(command, &|_| None))
        .map_err(|error| error.to_string())?;
    let script = bind(&trusted, &Ticket(ticket));
    Ok(Filled {
        trusted,
        script: script.text,
        args: script.args,
    })
}

struct Ticket<'a>(&'a BTreeMap<String, String>);

impl Values for Ticket<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        self.0.get(tag).map(Cow::from)
    }

    fn capture(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(&format!("F-{name}")).map(Cow::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const SPECIAL: &str = "\\#&;`|*?~<>^()[]{}$'\"\n\r";

    /// Nothing that means something to a shell comes from the ticket: of each such
    /// character a script has no more than the command had, but for the `$` of variables.
    fn must_be_tame(filled: &Filled) {
        let Filled {
            trusted,
            script,
            args,
        } = filled;
        let body = match args.as_slice() {
            [] => script.as_str(),
            _ => script.split_once('\n').unwrap().1,
        };
        for special in SPECIAL.chars() {
            let count = |text: &str| text.matches(special).count();
            let variables = if special == '$' {
                body.matches("$f2bV_").count()
            } else {
                0
            };
            assert!(
                count(body) <= count(trusted) + variables,
                "{special:?}: {filled:?}"
            );
        }
        assert!(args.iter().all(|arg| !arg.contains('\0')), "{filled:?}");
        assert!(args.iter().map(String::len).sum::<usize>() <= 1 << 20);
    }

    /// Names and texts that meet each other.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(
                &[
                    "<a>",
                    "<b>",
                    "<F-USER>",
                    "<F-A>",
                    "<F-",
                    "<a<b>>",
                    "a",
                    "b",
                    "USER",
                    ">",
                    "<",
                    "$f2bV_a",
                    "$0",
                    "${10}",
                    "'",
                    "\"",
                    "\n",
                    ";",
                    " ",
                    "<matches>",
                    "\0",
                    "é",
                ][..]
            )
            .prop_map(ToOwned::to_owned),
            "[ -~]{0,4}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn pairs(names: &'static [&'static str]) -> impl Strategy<Value = BTreeMap<String, String>> {
        let name = prop_oneof![
            4 => prop::sample::select(names).prop_map(ToOwned::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::btree_map(name, texts(), 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn whatever_a_ticket_says_the_script_is_that_of_the_options(
            command in texts(),
            options in pairs(&["a", "b", "a?family=inet4", "matches", "F-USER"]),
            ticket in pairs(&["ip", "a", "matches", "F-user", "F-a", "F-", "fid"]),
        ) {
            if let Ok(filled) = fill(&command, &options, &ticket) {
                must_be_tame(&filled);
            }
        }
    }

    #[test]
    fn a_ticket_that_says_something_dangerous_is_an_argument() {
        let map = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()));
            owned.collect::<BTreeMap<String, String>>()
        };
        let options = map(&[("a", "iptables -s <ip>"), ("ip6?family=inet4", "no")]);
        let ticket = map(&[("ip", "192.0.2.1"), ("F-user", "$(x)")]);
        let filled = fill("<a> <ip6> <F-USER>", &options, &ticket).unwrap();
        assert_eq!(filled.trusted, "iptables -s <ip> no <F-USER>");
        let script = "f2bV_F_user=$0 \niptables -s 192.0.2.1 no $f2bV_F_user";
        assert_eq!(
            (filled.script.as_str(), filled.args),
            (script, vec!["$(x)".into()])
        );
        let endless = fill("<a>", &map(&[("a", "<b>"), ("b", "<a>")]), &ticket);
        assert!(endless.unwrap_err().contains("self referencing"));
    }
}
