//! Base64, as mails and logins want it.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes in one line.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut value = 0_usize;
        for place in 0..3 {
            value = value << 8 | usize::from(group.get(place).copied().unwrap_or_default());
        }
        for place in 0..4 {
            let digit = DIGITS.get(value >> (18 - 6 * place) & 63);
            let digit = digit.filter(|_| place <= group.len());
            out.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_digits_of_six_bits() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\0u\0p~\u{ff}", "AHUAcH7Dvw=="),
        ];
        for (text, expected) in cases {
            assert_eq!(encoded(text.as_bytes()), expected, "{text:?}");
        }
    }
}
