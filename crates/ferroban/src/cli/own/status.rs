//! The server and its jails, for people: health first.

use super::table::{Cell, Paint, Tone, list, table};
use super::text::{count, length, moment, shown};
use crate::wire::view::{
    FailureView, JailView, Keeper, KeptOutView, Medium, ServerView, WatchView,
};

/// The server, a table with a row for each jail, and below it what is not as it should be.
pub(super) fn all(view: &ServerView, paint: Paint) -> String {
    let mut lines = vec![format!(
        "Ferroban {} (as fail2ban {}), pid {}; {}",
        shown(&view.version),
        shown(&view.compatible),
        view.pid,
        count(view.jails.len(), "jail")
    )];
    let log = view.logtarget.as_deref().unwrap_or("nowhere");
    let database = match &view.database {
        Some(path) => format!("database {}", shown(path)),
        None => "no database: bans end with the server".to_owned(),
    };
    lines.push(format!(
        "{database}; log {} ({})",
        shown(log),
        shown(&view.loglevel)
    ));
    if view.dry_run {
        lines.push(paint.text(Tone::Odd, "dry run: nobody is banned"));
    }
    if !view.jails.is_empty() {
        let head = [
            "HEALTH", "JAIL", "READS", "FAILING", "BANNED", "BANTIME", "ACTIONS",
        ];
        let rows: Vec<Vec<Cell>> = view
            .jails
            .iter()
            .map(|jail| row(jail, view.dry_run))
            .collect();
        lines.push(String::new());
        lines.push(table(&head, &rows, paint));
    }
    let notes: Vec<String> = view
        .jails
        .iter()
        .flat_map(|jail| notes(jail, paint))
        .collect();
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n")
}

/// One jail with everything that is known of it.
pub(super) fn one(jail: &JailView, dry: bool, paint: Paint) -> String {
    let mut rows = vec![("jail", Cell::plain(shown(&jail.name)))];
    let (tone, health) = health(jail, dry);
    rows.push(("health", Cell::new(tone, health)));
    if let Some(trouble) = &jail.trouble {
        rows.push(("", Cell::new(Tone::Bad, shown(trouble))));
    }
    let mut reads = jail.watches.iter().map(|watch| match &watch.problem {
        None => Cell::plain(source(watch)),
        Some(problem) => {
            let text = format!("waits for {}: {}", source(watch), shown(problem));
            Cell::new(Tone::Odd, text)
        }
    });
    let first = reads.next();
    rows.push((
        "reads",
        first.unwrap_or_else(|| Cell::new(Tone::Odd, "nothing: it has no log")),
    ));
    rows.extend(reads.map(|cell| ("", cell)));
    let failing = format!(
        "{} now; {} since the start",
        jail.failing,
        count(jail.failures.try_into().unwrap_or(usize::MAX), "failure")
    );
    rows.push(("failing", Cell::plain(failing)));
    let (tone, banned) = banned(jail);
    let since = format!(
        "; {} since the start",
        count(jail.bans.try_into().unwrap_or(usize::MAX), "ban")
    );
    rows.push(("banned", Cell::new(tone, banned + &since)));
    if let Some(why) = &jail.unverified {
        rows.push(("", Cell::new(Tone::Odd, shown(why))));
    }
    if let Some(KeptOutView { packets, bytes }) = jail.kept_out {
        let packets = count(packets.try_into().unwrap_or(usize::MAX), "packet");
        let text = format!("{packets} ({bytes} bytes) since its rules were made");
        rows.push(("kept out", Cell::plain(text)));
    }
    rows.push(("rule", Cell::plain(rule(jail))));
    rows.push(("actions", actions(jail)));
    let lifted = jail.lifted.iter().flat_map(|lift| &lift.commands);
    for (place, command) in lifted.enumerate() {
        let name = if place == 0 { "lifted" } else { "" };
        rows.push((name, Cell::plain(shown(command))));
    }
    if let Some(failure) = &jail.last_failure {
        rows.push(("last failure", Cell::plain(last(failure))));
    }
    for (place, option) in jail.without_effect.iter().enumerate() {
        let name = if place == 0 { "no effect" } else { "" };
        rows.push((name, Cell::new(Tone::Odd, shown(option))));
    }
    list(&rows, paint)
}

