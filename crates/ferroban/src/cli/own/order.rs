//! Banning and lifting by hand. What came of it is looked up, not taken for granted.

use ferroban_date::Timestamp;
use ferroban_engine::FailId;
use serde::Serialize;

use super::bans::left;
use super::server::{Refused, Server, no_jail};
use super::text::{count, json, shown};
use super::{How, Problem};
use crate::cli::out;
use crate::clock;
use crate::wire::Value;
use crate::wire::view::{BanView, JailView, Keeper, ServerView};

/// So many ids go into one request.
const PORTION: usize = 500;

/// Words that the daemon would not take for ids.
const NO_IDS: [&str; 3] = ["--all", "--force", "--report-absent"];

/// Whom to ban, and where.
#[derive(Debug)]
pub(super) struct Ban {
    pub(super) jail: String,
    pub(super) ids: Vec<String>,
    pub(super) force: bool,
}

/// Whom to lift.
#[derive(Debug)]
pub(super) struct Unban {
    pub(super) words: Vec<String>,
    pub(super) all: bool,
    pub(super) report_absent: bool,
}

/// What came of a ban.
#[derive(Debug, Serialize)]
struct Banned<'a> {
    jail: &'a str,
    /// How many were not banned before; none if some were refused.
    new: Option<u64>,
    /// Why some were refused.
    refused: Option<String>,
    bans: Vec<BanView>,
}

/// What was lifted.
#[derive(Debug, Serialize)]
struct Lifted<'a> {
    /// None: all jails.
    jail: Option<&'a str>,
    lifted: u64,
    /// For each id that was named.
    ids: Vec<Count>,
}

/// How many bans an id stood for: of a network there may be several.
#[derive(Debug, Serialize)]
struct Count {
    id: String,
    lifted: u64,
}

pub(super) fn ban(how: &How, order: &Ban) -> Result<(), Problem> {
    check(&order.ids)?;
    let mut server = how.open()?;
    let view = server.status()?;
    let name = &*order.jail;
    if !view.jails.iter().any(|jail| jail.name == name) {
        return Err(no_jail(name, &view));
    }
    let mut words = vec!["set", name, "banip"];
    words.extend(order.force.then_some("--force"));
    words.extend(order.ids.iter().map(String::as_str));
    let (new, refused) = match server.order(&words) {
        Ok(value) => (Some(number(&value)), None),
        // Those that are not protected were banned all the same.
        Err(Refused::Because(text)) => (None, Some(own_words(&text))),
        Err(refused) => return Err(refused.into()),
    };
    let bans = server.bans(Some(name), &order.ids)?;
    let view = server.status()?;
    let jail = view.jails.into_iter().find(|jail| jail.name == name);
    let jail = jail.unwrap_or_default();
    let banned = Banned {
        jail: name,
        new,
        refused,
        bans,
    };
    tell_bans(how, &banned, &jail, clock::now());
    outcome(banned, &jail)
}

fn tell_bans(how: &How, banned: &Banned<'_>, jail: &JailView, now: Timestamp) {
    if how.json {
        out::line(&json(banned));
        return;
    }
    for ban in &banned.bans {
        out::line(&told(ban, jail, now));
    }
}

/// `192.0.2.7 is banned in sshd, ends in 10 min, holds`
fn told(ban: &BanView, jail: &JailView, now: Timestamp) -> String {
    let end = match ban.ends {
        None => "for ever".to_owned(),
        Some(_) => format!("ends in {}", left(ban, now)),
    };
    let holds = match (ban.holds, jail.kept_by) {
        (Some(true), _) => "holds".to_owned(),
        (None, _) => format!("told to {}", jail.actions.join(", ")),
        (Some(false), Keeper::Nobody) => "nobody keeps it out".to_owned(),
        (Some(false), _) => "NOT IN THE FIREWALL".to_owned(),
    };
    let text = format!("{} is banned in {}, {end}, {holds}", ban.id, ban.jail);
    shown(&text)
}

/// Whether everything is as it was wanted.
fn outcome(banned: Banned<'_>, jail: &JailView) -> Result<(), Problem> {
    if let Some(text) = banned.refused {
        return Err(Problem::refused(text));
    }
    let missing = |ban: &&BanView| ban.holds == Some(false) && jail.kept_by != Keeper::Nobody;
    match banned.bans.iter().filter(missing).count() {
        0 => Ok(()),
        missing => {
            let why = jail.trouble.as_deref();
            let why = why.unwrap_or("it has not answered yet; look again with 'ferroban bans'");
            let text = format!("{} not in the firewall: {why}", count(missing, "ban"));
            Err(Problem::refused(text))
        }
    }
}

