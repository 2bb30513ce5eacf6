//! Texts in other encodings than UTF-8, and files of lines in any of them.
//!
//! An [`Encoding`] has one of the names that Python has for it, since `logencoding` and
//! `fail2ban-regex -e` are written so. Bytes that do not belong to it become U+FFFD, and
//! that is said. [`Lines`] reads a file once from front to back; following one that grows
//! is `file`'s business.

use std::borrow::Cow;
use std::env;
use std::io::{self, BufRead};

use super::LINE_CAP;

/// How bytes become text.
#[derive(Clone, Copy, Debug)]
pub struct Encoding(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Utf8 {
        /// A mark at the start of the file is no text.
        signed: bool,
    },
    Ascii,
    Latin1,
    /// UTF-16 or UTF-32.
    Wide {
        bytes: usize,
        order: Order,
    },
    Table(&'static encoding_rs::Encoding),
}

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Big,
    Little,
    /// What a mark at the start of the file says; little without one.
    Marked,
}

/// Names beside those that `encoding_rs` shares with Python, without `-`, `_` and blanks.
const NAMES: &[(&str, Kind)] = &[
    ("utf8", Kind::Utf8 { signed: false }),
    ("utf", Kind::Utf8 { signed: false }),
    ("u8", Kind::Utf8 { signed: false }),
    ("cp65001", Kind::Utf8 { signed: false }),
    ("utf8sig", Kind::Utf8 { signed: true }),
    ("ascii", Kind::Ascii),
    ("usascii", Kind::Ascii),
    ("646", Kind::Ascii),
    ("us", Kind::Ascii),
    ("ansix3.41968", Kind::Ascii),
    ("iso646us", Kind::Ascii),
    ("latin1", Kind::Latin1),
    ("latin", Kind::Latin1),
    ("l1", Kind::Latin1),
    ("8859", Kind::Latin1),
    ("cp819", Kind::Latin1),
    ("iso88591", Kind::Latin1),
    ("utf16", wide(2, Order::Marked)),
    ("u16", wide(2, Order::Marked)),
    ("utf16le", wide(2, Order::Little)),
    ("utf16be", wide(2, Order::Big)),
    ("utf32", wide(4, Order::Marked)),
    ("u32", wide(4, Order::Marked)),
    ("utf32le", wide(4, Order::Little)),
    ("utf32be", wide(4, Order::Big)),
    ("eucjp", Kind::Table(encoding_rs::EUC_JP)),
    ("ujis", Kind::Table(encoding_rs::EUC_JP)),
    ("shiftjis", Kind::Table(encoding_rs::SHIFT_JIS)),
    ("sjis", Kind::Table(encoding_rs::SHIFT_JIS)),
    ("euckr", Kind::Table(encoding_rs::EUC_KR)),
    ("gbk", Kind::Table(encoding_rs::GBK)),
    ("cp936", Kind::Table(encoding_rs::GBK)),
    ("gb18030", Kind::Table(encoding_rs::GB18030)),
    ("big5", Kind::Table(encoding_rs::BIG5)),
    ("koi8r", Kind::Table(encoding_rs::KOI8_R)),
    ("koi8u", Kind::Table(encoding_rs::KOI8_U)),
    ("cp866", Kind::Table(encoding_rs::IBM866)),
    ("ibm866", Kind::Table(encoding_rs::IBM866)),
    ("macroman", Kind::Table(encoding_rs::MACINTOSH)),
    ("macintosh", Kind::Table(encoding_rs::MACINTOSH)),
    ("latin2", Kind::Table(encoding_rs::ISO_8859_2)),
    ("latin3", Kind::Table(encoding_rs::ISO_8859_3)),
    ("latin4", Kind::Table(encoding_rs::ISO_8859_4)),
    ("cyrillic", Kind::Table(encoding_rs::ISO_8859_5)),
    ("greek", Kind::Table(encoding_rs::ISO_8859_7)),
    ("latin6", Kind::Table(encoding_rs::ISO_8859_10)),
    ("latin9", Kind::Table(encoding_rs::ISO_8859_15)),
    ("latin10", Kind::Table(encoding_rs::ISO_8859_16)),
];

const fn wide(bytes: usize, order: Order) -> Kind {
    Kind::Wide { bytes, order }
}

