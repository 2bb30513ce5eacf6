//! Commands of our own on the same socket: `["ferroban", …]`.
//!
//! fail2ban's words are left to fail2ban; a server of theirs answers ours with
//! "Invalid command", which is the right answer.

use ferroban_engine::JailChange;

use super::Value;

/// What a server says that was told its configuration and cannot read it again. Clients
/// know it by this.
pub const UNCONFIGURED: &str =
    "this server reads no configuration by itself; use 'fail2ban-client reload'";

/// A wish for the daemon's own configuration to be read again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reconfigure {
    /// Take it over.
    Reload,
    /// Only tell what it would change.
    Plan,
}

impl Reconfigure {
    /// The request of this wish.
    #[must_use]
    pub fn request(self) -> Value {
        let word = match self {
            Self::Reload => "reload",
            Self::Plan => "plan",
        };
        Value::strings(["ferroban", word])
    }

    /// Reads a request; `None` if it is another one.
    #[must_use]
    pub fn read(request: &Value) -> Option<Self> {
        [Self::Reload, Self::Plan]
            .into_iter()
            .find(|wish| wish.request() == *request)
    }
}

/// Changes as a reply: a list of JSON texts.
#[must_use]
pub fn changes_value(changes: &[JailChange]) -> Value {
    let texts = changes
        .iter()
        .filter_map(|change| serde_json::to_string(change).ok());
    Value::List(texts.map(|text| Value::from(text.as_str())).collect())
}

/// The changes of a reply; `None` if it is none of ours.
#[must_use]
pub fn changes_of(reply: &Value) -> Option<Vec<JailChange>> {
    let texts = reply.elements()?.iter();
    texts
        .map(|text| serde_json::from_str(text.as_str()?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_and_changes_survive_the_wire() {
        for wish in [Reconfigure::Reload, Reconfigure::Plan] {
            assert_eq!(Reconfigure::read(&wish.request()), Some(wish));
        }
        assert_eq!(Reconfigure::read(&Value::strings(["reload"])), None);
        let changes = vec![
            JailChange::Added {
                jail: "a".parse().unwrap(),
            },
            JailChange::Removed {
                jail: "b".parse().unwrap(),
                bans: 3,
            },
        ];
        assert_eq!(changes_of(&changes_value(&changes)), Some(changes));
        assert_eq!(changes_of(&Value::strings(["SHUTDOWN"])), None);
    }
}
