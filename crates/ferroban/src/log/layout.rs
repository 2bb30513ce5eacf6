//! The layout of a line: a `%`-format of Python's logging.
//!
//! `%(name)-24s` is an attribute of the record with flags, width, precision and
//! conversion as C's `printf` has them. What Python would find out with every line, a
//! name it does not know or a text to be shown as a number, is found out here when the
//! layout is read.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::thread;

use ferroban_config::quoted;

use super::record::{Record, escape};
use crate::clock;

/// How wide a field may be asked to be.
const WIDEST: usize = 1000;

/// A `%`-format, ready to be filled in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    attribute: Attribute,
    flags: Flags,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Flags(u8);

impl Flags {
    const ALL: [char; 5] = ['#', '0', '-', '+', ' '];

    fn has(self, flag: char) -> bool {
        let mut all = Self::ALL.iter().zip(0..);
        all.any(|(c, bit)| *c == flag && self.0 & 1 << bit != 0)
    }

    fn only(self, flag: char) -> Self {
        let kept = self.has(flag).then(|| Self::default().with(flag));
        kept.flatten().unwrap_or_default()
    }

    fn with(self, flag: char) -> Option<Self> {
        let mut all = Self::ALL.iter().zip(0..);
        let (_, bit) = all.find(|(c, _)| **c == flag)?;
        Some(Self(self.0 | 1 << bit))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Attribute {
    Name,
    LevelNumber,
    LevelName,
    Message,
    Module,
    Function,
    File,
    Line,
    Created,
    Time,
    Millis,
    SinceStart,
    Thread,
    ThreadName,
    Process,
    ProcessName,
}

/// An attribute with its name in a format, and a sample for what can be done with it.
static ATTRIBUTES: [(&str, Attribute, Value); 17] = [
    ("name", Attribute::Name, TEXT),
    ("levelno", Attribute::LevelNumber, WHOLE),
    ("levelname", Attribute::LevelName, TEXT),
    ("message", Attribute::Message, TEXT),
    ("module", Attribute::Module, TEXT),
    ("funcName", Attribute::Function, TEXT),
    ("filename", Attribute::File, TEXT),
    ("pathname", Attribute::File, TEXT),
    ("lineno", Attribute::Line, WHOLE),
    ("created", Attribute::Created, PARTS),
    ("asctime", Attribute::Time, TEXT),
    ("msecs", Attribute::Millis, PARTS),
    ("relativeCreated", Attribute::SinceStart, PARTS),
    ("thread", Attribute::Thread, WHOLE),
    ("threadName", Attribute::ThreadName, TEXT),
    ("process", Attribute::Process, WHOLE),
    ("processName", Attribute::ProcessName, TEXT),
];

const TEXT: Value = Value::Text(String::new());
const WHOLE: Value = Value::Whole(0);
const PARTS: Value = Value::Parts(0);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Whole(i64),
    /// A number in millionths; a `float` in Python.
    Parts(i64),
}

/// A millionth's reciprocal.
const PART: i64 = 1_000_000;

impl Layout {
    /// Reads a format; `None` if Python could not use it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut fields = 0;
        while let Some((plain, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(plain.to_owned()));
            if let Some(after) = after.strip_prefix('%') {
                pieces.push(Piece::Text("%".to_owned()));
                rest = after;
                continue;
            }
            let (field, after) = Field::parse(after)?;
            pieces.push(Piece::Field(field));
            fields += 1;
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        (fields > 0).then_some(Self(pieces))
    }

    /// The line of a record, without an end.
    pub(super) fn fill(&self, record: &Record<'_>) -> String {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Field(field) => field.fill_in(record, &mut line),
            }
        }
        line
    }
}

