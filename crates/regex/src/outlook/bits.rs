//! Sets of places, one bit for each.

/// Whether the place is in the set.
#[inline]
pub(super) fn has(set: &[u64], place: u32) -> bool {
    set.get(place as usize / 64)
        .is_some_and(|word| word >> (place % 64) & 1 != 0)
}

pub(super) fn add(set: &mut [u64], place: u32) {
    if let Some(word) = set.get_mut(place as usize / 64) {
        *word |= 1 << (place % 64);
    }
}

pub(super) fn remove(set: &mut [u64], place: u32) {
    if let Some(word) = set.get_mut(place as usize / 64) {
        *word &= !(1 << (place % 64));
    }
}