/// `5 failures within 10 min: banned for 1 h`.
fn rule(jail: &JailView) -> String {
    let failures = usize::try_from(jail.maxretry).unwrap_or(usize::MAX);
    format!(
        "{} within {}: banned {}{}",
        count(failures, "failure"),
        length(i64::from(jail.findtime)),
        if jail.bantime < 0 { "" } else { "for " },
        length(jail.bantime)
    )
}

fn row(jail: &JailView, dry: bool) -> Vec<Cell> {
    let (tone, health) = health(jail, dry);
    let (banned_tone, banned) = banned(jail);
    vec![
        Cell::new(tone, health),
        Cell::plain(shown(&jail.name)),
        reads(jail),
        Cell::number(&jail.failing),
        Cell::new(banned_tone, banned),
        Cell::plain(length(jail.bantime)),
        actions(jail),
    ]
}

/// How a jail is, in a word. The worst comes first.
fn health(jail: &JailView, dry: bool) -> (Tone, &'static str) {
    let nothing_to_read = jail.watches.iter().all(|watch| watch.problem.is_some());
    if !jail.started {
        (Tone::Odd, "not started")
    } else if jail.trouble.is_some() {
        (Tone::Bad, "TROUBLE")
    } else if jail.idle {
        (Tone::Odd, "idle")
    } else if nothing_to_read {
        (Tone::Odd, "waits")
    } else if dry {
        (Tone::Odd, "dry run")
    } else if jail.kept_by == Keeper::Nobody {
        (Tone::Odd, "bans nobody")
    } else {
        (Tone::Good, "ok")
    }
}

/// Who is banned: decided, applied by the actions, and found in the kernel just now.
fn banned(jail: &JailView) -> (Tone, String) {
    let banned = jail.banned;
    if banned == 0 {
        return (Tone::Plain, "0 banned".to_owned());
    }
    if jail.kept_by == Keeper::Nobody {
        return (Tone::Odd, format!("{banned} banned, 0 kept out"));
    }
    let applied = jail.applied.unwrap_or_default();
    let verified = match jail.verified {
        Some(count) => format!("verified {count}"),
        None => "not verified".to_owned(),
    };
    let lacks = applied < banned || jail.holding.is_some_and(|holding| holding < banned);
    let tone = match (lacks, jail.trouble.is_some()) {
        (true, true) => Tone::Bad,
        (true, false) => Tone::Odd,
        (false, _) => Tone::Plain,
    };
    (
        tone,
        format!("{banned} banned: applied {applied}, {verified}"),
    )
}