impl Field {
    /// Reads what follows a `%`, and the text after it.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
        let (_, attribute, sample) = ATTRIBUTES.iter().find(|row| row.0 == name)?;
        let mut flags = Flags::default();
        let mut rest = rest;
        while let Some(more) = rest.chars().next().and_then(|c| flags.with(c)) {
            flags = more;
            rest = after_first(rest);
        }
        let (width, mut rest) = number(rest)?;
        let mut precision = None;
        if let Some(after) = rest.strip_prefix('.') {
            let (digits, after) = number(after)?;
            (precision, rest) = (Some(digits), after);
        }
        // C's lengths say nothing to Python.
        let rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
        let conversion = rest.chars().next()?;
        let field = Self {
            attribute: *attribute,
            flags,
            width,
            precision,
            conversion,
        };
        sample.takes(conversion).then(|| (field, after_first(rest)))
    }

    /// Adds what it shows of a record. Texts are what every line has several of.
    fn fill_in(&self, record: &Record<'_>, line: &mut String) {
        let plain = self.conversion == 's' && self.precision.is_none();
        let Some(text) = text(self.attribute, record).filter(|_| plain) else {
            line.push_str(&self.fill(record));
            return;
        };
        let missing = self.width.saturating_sub(text.chars().count());
        let left = self.flags.has('-');
        let blanks = |wanted: bool| if wanted { missing } else { 0 };
        line.extend(std::iter::repeat_n(' ', blanks(!left)));
        line.push_str(&text);
        line.extend(std::iter::repeat_n(' ', blanks(left)));
    }

    fn fill(&self, record: &Record<'_>) -> String {
        let value = value(self.attribute, record);
        match (self.conversion, value) {
            ('s' | 'r' | 'a', value) => self.text(&value),
            ('c', Value::Whole(whole)) => {
                let c = u32::try_from(whole).ok().and_then(char::from_u32);
                self.padded("", c.unwrap_or('?').encode_utf8(&mut [0; 4]))
            }
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', value) => self.float(value.float()),
            (_, value) => self.whole(value.whole()),
        }
    }

    fn text(&self, value: &Value) -> String {
        let text = match (self.conversion, value) {
            ('s', Value::Text(text)) => text.clone(),
            ('a', Value::Text(text)) => ascii(&quoted(text)),
            (_, Value::Text(text)) => quoted(text),
            (_, Value::Whole(whole)) => whole.to_string(),
            (_, Value::Parts(_)) => format!("{:?}", value.float()),
        };
        let most = self.precision.unwrap_or(usize::MAX);
        let cut: String = text.chars().take(most).collect();
        let plain = Self {
            flags: self.flags.only('-'),
            ..self.clone()
        };
        plain.padded("", &cut)
    }

    fn whole(&self, value: i64) -> String {
        let size = value.unsigned_abs();
        let (prefix, digits) = match self.conversion {
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0o", format!("{size:o}")),
            _ => ("", size.to_string()),
        };
        let least = self.precision.unwrap_or(0);
        let digits = format!("{digits:0>least$}");
        let prefix = if self.flags.has('#') { prefix } else { "" };
        self.padded(&format!("{}{prefix}", self.sign(value < 0)), &digits)
    }

    fn float(&self, value: f64) -> String {
        let size = value.abs();
        let precision = self.precision.unwrap_or(6);
        let digits = match self.conversion.to_ascii_lowercase() {
            'f' => format!("{size:.precision$}"),
            'e' => exponential(size, precision).0,
            _ => shortest(size, precision.max(1)),
        };
        let digits = if self.conversion.is_ascii_uppercase() {
            digits.to_ascii_uppercase()
        } else {
            digits
        };
        self.padded(self.sign(value < 0.0), &digits)
    }

    fn sign(&self, negative: bool) -> &'static str {
        match () {
            () if negative => "-",
            () if self.flags.has('+') => "+",
            () if self.flags.has(' ') => " ",
            () => "",
        }
    }

    /// The text behind a sign, as wide as wanted.
    fn padded(&self, sign: &str, text: &str) -> String {
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + text.chars().count());
        if self.flags.has('-') {
            format!("{sign}{text}{}", " ".repeat(missing))
        } else if self.flags.has('0') {
            format!("{sign}{}{text}", "0".repeat(missing))
        } else {
            format!("{}{sign}{text}", " ".repeat(missing))
        }
    }
}

