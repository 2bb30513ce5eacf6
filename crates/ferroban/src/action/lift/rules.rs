//! Rules of `iptables`, of which many are made by one `iptables-restore`.
//!
//! The kernel is not spoken with directly: old iptables and new ones keep their rules in
//! different places, and `iptables-restore --noflush` of the same package knows which. Its
//! lines are the arguments of the single commands, so what they make is the same; and that
//! is looked at as well: the first rule that it makes must be the one that the command
//! made, with another address.

use ferroban_engine::Network;

use super::plain::{Edit, Rule};
use crate::process::script::Script;

/// How many rules one program is given to make.
const MOST_MADE: usize = 1000;
/// How many it is given to take out: each is looked for among all rules.
const MOST_TAKEN: usize = 250;

/// A rule as `iptables -S` shows it, but for its address, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sample {
    before: String,
    behind: String,
    place: Place,
}

/// Where a rule comes to stand, or where it stood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    At(usize),
    Last,
    /// It is taken out, wherever it is.
    Anywhere,
}

impl Sample {
    /// What one command did to the rules of its chain; nothing if it did more, or less, than
    /// to make or take out one rule with its address.
    pub(super) fn of(
        rule: &Rule,
        edit: &Edit,
        before: &[String],
        after: &[String],
    ) -> Option<Self> {
        let (more, fewer) = match edit.way.is_added {
            true => (after, before),
            false => (before, after),
        };
        let same = more
            .iter()
            .zip(fewer)
            .take_while(|(one, other)| one == other);
        let at = same.count();
        let (changed, rest) = more.get(at..)?.split_first()?;
        if rest != fewer.get(at..)? {
            return None;
        }
        let (front, behind) = changed.split_once(&shown(edit.network))?;
        let place = match (edit.way.is_added, rule.is_last) {
            (true, true) => Place::Last,
            (true, false) => Place::At(at),
            (false, _) => Place::Anywhere,
        };
        Some(Self {
            before: front.to_owned(),
            behind: behind.to_owned(),
            place,
        })
    }

    /// What the rules of the chain are to be once another address was dealt with in the same
    /// way; nothing if that cannot be said.
    pub(super) fn foretell(&self, network: Network, before: &[String]) -> Option<Vec<String>> {
        let rule = format!("{}{}{}", self.before, shown(network), self.behind);
        let mut rules = before.to_vec();
        match self.place {
            Place::At(at) if at <= rules.len() => rules.insert(at, rule),
            Place::Last => rules.push(rule),
            Place::Anywhere => drop(rules.remove(rules.iter().position(|known| *known == rule)?)),
            Place::At(_) => return None,
        }
        Some(rules)
    }
}

/// The address of a rule as it is shown.
fn shown(network: Network) -> String {
    format!(" -s {}/{} ", network.address(), network.prefix())
}

/// A command that shows the rules of a chain.
pub(super) fn list(program: &str, rule: &Rule) -> Script {
    let Rule {
        wait, table, chain, ..
    } = rule;
    Script::from(format!("{program}{wait} -t {table} -S {chain}").as_str())
}

/// Commands that do what these do, many at a time, and how many each does.
pub(super) fn together<'a>(
    rule: &Rule,
    edits: &'a [Edit],
) -> impl Iterator<Item = (Script, usize)> {
    let most = match edits.first() {
        Some(edit) if edit.way.is_added => MOST_MADE,
        _ => MOST_TAKEN,
    };
    edits.chunks(most).map(move |edits: &'a [Edit]| {
        let mut lines = String::new();
        for Edit { way, network, .. } in edits {
            if let Some(rule) = &way.rule {
                lines.push_str(&rule.line(*network));
                lines.push('\n');
            }
        }
        let program = edits.first().map_or("", |edit| &edit.way.program);
        let Rule { wait, table, .. } = rule;
        let text = format!(
            "{program}-restore --noflush{wait} <<'RULES'\n*{table}\n{lines}COMMIT\nRULES\n"
        );
        (Script::from(text.as_str()), edits.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::lift::plain;

    fn edit(text: &str) -> Edit {
        plain::read(&text.into()).unwrap()
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn one_rule_more_or_less_is_a_sample_and_anything_else_is_none() {
        let empty = "-N f\n-A f -j RETURN";
        let one = "-N f\n-A f -s 192.0.2.1/32 -j DROP\n-A f -j RETURN";
        let two =
            "-N f\n-A f -s 192.0.2.2/32 -j DROP\n-A f -s 192.0.2.1/32 -j DROP\n-A f -j RETURN";
        let last = "-N f\n-A f -j RETURN\n-A f -s 192.0.2.1/32 -j DROP";
        let (insert, append, delete) = (
            "iptables -I f 1 -s 192.0.2.1 -j DROP",
            "iptables -A f -s 192.0.2.1 -j DROP",
            "iptables -D f -s 192.0.2.1 -j DROP",
        );
        let rows = [
            // the command, the rules before and after, and what is foretold of 192.0.2.2
            (insert, empty, one, Some((one, two))),
            (
                append,
                empty,
                last,
                Some((empty, "-N f\n-A f -j RETURN\n-A f -s 192.0.2.2/32 -j DROP")),
            ),
            (
                delete,
                two,
                "-N f\n-A f -s 192.0.2.2/32 -j DROP\n-A f -j RETURN",
                Some((two, one)),
            ),
            (insert, empty, empty, None),
            (insert, empty, two, None),
            (insert, one, "-N f\n-A f -s 192.0.2.1/32 -j DROP", None),
            (delete, empty, one, None),
            (
                insert,
                empty,
                "-N f\n-A f -s 192.0.2.9/32 -j DROP\n-A f -j RETURN",
                None,
            ),
        ];
        let other = edit(insert.replace("192.0.2.1", "192.0.2.2").as_str()).network;
        for (command, before, after, foretold) in rows {
            let edit = edit(command);
            let rule = edit.way.rule.as_ref().unwrap();
            let sample = Sample::of(rule, &edit, &lines(before), &lines(after));
            let told = sample.zip(foretold).map(|(sample, (before, _))| {
                let rules = sample.foretell(other, &lines(before));
                rules.map_or_else(String::new, |rules| rules.join("\n"))
            });
            assert_eq!(
                told.as_deref(),
                foretold.map(|(_, after)| after),
                "{command}: {after}"
            );
        }
    }

    #[test]
    fn many_rules_are_the_lines_of_few_programs() {
        let of = |number: usize| {
            let (high, low) = (number / 250, number % 250);
            edit(&format!(
                "iptables -w 5 -t raw -I f 1 -s 192.0.{high}.{low} -j REJECT --reject-with x"
            ))
        };
        let edits: Vec<Edit> = (0..2500).map(of).collect();
        let rule = edits[0].way.rule.clone().unwrap();
        let scripts: Vec<(Script, usize)> = together(&rule, &edits).collect();
        let counts: Vec<usize> = scripts.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1000, 1000, 500]);
        let text = &scripts[2].0.text;
        let begin = "iptables-restore --noflush -w 5 <<'RULES'\n*raw\n-I f 1 -s 192.0.8.0 -j REJECT --reject-with x\n";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with("-I f 1 -s 192.0.9.249 -j REJECT --reject-with x\nCOMMIT\nRULES\n"));
        // The kernel takes 128 KiB for one argument.
        assert!(
            scripts
                .iter()
                .all(|(script, _)| script.text.len() < 120_000)
        );
    }
}
