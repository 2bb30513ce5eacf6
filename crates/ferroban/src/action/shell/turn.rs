//! Whose turn it is: commands that touch the same things run one after the other.
//!
//! Actions were written for a daemon that runs one command at a time. Two jails that edit
//! one file with `sed`, or that look whether a table is empty before they delete it, would
//! spoil each other's work. But a mail that hangs in one jail must not keep another one
//! from banning. So what an action may touch is read out of its commands: the programs
//! that they name, but for those that only read and report, and the files. Commands wait
//! for each other where they have one of these in common, in the order in which they came.

use std::collections::BTreeSet;
use std::env;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Programs that change nothing on this host that another command could miss: what they
/// write goes to files, which count by themselves, or far away.
const HARMLESS: [&str; 62] = [
    "[",
    "awk",
    "basename",
    "cat",
    "chmod",
    "chown",
    "cp",
    "curl",
    "cut",
    "date",
    "dig",
    "dirname",
    "echo",
    "egrep",
    "env",
    "expr",
    "false",
    "fgrep",
    "find",
    "gawk",
    "geoiplookup",
    "getent",
    "grep",
    "gzip",
    "head",
    "host",
    "hostname",
    "id",
    "jq",
    "ln",
    "logger",
    "ls",
    "mail",
    "mailx",
    "mawk",
    "mkdir",
    "mktemp",
    "mv",
    "nice",
    "nslookup",
    "printf",
    "rm",
    "sed",
    "sendmail",
    "seq",
    "sh",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "uname",
    "uniq",
    "wc",
    "wget",
    "whois",
];
/// Folders whose files are read only, or are no files.
const READ_ONLY: [&str; 2] = ["/var/log/", "/dev/"];

/// What the commands of an action may touch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Touched(BTreeSet<String>);

impl Touched {
    /// Reads it out of commands. A program is what stands in a folder of `PATH`.
    pub(super) fn by<'a>(commands: impl Iterator<Item = &'a str>) -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = env::split_paths(&path).collect();
        let is_program = |word: &str| folders.iter().any(|folder| folder.join(word).is_file());
        Self::by_with(commands, &is_program)
    }

    fn by_with<'a>(
        commands: impl Iterator<Item = &'a str>,
        is_program: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut touched = BTreeSet::new();
        for command in commands {
            for (word, is_appended) in words(command) {
                let is_path = word.starts_with('/');
                let is_tool = match is_path {
                    true => word.contains("bin/"),
                    false => is_program(word),
                };
                let name = word.rsplit('/').next().unwrap_or(word);
                // A line that is only added to a file takes nothing from another one.
                let is_left_alone = is_appended || READ_ONLY.iter().any(|of| word.starts_with(of));
                if is_tool && !HARMLESS.contains(&name) {
                    touched.insert(name.to_owned());
                } else if is_path && !is_tool && !is_left_alone {
                    touched.insert(word.to_owned());
                }
            }
        }
        Self(touched)
    }

    fn meets(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }
}

/// The words of a command, and whether each is what `>>` adds to.
fn words(command: &str) -> impl Iterator<Item = (&str, bool)> {
    let parts =
        command.split_inclusive(|c: char| c.is_whitespace() || "|&;<>()`$'\"={},".contains(c));
    let (mut arrows, mut follows) = (0, false);
    parts.filter_map(move |part| {
        let word =
            part.trim_end_matches(|c: char| c.is_whitespace() || "|&;<>()`$'\"={},".contains(c));
        let is_appended = follows && !word.is_empty();
        if !word.is_empty() {
            (arrows, follows) = (0, false);
        }
        match part.chars().next_back() {
            Some('>') => {
                arrows += 1;
                follows = arrows >= 2;
            }
            Some(c) if c.is_whitespace() || "'\"".contains(c) => arrows = 0,
            _ => (arrows, follows) = (0, false),
        }
        (!word.is_empty()).then_some((word, is_appended))
    })
}

/// Who runs, and who waits for that, in the order in which they came.
#[derive(Debug)]
pub(super) struct Turns {
    claims: Mutex<Claims>,
    changed: Condvar,
}

