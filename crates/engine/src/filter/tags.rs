//! `<HOST>`, `<F-USER>` and their kin: what they mean as regular expressions.
//!
//! The expansions are those of fail2ban 1.1, since filters in the field lean on
//! their group names and on exactly what they match.

use std::fmt::Write as _;

const IP4: &str = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})";
const IP6: &str = r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))";
const DNS: &str = r"(?P<dns>[\w\-.^_]*\w)";

/// Replaces every tag of `pattern`; unknown ones stay as they are. Flags at the
/// start of a group, which Python takes no more, become flags of that group, as
/// the original has it for filters that were written before.
///
/// Where `names` is false, `<HOST>` is an address and no name: what `usedns = no` makes
/// of it.
pub(super) fn expand(pattern: &str, names: bool) -> String {
    let pattern = pattern.replace("(?:(?i)", "(?i:").replace("((?i)", "(?i:");
    let pattern = pattern.as_str();
    let mut out = String::with_capacity(pattern.len() + 64);
    let mut open: Vec<String> = Vec::new();
    let mut skips = 0;
    let mut rest = pattern;
    while let Some((before, tag, after)) = next_tag(rest) {
        out.push_str(before);
        match replacement(tag, names, &mut open) {
            Some(text) => out.push_str(&text),
            None if tag == "SKIPLINES" => {
                // Writing to a string cannot fail.
                write!(out, r"\n(?P<skiplines{skips}>(?:(?:.*\n)*?))").ok();
                skips += 1;
            }
            None => out.extend(["<", tag, ">"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The text before the next `<tag>`, the tag without its angles, and the rest.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    for (start, _) in text.match_indices('<') {
        let inner = text.get(start + 1..)?;
        let end = inner.find('>')?;
        let tag = inner.get(..end)?;
        let name = tag.strip_prefix('/').unwrap_or(tag);
        let name = name.strip_suffix('/').unwrap_or(name);
        // `(?P<name>` is a group of the dialect, not a tag.
        let group = text.get(..start)?.ends_with("?P");
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if !group && !name.is_empty() && name.chars().all(word) {
            return Some((text.get(..start)?, tag, inner.get(end + 1..)?));
        }
    }
    None
}

fn replacement(tag: &str, names: bool, open: &mut Vec<String>) -> Option<String> {
    let addr = || format!(r"\[?(?:{IP4}|{IP6})\]?");
    Some(match tag {
        "IP4" | "F-IP4/" => IP4.to_owned(),
        "IP6" | "F-IP6/" => IP6.to_owned(),
        "DNS" | "F-DNS/" => DNS.to_owned(),
        "ADDR" | "F-ADDR/" => addr(),
        "HOST" if !names => addr(),
        "HOST" => format!("(?:{}|{DNS})", addr()),
        "CIDR" | "F-CIDR/" => r"(?P<cidr>\d+)".to_owned(),
        "SUBNET" | "F-SUBNET/" => format!(r"\[?(?:{IP4}|{IP6})(?:/(?P<cidr>\d+))?\]?"),
        "F-ID/" => r"(?P<fid>\S+)".to_owned(),
        "F-PORT/" => r"(?P<fport>\w+)".to_owned(),
        _ => return capture(tag, open),
    })
}

/// `<F-NAME>` and `</F-NAME>`.
fn capture(tag: &str, open: &mut Vec<String>) -> Option<String> {
    if let Some(closing) = tag.strip_prefix("/F-") {
        let index = open.iter().rposition(|name| name == closing)?;
        open.remove(index);
        return Some(")".into());
    }
    let name = tag.strip_prefix("F-")?;
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(upper) {
        return None;
    }
    open.push(name.to_owned());
    let group = match name {
        "ID" => "fid".to_owned(),
        "PORT" => "fport".to_owned(),
        _ => name.to_ascii_lowercase(),
    };
    Some(format!("(?P<{group}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_the_groups_the_original_makes() {
        let cases = [
            ("a <F-USER>.*</F-USER> b", "a (?P<user>.*) b"),
            ("<F-ID>x</F-ID>", "(?P<fid>x)"),
            ("<F-ID/>", r"(?P<fid>\S+)"),
            ("a(?:(?i)b)((?i)c)", "a(?i:b)(?i:c)"),
            ("(?i)a", "(?i)a"),
            ("</F-USER>", "</F-USER>"),
            ("<F-user>", "<F-user>"),
            ("<unknown> <", "<unknown> <"),
            ("(?P<n>a)<CIDR>", r"(?P<n>a)(?P<cidr>\d+)"),
            ("(?<=a)b (?<!c)d", "(?<=a)b (?<!c)d"),
            ("< <CIDR>", r"< (?P<cidr>\d+)"),
            ("(?P<CIDR>x)", "(?P<CIDR>x)"),
            ("<F-FIELD_1>x</F-FIELD_1>", "(?P<field_1>x)"),
            ("<F-A><F-B>x</F-B></F-A>", "(?P<a>(?P<b>x))"),
            (
                "a<SKIPLINES>b<SKIPLINES>",
                r"a\n(?P<skiplines0>(?:(?:.*\n)*?))b\n(?P<skiplines1>(?:(?:.*\n)*?))",
            ),
        ];
        for (pattern, expected) in cases {
            assert_eq!(expand(pattern, true), expected, "{pattern}");
        }
    }

    #[test]
    fn host_is_an_address_or_a_name() {
        let host = expand("<HOST>", true);
        assert_eq!(expand("<HOST>", false), expand("<ADDR>", true));
        for part in ["(?P<ip4>", "(?P<ip6>", "(?P<dns>"] {
            assert!(host.contains(part), "{part}");
        }
        assert!(!expand("<ADDR>", true).contains("dns"));
    }
}