impl Default for Encoding {
    fn default() -> Self {
        Self::UTF8
    }
}

impl Encoding {
    /// What everything is taken for that nobody says otherwise of.
    pub const UTF8: Self = Self(Kind::Utf8 { signed: false });

    /// The encoding that Python knows under this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mark = |c: char| matches!(c, '-' | '_' | ' ');
        let plain: String = name.to_lowercase().split(mark).collect();
        if let Some((_, kind)) = NAMES.iter().find(|(known, _)| *known == plain) {
            return Some(Self(*kind));
        }
        let number = |prefix: &str| plain.strip_prefix(prefix);
        let label = if let Some(page) = number("cp125").or_else(|| number("windows125")) {
            format!("windows-125{page}")
        } else {
            format!("iso-8859-{}", number("iso8859")?)
        };
        // The web takes some for others: there, ISO 8859-9 is Windows 1254.
        let table = encoding_rs::Encoding::for_label(label.as_bytes())?;
        let same = table.name().eq_ignore_ascii_case(&label);
        same.then_some(Self(Kind::Table(table)))
    }

    /// That of the user's locale, with the name that Python gives it.
    #[must_use]
    pub fn of_locale() -> (String, Self) {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        match locale.as_deref() {
            None | Some("C" | "POSIX") => ("utf-8".to_owned(), Self::UTF8),
            Some(locale) => {
                let codeset = locale
                    .split('@')
                    .next()
                    .and_then(|text| text.split_once('.'));
                let named = codeset.map(|(_, name)| name.to_uppercase());
                let known = named.and_then(|name| Self::named(&name).map(|own| (name, own)));
                match known {
                    Some((name, own)) if !matches!(own.0, Kind::Utf8 { .. }) => (name, own),
                    _ => ("UTF-8".to_owned(), Self::UTF8),
                }
            }
        }
    }

    /// The text of some bytes, and whether all of them have a meaning.
    #[must_use]
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, str>, bool) {
        match self.0 {
            Kind::Utf8 { .. } => {
                // Looked at once more only where something is wrong.
                if let Ok(text) = str::from_utf8(bytes) {
                    return (text.into(), true);
                }
                let text = String::from_utf8_lossy(bytes);
                let good = matches!(text, Cow::Borrowed(_));
                (text, good)
            }
            Kind::Ascii => match str::from_utf8(bytes) {
                Ok(text) if bytes.is_ascii() => (text.into(), true),
                _ => {
                    let letter = |byte: &u8| match byte {
                        0..=0x7f => char::from(*byte),
                        _ => char::REPLACEMENT_CHARACTER,
                    };
                    (bytes.iter().map(letter).collect(), false)
                }
            },
            Kind::Latin1 => {
                let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
                (text.into(), true)
            }
            Kind::Wide { bytes: 2, order } => utf16(bytes, order),
            Kind::Wide { order, .. } => utf32(bytes, order),
            Kind::Table(table) => by_table(table, bytes),
        }
    }

    /// Whether it is UTF-8.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        matches!(self.0, Kind::Utf8 { .. })
    }

    /// Whether a line can be recognised by its newline, whatever stands before it. It
    /// cannot in UTF-16 and UTF-32.
    #[must_use]
    pub fn has_plain_lines(&self) -> bool {
        self.unit() == 1
    }

    /// How many bytes one unit has: no newline begins in the midst of one.
    fn unit(&self) -> usize {
        match self.0 {
            Kind::Wide { bytes, .. } => bytes,
            _ => 1,
        }
    }

    /// Looks for a mark at the start of a file: how long it is, and what follows it.
    fn marked(self, start: &[u8]) -> (usize, Self) {
        match self.0 {
            Kind::Utf8 { signed: true } => {
                let mark = start.starts_with("\u{feff}".as_bytes());
                (if mark { 3 } else { 0 }, Self::UTF8)
            }
            Kind::Wide {
                bytes,
                order: Order::Marked,
            } => {
                let little: &[u8] = if bytes == 2 {
                    b"\xff\xfe"
                } else {
                    b"\xff\xfe\0\0"
                };
                let big: Vec<u8> = little.iter().rev().copied().collect();
                let (length, order) = if start.starts_with(&big) {
                    (bytes, Order::Big)
                } else if start.starts_with(little) {
                    (bytes, Order::Little)
                } else {
                    (0, Order::Little)
                };
                (length, Self(wide(bytes, order)))
            }
            _ => (0, self),
        }
    }
}

