//! Numbers as Python reads them: in the digits of any script.
//!
//! `\d` of a pattern takes them all, so what it took must be read.

/// The value of a decimal digit.
pub(crate) fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return u8::try_from(c).ok()?.checked_sub(b'0').filter(|d| *d < 10);
    }
    let code = u32::from(c);
    let index = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    let value = code - ZEROS.get(index)?;
    u8::try_from(value).ok().filter(|value| *value < 10)
}

/// What Python's `int` makes of a text, if that is not too much for a date.
pub(crate) fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mut value, mut after_digit) = (0_i64, false);
    for c in digits.chars() {
        if c == '_' && after_digit {
            after_digit = false;
            continue;
        }
        value = value.checked_mul(10)?.checked_add(digit(c)?.into())?;
        after_digit = true;
    }
    // Neither nothing at all nor an underscore at the end.
    after_digit.then_some(sign * value)
}

/// The zeros of the scripts beyond ASCII; the other nine follow each (Unicode 14).
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_python_does() {
        let cases = [
            ("12", Some(12)),
            (" 5", Some(5)),
            ("-3", Some(-3)),
            ("1_0", Some(10)),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("", None),
            ("٢٠٢٦", Some(2026)),
            ("𝟙𝟘", Some(10)),
            ("x", None),
            ("²", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(int(text), expected, "{text}");
        }
    }
}
