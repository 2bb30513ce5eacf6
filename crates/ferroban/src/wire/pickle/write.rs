//! Writes pickles that every Python since 3.4 loads.

use super::{Exception, Str, Value};
use crate::wire::frame::END;

const PROTO: u8 = 0x80;
const PROTOCOL: u8 = 4;
const MARK: u8 = b'(';
const STOP: u8 = b'.';

/// The value as a pickle.
///
/// Of all functions Python knows, only `str` and the classes of exceptions are ever named.
/// An
/// exception that is not one of Python's or fail2ban's own is written as a plain
/// `Exception`, an opaque object as its name. Strings never contain the end marker of a
/// message in a form the reader of the stream could take for it.
#[must_use]
pub fn dumps(value: &Value) -> Vec<u8> {
    let mut out = vec![PROTO, PROTOCOL];
    put(&mut out, value);
    out.push(STOP);
    out
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::None => out.push(b'N'),
        Value::Bool(true) => out.push(0x88),
        Value::Bool(false) => out.push(0x89),
        Value::Int(number) => put_int(out, *number),
        Value::Big(number) => put_long(out, number.as_bytes()),
        Value::Float(number) => {
            out.push(b'G');
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Str(text) => put_str(out, text),
        Value::Id(text) => put_call(out, ("builtins", "str"), &[Value::Str(text.clone())]),
        Value::Bytes(bytes) => put_counted(out, [b'C', b'B', 0x8e], bytes),
        Value::List(elements) => put_filled(out, b']', elements, b'e'),
        Value::Set(elements) => put_filled(out, 0x8f, elements, 0x90),
        Value::Tuple(elements) => put_tuple(out, elements),
        Value::Dict(pairs) => {
            out.push(b'}');
            if !pairs.is_empty() {
                out.push(MARK);
                for (key, value) in pairs {
                    put(out, key);
                    put(out, value);
                }
                out.push(b'u');
            }
        }
        Value::Exception(exception) => put_exception(out, exception),
        Value::Opaque(name) => put_str(out, &Str::from(format!("<{name} object>"))),
    }
}

fn put_int(out: &mut Vec<u8>, number: i128) {
    if let Ok(byte) = u8::try_from(number) {
        out.extend_from_slice(&[b'K', byte]);
    } else if let Ok(number) = u16::try_from(number) {
        out.push(b'M');
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(b'J');
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        put_long(out, &number.to_le_bytes());
    }
}

fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(count) = u8::try_from(bytes.len()) {
        out.extend_from_slice(&[0x8a, count]);
    } else if let Ok(count) = u32::try_from(bytes.len()) {
        out.push(0x8b);
        out.extend_from_slice(&count.to_le_bytes());
    }
    out.extend_from_slice(bytes);
}

fn put_str(out: &mut Vec<u8>, text: &Str) {
    let bytes = text.as_bytes();
    if bytes.windows(END.len()).any(|part| part == END) {
        put_escaped(out, text);
    } else {
        put_counted(out, [0x8c, b'X', 0x8d], bytes);
    }
}

/// The form of protocol 0, where any character may be written by its number.
fn put_escaped(out: &mut Vec<u8>, text: &Str) {
    out.push(b'V');
    for code in text.code_points() {
        match u8::try_from(code) {
            Ok(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => out.push(byte),
            _ => out.extend_from_slice(format!("\\U{code:08x}").as_bytes()),
        }
    }
    out.push(b'\n');
}

/// Bytes and their number, with the opcode that fits: one byte, four, eight.
fn put_counted(out: &mut Vec<u8>, opcodes: [u8; 3], bytes: &[u8]) {
    let [short, usual, long] = opcodes;
    if let Ok(count) = u8::try_from(bytes.len()) {
        out.extend_from_slice(&[short, count]);
    } else if let Ok(count) = u32::try_from(bytes.len()) {
        out.push(usual);
        out.extend_from_slice(&count.to_le_bytes());
    } else {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        out.push(long);
        out.extend_from_slice(&count.to_le_bytes());
    }
    out.extend_from_slice(bytes);
}

/// An empty container and the opcode that fills it.
fn put_filled(out: &mut Vec<u8>, empty: u8, elements: &[Value], fill: u8) {
    out.push(empty);
    if !elements.is_empty() {
        out.push(MARK);
        put_all(out, elements);
        out.push(fill);
    }
}

fn put_tuple(out: &mut Vec<u8>, elements: &[Value]) {
    let short = match elements.len() {
        0 => Some(b')'),
        1 => Some(0x85),
        2 => Some(0x86),
        3 => Some(0x87),
        _ => None,
    };
    if short.is_none() {
        out.push(MARK);
    }
    put_all(out, elements);
    out.push(short.unwrap_or(b't'));
}

fn put_all(out: &mut Vec<u8>, elements: &[Value]) {
    for element in elements {
        put(out, element);
    }
}

fn put_exception(out: &mut Vec<u8>, exception: &Exception) {
    let (module, class) = if Exception::is_known(&exception.module, &exception.class) {
        (exception.module.as_str(), exception.class.as_str())
    } else {
        ("builtins", "Exception")
    };
    put_call(out, (module, class), &exception.args);
}

/// What a function of Python makes of these arguments.
fn put_call(out: &mut Vec<u8>, (module, name): (&str, &str), args: &[Value]) {
    put_str(out, &Str::from(module));
    put_str(out, &Str::from(name));
    out.push(0x93);
    put_tuple(out, args);
    out.push(b'R');
}
