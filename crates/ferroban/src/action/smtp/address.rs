//! Addresses of mail, checked when they are read.
//!
//! What is an [`Address`] can stand in a header and in a command of the dialogue as it is:
//! it has no blank, no control, no bracket and no quote.

use std::fmt;

/// The most bytes of an address, as RFC 5321 has it.
const MOST: usize = 254;

/// `user@example.org`, or `root` alone: the server knows its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address(String);

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AddressError {
    /// There is nothing, or nothing before or after the `@`.
    Empty,
    TooLong,
    /// It has this character, which must not be there.
    Character(char),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("something is missing"),
            Self::TooLong => write!(f, "it has more than {MOST} characters"),
            Self::Character(c) => write!(f, "'{}' cannot stand there", c.escape_default()),
        }
    }
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = match text.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain)),
            None => (text, None),
        };
        if local.is_empty() || domain == Some("") {
            return Err(AddressError::Empty);
        }
        if text.len() > MOST {
            return Err(AddressError::TooLong);
        }
        let in_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let in_domain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        let mut wrong = local.chars().filter(|c| !in_local(*c));
        let mut wrong_there = domain.unwrap_or("").chars().filter(|c| !in_domain(*c));
        match wrong.next().or_else(|| wrong_there.next()) {
            Some(c) => Err(AddressError::Character(c)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What this host may call itself before a server.
pub(super) fn is_host_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    !text.is_empty() && text.len() <= MOST && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_be_mailed_to_is_an_address() {
        let cases = [
            ("root", None),
            ("a.b+fail2ban@mail.example.org", None),
            ("o'neill@example.org", None),
            ("", Some(AddressError::Empty)),
            ("@example.org", Some(AddressError::Empty)),
            ("root@", Some(AddressError::Empty)),
            ("a b@example.org", Some(AddressError::Character(' '))),
            ("a@b@example.org", Some(AddressError::Character('@'))),
            ("<a@example.org>", Some(AddressError::Character('<'))),
            (
                "a@example.org\r\nBcc: x",
                Some(AddressError::Character('\r')),
            ),
            ("ä@example.org", Some(AddressError::Character('ä'))),
            ("a@exämple.org", Some(AddressError::Character('ä'))),
        ];
        for (text, wrong) in cases {
            assert_eq!(Address::parse(text).err(), wrong, "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        assert_eq!(Address::parse(&long), Err(AddressError::TooLong));
    }

    proptest! {
        #[test]
        fn an_address_breaks_no_line_and_no_bracket(text in "[ -~\\r\\n\\PC]{0,40}(@[ -~\\r\\n]{0,40})?") {
            if let Ok(address) = Address::parse(&text) {
                let shown = address.to_string();
                prop_assert_eq!(&shown, &text);
                prop_assert!(shown.chars().all(|c| c.is_ascii_graphic() && !"<>()[]\",;:\\".contains(c)));
            }
        }
    }
}
