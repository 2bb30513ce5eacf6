//! The options of a jail by which clients set and ask for it, each listed once.

use std::error::Error;
use std::path::Path;

use ferroban_config::{Invocation, quoted};
use ferroban_date::{Detector, LogZone, LogZoneError, PatternError, Zone};
use ferroban_engine::filter::{check_failregex, check_pattern, expand};
use ferroban_engine::{FailId, FilterError, IgnoreCache};

use super::value::{first, integer, seconds, shown, text};
use super::{JailSetup, LogPath, Note};
use crate::clock;
use crate::load::word::{Word, is_on};
use crate::load::{Backend, Refusal};
use crate::log::Level;

type Set = fn(&mut JailSetup, &[Word], &mut Vec<Note>) -> Result<(), Refusal>;
type Get = fn(&JailSetup) -> Word;

/// One option.
pub(crate) struct Row {
    /// `set <jail> <this> …`; the answer is what the option then is.
    pub(crate) set: &'static str,
    /// `get <jail> <this>`; none if it cannot be asked for.
    pub(crate) get: &'static str,
    apply: Set,
    ask: Get,
    /// What a value must be, in words that follow "not".
    pub(crate) wanted: &'static str,
}

impl Row {
    /// Sets the option.
    pub(crate) fn apply(
        &self,
        jail: &mut JailSetup,
        values: &[Word],
        notes: &mut Vec<Note>,
    ) -> Result<(), Refusal> {
        (self.apply)(jail, values, notes)
    }

    /// What the option is.
    pub(crate) fn ask(&self, jail: &JailSetup) -> Word {
        (self.ask)(jail)
    }
}

const COUNT: &str = "a whole number that makes sense here";
const TIME: &str = "a time such as 600, 10m or 1d 12h";
const REGEX: &str = "a regular expression that says whose failure it finds";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { set: "idle", get: "", apply: idle, ask: |jail| jail.idle.into(), wanted: "on or off" },
    Row { set: "ignoreself", get: "ignoreself", apply: |jail, words, _| { jail.ignoreself = yes(first(words)?); Ok(()) }, ask: |jail| jail.ignoreself.into(), wanted: "yes or no" },
    Row { set: "addignoreip", get: "ignoreip", apply: add_ignored, ask: ignored, wanted: "addresses" },
    Row { set: "delignoreip", get: "ignoreip", apply: forget_ignored, ask: ignored, wanted: "an address that is ignored" },
    Row { set: "ignorecommand", get: "ignorecommand", apply: |jail, words, _| { jail.ignorecommand = first(words)?.clone(); Ok(()) }, ask: |jail| jail.ignorecommand.clone(), wanted: "a command" },
    Row { set: "ignorecache", get: "ignorecache", apply: set_cache, ask: |jail| jail.ignorecache.clone(), wanted: "key=\"<ip>\", max-count=100, max-time=5m" },
    Row { set: "addlogpath", get: "logpath", apply: add_log, ask: logs, wanted: "a file that is there, perhaps with head or tail behind a blank" },
    Row { set: "dellogpath", get: "logpath", apply: forget_log, ask: logs, wanted: "a file" },
    Row { set: "logencoding", get: "logencoding", apply: encoding, ask: |jail| jail.logencoding.as_str().into(), wanted: "the name of an encoding" },
    Row { set: "addjournalmatch", get: "journalmatch", apply: add_match, ask: matches, wanted: "FIELD=value words" },
    Row { set: "deljournalmatch", get: "journalmatch", apply: forget_match, ask: matches, wanted: "FIELD=value words that are set" },
    Row { set: "prefregex", get: "prefregex", apply: prefix, ask: |jail| jail.prefregex.as_str().into(), wanted: REGEX },
    Row { set: "addfailregex", get: "failregex", apply: add_failregex, ask: |jail| Word::texts(&jail.failregex), wanted: REGEX },
    Row { set: "delfailregex", get: "failregex", apply: |jail, words, notes| forget_regex(&mut jail.failregex, words, notes), ask: |jail| Word::texts(&jail.failregex), wanted: "the number of a pattern" },
    Row { set: "addignoreregex", get: "ignoreregex", apply: add_ignoreregex, ask: |jail| Word::texts(&jail.ignoreregex), wanted: "a regular expression" },
    Row { set: "delignoreregex", get: "ignoreregex", apply: |jail, words, notes| forget_regex(&mut jail.ignoreregex, words, notes), ask: |jail| Word::texts(&jail.ignoreregex), wanted: "the number of a pattern" },
    Row { set: "usedns", get: "usedns", apply: usedns, ask: |jail| jail.usedns.as_str().into(), wanted: "yes, warn, no or raw" },
    Row { set: "findtime", get: "findtime", apply: findtime, ask: |jail| jail.findtime.clone(), wanted: TIME },
    Row { set: "bantime", get: "bantime", apply: bantime, ask: |jail| Word::Int(jail.bantime), wanted: TIME },
    Row { set: "datepattern", get: "datepattern", apply: date, ask: date_shown, wanted: "a date pattern" },
    Row { set: "logtimezone", get: "logtimezone", apply: zone, ask: |jail| jail.logtimezone.clone(), wanted: "a time zone such as UTC, CET or +0200" },
    Row { set: "maxmatches", get: "maxmatches", apply: |jail, words, _| { jail.maxmatches = integer(first(words)?)?; Ok(()) }, ask: |jail| Word::Int(jail.maxmatches), wanted: COUNT },
    Row { set: "maxretry", get: "maxretry", apply: maxretry, ask: |jail| Word::Int(jail.maxretry), wanted: COUNT },
    Row { set: "maxlines", get: "maxlines", apply: maxlines, ask: |jail| Word::Int(jail.maxlines), wanted: COUNT },
];

