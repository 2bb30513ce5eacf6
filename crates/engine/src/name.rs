//! The names of a pattern's groups.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a group: `user`, `ip4` and so on.
///
/// Every line that matches has a handful. Those that filters commonly use are known by
/// number, so that they are compared without a look at their text.
///
/// ```
/// use ferroban_engine::Name;
/// assert_eq!(Name::from("user"), Name::USER);
/// assert_eq!(&*Name::from("conn"), "conn");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Name(Kind);

#[derive(Clone, Eq, PartialEq)]
enum Kind {
    /// One of [`USUAL`].
    Usual(u8),
    Other(Arc<str>),
}

/// The names that filters commonly use.
const USUAL: [&str; 17] = [
    "fid",
    "ip4",
    "ip6",
    "dns",
    "ip",
    "cidr",
    "user",
    "users",
    "mlfid",
    "mlfforget",
    "mlfgained",
    "nofail",
    "once",
    "repeat",
    "alt_user",
    "cond_user",
    "cond_inv",
];

impl Name {
    /// `<F-ID>`: who failed, whatever it is.
    pub const FID: Self = Self(Kind::Usual(0));
    /// An address of IPv4.
    pub const IP4: Self = Self(Kind::Usual(1));
    /// An address of IPv6.
    pub const IP6: Self = Self(Kind::Usual(2));
    /// The name of a host.
    pub const DNS: Self = Self(Kind::Usual(3));
    /// The address beside an id that is something else.
    pub const IP: Self = Self(Kind::Usual(4));
    /// The length of a network's prefix.
    pub const CIDR: Self = Self(Kind::Usual(5));
    /// `<F-USER>`: who wanted to log in.
    pub const USER: Self = Self(Kind::Usual(6));
    /// All users of a session.
    pub const USERS: Self = Self(Kind::Usual(7));
    /// `<F-MLFID>`: what the lines of one session share.
    pub const MLFID: Self = Self(Kind::Usual(8));
    /// `<F-MLFFORGET>`: the session ends.
    pub const MLFFORGET: Self = Self(Kind::Usual(9));
    /// `<F-MLFGAINED>`: the session was let in after all.
    pub const MLFGAINED: Self = Self(Kind::Usual(10));
    /// `<F-NOFAIL>`: no failure by itself.
    pub const NOFAIL: Self = Self(Kind::Usual(11));
    /// `<F-ONCE>`: a failure only if its session has none yet.
    pub const ONCE: Self = Self(Kind::Usual(12));
    /// `<F-REPEAT>`: how many failures it is.
    pub const REPEAT: Self = Self(Kind::Usual(13));
}

impl Name {
    /// Whether the group says who failed, or how often.
    pub(crate) fn decides(&self) -> bool {
        let who = [Self::FID, Self::IP4, Self::IP6, Self::DNS, Self::CIDR];
        who.contains(self) || *self == Self::REPEAT
    }

    /// For one of the usual names, a bit of its own; nothing for others.
    #[inline]
    pub(crate) const fn bit(&self) -> u32 {
        match self.0 {
            Kind::Usual(number) => 1 << number,
            Kind::Other(_) => 0,
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Kind::Usual(number) => USUAL.get(usize::from(*number)).copied().unwrap_or(""),
            Kind::Other(name) => name,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let known = USUAL.iter().position(|usual| *usual == name);
        let number = known.and_then(|number| u8::try_from(number).ok());
        Self(number.map_or_else(|| Kind::Other(name.into()), Kind::Usual))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|name| Self::from(&*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_text_and_the_numbers_are_those_of_the_list() {
        let constants = [
            (Name::FID, "fid"),
            (Name::IP4, "ip4"),
            (Name::IP6, "ip6"),
            (Name::DNS, "dns"),
            (Name::IP, "ip"),
            (Name::CIDR, "cidr"),
            (Name::USER, "user"),
            (Name::USERS, "users"),
            (Name::MLFID, "mlfid"),
            (Name::MLFFORGET, "mlfforget"),
            (Name::MLFGAINED, "mlfgained"),
            (Name::NOFAIL, "nofail"),
            (Name::ONCE, "once"),
            (Name::REPEAT, "repeat"),
        ];
        for (name, text) in constants {
            assert_eq!((&*name, &name), (text, &Name::from(text)));
        }
        for text in USUAL.into_iter().chain(["", "conn", "é"]) {
            let name = Name::from(text);
            assert_eq!(name.to_string(), text);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
    }
}
