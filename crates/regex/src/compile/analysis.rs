//! What is true of a whole pattern: what can come next, what must come, where it can begin.

use super::{MAX_CONDITIONS, MAX_ROWS, MAX_RUN, Place, index_of, plain};
use crate::ast::{Assertion, Node};
use crate::program::{Begin, Inst, Point, Program};
use memchr::memmem::Finder;

/// Gives each choice its rows in the memo: one for each state of the loops and conditions.
pub(super) fn number_points(program: &mut Program, places: &[Place]) {
    let combinations = 1 << program.conditions.len().min(MAX_CONDITIONS);
    let mut row = 0;
    for (inst, place) in program.insts.iter().zip(places) {
        let rows = match inst {
            Inst::Split(_) => 1,
            // One for beginning it, one for ending it.
            Inst::Run(run) if run.max.is_some() => 2,
            Inst::Run(_) => 1,
            _ => {
                program.points.push(None);
                continue;
            }
        };
        let Place { base, depth, body } = *place;
        program.points.push(Some(Point {
            row,
            base,
            depth,
            body,
        }));
        row += rows * (depth - base + 1) * combinations;
    }
    program.rows = row;
    program.memoizable &= row <= MAX_ROWS;
    let short_runs = program.insts.iter().all(|inst| match inst {
        Inst::Run(run) => run.max.unwrap_or(run.min) <= MAX_RUN,
        _ => true,
    });
    program.linear &= program.memoizable && short_runs;
}

/// The groups that conditionals ask for.
pub(super) fn conditions(node: &Node) -> Vec<usize> {
    let mut groups = Vec::new();
    node.any(&mut |node| {
        if let Node::IfGroup { group, .. } = node {
            index_of(&mut groups, *group);
        }
        false
    });
    groups
}

/// Whether a conditional stands inside the group it asks for.
pub(super) fn asks_itself(node: &Node) -> bool {
    node.any(&mut |outer| match outer {
        Node::Capture(number, body) => {
            body.any(&mut |inner| matches!(inner, Node::IfGroup { group, .. } if group == number))
        }
        _ => false,
    })
}

/// The groups whose text must come again.
pub(super) fn again(node: &Node) -> Vec<usize> {
    let mut groups = Vec::new();
    node.any(&mut |node| {
        if let Node::BackRef(group, _) = node {
            index_of(&mut groups, *group);
        }
        false
    });
    groups
}

/// Where a match can begin, and what it begins with.
pub(super) fn begin(node: &Node) -> (Begin, Box<str>) {
    let mut prefix = String::new();
    add_prefix(node, &mut prefix);
    let begin = if begins_at(node, &[Assertion::Start]) {
        Begin::Text
    } else if begins_at(node, &[Assertion::Start, Assertion::LineStart]) {
        Begin::Line
    } else if prefix.is_empty() {
        Begin::Any
    } else {
        Begin::Prefix(Box::new(Finder::new(&prefix).into_owned()))
    };
    (begin, prefix.into())
}

/// Whether every match begins where one of the conditions holds.
fn begins_at(node: &Node, conditions: &[Assertion]) -> bool {
    match node {
        Node::Assert(assertion) => conditions.contains(assertion),
        Node::Concat(nodes) => nodes
            .iter()
            .find(|node| !matches!(node, Node::Empty | Node::Place(_) | Node::Look { .. }))
            .is_some_and(|node| begins_at(node, conditions)),
        Node::Alternate(nodes) => nodes.iter().all(|node| begins_at(node, conditions)),
        Node::Capture(_, node) | Node::Atomic(node) => begins_at(node, conditions),
        _ => false,
    }
}

/// Adds the text every match of the node begins with; false if that may not be all of it.
fn add_prefix(node: &Node, prefix: &mut String) -> bool {
    match node {
        Node::Empty | Node::Place(_) | Node::Assert(_) | Node::Look { .. } => true,
        Node::Concat(nodes) => nodes.iter().all(|node| add_prefix(node, prefix)),
        Node::Capture(_, node) | Node::Atomic(node) => add_prefix(node, prefix),
        Node::Repeat { node, min: 1.., .. } => {
            add_prefix(node, prefix);
            false
        }
        node => match plain(node) {
            Some(c) => {
                prefix.push(c);
                true
            }
            None => false,
        },
    }
}

/// The longest text that every match contains.
pub(crate) fn required(node: &Node) -> String {
    let mut search = Required::default();
    search.visit(node);
    search.end_run();
    search.best
}

#[derive(Default)]
struct Required {
    run: String,
    best: String,
}

impl Required {
    fn visit(&mut self, node: &Node) {
        match node {
            Node::Empty | Node::Place(_) | Node::Assert(_) => {}
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.visit(node)),
            Node::Capture(_, node) | Node::Atomic(node) => self.visit(node),
            Node::Repeat { node, min: 1.., .. } => {
                self.end_run();
                self.visit(node);
                self.end_run();
            }
            node => match plain(node) {
                Some(c) => self.run.push(c),
                None => self.end_run(),
            },
        }
    }

    fn end_run(&mut self) {
        if self.run.len() > self.best.len() {
            std::mem::swap(&mut self.run, &mut self.best);
        }
        self.run.clear();
    }
}
