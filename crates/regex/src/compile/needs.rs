//! Texts that must come later if an alternative is taken, because a conditional asks for its group.
//!
//! In `(?:(?P<cond>\\S+)|.*?) from \\S+(?(cond): |$)` the first alternative is in vain where no `: ` comes. To
//! find that out at the end would take a walk through everything between.

use super::analysis::required;
use crate::ast::Node;

/// Alternatives, each with the longest text that must come after it has begun.
pub(super) fn needs(node: &Node) -> Vec<(&Node, Box<[u8]>)> {
    let mut pieces = Vec::new();
    spine(node, &mut pieces);
    let mut needs = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let (Node::Alternate(alternatives), Some(later)) = (piece, pieces.get(index + 1..)) else {
            continue;
        };
        for alternative in alternatives {
            let need = need(alternative, later);
            needs.extend(need.map(|text| (alternative, text.into_bytes().into())));
        }
    }
    needs
}

/// The pieces that every match goes through, one after the other, with the groups around them.
fn spine<'a>(node: &'a Node, pieces: &mut Vec<&'a Node>) {
    match node {
        Node::Concat(nodes) => nodes.iter().for_each(|node| spine(node, pieces)),
        Node::Capture(_, inner) => {
            pieces.push(node);
            spine(inner, pieces);
        }
        node => pieces.push(node),
    }
}

fn need(alternative: &Node, later: &[&Node]) -> Option<String> {
    let mut pieces = Vec::new();
    spine(alternative, &mut pieces);
    let captures = |wanted: usize| {
        let mut pieces = pieces.iter();
        pieces.any(|piece| matches!(piece, Node::Capture(group, _) if *group == wanted))
    };
    let texts = later.iter().filter_map(|piece| match piece {
        Node::IfGroup { group, yes, .. } if captures(*group) => Some(required(yes)),
        _ => None,
    });
    let longest = texts.max_by_key(String::len);
    longest.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flags, parse};

    #[test]
    fn an_alternative_needs_what_the_conditional_on_its_group_wants() {
        let cases: [(&str, &[&str]); 7] = [
            (r"(?:(?P<c>\S+)|.*?) from \S+(?(c): |$)", &[": "]),
            (r"(?P<u>(?P<c>\S+)|.*?) x(?(c)a|b)(?(c)cd|)$", &["cd"]),
            // One that may take no part, one that is in a loop, one without a group.
            (r"(?:(?P<c>\S+)?|.*?) from(?(c): |$)", &[]),
            (r"(?:(?P<c>a)|b)+(?(c): |$)", &[]),
            (r"(?P<c>a)?(?:b|c)(?(c): |$)", &[]),
            // Before it, and nothing certain.
            (r"(?P<c>a)?(?(c): |)(?:b|c)", &[]),
            (r"(?:(?P<c>a)|b)(?(c)[:;]|$)", &[]),
        ];
        for (pattern, expected) in cases {
            let parsed = parse::parse(pattern, Flags::default()).unwrap();
            let needs = needs(&parsed.node).into_iter();
            let texts: Vec<_> = needs
                .map(|(_, text)| String::from_utf8(text.into()))
                .collect();
            let expected: Vec<_> = expected.iter().map(|text| Ok((*text).to_owned())).collect();
            assert_eq!(texts, expected, "{pattern}");
        }
    }

    #[test]
    fn a_text_that_must_come_may_come_anywhere_behind() {
        let regex = crate::Regex::new(
            r"^(?:(?P<c>\S+)|(?P<d>.*?)) from \S+(?(c): |$)",
            Flags::default(),
        );
        let regex = regex.unwrap();
        for (text, c, d) in [
            ("a from b: c", Some("a"), None),
            ("a from b", None, Some("a")),
            (": a from b", None, Some(": a")),
            ("a from b: ", Some("a"), None),
        ] {
            let found = regex.search(text).unwrap().unwrap();
            assert_eq!((found.name("c"), found.name("d")), (c, d), "{text}");
        }
        assert!(regex.search("a from b :").unwrap().is_none());
    }
}
