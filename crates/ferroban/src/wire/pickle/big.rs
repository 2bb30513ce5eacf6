//! Integers beyond 128 bits. Nobody calculates with them here: they are only read,
//! passed on and printed.

use super::Value;

/// The longest integer that is read, in bytes. Reading and printing decimal digits takes
/// time by the square of their number.
const LONGEST: usize = 256;
/// Decimal digits that surely fit into [`LONGEST`].
const DIGITS: usize = 600;

/// An integer that does not fit into an `i128`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Big {
    /// Two's complement, lowest byte first, no longer than needed.
    bytes: Vec<u8>,
}

impl Big {
    /// Two's complement, lowest byte first, no longer than needed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn is_negative(&self) -> bool {
        is_negative(&self.bytes)
    }
}

impl std::fmt::Display for Big {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.bytes.clone();
        if self.is_negative() {
            bytes.push(0xff);
            negate(&mut bytes);
            f.write_str("-")?;
        }
        let mut parts = Vec::new();
        while bytes.iter().any(|byte| *byte != 0) {
            parts.push(divide(&mut bytes));
            while bytes.last() == Some(&0) {
                bytes.pop();
            }
        }
        for (place, part) in parts.iter().rev().enumerate() {
            if place == 0 {
                write!(f, "{part}")?;
            } else {
                write!(f, "{part:09}")?;
            }
        }
        Ok(())
    }
}

/// Divides by 10⁹ in place and gives the remainder.
fn divide(bytes: &mut [u8]) -> u64 {
    let mut remainder = 0_u64;
    for byte in bytes.iter_mut().rev() {
        let part = remainder << 8 | u64::from(*byte);
        *byte = low_byte(part / 1_000_000_000);
        remainder = part % 1_000_000_000;
    }
    remainder
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

fn is_negative(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|byte| byte & 0x80 != 0)
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

/// Two's complement, lowest byte first. `None` if it is too long.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Value> {
    if bytes.len() > LONGEST {
        return None;
    }
    let sign = if is_negative(bytes) { 0xff } else { 0 };
    let mut bytes = bytes.to_vec();
    // The highest byte is not needed if the one below has the same sign.
    while let [.., below, last] = bytes.as_slice()
        && *last == sign
        && below & 0x80 == sign & 0x80
    {
        bytes.pop();
    }
    if bytes.len() > size_of::<i128>() {
        return Some(Value::Big(Big { bytes }));
    }
    let mut all = [sign; size_of::<i128>()];
    for (to, from) in all.iter_mut().zip(&bytes) {
        *to = *from;
    }
    Some(Value::Int(i128::from_le_bytes(all)))
}

/// Decimal digits with or without a sign: `Ok(None)` if there are too many of them, `Err`
/// if they are none.
pub(super) fn from_decimal(text: &str) -> Result<Option<Value>, ()> {
    if let Ok(number) = text.parse() {
        return Ok(Some(Value::Int(number)));
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    if digits.len() > DIGITS {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // Nine digits at a time: as many as multiply with a byte and a carry in 64 bits.
    for part in digits.as_bytes().chunks(9) {
        let digit = |carry: u64, digit: &u8| carry * 10 + u64::from(digit - b'0');
        let power = part.iter().fold(1, |power: u64, _| power * 10);
        let mut carry = part.iter().fold(0, digit);
        for byte in &mut bytes {
            carry += u64::from(*byte) * power;
            *byte = low_byte(carry);
            carry >>= 8;
        }
        while carry != 0 {
            bytes.push(low_byte(carry));
            carry >>= 8;
        }
    }
    bytes.push(0);
    if negative {
        negate(&mut bytes);
    }
    Ok(from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(value: &Value) -> String {
        match value {
            Value::Int(number) => number.to_string(),
            Value::Big(number) => number.to_string(),
            _ => panic!("{value:?}"),
        }
    }

    #[test]
    fn small_ones_are_int_however_long_they_are_written() {
        let rows: [(&[u8], i128); 7] = [
            (b"", 0),
            (b"\x00\x00\x00", 0),
            (b"\xff", -1),
            (b"\xff\x00", 255),
            (b"\x80\xff\xff", -128),
            (&[0xff; 40], -1),
            (b"\x2c\x01", 300),
        ];
        for (bytes, expected) in rows {
            let value = from_bytes(bytes);
            assert_eq!(value, Some(Value::Int(expected)), "{bytes:x?}");
        }
    }

    #[test]
    fn the_edges_of_i128_are_kept() {
        for text in [
            "170141183460469231731687303715884105727",
            "170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105729",
            "340282366920938463463374607431768211456",
            "1000000000000000000000000000000000000000000000000000000000000",
        ] {
            let value = from_decimal(text).unwrap().unwrap();
            assert_eq!(decimal(&value), text);
        }
    }

    #[test]
    fn what_is_no_number_or_too_long_is_told() {
        for text in ["", "-", "+", "1x", "--1", "٣"] {
            assert_eq!(from_decimal(text), Err(()), "{text}");
        }
        assert_eq!(from_decimal(&"9".repeat(DIGITS + 1)), Ok(None));
        let longest = from_decimal(&"9".repeat(DIGITS)).unwrap().unwrap();
        assert_eq!(decimal(&longest), "9".repeat(DIGITS));
        assert_eq!(from_bytes(&[1; LONGEST + 1]), None);
    }

    proptest! {
        #[test]
        fn bytes_and_digits_agree(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let value = from_bytes(&bytes).unwrap();
            let again = from_decimal(&decimal(&value)).unwrap();
            prop_assert_eq!(again, Some(value));
        }
    }
}
