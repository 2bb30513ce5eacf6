//! Values as Python prints them.
//!
//! The client shows most replies raw, and log lines quote commands, both in Python's
//! notation, which other programs read. Which reply is printed raw is left to the client.

use std::fmt::Write as _;

use super::pickle::{Exception, Piece, Str, Value};

/// What Python's `repr(value)` gives.
#[must_use]
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value);
    out
}

/// What Python's `str(value)` gives. A lone surrogate, which no output can show, becomes
/// a replacement character.
#[must_use]
pub fn display(value: &Value) -> String {
    match value {
        Value::Str(text) | Value::Id(text) => text.to_lossy().into_owned(),
        Value::Exception(exception) => message(exception),
        other => repr(other),
    }
}

/// A string in quotes.
#[must_use]
pub fn quoted(text: &Str) -> String {
    let mut out = String::new();
    put_str(&mut out, text);
    out
}

/// What Python's `str` gives for an exception: mostly its only argument.
#[must_use]
pub fn message(exception: &Exception) -> String {
    let class = exception.class.as_str();
    match exception.args.as_slice() {
        [number, text, rest @ ..] if exception.is_os_error() => {
            let mut out = format!("[Errno {}] {}", display(number), display(text));
            let names = [rest.first(), rest.get(2)];
            let names = names.into_iter().flatten();
            let names: Vec<String> = names
                .filter(|name| **name != Value::None)
                .map(repr)
                .collect();
            if !names.is_empty() {
                out.push_str(": ");
                out.push_str(&names.join(" -> "));
            }
            out
        }
        [] => String::new(),
        // Python shows a missing key as it would be written.
        [key] if class == "KeyError" => repr(key),
        [text] => display(text),
        [
            codec,
            Value::Bytes(bytes),
            Value::Int(start),
            Value::Int(end),
            reason,
        ] if class == "UnicodeDecodeError" => {
            let byte = usize::try_from(*start).ok().and_then(|at| bytes.get(at));
            let what = match byte {
                Some(byte) if *end == start + 1 => {
                    format!("byte 0x{byte:02x} in position {start}")
                }
                _ => format!("bytes in position {start}-{}", end.saturating_sub(1)),
            };
            let (codec, reason) = (display(codec), display(reason));
            format!("'{codec}' codec can't decode {what}: {reason}")
        }
        [text, Value::Tuple(place), ..] if class == "SyntaxError" => {
            let text = display(text);
            match place.as_slice() {
                [Value::Str(file), Value::Int(line), ..] => {
                    let file = file.to_lossy();
                    let name = file.rsplit('/').next().unwrap_or_default();
                    format!("{text} ({name}, line {line})")
                }
                _ => text,
            }
        }
        [text, Value::Str(json), Value::Int(at)] if class == "JSONDecodeError" => {
            let count = usize::try_from(*at).unwrap_or(0);
            let before: String = json.to_lossy().chars().take(count).collect();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!("{}: line {line} column {column} (char {at})", display(text))
        }
        args => repr(&Value::Tuple(args.to_vec())),
    }
}

/// What Python's `repr` gives for a float: the fewest digits that name it.
#[must_use]
pub fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    // Rust and Python agree on how many digits it takes. Where two such numbers are
    // equally near, Python takes the even one, as rounding to that many digits does.
    let shortest = format!("{:e}", number.abs());
    let count = shortest.split('e').next().map_or(0, str::len);
    let rounded = format!("{:.*e}", count.saturating_sub(2), number.abs());
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if (-4..16).contains(&exponent) {
        let digits = mantissa.replace('.', "");
        return format!("{sign}{}", positional(&digits, exponent));
    }
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{direction}{:02}", exponent.abs())
}

/// Digits whose first stands for a power of ten, with the point where it belongs.
fn positional(digits: &str, exponent: i32) -> String {
    let Ok(before) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-1 - exponent).unwrap_or(0);
        return format!("0.{:0<zeros$}{digits}", "");
    };
    match digits.split_at_checked(before) {
        _ if before == 0 => format!("0.{digits}"),
        Some((whole, fraction)) if !fraction.is_empty() => format!("{whole}.{fraction}"),
        _ => format!("{digits:0<before$}.0"),
    }
}