/// The first source and how many more there are; what is there comes before what is not.
fn reads(jail: &JailView) -> Cell {
    let there = |watch: &&WatchView| watch.problem.is_none();
    let Some(first) = jail.watches.iter().find(there).or(jail.watches.first()) else {
        return Cell::new(Tone::Odd, "nothing");
    };
    let wait = if first.problem.is_some() {
        "waits for "
    } else {
        ""
    };
    let more = match jail.watches.len() {
        ..=1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    // What exactly is read of a journal is told elsewhere.
    let name = match first.kind {
        Medium::File => shown(&first.name),
        Medium::Journal => "the journal".to_owned(),
    };
    let tone = if wait.is_empty() {
        Tone::Plain
    } else {
        Tone::Odd
    };
    Cell::new(tone, format!("{wait}{name}{more}"))
}

fn source(watch: &WatchView) -> String {
    match watch.kind {
        Medium::File => shown(&watch.name),
        Medium::Journal if watch.name.is_empty() => "the journal".to_owned(),
        Medium::Journal => format!("the journal, {}", shown(&watch.name)),
    }
}

fn actions(jail: &JailView) -> Cell {
    if jail.actions.is_empty() {
        return Cell::new(Tone::Odd, "none");
    }
    Cell::plain(shown(&jail.actions.join(", ")))
}

fn last(failure: &FailureView) -> String {
    let id = failure.id.as_ref().map(|id| format!(" {id}"));
    let text = format!(
        "{} {}{}: {}",
        moment(failure.time),
        failure.during,
        id.unwrap_or_default(),
        failure.error
    );
    shown(&text)
}

/// What is not as it should be, a line each.
fn notes(jail: &JailView, paint: Paint) -> Vec<String> {
    let name = shown(&jail.name);
    let mut notes = Vec::new();
    if let Some(trouble) = &jail.trouble {
        // Of commands nobody knows.
        let holding = jail.holding.unwrap_or(jail.banned);
        let missing = jail.banned.saturating_sub(holding);
        let what = match missing {
            0 => "its action does not work".to_owned(),
            missing => format!("{} not in the firewall", count(missing, "ban")),
        };
        let text = format!("[{name}] {what}: {}", shown(trouble));
        notes.push(paint.text(Tone::Bad, &text));
    }
    for watch in &jail.watches {
        if let Some(problem) = &watch.problem {
            let text = format!("[{name}] waits for {}: {}", source(watch), shown(problem));
            notes.push(paint.text(Tone::Odd, &text));
        }
    }
    if !jail.without_effect.is_empty() {
        let options = shown(&jail.without_effect.join(", "));
        let text = format!("[{name}] without effect in this version: {options}");
        notes.push(paint.text(Tone::Odd, &text));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A jail that is well, but for what `but` says.
    fn jail(but: Value) -> JailView {
        let mut fields = json!({
            "name": "sshd", "started": true, "idle": false, "backend": "polling",
            "watches": [{ "kind": "file", "name": "/var/log/auth.log", "problem": null }],
            "actions": ["ferroban"], "kept_by": "kernel", "failing": 2, "failures": 70,
            "banned": 12, "applied": 12, "verified": 12, "holding": 12, "bans": 40, "maxretry": 5, "findtime": 600,
            "bantime": 5400, "trouble": null, "last_failure": null, "without_effect": [],
        });
        let (Value::Object(fields_of), Value::Object(but)) = (&mut fields, but) else {
            panic!("no object")
        };
        fields_of.extend(but);
        serde_json::from_value(fields).unwrap()
    }

    fn server(jails: Vec<JailView>) -> ServerView {
        ServerView {
            version: "0.1.0".to_owned(),
            compatible: "1.1.1".to_owned(),
            pid: 77,
            dry_run: false,
            database: Some("/var/lib/f.sqlite3".to_owned()),
            loglevel: "INFO".to_owned(),
            logtarget: Some("/var/log/f.log".to_owned()),
            jails,
        }
    }

    #[test]
    fn the_table_tells_health_first_and_reasons_below() {
        let missing = json!([{ "kind": "file", "name": "/w.log", "problem": "no such file yet" }]);
        let jails = vec![
            jail(json!({})),
            jail(json!({
                "name": "web", "applied": 10, "verified": 9, "holding": 9, "trouble": "nft\u{1b}[2J: no", "bantime": -1,
                "watches": missing, "without_effect": ["maxlines = 3"],
            })),
        ];
        let expected = r"Ferroban 0.1.0 (as fail2ban 1.1.1), pid 77; 2 jails
database /var/lib/f.sqlite3; log /var/log/f.log (INFO)

HEALTH   JAIL  READS              FAILING  BANNED                              BANTIME     ACTIONS
ok       sshd  /var/log/auth.log        2  12 banned: applied 12, verified 12  1 h 30 min  ferroban
TROUBLE  web   waits for /w.log         2  12 banned: applied 10, verified 9   for ever    ferroban

[web] 3 bans not in the firewall: nft\u{1b}[2J: no
[web] waits for /w.log: no such file yet
[web] without effect in this version: maxlines = 3";
        assert_eq!(all(&server(jails), Paint::NONE), expected);
    }

    #[test]
    fn a_server_without_jails_or_database_says_so() {
        let view = ServerView {
            database: None,
            logtarget: None,
            dry_run: true,
            ..server(Vec::new())
        };
        let expected = "Ferroban 0.1.0 (as fail2ban 1.1.1), pid 77; 0 jails\n\
                        no database: bans end with the server; log nowhere (INFO)\n\
                        dry run: nobody is banned";
        assert_eq!(all(&view, Paint::NONE), expected);
    }

    #[test]
    fn the_worst_is_told_first() {
        let waits = json!([{ "problem": "no" }]);
        let partly = json!([{ "problem": "no" }, { "problem": null }]);
        // what is wrong, a dry run, health
        let rows = [
            (json!({}), false, "ok"),
            (json!({}), true, "dry run"),
            (
                json!({ "started": false, "trouble": "x" }),
                true,
                "not started",
            ),
            (
                json!({ "trouble": "x", "watches": waits }),
                false,
                "TROUBLE",
            ),
            (json!({ "watches": waits }), false, "waits"),
            (json!({ "watches": [] }), false, "waits"),
            (json!({ "watches": partly }), false, "ok"),
            (json!({ "idle": true, "watches": waits }), false, "idle"),
            (json!({ "kept_by": "nobody" }), false, "bans nobody"),
            (
                json!({ "kept_by": "commands", "holding": null }),
                false,
                "ok",
            ),
        ];
        for (but, dry, expected) in rows {
            assert_eq!(health(&jail(but.clone()), dry).1, expected, "{but}");
        }
    }

    #[test]
    fn of_bans_it_is_told_whether_they_hold() {
        let rows = [
            (json!({ "banned": 0, "holding": 0 }), "0 banned"),
            (json!({}), "12 banned: applied 12, verified 12"),
            (
                json!({ "applied": 11, "verified": 10, "holding": 10 }),
                "12 banned: applied 11, verified 10",
            ),
            (
                json!({ "verified": null }),
                "12 banned: applied 12, not verified",
            ),
            (
                json!({ "kept_by": "commands", "applied": 11, "verified": null, "holding": null }),
                "12 banned: applied 11, not verified",
            ),
            (
                json!({ "kept_by": "nobody", "holding": 0 }),
                "12 banned, 0 kept out",
            ),
        ];
        for (but, expected) in rows {
            assert_eq!(banned(&jail(but.clone())).1, expected, "{but}");
        }
    }

    #[test]
    fn commands_that_fail_are_no_bans_that_are_missing() {
        let trouble = "action 'iptables': Error banning 192.0.2.7";
        let told = notes(
            &jail(json!({ "kept_by": "commands", "holding": null, "trouble": trouble })),
            Paint::NONE,
        );
        assert_eq!(
            told,
            [format!("[sshd] its action does not work: {trouble}")]
        );
    }

    #[test]
    fn one_jail_is_told_in_full() {
        let jail = jail(json!({
            "watches": [
                { "kind": "file", "name": "/a.log", "problem": null },
                { "kind": "file", "name": "/b.log", "problem": "may not be read" },
                { "kind": "journal", "name": "_COMM=sshd", "problem": null },
            ],
            "trouble": "no such set", "verified": 11, "holding": 11, "bantime": -1, "bans": 1,
            "unverified": "look",
            "last_failure": { "time": 0, "during": "ban", "id": "a\nb", "error": "no such set" },
            "without_effect": ["maxlines = 3", "datepattern = %Y"],
            "kept_out": { "packets": 1, "bytes": 60 },
        }));
        let expected = format!(
            r"jail          sshd
health        TROUBLE
              no such set
reads         /a.log
              waits for /b.log: may not be read
              the journal, _COMM=sshd
failing       2 now; 70 failures since the start
banned        12 banned: applied 12, verified 11; 1 ban since the start
              look
kept out      1 packet (60 bytes) since its rules were made
rule          5 failures within 10 min: banned for ever
actions       ferroban
last failure  {} ban a\nb: no such set
no effect     maxlines = 3
              datepattern = %Y",
            moment(0)
        );
        assert_eq!(one(&jail, false, Paint::NONE), expected);
    }

    #[test]
    fn colour_is_where_something_is_wrong() {
        let text = all(&server(vec![jail(json!({ "trouble": "x" }))]), Paint::FULL);
        assert!(text.contains("\u{1b}[31mTROUBLE\u{1b}[0m"), "{text:?}");
    }
}
