//! What the clients of one door may cost, all of them together.

use std::time::Duration;

use crate::daemon::office::Access;
use crate::wire::frame;

/// The bounds of one hall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many clients there may be at once.
    pub(super) clients: usize,
    /// How many requests are carried out at once.
    pub(super) workers: usize,
    /// How many clients may listen to a stream of replies.
    pub(super) streams: usize,
    /// How much of a request anybody may send at any time. Longer ones are carried out
    /// one by one.
    pub(super) small: usize,
    /// How many clients may send more at once,
    pub(super) turns: usize,
    /// and how much each of them. So all clients together make us keep `clients` times
    /// `small`, `turns` times this, and `longest` at most.
    pub(super) medium: usize,
    /// How long a request may be: one client at a time sends more than `medium`, and
    /// none if others wait for its turn.
    pub(super) longest: usize,
    /// How many bytes of replies may wait to be taken before requests wait as well.
    pub(super) replies: usize,
    /// How long anybody may take.
    pub(super) patience: Patience,
}

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// A client may stay so long before it has to make room for others.
    pub(super) place: Duration,
    /// Between two requests. The original waits for ever; here somebody who forgot to
    /// hang up is hung up on.
    pub(super) silence: Duration,
    /// From the first byte of a request to its last.
    pub(super) arrival: Duration,
    /// Without a byte, while others wait for a turn, or for the room that its reply takes.
    pub(super) pause: Duration,
    /// For the rest of a long request, while others wait to send theirs.
    pub(super) turn: Duration,
    /// Without a byte of a reply taken.
    pub(super) stuck: Duration,
    /// From the first byte of a reply to its last.
    pub(super) delivery: Duration,
    /// Until a listener to whom there is nothing to tell is looked after.
    pub(super) look: Duration,
}

const PATIENCE: Patience = Patience {
    place: Duration::from_secs(1),
    silence: Duration::from_mins(10),
    arrival: Duration::from_secs(30),
    pause: Duration::from_millis(250),
    turn: Duration::from_secs(2),
    stuck: Duration::from_mins(1),
    delivery: Duration::from_mins(5),
    look: Duration::from_secs(5),
};

/// The configuration of one jail is some 6 KB long, that of ninety 500 KB.
const SMALL: usize = 32 << 10;

impl Limits {
    /// The bounds of a door, in a process that may have so many descriptors: at the
    /// usual limit of 1024 the two doors leave a third of them for logs and children.
    pub(super) fn of(access: Access, descriptors: Option<u64>) -> Self {
        let share = |part: u64, most: usize| {
            let part = descriptors.map(|all| (all / part).max(1));
            part.and_then(|part| usize::try_from(part).ok())
                .map_or(most, |part| part.min(most))
        };
        match access {
            Access::Everything => Self {
                clients: share(2, 1024),
                workers: 32,
                streams: 32,
                small: SMALL,
                longest: frame::LIMIT,
                turns: 32,
                medium: 1 << 20,
                replies: 32 << 20,
                patience: PATIENCE,
            },
            // A question is short.
            Access::Harmless => Self {
                clients: share(8, 256),
                workers: 4,
                streams: 32,
                small: SMALL,
                longest: SMALL - frame::END.len(),
                turns: 1,
                medium: SMALL,
                replies: 8 << 20,
                patience: PATIENCE,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_doors_together_leave_descriptors_for_the_rest() {
        let of = |descriptors: Option<u64>| {
            [Access::Everything, Access::Harmless]
                .map(|access| Limits::of(access, descriptors).clients)
        };
        assert_eq!(of(Some(1024)), [512, 128]);
        assert_eq!(of(Some(64)), [32, 8]);
        assert_eq!(of(Some(1)), [1, 1]);
        assert_eq!(of(None), [1024, 256]);
        assert_eq!(of(Some(u64::MAX)), [1024, 256]);
    }

    #[test]
    fn a_question_needs_no_turn() {
        let limits = Limits::of(Access::Harmless, None);
        assert!(limits.longest + frame::END.len() <= limits.small);
    }
}
