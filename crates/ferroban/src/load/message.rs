//! What reading a configuration has to tell, in fail2ban's words.
//!
//! The `fail2ban-*` faces print these as log lines. Nothing here prints.

use crate::log::Level;

/// How many are kept; a configuration is not worth more lines.
const MOST: usize = 10_000;

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    /// How much it matters.
    pub(crate) level: Level,
    /// The part of fail2ban that says so, such as `fail2ban.jailreader`.
    pub(crate) logger: &'static str,
    /// What it says.
    pub(crate) text: String,
}

/// Lines in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages(Vec<Message>);

impl Messages {
    pub(super) fn tell(&mut self, level: Level, logger: &'static str, text: String) {
        if self.0.len() < MOST {
            self.0.push(Message {
                level,
                logger,
                text,
            });
        }
    }

    /// The lines so far; the next call gives those after them.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_once_and_not_without_end() {
        let mut messages = Messages::default();
        for _ in 0..MOST + 5 {
            messages.tell(Level::Error, "fail2ban", "x".to_owned());
        }
        assert_eq!(messages.take().len(), MOST);
        assert!(messages.take().is_empty());
    }
}