fn utf16(bytes: &[u8], order: Order) -> (Cow<'static, str>, bool) {
    let units = bytes.chunks(2).map(|pair| match *pair {
        [first, second] if order == Order::Big => u16::from_be_bytes([first, second]),
        [first, second] => u16::from_le_bytes([first, second]),
        // Half a character is none.
        _ => 0xdfff,
    });
    collected(char::decode_utf16(units).map(Result::ok))
}

fn utf32(bytes: &[u8], order: Order) -> (Cow<'static, str>, bool) {
    collected(bytes.chunks(4).map(|unit| {
        let unit: [u8; 4] = unit.try_into().ok()?;
        char::from_u32(match order {
            Order::Big => u32::from_be_bytes(unit),
            Order::Little | Order::Marked => u32::from_le_bytes(unit),
        })
    }))
}

fn collected(letters: impl Iterator<Item = Option<char>>) -> (Cow<'static, str>, bool) {
    let mut good = true;
    let text: String = letters
        .map(|letter| {
            good &= letter.is_some();
            letter.unwrap_or(char::REPLACEMENT_CHARACTER)
        })
        .collect();
    (text.into(), good)
}

fn by_table<'a>(table: &'static encoding_rs::Encoding, bytes: &'a [u8]) -> (Cow<'a, str>, bool) {
    let (text, wrong) = table.decode_without_bom_handling(bytes);
    // The web gives the unused places of the Windows tables to controls. Python does not.
    let unused = |c: char| matches!(c, '\u{80}'..='\u{9f}');
    if table.name().starts_with("windows-") && text.contains(unused) {
        return (text.replace(unused, "\u{fffd}").into(), false);
    }
    (text, !wrong)
}

/// The lines of a file that is read once.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    encoding: Encoding,
    begun: bool,
    /// A line that the input does not hand over in one piece.
    raw: Vec<u8>,
    /// How long the last line was if it did: so many bytes are still to be passed.
    whole: usize,
    /// Bytes that were read, to say how far it is.
    read: u64,
}