/// The option that is set by this name.
pub(crate) fn row(set: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.set == set)
}

/// Whether `get <jail> <option>` has an answer.
pub(crate) fn is_asked_for(option: &str) -> bool {
    ROWS.iter()
        .any(|row| !row.get.is_empty() && row.get == option)
}

/// Whether there is a `set <jail> <option>`.
pub(crate) fn is_set_by(option: &str) -> bool {
    option.starts_with("bantime.") || row(option).is_some()
}

fn settable(option: &str) -> Result<&'static Row, Refusal> {
    row(option).ok_or_else(|| {
        let option = quoted(option);
        Refusal::plain(format!(
            "Invalid command {option} (no set action or not yet implemented)"
        ))
    })
}

impl JailSetup {
    /// Sets an option.
    pub(super) fn set(
        &mut self,
        option: &str,
        values: &[Word],
        notes: &mut Vec<Note>,
    ) -> Result<(), Refusal> {
        if let Some(name) = option.strip_prefix("bantime.") {
            return self.set_increment(name, first(values)?, notes);
        }
        settable(option)?.apply(self, values, notes)
    }

    /// What the option is that is set by this name.
    pub(super) fn set_answer(&self, option: &str) -> Result<Word, Refusal> {
        if let Some(name) = option.strip_prefix("bantime.") {
            return Ok(self.increment(name));
        }
        Ok(settable(option)?.ask(self))
    }

    /// What an option is.
    pub(crate) fn get(&self, option: &str) -> Result<Word, Refusal> {
        if let Some(name) = option.strip_prefix("bantime.") {
            return Ok(self.increment(name));
        }
        match ROWS
            .iter()
            .find(|row| !row.get.is_empty() && row.get == option)
        {
            Some(row) => Ok(row.ask(self)),
            None => Err(Refusal::plain(
                "Invalid command (no get action or not yet implemented)",
            )),
        }
    }

    fn increment(&self, name: &str) -> Word {
        let found = self.increment.iter().find(|(known, _)| known == name);
        found.map_or(Word::None, |(_, word)| word.clone())
    }

