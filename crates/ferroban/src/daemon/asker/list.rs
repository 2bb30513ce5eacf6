//! The addresses and networks of a file, and whether one of them is meant.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ferroban_engine::{FailId, Network};

/// Addresses and networks. Asking costs one step for each prefix length that occurs,
/// however many there are.
#[derive(Debug, Default)]
pub(super) struct List {
    v4: BTreeMap<u8, HashSet<u32>>,
    v6: BTreeMap<u8, HashSet<u128>>,
    entries: usize,
    /// How many words were neither, and the first of them.
    pub(super) others: usize,
    pub(super) first: Option<String>,
}

/// There are more entries than we keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooMany;

/// How much of a word that is no address is kept, in bytes.
const SHOWN: usize = 80;

impl List {
    /// Reads the words of a text. They stand between blanks, commas and line ends; `#`
    /// or `;` at the start of a line or after a blank begins a comment.
    pub(super) fn parse(text: &str, most: usize) -> Result<Self, TooMany> {
        let mut list = Self::default();
        for line in text.split('\n') {
            let words = uncommented(line).split(|c: char| c.is_whitespace() || c == ',');
            for word in words.filter(|word| !word.is_empty()) {
                list.add(word);
                if list.entries > most {
                    return Err(TooMany);
                }
            }
        }
        Ok(list)
    }

    fn add(&mut self, word: &str) {
        let Some(network) = FailId::parse(word).network() else {
            self.others += 1;
            let kept = word.get(..word.floor_char_boundary(SHOWN));
            self.first = self.first.take().or_else(|| kept.map(str::to_owned));
            return;
        };
        let prefix = network.prefix();
        let is_new = match network.address() {
            IpAddr::V4(v4) => self.v4.entry(prefix).or_default().insert(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.entry(prefix).or_default().insert(v6.to_bits()),
        };
        self.entries += usize::from(is_new);
    }

    /// How many addresses and networks there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Whether an id is listed or lies in a network that is.
    pub(super) fn contains(&self, id: &FailId) -> bool {
        let Some(network) = id.network() else {
            return false;
        };
        let (address, most) = (network.address(), network.prefix());
        let around = |prefix: u8| Network::new(address, prefix).address();
        let v4 = self.v4.range(..=most).any(|(prefix, listed)| {
            matches!(around(*prefix), IpAddr::V4(v4) if listed.contains(&v4.to_bits()))
        });
        v4 || self.v6.range(..=most).any(|(prefix, listed)| {
            matches!(around(*prefix), IpAddr::V6(v6) if listed.contains(&v6.to_bits()))
        })
    }
}

/// A line without its comment.
fn uncommented(line: &str) -> &str {
    let mut after_blank = true;
    let start = line.char_indices().find(|(_, c)| {
        let starts = after_blank && matches!(c, '#' | ';');
        after_blank = c.is_whitespace();
        starts
    });
    start.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> List {
        List::parse(text, 1_000_000).unwrap()
    }

    #[test]
    fn words_stand_between_blanks_and_commas_and_comments_are_none() {
        let text = "# 192.0.2.1\n192.0.2.2,192.0.2.3 ,\t192.0.2.4\r\n; 192.0.2.5\n  # 192.0.2.6\n\
                    192.0.2.7 # 192.0.2.8\n192.0.2.9 ; 192.0.2.10\n192.0.2.11#x\n,,\n192.0.2.12";
        let list = list(text);
        let listed: Vec<u8> = (0..=255)
            .filter(|last| list.contains(&FailId::from(IpAddr::from([192, 0, 2, *last]))))
            .collect();
        assert_eq!(listed, [2, 3, 4, 7, 9, 12]);
        assert_eq!(
            (list.others, list.first.as_deref()),
            (1, Some("192.0.2.11#x"))
        );
    }

    #[test]
    fn listed_are_addresses_and_what_lies_in_networks() {
        let list = list(
            "192.0.2.1 198.51.100.0/24 203.0.113.128/255.255.255.128 [2001:db8::1] \
             2001:db8:1::/48 ::ffff:192.0.2.99 bob",
        );
        assert_eq!(list.len(), 6);
        let cases = [
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("192.0.2.99", true),
            ("198.51.100.77", true),
            ("198.51.101.77", false),
            ("198.51.100.64/26", true),
            ("198.51.100.0/23", false),
            ("203.0.113.200", true),
            ("203.0.113.1", false),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:1:2::3", true),
            ("2001:db8:2::3", false),
            // The digits of one family are nothing in the other.
            ("::c000:201", false),
            ("bob", false),
        ];
        for (text, expected) in cases {
            assert_eq!(list.contains(&FailId::parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_network_of_everything_lists_its_own_family() {
        let all = list("0.0.0.0/0");
        assert!(all.contains(&FailId::parse("192.0.2.1")));
        assert!(!all.contains(&FailId::parse("2001:db8::1")));
    }

    #[test]
    fn too_many_are_refused_and_the_same_twice_is_one() {
        assert_eq!(
            List::parse("192.0.2.1\n192.0.2.1\n192.0.2.2", 2)
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            List::parse("192.0.2.1\n192.0.2.2\n::1", 2).unwrap_err(),
            TooMany
        );
    }
}
