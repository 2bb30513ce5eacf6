//! The server and its jails as our own commands show them: JSON.
//!
//! The fields are described in `docs/json.md`; they are interface.

use ferroban_engine::{Ban, Event, JailName, Timestamp};
use serde::Serialize;

use super::main_loop::MainLoop;
use crate::clock;
use crate::load::Refusal;
use crate::wire::{Value, dumps};

/// Everything about the server.
#[derive(Debug, Serialize)]
struct ServerView {
    version: &'static str,
    compatible: &'static str,
    pid: u32,
    database: Option<String>,
    loglevel: String,
    logtarget: Option<String>,
    jails: Vec<JailView>,
}

/// Everything about a jail.
#[derive(Debug, Serialize)]
struct JailView {
    name: JailName,
    started: bool,
    idle: bool,
    backend: String,
    watches: Vec<String>,
    actions: Vec<String>,
    failing: usize,
    failures: u64,
    banned: usize,
    /// Of these, how many the firewall is known to hold.
    applied: usize,
    bans: u64,
    maxretry: u32,
    findtime: u32,
    bantime: i64,
    /// Why bans do not hold, if they do not.
    trouble: Option<String>,
    /// Options that are set and do nothing yet.
    without_effect: Vec<String>,
}

/// One ban.
#[derive(Debug, Serialize)]
struct BanView {
    jail: JailName,
    id: String,
    /// When it was decided, in seconds since the epoch.
    time: i64,
    /// When it ends; none if it does not.
    ends: Option<i64>,
    bantime: i64,
    failures: u32,
    count: u32,
    restored: bool,
    /// Whether the firewall is known to hold it.
    applied: bool,
}

/// The server and all its jails, in the order in which they were added.
pub(super) fn server(main: &mut MainLoop) -> String {
    let setups: Vec<_> = main.setup.jails().cloned().collect();
    let jails = setups
        .into_iter()
        .filter_map(|setup| {
            let status = main.numbers(&setup.name).ok()?;
            let plan = setup.plan();
            Some(JailView {
                started: main.engine.is_started(&setup.name),
                idle: setup.idle,
                backend: status.backend,
                watches: match status.watches {
                    ferroban_engine::settings::Watches::Files(paths) => paths,
                    ferroban_engine::settings::Watches::Journal(matches) => matches,
                },
                actions: setup
                    .actions
                    .iter()
                    .map(|action| action.name.clone())
                    .collect(),
                failing: status.failing,
                failures: status.failures,
                banned: status.banned.len(),
                applied: status.applied,
                bans: status.bans,
                maxretry: plan.jail.maxretry,
                findtime: plan.jail.findtime,
                bantime: plan.jail.bantime.secs(),
                trouble: main.trouble.get(&setup.name).cloned(),
                without_effect: plan.without_effect,
                name: setup.name,
            })
        })
        .collect();
    text(&ServerView {
        version: env!("CARGO_PKG_VERSION"),
        compatible: crate::COMPATIBLE,
        pid: std::process::id(),
        database: main.database.path().map(|path| path.display().to_string()),
        loglevel: main.log.level(),
        logtarget: main.log.target(),
        jails,
    })
}

/// Every ban, of one jail or of all; within a jail the one that ends first at the front.
pub(super) fn bans(main: &MainLoop, jail: Option<&str>) -> Result<String, Refusal> {
    if let Some(name) = jail {
        main.setup.jail(name)?;
    }
    let names = main.setup.jails().map(|jail| &jail.name);
    let names = names.filter(|name| jail.is_none_or(|wanted| **name == *wanted));
    let mut all = Vec::new();
    for name in names {
        let view = |(ban, applied): (Ban, bool)| BanView {
            jail: name.clone(),
            id: ban.id.to_string(),
            time: ban.time.secs(),
            ends: (ban.bantime.secs() >= 0).then(|| ban.end().secs()),
            bantime: ban.bantime.secs(),
            failures: ban.ticket.failures,
            count: ban.count,
            restored: ban.restored,
            applied,
        };
        all.extend(main.engine.bans_and_state(name).into_iter().map(view));
    }
    Ok(text(&all))
}

/// An event as a reply: its own fields, and when it happened.
pub(super) fn event_line(event: &Event, now: Timestamp) -> Vec<u8> {
    let mut fields = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("at".to_owned(), at(now));
    }
    let value = Value::from(fields.to_string().as_str());
    dumps(&Value::Tuple(vec![0.into(), value]))
}

fn at(now: Timestamp) -> serde_json::Value {
    ferroban_date::local_text_millis(now, clock::zone()).into()
}

fn text(view: &impl Serialize) -> String {
    // Plain data with text for keys always has a form.
    serde_json::to_string(view).unwrap_or_default()
}