fn put(out: &mut String, value: &Value) {
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Big(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Str(text) | Value::Id(text) => put_str(out, text),
        Value::Bytes(bytes) => put_bytes(out, bytes),
        Value::List(items) => put_items(out, '[', items, "]"),
        Value::Tuple(items) => {
            let end = if items.len() == 1 { ",)" } else { ")" };
            put_items(out, '(', items, end);
        }
        Value::Set(items) if items.is_empty() => out.push_str("set()"),
        Value::Set(items) => put_items(out, '{', items, "}"),
        Value::Dict(pairs) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                if place > 0 {
                    out.push_str(", ");
                }
                put(out, key);
                out.push_str(": ");
                put(out, value);
            }
            out.push('}');
        }
        Value::Exception(exception) => {
            out.push_str(&exception.class);
            put_items(out, '(', exception.shown_args(), ")");
        }
        Value::Opaque(name) => {
            out.push('<');
            out.push_str(name);
            out.push_str(" object>");
        }
    }
}

fn put_items(out: &mut String, start: char, items: &[Value], end: &str) {
    out.push(start);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        put(out, item);
    }
    out.push_str(end);
}

/// Python prefers `'`, unless the text has some and no `"`.
fn quote(text: &[u8]) -> char {
    if text.contains(&b'\'') && !text.contains(&b'"') {
        '"'
    } else {
        '\''
    }
}

fn put_str(out: &mut String, text: &Str) {
    let quote = quote(text.as_bytes());
    out.push(quote);
    for piece in text.pieces() {
        match piece {
            Piece::Text(text) => text.chars().for_each(|c| put_char(out, c, quote)),
            Piece::Surrogate(half) => put_number(out, half.into()),
        }
    }
    out.push(quote);
}

fn put_char(out: &mut String, character: char, quote: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c if c == quote => out.extend(['\\', c]),
        ' '..='~' => out.push(character),
        c if is_printable(c) => out.push(c),
        c => put_number(out, c.into()),
    }
}

fn put_number(out: &mut String, code: u32) {
    let written = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("writing to a string cannot fail");
}

/// Whether Python shows the character as itself: assigned, and no control, format,
/// private or separating character.
///
/// Rust's `Debug` draws the line at the same place. It does so for all but the first
/// character of a string, where it also escapes combining ones.
fn is_printable(character: char) -> bool {
    let mut pair = String::from("a");
    pair.push(character);
    pair.escape_debug().nth(1) == Some(character)
}

