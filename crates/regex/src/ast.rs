//! A pattern as a tree: what the parser found and the compiler needs.
//!
//! Flags are resolved while parsing, so a node means the same wherever it stands.

use crate::unicode::Kind;

/// Whether a letter also means its other cases.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    /// It does not.
    Exact,
    /// IGNORECASE.
    Folded,
    /// IGNORECASE with ASCII: only the 26 letters.
    FoldedAscii,
}

/// One part of a character class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    /// The code points from one to the other. Python allows surrogates, so these are no `char`s.
    Range(u32, u32),
    /// `\w`, `\D` and so on.
    Kind {
        kind: Kind,
        negated: bool,
        ascii: bool,
    },
}

/// A condition on a position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Assertion {
    /// `^`, `\A`: the start of the text.
    Start,
    /// `^` with MULTILINE.
    LineStart,
    /// `$`: the end, or before a final newline.
    End,
    /// `$` with MULTILINE.
    LineEnd,
    /// `\Z`: the very end.
    TextEnd,
    /// `\b` or (negated) `\B`.
    WordEdge { negated: bool, ascii: bool },
}

/// How a repetition chooses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Greed {
    /// As many as possible, then fewer.
    Greedy,
    /// As few as possible, then more.
    Lazy,
    /// As many as possible, and never fewer.
    Possessive,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Matches nothing, successfully.
    Empty,
    /// One certain character.
    Char(u32, Case),
    /// One character of a class.
    Class {
        items: Vec<Item>,
        negated: bool,
        case: Case,
    },
    /// A condition on the position.
    Assert(Assertion),
    /// One after the other.
    Concat(Vec<Self>),
    /// The first that lets the rest match.
    Alternate(Vec<Self>),
    /// `node{min,max}`.
    Repeat {
        node: Box<Self>,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    },
    /// A group with a number.
    Capture(usize, Box<Self>),
    /// `(?=`, `(?!`, `(?<=`, `(?<!`.
    Look {
        behind: bool,
        negated: bool,
        node: Box<Self>,
    },
    /// `(?>...)`.
    Atomic(Box<Self>),
    /// The text of a group once more.
    BackRef(usize, Case),
    /// Matches nothing, and says which piece of the pattern comes next.
    Place(usize),
    /// `(?(group)yes|no)`.
    IfGroup {
        group: usize,
        yes: Box<Self>,
        no: Box<Self>,
    },
}

/// How many characters a node can match, at least and at most; saturating.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Width {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Width {
    const ZERO: Self = Self { min: 0, max: 0 };

    fn plus(self, other: Self) -> Self {
        Self {
            min: self.min.saturating_add(other.min),
            max: self.max.saturating_add(other.max),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

impl Node {
    /// How many characters the node can match, given the widths of the groups by number.
    pub(crate) fn width(&self, groups: &[Option<Width>]) -> Width {
        match self {
            Self::Empty | Self::Place(_) | Self::Assert(_) | Self::Look { .. } => Width::ZERO,
            Self::Char(..) | Self::Class { .. } => Width { min: 1, max: 1 },
            Self::Concat(nodes) => nodes
                .iter()
                .fold(Width::ZERO, |sum, node| sum.plus(node.width(groups))),
            Self::Alternate(nodes) => nodes
                .iter()
                .map(|node| node.width(groups))
                .reduce(Width::or)
                .unwrap_or(Width::ZERO),
            Self::Repeat { node, min, max, .. } => {
                let one = node.width(groups);
                let most = max.map_or(u64::MAX, u64::from);
                Width {
                    min: one.min.saturating_mul(u64::from(*min)),
                    max: one.max.saturating_mul(most),
                }
            }
            Self::Capture(_, node) | Self::Atomic(node) => node.width(groups),
            Self::BackRef(group, _) => groups.get(*group).copied().flatten().unwrap_or(Width {
                min: 0,
                max: u64::MAX,
            }),
            Self::IfGroup { yes, no, .. } => yes.width(groups).or(no.width(groups)),
        }
    }

    /// Whether `test` holds for this node or any inside it.
    pub(crate) fn any(&self, test: &mut dyn FnMut(&Self) -> bool) -> bool {
        if test(self) {
            return true;
        }
        match self {
            Self::Concat(nodes) | Self::Alternate(nodes) => nodes.iter().any(|node| node.any(test)),
            Self::Repeat { node, .. }
            | Self::Capture(_, node)
            | Self::Look { node, .. }
            | Self::Atomic(node) => node.any(test),
            Self::IfGroup { yes, no, .. } => yes.any(test) || no.any(test),
            _ => false,
        }
    }
}
