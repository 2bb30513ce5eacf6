//! How much text waits for the disk, counted where it is handed over and where it is
//! written: in front of the recorder and inside it is one heap.
//!
//! Attackers write that text, and they may be faster than the disk. Past the bound a ban
//! waits without its lines; the ban itself is never dropped here.

use std::sync::atomic::{AtomicUsize, Ordering};

use ferroban_engine::Save;

/// How much text may wait, in bytes.
pub(super) const MAX_TEXT: usize = 64 << 20;

/// What waits.
#[derive(Debug, Default)]
pub(in super::super) struct Load {
    text: AtomicUsize,
    /// How many changes were shortened since it was last told.
    shortened: AtomicUsize,
}

impl Load {
    /// Counts what is handed over, and makes it shorter where too much waits. Whether
    /// this is the first time since everything was written.
    pub(in super::super) fn enter(&self, saves: &mut [Save]) -> bool {
        let mut shortened = 0;
        for save in saves {
            if let Save::Ban { ban, .. } | Save::Prolong { ban, .. } = save {
                let waiting = self.text.load(Ordering::Relaxed);
                shortened += usize::from(ban.ticket.fit(waiting, MAX_TEXT));
                self.text
                    .fetch_add(ban.ticket.text_len(), Ordering::Relaxed);
            }
        }
        shortened > 0 && self.shortened.fetch_add(shortened, Ordering::Relaxed) == 0
    }

    /// One waits no more.
    pub(super) fn leave(&self, save: &Save) {
        let less = |text: usize| Some(text.saturating_sub(text_len(save)));
        // It always gives something, so this cannot fail.
        self.text
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .ok();
    }

    /// These wait no more. How many were shortened since it was last asked.
    pub(super) fn written<'a>(&self, saves: impl Iterator<Item = &'a Save>) -> usize {
        saves.for_each(|save| self.leave(save));
        self.shortened.swap(0, Ordering::Relaxed)
    }
}

fn text_len(save: &Save) -> usize {
    match save {
        Save::Ban { ban, .. } | Save::Prolong { ban, .. } => ban.ticket.text_len(),
        _ => 0,
    }
}
