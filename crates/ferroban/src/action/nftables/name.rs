//! Names of jails as names the kernel and `nft` accept.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

/// Longer names are cut and told apart by a digest. `nft` allows 128 bytes of
/// comment, in which the name must fit too.
const LONGEST: usize = 100;
const KEPT: usize = 40;

/// The identifier of a jail: letters, digits, `_`, `.` and `-` stay, every
/// other byte becomes `/` and two digits.
///
/// Two names never share one: `/` itself is written as digits, and `//` only
/// stands before the digest of a name too long to be written out.
pub(super) fn identifier(jail: &str) -> String {
    let mut text = String::with_capacity(jail.len());
    for byte in jail.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            push_hex(&mut text, "/", byte);
        }
    }
    if text.len() <= LONGEST {
        return text;
    }
    let mut short: String = text.chars().take(KEPT).collect();
    short.push_str("//");
    for byte in Sha1::digest(jail.as_bytes()) {
        push_hex(&mut short, "", byte);
    }
    short
}

fn push_hex(text: &mut String, before: &str, byte: u8) {
    // Writing to a String cannot fail.
    let _infallible = write!(text, "{before}{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_names_stay_plain() {
        let cases = [
            ("sshd", "sshd"),
            ("nginx-http-auth", "nginx-http-auth"),
            ("my_jail.2", "my_jail.2"),
            ("a b", "a/20b"),
            ("a/20b", "a/2f20b"),
            ("ä", "/c3/a4"),
            ("\";}\n", "/22/3b/7d/0a"),
            ("", ""),
        ];
        for (jail, expected) in cases {
            assert_eq!(identifier(jail), expected, "jail {jail:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let names: Vec<_> = (b'a'..=b'z')
            .map(|last| "x".repeat(300) + &char::from(last).to_string())
            .collect();
        let mut identifiers: Vec<_> = names.iter().map(|name| identifier(name)).collect();
        assert!(
            identifiers
                .iter()
                .all(|identifier| identifier.len() <= LONGEST)
        );
        identifiers.dedup();
        assert_eq!(identifiers.len(), 26);
    }

    proptest! {
        #[test]
        fn two_names_never_share_an_identifier(a in "[ab/ 2f0]{0,60}", b in "[ab/ 2f0]{0,60}") {
            prop_assert_eq!(a == b, identifier(&a) == identifier(&b));
        }

        #[test]
        fn every_identifier_is_one_that_nft_reads(jail in "\\PC{0,80}") {
            let text = identifier(&jail);
            prop_assert!(text.len() <= LONGEST);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b)));
        }
    }
}
