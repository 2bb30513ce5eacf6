//! What a new configuration would change, before anything happens.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{FailId, JailName};
use crate::settings::JailSettings;

/// What becomes of one jail.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum JailChange {
    /// It is new.
    Added { jail: JailName },
    /// It is gone; its bans leave the firewall and stay stored.
    Removed { jail: JailName, bans: usize },
    /// Options differ; its bans and counts stay.
    Changed {
        jail: JailName,
        bans: usize,
        options: Vec<OptionChange>,
    },
}

/// One option that differs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OptionChange {
    /// Its name.
    pub option: String,
    /// Its value now, as text.
    pub from: String,
    /// Its value to come.
    pub to: String,
}

impl OptionChange {
    /// The change of an option, if it is one.
    #[must_use]
    pub fn between(option: &str, from: String, to: String) -> Option<Self> {
        (from != to).then(|| Self {
            option: option.to_owned(),
            from,
            to,
        })
    }
}

impl fmt::Display for JailChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { jail } => write!(f, "+ jail '{jail}' starts"),
            Self::Removed { jail, bans } => {
                write!(f, "- jail '{jail}' stops; {bans} ban(s) leave the firewall")
            }
            Self::Changed {
                jail,
                bans,
                options,
            } => {
                write!(f, "~ jail '{jail}' changes; {bans} ban(s) stay")?;
                options
                    .iter()
                    .try_for_each(|option| write!(f, "\n    {option}"))
            }
        }
    }
}

impl fmt::Display for OptionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} -> {}",
            self.option,
            shown(&self.from),
            shown(&self.to)
        )
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(nothing)" } else { value }
}

/// Which of the options that the engine itself knows differ.
pub(crate) fn differences(old: &JailSettings, new: &JailSettings) -> Vec<OptionChange> {
    let list = |ids: &[FailId]| {
        ids.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let between = |option: &str, text: fn(&JailSettings) -> String| {
        OptionChange::between(option, text(old), text(new))
    };
    let all = [
        between("maxretry", |s| s.maxretry.to_string()),
        between("findtime", |s| s.findtime.to_string()),
        between("bantime", |s| s.bantime.secs().to_string()),
        between("maxmatches", |s| s.maxmatches.to_string()),
        between("ignoreself", |s| s.ignoreself.to_string()),
        between("ignorecommand", |s| {
            s.ignorecommand.clone().unwrap_or_default()
        }),
        between("ignorecache", |s| {
            let cache = s.ignorecache.as_ref();
            cache.map(ToString::to_string).unwrap_or_default()
        }),
        OptionChange::between("ignoreip", list(&old.ignoreip), list(&new.ignoreip)),
    ];
    all.into_iter().flatten().collect()
}
