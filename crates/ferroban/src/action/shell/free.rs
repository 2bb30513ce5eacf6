//! Commands and texts that belong to no action: their tags are filled from a failure.
//!
//! The `ignorecommand` of a jail is one, the key of its `ignorecache` is another. Tags
//! stand for what they stand for in actions; nobody has been banned yet, so `<bancount>`
//! is 0 and `<bantime>` what the jail would ban for.

use std::borrow::Cow;
use std::sync::Arc;

use ferroban_engine::{Ban, Failure, JailName};

use super::bind::{Values, bind, write_out};
use super::tags::{Properties, Resolved, TagError};
use super::texts::constant;
use super::values::OfBan;
use super::{Facts, World};
use crate::process::script::Script;

/// A command for a failure. What the failure says never becomes a part of the script
/// that means something to the shell.
pub(crate) fn fill_command(
    command: &str,
    failure: &Failure,
    jail: &JailName,
    facts: &Arc<dyn Facts>,
) -> Result<Script, TagError> {
    let command = constants(command, &**facts)?;
    Ok(of_failure(failure, jail, facts, |values| {
        bind(&command, values)
    }))
}

/// A text that tells failures apart, and is read by nobody: the end of each value is
/// marked, so that none can pass for the text or the value beside it.
pub(crate) fn fill_key(
    key: &str,
    failure: &Failure,
    jail: &JailName,
    facts: &Arc<dyn Facts>,
) -> Result<String, TagError> {
    let key = constants(key, &**facts)?;
    Ok(of_failure(failure, jail, facts, |values| {
        write_out(&key, values)
    }))
}

/// Fills what is the same for every failure.
fn constants(text: &str, facts: &dyn Facts) -> Result<String, TagError> {
    let nothing = Resolved::new(&Properties::new(), "")?;
    nothing.fill(text, &|tag| constant(tag, facts))
}

fn of_failure<T>(
    failure: &Failure,
    jail: &JailName,
    facts: &Arc<dyn Facts>,
    fill: impl FnOnce(&dyn Values) -> T,
) -> T {
    let world = World {
        jail: jail.clone(),
        facts: Arc::clone(facts),
    };
    let ban = Ban {
        id: failure.id.clone(),
        time: failure.time,
        bantime: facts.bantime(),
        count: 0,
        ticket: failure.ticket.clone(),
        restored: false,
    };
    fill(&OfFailure(OfBan::new(&ban, &world)))
}

/// A failure, which looks like the ban that may come of it.
struct OfFailure<'a>(OfBan<'a>);

impl Values for OfFailure<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        let value = self.0.value(tag)?;
        if tag != "raw-ticket" {
            return Some(value);
        }
        // It is called by its kind.
        let rest = value.strip_prefix("BanTicket");
        let text = rest.map(|rest| format!("FailTicket{rest}"));
        Some(text.map_or(value, Cow::Owned))
    }

    fn capture(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.capture(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::IpAddr;

    use ferroban_engine::{BanTime, FailId, Match, Timestamp};

    struct Known;

    impl Facts for Known {
        fn bantime(&self) -> BanTime {
            BanTime::For(3600)
        }

        fn host(&self, _: IpAddr) -> Option<String> {
            Some("host.example".into())
        }

        fn own_name(&self, with_domain: bool) -> String {
            if with_domain { "box.example" } else { "box" }.into()
        }
    }

    fn failure(captures: &[(&str, &str)], line: &str) -> Failure {
        let id = FailId::parse("192.0.2.1");
        let mut failure = Failure::new(id, Timestamp::from_secs(1_700_000_000));
        failure.ticket.failures = 3;
        failure.ticket.matches = vec![Match::new("", "", line)];
        let owned = captures
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        failure.ticket.captures = owned.collect();
        failure
    }

    fn filled(command: &str, failure: &Failure) -> Script {
        let facts: Arc<dyn Facts> = Arc::new(Known);
        fill_command(command, failure, &"sshd".parse().unwrap(), &facts).unwrap()
    }

    fn key(key: &str, failure: &Failure) -> String {
        let facts: Arc<dyn Facts> = Arc::new(Known);
        fill_key(key, failure, &"sshd".parse().unwrap(), &facts).unwrap()
    }

    #[test]
    fn tags_are_filled_as_the_original_fills_them_for_an_ignorecommand() {
        let failure = failure(&[("user", "bob")], "a line");
        let cases = [
            ("<ip> <fid> <ip-host>", "192.0.2.1 192.0.2.1 host.example"),
            ("<ip-rev> <family>", "1.2.0.192. inet4"),
            ("<time> <bantime>", "1700000000.0 3600"),
            ("<bancount> <failures> <restored>", "0 3 0"),
            ("<matches>|<ipmatches>", "a line|a line"),
            ("<F-USER>|<F-NOPE>|<nope>", "bob||<nope>"),
            ("<jail.name>", "sshd"),
            ("a<br>b<sp>c", "a\nb c"),
            ("<fq-hostname> <sh-hostname>", "box.example box"),
        ];
        for (command, expected) in cases {
            let script = filled(command, &failure);
            assert_eq!(
                (script.text.as_str(), script.args.len()),
                (expected, 0),
                "{command}"
            );
        }
        let raw = filled("<raw-ticket>", &failure);
        assert_eq!(
            raw.args,
            [
                "FailTicket: ip=192.0.2.1 time=1700000000.0 bantime=None bancount=0 #attempts=3 \
             matches=['a line']"
            ]
        );
    }

    #[test]
    fn what_a_stranger_wrote_is_an_argument_of_the_shell() {
        let failure = failure(&[("user", "bob; touch /x")], "line $(id) 'x'");
        let script = filled("check <ip> \"<F-USER>\" \"<matches>\"", &failure);
        assert_eq!(
            script.text,
            "f2bV_matches=$0 f2bV_F_user=$1 \ncheck 192.0.2.1 \"$f2bV_F_user\" \"$f2bV_matches\""
        );
        assert_eq!(script.args, ["line $(id) 'x'", "bob; touch /x"]);
    }

    #[test]
    fn keys_are_the_same_for_the_same_and_no_value_passes_for_another() {
        let of = |user: &str, rhost: &str| failure(&[("user", user), ("rhost", rhost)], "a");
        let cases = [
            // key, one, another, the same?
            ("<F-USER>@<ip>", of("bob", "a"), of("bob", "b"), true),
            ("<F-USER>@<ip>", of("bob", "a"), of("eve", "a"), false),
            ("<F-USER><F-RHOST>", of("ab", "c"), of("a", "bc"), false),
            ("<F-USER>\0<F-RHOST>", of("a\0\0b", ""), of("a", "b"), false),
            (
                "<F-USER>",
                of("<F-RHOST>", "bob"),
                of("<F-RHOST>", "eve"),
                true,
            ),
            ("all", of("bob", "a"), of("eve", "b"), true),
        ];
        for (template, one, another, same) in cases {
            let (one, another) = (key(template, &one), key(template, &another));
            assert_eq!(one == another, same, "{template}: {one:?} {another:?}");
        }
    }
}
