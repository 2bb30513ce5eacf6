//! What `fail2ban.conf` says: where the daemon listens and how it logs and remembers.

use ferroban_config::Layers;

use super::super::LoadError;
use super::super::folder::{CONFIG_READER, Folder};
use super::super::word::{Command, Stream, Word};
use super::typed::{Kind, Row, Typed};
use crate::log::Level;

const SECTION: &str = "Definition";

const PLACES: &[Row] = &[
    (
        "socket",
        Kind::Text,
        Some("/var/run/fail2ban/fail2ban.sock"),
    ),
    (
        "pidfile",
        Kind::Text,
        Some("/var/run/fail2ban/fail2ban.pid"),
    ),
    ("loglevel", Kind::Text, Some("INFO")),
    ("logtarget", Kind::Text, Some("/var/log/fail2ban.log")),
    ("syslogsocket", Kind::Text, Some("auto")),
];

/// In the order of the commands.
const OPTIONS: &[Row] = &[
    ("syslogsocket", Kind::Text, Some("auto")),
    ("loglevel", Kind::Text, Some("INFO")),
    ("logtarget", Kind::Text, Some("STDERR")),
    ("allowipv6", Kind::Text, Some("auto")),
    (
        "dbfile",
        Kind::Text,
        Some("/var/lib/fail2ban/fail2ban.sqlite3"),
    ),
    ("dbmaxmatches", Kind::Int, None),
    ("dbpurgeage", Kind::Text, Some("1d")),
];

/// Ours: the socket for those who may look and not order.
const MONITOR: &[Row] = &[
    ("monitorsocket", Kind::Text, None),
    ("monitorgroup", Kind::Text, None),
    ("monitormode", Kind::Text, None),
];

const THREAD: &[Row] = &[("stacksize", Kind::Int, None)];

/// What every command needs to know of the daemon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Places {
    /// Where it listens.
    pub(crate) socket: String,
    /// Where it leaves its process id.
    pub(crate) pidfile: String,
    /// The least that it logs.
    pub(crate) loglevel: String,
    /// Where it logs to.
    pub(crate) logtarget: String,
    /// Where syslog listens.
    pub(crate) syslogsocket: String,
}

impl Default for Places {
    /// Where everything is unless a file says otherwise.
    fn default() -> Self {
        Self::of(&Typed::defaults(PLACES))
    }
}

impl Places {
    fn of(options: &Typed) -> Self {
        let text = |name| options.text(name).to_owned();
        Self {
            socket: text("socket"),
            pidfile: text("pidfile"),
            loglevel: text("loglevel"),
            logtarget: text("logtarget"),
            syslogsocket: text("syslogsocket"),
        }
    }
}

impl Folder<'_> {
    /// What a client needs before anything else.
    ///
    /// # Errors
    /// `fail2ban.conf` is not there, or not to be understood.
    pub(crate) fn places(&mut self) -> Result<Places, LoadError> {
        let layers = self.layers("fail2ban")?.ok_or(LoadError::NoServer)?;
        Ok(Places::of(&self.server_options(&layers, PLACES)?))
    }

    /// The commands for the daemon as a whole. How it logs is what `places` say, which
    /// the command line may have changed.
    pub(super) fn general(&mut self, places: &Places) -> Result<Stream, LoadError> {
        let layers = self.layers("fail2ban")?.ok_or(LoadError::NoServer)?;
        let mut options = self.server_options(&layers, OPTIONS)?;
        let given = [
            ("loglevel", &places.loglevel),
            ("logtarget", &places.logtarget),
            ("syslogsocket", &places.syslogsocket),
        ];
        for (name, text) in given {
            options.set(name, text.as_str().into());
        }
        let command = |name: &str, word: Word| vec!["set".into(), name.into(), word];
        let mut stream = Stream::new();
        if layers.has_section("Thread") {
            let thread = self.typed(&layers, "Thread", THREAD)?;
            let pairs: Vec<(String, Word)> = thread
                .iter()
                .map(|(name, word)| (name.to_owned(), word.clone()))
                .collect();
            if !pairs.is_empty() {
                stream.push(command("thread", Word::Dict(pairs)));
            }
        }
        stream.extend(
            options
                .iter()
                .map(|(name, word)| command(name, word.clone())),
        );
        stream.extend(self.monitor(&layers)?);
        Ok(stream)
    }

    /// The command for the monitor's socket, which fail2ban does not know: only if it is
    /// wanted.
    pub(in crate::load) fn monitor(
        &mut self,
        layers: &Layers,
    ) -> Result<Option<Command>, LoadError> {
        let wanted = layers
            .option(SECTION, "monitorsocket")
            .map_err(|error| LoadError::Option(Box::new(error)))?;
        if wanted.is_none_or(|value| value.text().trim().is_empty()) {
            return Ok(None);
        }
        let options = self.typed(layers, SECTION, MONITOR)?;
        let pair = |name: &str| {
            let word: Word = options.text(name).into();
            (name.trim_start_matches("monitor").to_owned(), word)
        };
        let pairs = ["monitorsocket", "monitorgroup", "monitormode"].map(pair);
        Ok(Some(vec![
            "set".into(),
            "monitor".into(),
            Word::Dict(pairs.into()),
        ]))
    }

    /// Options of the section that may be missing.
    fn server_options(&mut self, layers: &Layers, rows: &[Row]) -> Result<Typed, LoadError> {
        if layers.has_section(SECTION) {
            return self.typed(layers, SECTION, rows);
        }
        for _ in rows {
            let text = format!("No section: '{SECTION}'");
            self.tell(Level::Error, CONFIG_READER, text);
        }
        Ok(Typed::defaults(rows))
    }
}