    /// Options of growing bans: any name is kept, and an empty value takes it away.
    fn set_increment(
        &mut self,
        name: &str,
        value: &Word,
        notes: &mut Vec<Note>,
    ) -> Result<(), Refusal> {
        let none = *value == Word::None || *value == Word::from("");
        let told = if none { &Word::None } else { value };
        let text = format!("Set banTime.{name} = {}", shown(told));
        notes.push((Level::Info, "jail", text));
        let word = match name {
            "increment" => yes(value).into(),
            _ if none => Word::None,
            "maxtime" | "rndtime" => seconds(value)?,
            "multipliers" => multipliers(value)?,
            _ => value.clone(),
        };
        self.increment.retain(|(known, _)| known != name);
        if word != Word::None {
            self.increment.push((name.to_owned(), word));
        }
        Ok(())
    }
}

/// Numbers that are separated by single blanks; the text is what is kept.
fn multipliers(value: &Word) -> Result<Word, Refusal> {
    for number in shown(value).split(' ') {
        integer(&number.into())?;
    }
    Ok(value.clone())
}

fn yes(word: &Word) -> bool {
    match word {
        Word::Bool(yes) => *yes,
        Word::Int(number) => *number != 0,
        word => is_on(&shown(word)),
    }
}

fn idle(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    jail.idle = match shown(first(words)?).as_str() {
        "on" => true,
        "off" => false,
        _ => return Err(Refusal::plain("Invalid idle option, must be 'on' or 'off'")),
    };
    Ok(())
}

fn add_ignored(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    for word in words {
        let name = word.as_str().ok_or_else(not_text)?;
        if name.is_empty() {
            continue;
        }
        let id = FailId::parse(name);
        check_prefix(name)?;
        if !jail.ignoreip.contains(&id) {
            jail.ignoreip.push(id);
        }
    }
    Ok(())
}

fn forget_ignored(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    let name = first(words)?.as_str().ok_or_else(not_text)?;
    check_prefix(name)?;
    let id = FailId::parse(name);
    let before = jail.ignoreip.len();
    jail.ignoreip.retain(|known| *known != id);
    if jail.ignoreip.len() == before {
        return Err(Refusal::value("list.remove(x): x not in list"));
    }
    Ok(())
}

/// A network whose length is no number is a slip of the pen, and no host name.
fn check_prefix(name: &str) -> Result<(), Refusal> {
    match name.split_once('/') {
        Some((address, length))
            if address.parse::<std::net::IpAddr>().is_ok()
                && length.parse::<std::net::IpAddr>().is_err() =>
        {
            integer(&length.into()).map(drop)
        }
        _ => Ok(()),
    }
}

/// What is no text is no address either.
fn not_text() -> Refusal {
    let text = "an address must be given as text";
    Refusal::Error("TypeError", text.to_owned())
}

/// Networks and names first, then single addresses, as fail2ban keeps them.
fn ignored(jail: &JailSetup) -> Word {
    let single = |id: &&FailId| matches!(id, FailId::Address(_));
    let (addresses, others): (Vec<&FailId>, Vec<&FailId>) = jail.ignoreip.iter().partition(single);
    Word::texts(others.iter().chain(&addresses).map(|id| id.to_string()))
}

/// `key="<ip>", max-count=100, max-time=5m`; nothing switches it off.
fn set_cache(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    let given = text(words)?;
    if given.is_empty() {
        jail.ignorecache = Word::None;
        return Ok(());
    }
    let call = Invocation::parse(&format!("cache[{given}]"))
        .map_err(|error| Refusal::value(error.to_string()))?;
    let option = |name: &str| call.options.get(name).cloned();
    let Some(key) = option("key") else {
        return Err(Refusal::Error("KeyError", "key".to_owned()));
    };
    let count = match option("max-count") {
        Some(count) => integer(&count.into())?,
        None => 100,
    };
    let time = match option("max-time") {
        Some(time) => seconds(&time.into())?,
        None => Word::Int(300),
    };
    jail.ignorecache = Word::List(vec![key.into(), Word::Int(count), time]);
    Ok(())
}

/// What the jail remembers of whom it ignores.
pub(super) fn cache(told: &Word) -> Option<IgnoreCache> {
    let Word::List(words) = told else {
        return None;
    };
    let number = |place: usize| words.get(place).map_or(0, super::whole);
    Some(IgnoreCache {
        key: words.first().map(shown)?,
        count: usize::try_from(number(1)).unwrap_or(0),
        seconds: u32::try_from(number(2)).unwrap_or(0),
    })
}