/// The daemon names the option of its own command.
fn own_words(text: &str) -> String {
    text.replace("'banip --force'", "--force")
}

/// Whose bans are to be lifted.
#[derive(Debug, Eq, PartialEq)]
enum Target<'a> {
    All,
    AllOf(&'a str),
    Of(&'a str, &'a [String]),
    Everywhere(&'a [String]),
}

impl<'a> Target<'a> {
    /// The first word is a jail if there is one of that name.
    fn read(order: &'a Unban, view: &ServerView) -> Result<Self, Problem> {
        let is_jail = |word: &str| view.jails.iter().any(|jail| jail.name == word);
        let is_address = |word: &str| !matches!(FailId::parse(word), FailId::Text(_));
        match (&*order.words, order.all) {
            ([], true) => Ok(Self::All),
            ([jail], true) if is_jail(jail) => Ok(Self::AllOf(jail)),
            ([jail], true) => Err(no_jail(jail, view)),
            (_, true) => Err(Problem::usage(
                "either --all or ids, not both; see 'ferroban unban --help'",
            )),
            ([jail], false) if is_jail(jail) => {
                let text = format!("whom to lift in {jail}? Name ids, or say --all");
                Err(Problem::usage(text))
            }
            ([jail, ids @ ..], false) if is_jail(jail) => Ok(Self::Of(jail, ids)),
            // Who misspells a jail does not mean all of them.
            ([jail, _, ..], false) if !is_address(jail) => Err(no_jail(jail, view)),
            (ids, false) => Ok(Self::Everywhere(ids)),
        }
    }

    fn jail(&self) -> Option<&'a str> {
        match self {
            Self::AllOf(jail) | Self::Of(jail, _) => Some(jail),
            Self::All | Self::Everywhere(_) => None,
        }
    }
}

pub(super) fn unban(how: &How, order: &Unban) -> Result<(), Problem> {
    check(&order.words)?;
    let mut server = how.open()?;
    let view = server.status()?;
    let target = Target::read(order, &view)?;
    let (lifted, ids) = match &target {
        Target::All => (number(&server.order(&["unban", "--all"])?), Vec::new()),
        Target::AllOf(jail) => (lift_all(&mut server, jail)?, Vec::new()),
        Target::Of(_, ids) | Target::Everywhere(ids) => {
            let ids = lift(&mut server, target.jail(), ids)?;
            (ids.iter().map(|count| count.lifted).sum(), ids)
        }
    };
    let lifted = Lifted {
        jail: target.jail(),
        lifted,
        ids,
    };
    if how.json {
        out::line(&json(&lifted));
    } else {
        tell_lifted(&lifted);
    }
    let absent: Vec<&str> = lifted
        .ids
        .iter()
        .filter(|id| id.lifted == 0)
        .map(|id| &*id.id)
        .collect();
    if order.report_absent && !absent.is_empty() {
        let text = format!("not banned: {}", absent.join(", "));
        return Err(Problem::refused(text));
    }
    Ok(())
}

fn tell_lifted(lifted: &Lifted<'_>) {
    if lifted.ids.is_empty() {
        let number = usize::try_from(lifted.lifted).unwrap_or(usize::MAX);
        out::line(&format!("{} lifted", count(number, "ban")));
    }
    for id in &lifted.ids {
        let what = match id.lifted {
            0 => "was not banned".to_owned(),
            1 => "lifted".to_owned(),
            more => format!("{more} bans lifted"),
        };
        out::line(&shown(&format!("{}: {what}", id.id)));
    }
}

/// Lifts one id after the other, to learn what each stood for.
fn lift(server: &mut Server, jail: Option<&str>, ids: &[String]) -> Result<Vec<Count>, Problem> {
    let one = |id: &String| {
        let value = match jail {
            Some(jail) => server.order(&["set", jail, "unbanip", id]),
            None => server.order(&["unban", id]),
        };
        Ok(Count {
            id: id.clone(),
            lifted: number(&value?),
        })
    };
    ids.iter().map(one).collect()
}

/// Lifts everything in a jail.
fn lift_all(server: &mut Server, jail: &str) -> Result<u64, Problem> {
    let bans = server.bans(Some(jail), &[])?;
    // Whoever is called like an option of the command stays for `unban --all`.
    let ids: Vec<&str> = bans
        .iter()
        .map(|ban| &*ban.id)
        .filter(|id| !NO_IDS.contains(id))
        .collect();
    let mut lifted = 0;
    for portion in ids.chunks(PORTION) {
        let words = ["set", jail, "unbanip"].into_iter();
        let words: Vec<&str> = words.chain(portion.iter().copied()).collect();
        lifted += number(&server.order(&words)?);
    }
    Ok(lifted)
}

