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