fn add_log(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let path = text(words)?;
    if words.len() > 2 {
        return Err(Refusal::value("Only one file can be added at a time"));
    }
    let tail = match words.get(1).map(shown).as_deref() {
        None | Some("head") => false,
        Some("tail") => true,
        Some(_) => return Err(Refusal::value("File option must be 'head' or 'tail'")),
    };
    if jail.kind() == Backend::Journal {
        return Ok(());
    }
    if jail.logpaths.iter().any(|log| log.path == path) {
        notes.push((Level::Error, "filter", format!("{path} already exists")));
        return Ok(());
    }
    let found = Path::new(&path).metadata();
    if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
        return Err(Refusal::Folder(path));
    }
    if !jail.waits && found.is_err() {
        return Err(Refusal::NoFile(path));
    }
    jail.logpaths.push(LogPath { path, tail });
    Ok(())
}

fn forget_log(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    let path = text(words)?;
    jail.logpaths.retain(|log| log.path != path);
    Ok(())
}

fn logs(jail: &JailSetup) -> Word {
    Word::texts(jail.logpaths.iter().map(|log| &log.path))
}

fn encoding(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let name = text(words)?;
    if name.eq_ignore_ascii_case("auto") {
        jail.logencoding = "UTF-8".to_owned();
    } else if is_encoding(&name) {
        jail.logencoding = name;
    } else {
        return Err(Refusal::Error(
            "LookupError",
            format!("unknown encoding: {name}"),
        ));
    }
    let text = format!("  encoding: {}", jail.logencoding);
    notes.push((Level::Info, "filter", text));
    Ok(())
}

/// Whether Python's codecs know such a name: the families of encodings that logs have.
fn is_encoding(name: &str) -> bool {
    const FAMILIES: [&str; 24] = [
        "ascii", "usascii", "utf", "u8", "latin", "l1", "iso8859", "iso88", "cp", "windows",
        "koi8", "mac", "big5", "gb", "euc", "shiftjis", "sjis", "iso2022", "johab", "hz",
        "ptcp154", "tis620", "kz1048", "8859",
    ];
    let bare: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    FAMILIES.iter().any(|family| bare.starts_with(family))
}

/// Fields that must all match; `+` stands between alternatives. A backend that reads
/// files has no such thing and says nothing.
fn add_match(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    if jail.kind() != Backend::Journal && jail.kind() != Backend::Auto {
        return Ok(());
    }
    let all = words.iter().map(shown).collect::<Vec<_>>().join(" ");
    let groups = groups(words);
    let is_match = |word: &String| word.contains('=');
    if !groups.iter().flatten().all(is_match) {
        let text = format!("Error adding journal match for: {}", quoted(&all));
        notes.push((Level::Error, "filtersystemd", text));
        return Err(Refusal::value("Invalid match"));
    }
    let text = format!("[{}] Added journal match for: {}", jail.name, quoted(&all));
    notes.push((Level::Info, "filtersystemd", text));
    jail.journalmatch.extend(groups);
    Ok(())
}

fn forget_match(
    jail: &mut JailSetup,
    words: &[Word],
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    if jail.kind() != Backend::Journal && jail.kind() != Backend::Auto {
        return Ok(());
    }
    let gone = groups(words);
    let listed = |group: &[String]| {
        let words: Vec<String> = group.iter().map(|word| quoted(word)).collect();
        format!("[{}]", words.join(", "))
    };
    if let Some(absent) = gone.iter().find(|group| !jail.journalmatch.contains(group)) {
        return Err(Refusal::value(format!(
            "Match {} not found",
            listed(absent)
        )));
    }
    let mut removed = |shown: String| {
        let text = format!("[{}] Removed journal match for: {shown}", jail.name);
        notes.push((Level::Info, "filtersystemd", text));
    };
    if gone.is_empty() {
        removed("'*'".to_owned());
        jail.journalmatch.clear();
    }
    for group in gone {
        removed(listed(&group));
        jail.journalmatch.retain(|known| *known != group);
    }
    Ok(())
}