impl Value {
    /// Whether Python's `%` shows such a value so.
    fn takes(&self, conversion: char) -> bool {
        let conversions = match self {
            Self::Text(_) => "sra",
            Self::Whole(_) => "sradiuoxXeEfFgGc",
            Self::Parts(_) => "sradiueEfFgG",
        };
        conversions.contains(conversion)
    }

    fn whole(&self) -> i64 {
        match self {
            Self::Text(_) => 0,
            Self::Whole(whole) => *whole,
            Self::Parts(parts) => parts / PART,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Python keeps these numbers in a float too"
    )]
    fn float(&self) -> f64 {
        match self {
            Self::Text(_) => 0.0,
            Self::Whole(whole) => *whole as f64,
            Self::Parts(parts) => *parts as f64 / PART as f64,
        }
    }
}

fn value(attribute: Attribute, record: &Record<'_>) -> Value {
    if let Some(text) = text(attribute, record) {
        return Value::Text(text.into_owned());
    }
    match attribute {
        Attribute::LevelNumber => Value::Whole(record.level.number().into()),
        Attribute::Created => Value::Parts(record.time.micros()),
        Attribute::Millis => Value::Parts(record.time.subsec_micros() / 1000 * PART),
        Attribute::SinceStart => {
            let nanos = record.since_start.as_nanos();
            Value::Parts(i64::try_from(nanos).unwrap_or(i64::MAX))
        }
        Attribute::Thread => {
            let id = rustix::thread::gettid().as_raw_nonzero().get();
            Value::Whole(id.into())
        }
        Attribute::Process => Value::Whole(std::process::id().into()),
        // As Python says where it cannot know.
        _ => Value::Whole(0),
    }
}

/// An attribute that is a text.
fn text<'a>(attribute: Attribute, record: &Record<'a>) -> Option<Cow<'a, str>> {
    Some(match attribute {
        Attribute::Name => record.logger(),
        Attribute::LevelName => record.level.name(),
        Attribute::Message => record.message(),
        Attribute::Module => record.module().into(),
        // As Python says where it cannot know.
        Attribute::Function => "(unknown function)".into(),
        Attribute::File => "(unknown file)".into(),
        Attribute::Time => ferroban_date::local_text_millis(record.time, clock::zone()).into(),
        Attribute::ThreadName => {
            let thread = thread::current();
            let name = escape(thread.name().unwrap_or_default(), false);
            name.into_owned().into()
        }
        Attribute::ProcessName => "MainProcess".into(),
        _ => return None,
    })
}

/// The number at the start, 0 if there is none, and the text after it.
fn number(text: &str) -> Option<(usize, &str)> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.strip_suffix(rest)?;
    let number = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    (number <= WIDEST).then_some((number, rest))
}

fn after_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// C's `%e`, and its exponent.
fn exponential(size: f64, precision: usize) -> (String, i32) {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let spelled = format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    (spelled, exponent)
}

/// C's `%g`.
fn shortest(size: f64, precision: usize) -> String {
    let (spelled, exponent) = exponential(size, precision - 1);
    let bare = |digits: &str| match digits.contains('.') {
        true => digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => digits.to_owned(),
    };
    let places = i64::try_from(precision).unwrap_or(0) - 1 - i64::from(exponent);
    match usize::try_from(places) {
        Ok(places) if exponent >= -4 => bare(&format!("{size:.places$}")),
        _ => match spelled.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", bare(digits)),
            None => spelled,
        },
    }
}