fn put_bytes(out: &mut String, bytes: &[u8]) {
    let quote = quote(bytes);
    out.push('b');
    out.push(quote);
    for byte in bytes {
        match byte {
            b' '..=b'~' | b'\n' | b'\r' | b'\t' => put_char(out, char::from(*byte), quote),
            _ => put_number(out, u32::from(*byte)),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::oracle::python;
    use crate::wire::pickle::loads;

    fn os_error(args: Vec<Value>) -> Exception {
        Exception {
            module: "builtins".into(),
            class: "FileNotFoundError".into(),
            args,
        }
    }

    #[test]
    fn strings_are_quoted_as_python_does() {
        let rows = [
            ("plain", "'plain'"),
            ("", "''"),
            ("it's", "\"it's\""),
            ("say \"x\"", "'say \"x\"'"),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\\b\n\r\t", "'a\\\\b\\n\\r\\t'"),
            (
                "\u{0}\u{1f}\u{7f}\u{80}\u{a0}\u{ad}",
                "'\\x00\\x1f\\x7f\\x80\\xa0\\xad'",
            ),
            ("é€\u{1f600}", "'é€\u{1f600}'"),
            ("\u{200b}\u{2028}\u{e000}", "'\\u200b\\u2028\\ue000'"),
            ("\u{10ffff}\u{e0001}", "'\\U0010ffff\\U000e0001'"),
            ("\u{301}e\u{301}", "'\u{301}e\u{301}'"),
        ];
        for (text, expected) in rows {
            assert_eq!(repr(&text.into()), expected);
            assert_eq!(display(&text.into()), text);
        }
        let half = loads(b"V\\udcff'\n.").unwrap();
        assert_eq!(repr(&half), "\"\\udcff'\"");
        assert_eq!(display(&half), "\u{fffd}'");
    }

    #[test]
    fn floats_have_the_fewest_digits() {
        let rows = [
            (1.0, "1.0"),
            (90.0, "90.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (2_629_800.0, "2629800.0"),
        ];
        for (number, expected) in rows {
            assert_eq!(float(number), expected);
        }
    }

    #[test]
    fn containers_are_shown_with_their_brackets() {
        let one = || vec![Value::from(1)];
        let rows = [
            (Value::List(vec![]), "[]"),
            (Value::List(one()), "[1]"),
            (Value::Tuple(vec![]), "()"),
            (Value::Tuple(one()), "(1,)"),
            (Value::Set(vec![]), "set()"),
            (Value::Set(one()), "{1}"),
            (Value::Dict(vec![]), "{}"),
            (
                Value::Dict(vec![("a".into(), Value::None), (1.into(), true.into())]),
                "{'a': None, 1: True}",
            ),
            (
                Value::Bytes(b"a'\x00\xff\n".to_vec()),
                "b\"a'\\x00\\xff\\n\"",
            ),
            (Value::exception("ValueError", "x"), "ValueError('x')"),
            (Value::Opaque("os.system".into()), "<os.system object>"),
        ];
        for (value, expected) in rows {
            assert_eq!(repr(&value), expected);
        }
    }

    #[test]
    fn exceptions_have_the_text_of_their_arguments() {
        let of = |class: &str, args: Vec<Value>| Exception {
            module: "builtins".into(),
            class: class.into(),
            args,
        };
        let bad = |bytes: &[u8], end: i64| {
            let bytes = Value::Bytes(bytes.to_vec());
            let args = vec!["utf-8".into(), bytes, 1.into(), end.into(), "bad".into()];
            of("UnicodeDecodeError", args)
        };
        let syntax_error = |place| of("SyntaxError", vec!["bad".into(), Value::Tuple(place)]);
        let json_error = |text: &str, at: i64| Exception {
            module: "json.decoder".into(),
            class: "JSONDecodeError".into(),
            args: vec!["bad".into(), text.into(), at.into()],
        };
        let rows = [
            (of("Exception", vec![]), ""),
            (of("Exception", vec!["it's".into()]), "it's"),
            (of("Exception", vec![Value::None]), "None"),
            (of("Exception", vec!["a".into(), 2.into()]), "('a', 2)"),
            (of("KeyError", vec!["k".into()]), "'k'"),
            (of("KeyError", vec![0.into()]), "0"),
            (of("OSError", vec!["x".into()]), "x"),
            (os_error(vec![2.into(), "no".into()]), "[Errno 2] no"),
            (
                os_error(vec![2.into(), "no".into(), "/x".into()]),
                "[Errno 2] no: '/x'",
            ),
            (
                syntax_error(vec!["<string>".into(), 1.into(), 3.into()]),
                "bad (<string>, line 1)",
            ),
            (
                syntax_error(vec!["/a/b.py".into(), 7.into()]),
                "bad (b.py, line 7)",
            ),
            (syntax_error(vec![Value::None, 7.into()]), "bad"),
            (of("SyntaxError", vec!["x".into()]), "x"),
            (json_error("bad", 0), "bad: line 1 column 1 (char 0)"),
            (json_error("ä\nbö ad", 4), "bad: line 2 column 3 (char 4)"),
            (
                bad(b"a\xff", 2),
                "'utf-8' codec can't decode byte 0xff in position 1: bad",
            ),
            (
                bad(b"a\xff\xff", 3),
                "'utf-8' codec can't decode bytes in position 1-2: bad",
            ),
        ];
        for (exception, expected) in rows {
            assert_eq!(message(&exception), expected);
        }
        let error = os_error(vec![2.into(), "no".into(), "/x".into()]);
        let shown = repr(&Value::Exception(Box::new(error)));
        assert_eq!(shown, "FileNotFoundError(2, 'no')");
    }

    #[test]
    fn python_agrees_on_what_is_printable() {
        // Characters that were there in Unicode 3.2, so that no side is too old for them.
        let script = "import unicodedata as u\n\
            print(''.join('01?'[2 if u.ucd_3_2_0.category(chr(c)) == 'Cn' else chr(c).isprintable()]\
            for c in range(0x110000)))";
        let Some(flags) = python(script, "") else {
            return;
        };
        let wrong: Vec<u32> = (0..0x11_0000)
            .zip(flags.chars())
            .filter_map(|(code, flag)| Some((char::from_u32(code)?, flag)))
            .filter(|(character, flag)| {
                let ours = if is_printable(*character) { '1' } else { '0' };
                // Quotes and backslashes are dealt with before.
                *flag != '?' && ours != *flag && !matches!(character, '"' | '\'' | '\\')
            })
            .map(|(character, _)| character.into())
            .collect();
        assert_eq!(wrong, [0_u32; 0]);
    }

    #[test]
    fn python_agrees_on_floats() {
        let script = "import random, struct\nrandom.seed(7)\n\
            for n in range(20000):\n \
            f = struct.unpack('>d', random.randbytes(8))[0] if n % 2 else round(random.uniform(-1e6, 1e6), n % 9)\n \
            print(struct.pack('>d', f).hex(), repr(f))";
        let Some(lines) = python(script, "") else {
            return;
        };
        assert_eq!(lines.lines().count(), 20_000);
        for line in lines.lines() {
            let (bits, shown) = line.split_once(' ').unwrap();
            let number = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(float(number), shown, "{bits}");
        }
    }
}