#[derive(Debug)]
struct Claims {
    last: u64,
    all: Vec<(u64, Touched)>,
}

/// A turn, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Turns {
    pub(super) const fn new() -> Self {
        Self {
            claims: Mutex::new(Claims {
                last: 0,
                all: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until nobody who came before has anything in common with this.
    pub(super) fn take(&self, touched: &Touched) -> Turn<'_> {
        let mut claims = self.lock();
        claims.last += 1;
        let number = claims.last;
        claims.all.push((number, touched.clone()));
        let must_wait = |claims: &mut Claims| {
            let mut before = claims.all.iter().take_while(|(other, _)| *other != number);
            before.any(|(_, other)| other.meets(touched))
        };
        drop(
            self.changed
                .wait_while(claims, must_wait)
                .unwrap_or_else(PoisonError::into_inner),
        );
        Turn {
            turns: self,
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let number = self.number;
        self.turns.lock().all.retain(|(other, _)| *other != number);
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::mpsc::channel;
    use std::thread;

    fn touched(commands: &[&str]) -> Vec<String> {
        let programs = [
            "nft", "iptables", "sed", "mail", "whois", "grep", "myban", "rm", "sendmail",
        ];
        let is_program = |word: &str| programs.contains(&word);
        let touched = Touched::by_with(commands.iter().copied(), &is_program);
        touched.0.into_iter().collect()
    }

    #[test]
    fn what_is_touched_is_read_out_of_the_commands() {
        let rows: [(&[&str], &[&str]); 12] = [
            (
                &["nft add element inet f2b-table s { 192.0.2.1 }"],
                &["nft"],
            ),
            (&["/usr/sbin/nft delete set a b"], &["nft"]),
            (&["x=$(nft list tables|grep f2b)"], &["nft"]),
            (
                &["iptables -w -n -L INPUT | grep -q 'f2b-sshd[ \\t]'"],
                &["iptables"],
            ),
            (&["printf x | mail -s \"Banned\" root"], &[]),
            (&["printf x | /usr/sbin/sendmail -f a b"], &[]),
            (
                &["whois <ip>; grep <ip> /var/log/auth.log > /dev/null"],
                &[],
            ),
            (&["echo <ip> >> /tmp/rec"], &[]),
            (&["echo <ip> >>'/tmp/rec'", "rm -f /tmp/rec"], &["/tmp/rec"]),
            (&["echo <ip> > /tmp/rec"], &["/tmp/rec"]),
            (
                &["sed -i /x/d /etc/hosts.deny"],
                &["/etc/hosts.deny", "/x/d"],
            ),
            (
                &["myban <ip>", "/opt/ban/add <ip>"],
                &["/opt/ban/add", "myban"],
            ),
        ];
        for (commands, expected) in rows {
            assert_eq!(touched(commands), expected, "{commands:?}");
        }
    }

    #[test]
    fn a_turn_waits_for_those_before_it_that_touch_the_same() {
        let of = |names: &[&str]| Touched(names.iter().map(|name| (*name).to_owned()).collect());
        let turns = Turns::new();
        let first = turns.take(&of(&["a"]));
        // Neither has anything to wait for.
        drop(turns.take(&of(&["b"])));
        drop(turns.take(&Touched::default()));
        let (sender, order) = channel();
        thread::scope(|scope| {
            let waiting = |name: &'static str, touched: Touched| {
                let (turns, sender) = (&turns, sender.clone());
                let before = turns.lock().all.len();
                scope.spawn(move || {
                    let turn = turns.take(&touched);
                    sender.send(name).unwrap();
                    drop(turn);
                });
                while turns.lock().all.len() == before {
                    thread::yield_now();
                }
            };
            waiting("both", of(&["a", "b"]));
            // Nobody has it, but who came before waits for it.
            waiting("behind", of(&["b"]));
            assert!(order.try_recv().is_err());
            drop(first);
            assert_eq!(
                [order.recv().unwrap(), order.recv().unwrap()],
                ["both", "behind"]
            );
        });
    }
}