/// Refuses what the daemon would take for an option: nobody who passes on a name from a
/// log shall lift all bans by it.
fn check(ids: &[String]) -> Result<(), Problem> {
    match ids.iter().find(|id| NO_IDS.contains(&id.as_str())) {
        None => Ok(()),
        Some(id) => Err(Problem::usage(format!("'{id}' cannot be an id"))),
    }
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Int(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> ServerView {
        let jail = |name: &str| JailView {
            name: name.to_owned(),
            ..JailView::default()
        };
        ServerView {
            jails: vec![jail("sshd"), jail("web")],
            ..ServerView::default()
        }
    }

    #[test]
    fn the_first_word_is_a_jail_if_there_is_one() {
        // words, --all, what is meant or the code and the text of the refusal
        type Row = (
            &'static [&'static str],
            bool,
            Result<&'static str, (u8, &'static str)>,
        );
        let rows: [Row; 11] = [
            (&[], true, Ok("All")),
            (&["sshd"], true, Ok("AllOf(\"sshd\")")),
            (
                &["sshx"],
                true,
                Err((1, "no jail 'sshx'; did you mean 'sshd'?")),
            ),
            (&["sshd", "a"], true, Err((2, "either --all or ids"))),
            (&["sshd"], false, Err((2, "whom to lift in sshd?"))),
            (
                &["sshd", "192.0.2.1"],
                false,
                Ok("Of(\"sshd\", [\"192.0.2.1\"])"),
            ),
            (&["sshd", "web"], false, Ok("Of(\"sshd\", [\"web\"])")),
            (
                &["192.0.2.1", "bob"],
                false,
                Ok("Everywhere([\"192.0.2.1\", \"bob\"])"),
            ),
            (
                &["192.0.2.0/24"],
                false,
                Ok("Everywhere([\"192.0.2.0/24\"])"),
            ),
            (&["bob"], false, Ok("Everywhere([\"bob\"])")),
            (&["sshx", "192.0.2.1"], false, Err((1, "no jail 'sshx'"))),
        ];
        for (words, all, expected) in rows {
            let order = Unban {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                all,
                report_absent: false,
            };
            let view = view();
            match (Target::read(&order, &view), expected) {
                (Ok(target), Ok(expected)) => assert_eq!(format!("{target:?}"), expected),
                (Err(problem), Err((code, text))) => {
                    assert_eq!(problem.code, code, "{problem:?}");
                    assert!(problem.text.starts_with(text), "{problem:?}");
                }
                (target, expected) => panic!("{words:?}: {target:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_name_from_a_log_is_no_option() {
        let refused = |id: &str| check(&["192.0.2.1".to_owned(), id.to_owned()]).is_err();
        assert!(NO_IDS.into_iter().all(refused));
        assert!(!refused("-all"));
    }

    #[test]
    fn a_ban_is_told_with_whether_it_holds() {
        let ban = |holds, ends| BanView {
            jail: "sshd".to_owned(),
            id: "a\nb".to_owned(),
            ends,
            holds,
            ..BanView::default()
        };
        let jail = |kept_by, trouble: Option<&str>| JailView {
            kept_by,
            actions: vec!["iptables".to_owned(), "mail".to_owned()],
            trouble: trouble.map(str::to_owned),
            ..JailView::default()
        };
        let rows = [
            (Some(true), Keeper::Kernel, "holds", Ok(())),
            (None, Keeper::Commands, "told to iptables, mail", Ok(())),
            (Some(false), Keeper::Nobody, "nobody keeps it out", Ok(())),
            (
                Some(false),
                Keeper::Kernel,
                "NOT IN THE FIREWALL",
                Err("1 ban not in the firewall: no right"),
            ),
        ];
        for (holds, kept_by, text, code) in rows {
            let jail = jail(kept_by, Some("no right"));
            let ban = ban(holds, Some(70));
            let told = told(&ban, &jail, Timestamp::from_secs(10));
            assert_eq!(
                told,
                format!(r"a\nb is banned in sshd, ends in 1 min, {text}")
            );
            let banned = Banned {
                jail: "sshd",
                new: Some(1),
                refused: None,
                bans: vec![ban],
            };
            let outcome = outcome(banned, &jail).map_err(|problem| problem.text);
            assert_eq!(outcome, code.map_err(str::to_owned));
        }
        let forever = told(
            &ban(None, None),
            &jail(Keeper::Commands, None),
            Timestamp::default(),
        );
        assert!(
            forever.contains("banned in sshd, for ever, told"),
            "{forever}"
        );
    }
}
