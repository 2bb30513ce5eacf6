//! Python's `str`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// A text as Python has it: UTF-8 in which a code point may also be half of a surrogate
/// pair. Python makes such halves from bytes it could not decode.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Str(Vec<u8>);

/// A part of a [`Str`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece<'a> {
    /// Ordinary text.
    Text(&'a str),
    /// Half of a surrogate pair, `0xd800..=0xdfff`.
    Surrogate(u16),
}

impl Str {
    /// Takes UTF-8 with surrogates; or says where it is neither.
    pub(super) fn check(bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((_, later)) = first(rest) else {
                return Err(bytes.len() - rest.len());
            };
            rest = later;
        }
        Ok(())
    }

    /// The bytes must have been [`check`](Self::check)ed.
    pub(super) fn from_checked(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Reads an argument of the command line as Python does: a byte that is no UTF-8
    /// becomes a lone surrogate.
    #[must_use]
    pub fn from_os(text: &OsStr) -> Self {
        let mut bytes = Vec::new();
        for chunk in text.as_bytes().utf8_chunks() {
            bytes.extend_from_slice(chunk.valid().as_bytes());
            for byte in chunk.invalid() {
                push_code_point(&mut bytes, 0xdc00 + u32::from(*byte));
            }
        }
        Self(bytes)
    }

    /// The bytes, UTF-8 but for surrogates.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, unless it has lone surrogates.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with a replacement character for each surrogate.
    #[must_use]
    pub fn to_lossy(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => self
                .pieces()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Surrogate(_) => "\u{fffd}",
                })
                .collect(),
        }
    }

    /// The text, cut at the surrogates.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (piece, later) = first(rest)?;
            rest = later;
            Some(piece)
        })
    }

    /// The numbers of the characters.
    pub fn code_points(&self) -> impl Iterator<Item = u32> {
        self.pieces().flat_map(|piece| {
            let (text, half) = match piece {
                Piece::Text(text) => (text, None),
                Piece::Surrogate(half) => ("", Some(u32::from(half))),
            };
            text.chars().map(u32::from).chain(half)
        })
    }
}

/// The longest piece at the front, and what follows it.
fn first(bytes: &[u8]) -> Option<(Piece<'_>, &[u8])> {
    let valid = match std::str::from_utf8(bytes) {
        Ok("") => return None,
        Ok(text) => return Some((Piece::Text(text), &[])),
        Err(error) => error.valid_up_to(),
    };
    if valid > 0 {
        let (text, rest) = bytes.split_at_checked(valid)?;
        return Some((Piece::Text(std::str::from_utf8(text).ok()?), rest));
    }
    match bytes {
        [0xed, high @ 0xa0..=0xbf, low @ 0x80..=0xbf, rest @ ..] => {
            let half = 0xd000 | u16::from(high & 0x3f) << 6 | u16::from(low & 0x3f);
            Some((Piece::Surrogate(half), rest))
        }
        _ => None,
    }
}

/// Appends a character, surrogates included; `None` if there is no such character.
pub(super) fn push_code_point(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    if let Some(character) = char::from_u32(code) {
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return Some(());
    }
    let half = u16::try_from(code).ok()?;
    let [high, low] = (half & 0xfff).to_be_bytes();
    bytes.extend_from_slice(&[0xed, 0x80 | high << 2 | low >> 6, 0x80 | low & 0x3f]);
    Some(())
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::wire::text::quoted(self))
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_point_comes_back() {
        for code in 0..0x11_0000 {
            let mut bytes = Vec::new();
            push_code_point(&mut bytes, code).unwrap();
            assert_eq!(Str::check(&bytes), Ok(()), "{code:x}");
            let text = Str::from_checked(bytes);
            assert!(text.code_points().eq([code]), "{code:x}");
        }
        assert_eq!(push_code_point(&mut Vec::new(), 0x11_0000), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_found() {
        let rows: [(&[u8], Result<(), usize>); 6] = [
            (b"", Ok(())),
            (b"a\xed\xa0\x80\xed\xbf\xbfb", Ok(())),
            (b"\xff", Err(0)),
            (b"ab\xed\xa0", Err(2)),
            (b"a\xed\xa0\x80\xc3", Err(4)),
            (b"\xf4\x90\x80\x80", Err(0)),
        ];
        for (bytes, expected) in rows {
            assert_eq!(Str::check(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn an_argument_with_broken_bytes_is_read_as_python_does() {
        let text = Str::from_os(OsStr::from_bytes(b"a\xff\xc3b"));
        let codes: Vec<u32> = text.code_points().collect();
        assert_eq!(codes, [0x61, 0xdcff, 0xdcc3, 0x62]);
        assert_eq!(text.to_lossy(), "a\u{fffd}\u{fffd}b");
        assert_eq!(text.as_str(), None);
    }
}