fn groups(words: &[Word]) -> Vec<Vec<String>> {
    let words: Vec<String> = words.iter().map(shown).collect();
    words
        .split(|word| word == "+")
        .filter(|group| !group.is_empty())
        .map(<[String]>::to_vec)
        .collect()
}

fn matches(jail: &JailSetup) -> Word {
    Word::List(jail.journalmatch.iter().map(Word::texts).collect())
}

fn expanded(jail: &JailSetup, pattern: &str) -> String {
    expand(pattern, jail.usedns != "no")
}

/// In Python's words, which people look up.
fn regex_refusal(error: &FilterError) -> Refusal {
    Refusal::Regex(match error.source() {
        Some(cause) => format!("{error}:\n{cause}"),
        None => error.to_string(),
    })
}

/// The same for a pattern of a list, which is logged as well.
fn told_refusal(error: &FilterError, notes: &mut Vec<Note>) -> Refusal {
    let refusal = regex_refusal(error);
    notes.push((Level::Error, "filter", refusal.to_string()));
    refusal
}

/// A pattern as given.
fn pattern(words: &[Word]) -> Result<&str, Refusal> {
    match first(words)? {
        Word::Text(text) => Ok(text),
        _ => {
            let text = "expected string or bytes-like object";
            Err(Refusal::Error("TypeError", text.to_owned()))
        }
    }
}

fn prefix(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    if *first(words)? == Word::None {
        jail.prefregex.clear();
        return Ok(());
    }
    let pattern = expanded(jail, pattern(words)?);
    if !pattern.is_empty() {
        check_pattern(&pattern).map_err(|error| regex_refusal(&error))?;
    }
    jail.prefregex = pattern;
    Ok(())
}

fn add_failregex(
    jail: &mut JailSetup,
    words: &[Word],
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let pattern = expanded(jail, pattern(words)?);
    let prefix = Some(jail.prefregex.as_str()).filter(|prefix| !prefix.is_empty());
    check_failregex(prefix, &pattern).map_err(|error| told_refusal(&error, notes))?;
    jail.failregex.push(pattern);
    Ok(())
}

fn add_ignoreregex(
    jail: &mut JailSetup,
    words: &[Word],
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let pattern = expanded(jail, pattern(words)?);
    check_pattern(&pattern).map_err(|error| told_refusal(&error, notes))?;
    jail.ignoreregex.push(pattern);
    Ok(())
}

/// A number that is no pattern's is told in the log only.
fn forget_regex(
    patterns: &mut Vec<String>,
    words: &[Word],
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let number = integer(first(words)?)?;
    let count = i64::try_from(patterns.len()).unwrap_or(i64::MAX);
    // A negative one counts from the end, as in Python.
    let place = if number < 0 { number + count } else { number };
    match usize::try_from(place)
        .ok()
        .filter(|place| *place < patterns.len())
    {
        Some(place) => drop(patterns.remove(place)),
        None => {
            let text = format!("Cannot remove regular expression. Index {number} is not valid");
            notes.push((Level::Error, "filter", text));
        }
    }
    Ok(())
}

fn usedns(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let value = match first(words)? {
        Word::Bool(true) => "yes".to_owned(),
        Word::Bool(false) => "no".to_owned(),
        Word::Text(text) => text.to_lowercase(),
        _ => {
            let text = "usedns must be given as text";
            return Err(Refusal::Error("AttributeError", text.to_owned()));
        }
    };
    if ["yes", "warn", "no", "raw"].contains(&value.as_str()) {
        jail.usedns = value;
    } else {
        let text = format!(
            "Incorrect value {} specified for usedns. Using safe 'no'",
            quoted(&value)
        );
        notes.push((Level::Error, "filter", text));
        jail.usedns = "no".to_owned();
    }
    Ok(())
}

fn findtime(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    jail.findtime = seconds(first(words)?)?;
    let text = format!("  findtime: {}", shown(&jail.findtime));
    notes.push((Level::Info, "filter", text));
    Ok(())
}

