//! Whether bans really reach the firewall.

use serde::Serialize;

use super::server::no_jail;
use super::text::{json, shown};
use super::{How, Problem};
use crate::cli::out;
use crate::wire::view::{Keeper, ProofView};

/// What was found out about a jail.
#[derive(Debug, Serialize)]
struct Checked {
    jail: String,
    actions: Vec<ProofView>,
}

pub(super) fn run(how: &How, only: Option<&str>) -> Result<(), Problem> {
    let mut server = how.open()?;
    let view = server.status()?;
    if let Some(name) = only
        && !view.jails.iter().any(|jail| jail.name == name)
    {
        return Err(no_jail(name, &view));
    }
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let mut all = Vec::new();
    for jail in view.jails.iter().filter(|jail| wanted(&jail.name)) {
        all.push(Checked {
            jail: jail.name.clone(),
            actions: server.check(&jail.name)?,
        });
    }
    if how.json {
        out::line(&json(&all));
    } else {
        all.iter().flat_map(lines).for_each(|line| out::line(&line));
    }
    let failed = all.iter().filter(|checked| {
        let wrong = |proof: &ProofView| proof.proven == Some(false);
        checked.actions.iter().any(wrong)
    });
    match failed.count() {
        0 => Ok(()),
        1 => Err(Problem::refused("bans of 1 jail do not reach the firewall")),
        many => Err(Problem::refused(format!(
            "bans of {many} jails do not reach the firewall"
        ))),
    }
}

/// What people read, a line for each action.
fn lines(checked: &Checked) -> Vec<String> {
    let jail = &checked.jail;
    if checked.actions.is_empty() {
        return vec![shown(&format!(
            "[{jail}] it has no action: nobody is kept out"
        ))];
    }
    let line = |proof: &ProofView| {
        let result = match (proof.proven, &proof.problem) {
            (Some(true), _) => {
                let tried = proof.tried.join(" and ");
                format!("ok: banned {tried}, found it in the kernel, and took it out again")
            }
            (Some(false), Some(problem)) => format!("DOES NOT BAN: {problem}"),
            (None, Some(problem)) => problem.clone(),
            (_, None) if proof.kept_by == Keeper::Commands => {
                "not proven: its commands are run, and nobody looks whether they did it".to_owned()
            }
            (_, None) => "nobody is kept out: it is a dry run".to_owned(),
        };
        shown(&format!("[{jail}] {}: {result}", proof.action))
    };
    checked.actions.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_line_that_says_whether_it_bans() {
        let proof = |action: &str, kept_by, proven, problem: Option<&str>| ProofView {
            action: action.to_owned(),
            kept_by,
            proven,
            tried: vec!["192.0.2.254".to_owned(), "2001:db8::fffe".to_owned()],
            problem: problem.map(str::to_owned),
        };
        let actions = vec![
            proof("ferroban", Keeper::Kernel, Some(true), None),
            proof("other", Keeper::Kernel, Some(false), Some("no right")),
            proof("mail", Keeper::Commands, None, None),
            proof("hostsdeny", Keeper::Commands, None, Some("without effect")),
            proof("ferroban", Keeper::Nobody, None, None),
        ];
        let jail = "sshd\u{1b}".to_owned();
        let shown = lines(&Checked { jail, actions });
        let starts = [
            "ferroban: ok: banned 192.0.2.254 and 2001:db8::fffe,",
            "other: DOES NOT BAN: no right",
            "mail: not proven",
            "hostsdeny: without effect",
            "ferroban: nobody is kept out",
        ];
        for (line, start) in shown.iter().zip(starts) {
            assert!(line.contains(&format!("] {start}")), "{line}");
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
        assert_eq!(shown.len(), starts.len());
    }
}