/// One line, with its end.
#[derive(Debug)]
pub struct RawLine<'a> {
    /// The bytes, up to [`LINE_CAP`] of them.
    pub bytes: &'a [u8],
    /// What they say.
    pub text: Cow<'a, str>,
    /// Whether all of them have a meaning.
    pub good: bool,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`.
    pub fn new(input: R, encoding: Encoding) -> Self {
        Self {
            input,
            encoding,
            begun: false,
            raw: Vec::new(),
            whole: 0,
            read: 0,
        }
    }

    /// How many bytes were read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The next line that has an end. What follows the last end of a line is none: whoever
    /// writes it has not finished.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        if !self.begun {
            self.begun = true;
            let start = self.input.fill_buf()?;
            let (mark, encoding) = self.encoding.marked(start);
            self.input.consume(mark);
            self.encoding = encoding;
        }
        // The memory of a long line is given back.
        self.raw.clear();
        self.raw.shrink_to(64 << 10);
        self.input.consume(std::mem::take(&mut self.whole));
        let complete = match self.encoding.unit() {
            1 => self.narrow()?,
            bytes => self.wide(bytes)?,
        };
        if !complete {
            return Ok(None);
        }
        let bytes = match self.whole {
            0 => self.raw.as_slice(),
            length => self.input.fill_buf()?.get(..length).unwrap_or_default(),
        };
        let (text, good) = self.encoding.decode(bytes);
        Ok(Some(RawLine { bytes, text, good }))
    }

    /// Reads up to a newline byte; false if there is none. A line that the input has in one
    /// piece stays there.
    fn narrow(&mut self) -> io::Result<bool> {
        loop {
            let part = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                part => part?,
            };
            if part.is_empty() {
                return Ok(false);
            }
            let end = super::batch::newline(part);
            let length = end.map_or(part.len(), |end| end + 1);
            if end.is_some() && self.raw.is_empty() && length <= LINE_CAP {
                self.whole = length;
                self.read = self.read.saturating_add(u64::try_from(length).unwrap_or(0));
                return Ok(true);
            }
            let taken = part.get(..length).unwrap_or_default();
            let room = LINE_CAP.saturating_sub(self.raw.len());
            self.raw
                .extend_from_slice(taken.get(..room).unwrap_or(taken));
            self.read = self.read.saturating_add(u64::try_from(length).unwrap_or(0));
            self.input.consume(length);
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// The same for units of several bytes.
    fn wide(&mut self, bytes: usize) -> io::Result<bool> {
        let order = match self.encoding.0 {
            Kind::Wide { order, .. } => order,
            _ => Order::Little,
        };
        let mut unit = [0; 4];
        loop {
            let Some(unit) = unit.get_mut(..bytes) else {
                return Ok(false);
            };
            match self.input.read_exact(unit) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                read => read?,
            }
            self.read = self
                .read
                .saturating_add(4.min(u64::try_from(bytes).unwrap_or(0)));
            if self.raw.len() + bytes <= LINE_CAP {
                self.raw.extend_from_slice(unit);
            }
            let (low, high) = match order {
                Order::Big => (unit.last(), unit.get(..bytes - 1)),
                Order::Little | Order::Marked => (unit.first(), unit.get(1..)),
            };
            let zeros = high.is_some_and(|high| high.iter().all(|byte| *byte == 0));
            if low == Some(&b'\n') && zeros {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, and whether each is all there.
    type Texts = Vec<(String, bool)>;

    fn lines(name: &str, bytes: &[u8]) -> Texts {
        let encoding = Encoding::named(name).unwrap();
        let mut lines = Lines::new(bytes, encoding);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push((line.text.into_owned(), line.good));
        }
        all
    }

    #[test]
    fn each_encoding_reads_its_own_bytes() {
        let good = |text: &str| vec![(text.to_owned(), true)];
        let bad = |text: &str| vec![(text.to_owned(), false)];
        let rows: [(&str, &[u8], Texts); 16] = [
            ("utf-8", b"\xc3\xa9\n", good("é\n")),
            ("UTF8", b"\xef\xbb\xbfa\n", good("\u{feff}a\n")),
            ("utf_8_sig", b"\xef\xbb\xbfa\n", good("a\n")),
            ("utf-8", b"\xff\n", bad("\u{fffd}\n")),
            ("ascii", b"a\xe9\n", bad("a\u{fffd}\n")),
            ("latin_1", b"\x80\xe9\n", good("\u{80}é\n")),
            ("iso8859-1", b"\xe9\n", good("é\n")),
            ("cp1252", b"\x80\n", good("€\n")),
            ("windows-1252", b"\x81\n", bad("\u{fffd}\n")),
            ("iso-8859-15", b"\xa4\n", good("€\n")),
            ("koi8_r", b"\xc1\n", good("а\n")),
            ("utf-16", b"\xff\xfea\0\n\0", good("a\n")),
            ("utf-16", b"\xfe\xff\0a\0\n", good("a\n")),
            ("utf-16-le", b"\x0a\x01\n\0", good("\u{10a}\n")),
            ("utf-16-be", b"\xd8\x00\0\n", bad("\u{fffd}\n")),
            ("utf-32", b"\xff\xfe\0\0a\0\0\0\n\0\0\0", good("a\n")),
        ];
        for (name, bytes, expected) in rows {
            assert_eq!(lines(name, bytes), expected, "{name} {bytes:?}");
        }
    }

    #[test]
    fn what_is_no_encoding_has_no_name() {
        for name in [
            "",
            "auto",
            "nope",
            "cp1299",
            "iso8859-99",
            "rot13",
            "x-user-defined",
        ] {
            assert!(Encoding::named(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_last_line_needs_an_end_and_a_long_one_is_cut() {
        let texts = |name, bytes: &[u8]| {
            let all = lines(name, bytes).into_iter();
            all.map(|(text, _)| text).collect::<Vec<_>>()
        };
        assert_eq!(texts("utf-8", b"a\r\n\nb"), ["a\r\n", "\n"]);
        assert_eq!(texts("utf-16-le", b"a\0\n\0b\0"), ["a\n"]);
        let long = [vec![b'x'; LINE_CAP + 5], b"\ny\n".to_vec()].concat();
        let cut = texts("utf-8", &long);
        assert_eq!(cut.first().map(String::len), Some(LINE_CAP));
        assert_eq!(cut.get(1).map(String::as_str), Some("y\n"));
    }
}