fn bantime(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let time = seconds(first(words)?)?;
    jail.bantime = integer(&time)?;
    let text = format!("  banTime: {}", shown(&time));
    notes.push((Level::Info, "actions", text));
    Ok(())
}

fn maxretry(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    jail.maxretry = integer(first(words)?)?;
    let text = format!("  maxRetry: {}", jail.maxretry);
    notes.push((Level::Info, "filter", text));
    Ok(())
}

fn maxlines(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let lines = integer(first(words)?)?;
    if lines < 1 {
        return Err(Refusal::value("maxlines must be integer greater than zero"));
    }
    jail.maxlines = lines;
    notes.push((Level::Info, "filter", format!("  maxLines: {lines}")));
    Ok(())
}

fn date(jail: &mut JailSetup, words: &[Word], notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let given = match first(words)? {
        Word::List(lines) | Word::Tuple(lines) => lines.iter().map(shown).collect(),
        Word::None => Vec::new(),
        Word::Text(text) => vec![text.clone()],
        _ => {
            return Err(Refusal::Error(
                "TypeError",
                "expected string or bytes-like object".to_owned(),
            ));
        }
    };
    let lines = given.iter().flat_map(|text| text.lines()).map(str::trim);
    let lines: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    let detector = Detector::with_patterns(&lines, Zone::utc(), clock::now());
    let detector = detector.map_err(|error| {
        let kind = match error {
            PatternError::Bad { .. } => "TypeError",
            PatternError::Duplicate { .. } => "ValueError",
        };
        Refusal::Error(kind, error.to_string())
    })?;
    for pattern in &lines {
        if !["{DATE}", "{DEFAULT}"].contains(&pattern.as_str()) {
            let text = match date_name(pattern) {
                (None, name) if name == "Default Detectors" => {
                    let pattern = std::slice::from_ref(pattern);
                    let filtered = Detector::with_patterns(pattern, Zone::utc(), clock::now());
                    let count = filtered.map_or(0, |dates| dates.templates().len());
                    format!("  default filtered date pattern: {count} template(s)")
                }
                (shown, name) => {
                    let shown = quoted(&shown.unwrap_or_default());
                    format!("  date pattern `{shown}`: `{name}`")
                }
            };
            notes.push((Level::Info, "datedetector", text));
        }
    }
    if let Err(error) = detector.check() {
        let text = format!("[{}] {error}; it finds no date in any line", jail.name);
        notes.push((Level::Error, "datedetector", text));
    }
    jail.datepattern = lines;
    Ok(())
}

/// The pattern, if it is one to be shown, and its name.
fn date_shown(jail: &JailSetup) -> Word {
    let (shown, name) = shown_dates(&jail.datepattern);
    Word::Tuple(vec![shown.map_or(Word::None, Word::from), name.into()])
}

/// A pattern as it is shown, if it is, and its name.
fn date_name(pattern: &str) -> (Option<String>, String) {
    shown_dates(&[pattern.to_owned()])
}

/// The same for all patterns of a jail.
fn shown_dates(patterns: &[String]) -> (Option<String>, String) {
    match Detector::with_patterns(patterns, Zone::utc(), clock::now()) {
        Ok(detector) => {
            let (pattern, name) = detector.name();
            let pattern = pattern.filter(|pattern| !pattern.is_empty());
            (pattern.map(str::to_owned), name.to_owned())
        }
        // None is kept that is wrong.
        Err(error) => (None, error.to_string()),
    }
}

/// An abbreviation, an offset, or both; nothing is UTC.
fn zone(jail: &mut JailSetup, words: &[Word], _: &mut Vec<Note>) -> Result<(), Refusal> {
    let word = first(words)?;
    if *word != Word::None {
        LogZone::parse(&shown(word)).map_err(|error| match error {
            LogZoneError::Unknown(name) => Refusal::Error("KeyError", name),
            error => Refusal::value(error.to_string()),
        })?;
    }
    jail.logtimezone = word.clone();
    Ok(())
}