/// Python's `ascii`, after its `repr`.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let code = u32::from(c);
        let written = match code {
            0..128 => {
                out.push(c);
                Ok(())
            }
            128..256 => write!(out, "\\x{code:02x}"),
            256..65_536 => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        };
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::log::Level;

    use proptest::prelude::*;

    fn filled(format: &str) -> Option<String> {
        let record = Record::at(1_795_624_384_504_637, Level::Info, "server", "Start é");
        Some(Layout::parse(format)?.fill(&record))
    }

    #[test]
    fn fields_are_shown_as_python_shows_them() {
        let cases = [
            (
                "%(levelno)05d|%(levelno)-5d|%(levelno)+d",
                "00020|20   |+20",
            ),
            (
                "%(levelno)x|%(levelno)#x|%(levelno)#X|%(levelno)o",
                "14|0x14|0X14|24",
            ),
            (
                "%(levelno).3d|%(levelno)e|%(levelno)g|%(levelno)c",
                "020|2.000000e+01|20|\u{14}",
            ),
            (
                "%(levelno)10.3s|%(levelno)ld|%(levelno) i|%(levelno)u",
                "        20|20| 20|20",
            ),
            (
                "%(levelname)r|%(message)a|%(levelname)08s",
                r"'INFO'|'Start \xe9'|    INFO",
            ),
            (
                "%(created).2f|%(created)i|%(created)f",
                "1795624384.50|1795624384|1795624384.504637",
            ),
            (
                "%(created)s|%(created)g|%(created)G",
                "1795624384.504637|1.79562e+09|1.79562E+09",
            ),
            (
                "%(message).5s|%(message)9s|%(message)-9s|",
                "Start|  Start é|Start é  |",
            ),
            (
                "%(msecs)03d|%(msecs)s|%(msecs)6.1f|%(msecs)06.1f",
                "504|504.0| 504.0|0504.0",
            ),
            (
                "%(relativeCreated)d|%(relativeCreated)s|%(relativeCreated)g",
                "52|52.345|52.345",
            ),
            (
                "%(name)s|%(module)s|%(processName)s",
                "fail2ban.server|server|MainProcess",
            ),
            (
                "%(pathname)s|%(filename)s|%(lineno)d|%(funcName)s",
                "(unknown file)|(unknown file)|0|(unknown function)",
            ),
            (r"100%% %(levelname)s\n", r"100% INFO\n"),
            (
                "%(levelno)-05d|%(levelno)05.3d|%(levelno)+05d",
                "20   |00020|+0020",
            ),
        ];
        for (format, expected) in cases {
            assert_eq!(filled(format).as_deref(), Some(expected), "{format}");
        }
    }

    #[test]
    fn numbers_of_this_process_are_its_own() {
        let expected = format!("{}|{:?}", std::process::id(), thread::current().name());
        let shown = filled("%(process)d|Some(\"%(threadName)s\")");
        assert_eq!(shown, Some(expected));
        let id = filled("%(thread)X").unwrap();
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        assert_eq!(i32::from_str_radix(&id, 16), Ok(own));
        let time = filled("%(asctime)s").unwrap();
        assert!(time.ends_with(",504") && time.len() == 23, "{time}");
    }

    #[test]
    fn small_numbers_are_shortened_as_c_does() {
        let cases = [
            (0.0, 6, "0"),
            (0.0001, 6, "0.0001"),
            (0.000_012_3, 6, "1.23e-05"),
            (123_456.0, 6, "123456"),
            (1_234_567.0, 6, "1.23457e+06"),
            (99.99, 3, "100"),
            (5.5, 1, "6"),
        ];
        for (number, precision, expected) in cases {
            assert_eq!(shortest(number, precision), expected, "{number}");
        }
    }

    #[test]
    fn what_python_cannot_use_is_refused() {
        let cases = [
            "no fields",
            "",
            "100%%",
            "%(bogus)s %(message)s",
            "%(taskName)s %(message)s",
            "%(message)d",
            "%(created)x %(message)s",
            "%(message",
            "%(message)",
            "%(message)z",
            "%(message)s 100%",
            "%s %(message)s",
            "%(name)*s",
            "% (levelno)d",
            "{message}",
            "$message",
            "%(message)1001s",
            "%(message)99999999999999999999s",
            "%(message).99999999999999999999s",
        ];
        for format in cases {
            assert_eq!(Layout::parse(format), None, "{format}");
        }
    }

    proptest! {
        #[test]
        fn any_format_is_read_or_refused(format in ".{0,20}(%\\((message|levelno|created)\\)[-+ #0]{0,3}[0-9]{0,4}(\\.[0-9]{0,4})?[a-zA-Z])?.{0,20}") {
            if let Some(line) = filled(&format) {
                prop_assert!(line.chars().count() <= format.len() * 2 + WIDEST * 2 + 40);
            }
        }
    }
}
