//! The stream of commands that a configuration stands for.
//!
//! It is word for word the stream that fail2ban's client sends to its server, so that
//! either client can drive either server, and `-d` can print it. Everything that the
//! original tells on the way is told in the same order, and what ends its reading ends
//! ours.

mod action;
mod definition;
mod filter;
mod general;
mod jail;
mod logpath;
mod typed;
mod words;

pub(crate) use filter::Rules;
pub(crate) use general::Places;
pub(crate) use logpath::Logs;
pub(crate) use words::{WordsError, split};

use super::LoadError;
use super::folder::Folder;
use super::word::Stream;
use crate::COMPATIBLE;
use crate::log::Level;
use jail::{Made, Read};

const JAILS_READER: &str = "fail2ban.jailsreader";

/// What reading a configuration came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The commands; none if the configuration as a whole is broken.
    pub(crate) stream: Option<Stream>,
    /// Whether fail2ban would go on with it: no jail is wrong, or that does not matter.
    pub(crate) good: bool,
}

/// How a configuration is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// What becomes of log files.
    pub(crate) logs: Logs,
    /// Whether one wrong jail spoils everything.
    pub(crate) strict: bool,
}

impl Folder<'_> {
    /// Reads everything, or of all jails only this one. What is wrong is among the
    /// messages.
    pub(crate) fn stream(&mut self, places: &Places, how: How, only: Option<&str>) -> Outcome {
        match self.try_stream(places, how, only) {
            Ok((stream, good)) => Outcome {
                stream: Some(stream),
                good,
            },
            Err(error) => {
                let text = format!("Failed during configuration: {}", error.original());
                self.tell(Level::Error, "fail2ban", text);
                Outcome {
                    stream: None,
                    good: false,
                }
            }
        }
    }

    fn try_stream(
        &mut self,
        places: &Places,
        how: How,
        only: Option<&str>,
    ) -> Result<(Stream, bool), LoadError> {
        // Jails that cannot be read at all are told first.
        let layers = self.layers("jail")?.ok_or(LoadError::NoJails)?;
        let mut stream = self.general(places)?;
        let (jails, good) = self.jails_of(&layers, how, only)?;
        stream.extend(jails);
        Ok((stream, good))
    }

    /// Reads the jails alone.
    pub(super) fn jails(&mut self, how: How) -> Result<(Stream, bool), LoadError> {
        let layers = self.layers("jail")?.ok_or(LoadError::NoJails)?;
        self.jails_of(&layers, how, None)
    }

    fn jails_of(
        &mut self,
        layers: &ferroban_config::Layers,
        how: How,
        only: Option<&str>,
    ) -> Result<(Stream, bool), LoadError> {
        let mut layers = layers.clone();
        layers.define("fail2ban_version", COMPATIBLE);
        layers.define("fail2ban_confpath", &self.base().display().to_string());
        let names: Vec<String> = match only {
            Some(name) if !layers.has_section(name) => {
                return Err(LoadError::NoSection(name.to_owned()));
            }
            Some(name) => vec![name.to_owned()],
            None => layers.sections().map(str::to_owned).collect(),
        };
        let mut jails = Vec::new();
        for name in names {
            match self.jail(&mut layers, &name)? {
                Read::Off => {}
                jail => {
                    self.tell_wrong(&name, &jail, how);
                    jails.push((name, jail));
                }
            }
        }
        let wrong = |(_, jail): &&(String, Read)| matches!(jail, Read::Wrong(_));
        let wrong = jails.iter().filter(wrong).count();
        let good = wrong == 0 || (!how.strict && wrong < jails.len());
        Ok((self.made(jails, how)?, good))
    }

    fn tell_wrong(&mut self, name: &str, jail: &Read, how: How) {
        if matches!(jail, Read::Wrong(_)) {
            let name = ferroban_config::quoted(name);
            let rest = if how.strict { "" } else { " Skipping..." };
            let text = format!("Errors in jail {name}.{rest}");
            self.tell(Level::Error, JAILS_READER, text);
        }
    }

    /// The commands of all jails, and then what starts them.
    fn made(&mut self, jails: Vec<(String, Read)>, how: How) -> Result<Stream, LoadError> {
        let (mut stream, mut starts) = (Stream::new(), Stream::new());
        for (name, jail) in jails {
            match jail {
                Read::Off => {}
                Read::Wrong(why) => {
                    let text =
                        format!("Jail '{name}' skipped, because of wrong configuration: {why}");
                    stream.push(vec!["config-error".into(), text.into()]);
                }
                Read::Good(jail) => match self.make(*jail, how.logs)? {
                    Made::Skipped(commands) => stream.extend(commands),
                    Made::Started(commands) => {
                        stream.extend(commands);
                        starts.push(vec!["start".into(), name.into()]);
                    }
                },
            }
        }
        stream.append(&mut starts);
        Ok(stream)
    }
}

#[cfg(test)]
mod tests;
