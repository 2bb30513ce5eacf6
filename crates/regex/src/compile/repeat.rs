//! Repetitions: of one character as an instruction of their own, of others written out or as loops.

use super::{Compiler, plain};
use crate::ast::{Greed, Node};
use crate::error::Error;
use crate::program::{Ahead, Inst, Pc, Run};

impl Compiler<'_> {
    /// A choice between a body and an exit, by greed.
    fn set_loop(&mut self, pc: Pc, body: Pc, exit: Pc, greed: Greed) {
        match greed {
            Greed::Lazy => self.set_split(pc, exit, body),
            Greed::Greedy | Greed::Possessive => self.set_split(pc, body, exit),
        }
    }

    fn set_endless(&mut self, pc: Pc) {
        if let Some(Inst::Split(split)) = self.insts.get_mut(pc) {
            split.endless = true;
        }
    }

    pub(super) fn repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    ) -> Result<(), Error> {
        if matches!(node, Node::Char(..) | Node::Class { .. }) {
            return self.run(node, (min, max), greed, None);
        }
        if let Some((guard, node)) = guarded(node) {
            return self.run(node, (min, max), greed, Some(guard));
        }
        if greed == Greed::Possessive {
            return self.atomic(node, |compiler| compiler.turns(node, min, max, greed));
        }
        self.turns(node, min, max, greed)
    }

    fn run(
        &mut self,
        node: &Node,
        (min, max): (u32, Option<u32>),
        greed: Greed,
        guard: Option<Box<[u8]>>,
    ) -> Result<(), Error> {
        let set = self.set(node);
        self.emit(Inst::Run(Run {
            set,
            min,
            max,
            greed,
            guard,
            next: Ahead::default(),
            lead: None,
        }))?;
        Ok(())
    }

    fn turns(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    ) -> Result<(), Error> {
        let nullable = node.width(self.widths).min == 0;
        if max.is_none() && min == 1 && !nullable && greed != Greed::Possessive {
            return self.plus(node, greed);
        }
        for _ in 0..min {
            self.turn(node, greed)?;
        }
        match max {
            None => self.star(node, nullable, greed),
            Some(max) => self.options(node, max.saturating_sub(min), nullable, greed),
        }
    }

    /// One turn of a repetition. CPython never goes back into a turn of a possessive one.
    fn turn(&mut self, node: &Node, greed: Greed) -> Result<(), Error> {
        match greed {
            Greed::Possessive => self.atomic(node, |compiler| compiler.node(node)),
            Greed::Greedy | Greed::Lazy => self.node(node),
        }
    }

    /// `node+`, where node matches something.
    fn plus(&mut self, node: &Node, greed: Greed) -> Result<(), Error> {
        let body = self.here();
        self.node(node)?;
        let split = self.split()?;
        self.set_loop(split, body, self.here(), greed);
        self.set_endless(split);
        Ok(())
    }

    /// `node*`.
    fn star(&mut self, node: &Node, nullable: bool, greed: Greed) -> Result<(), Error> {
        let head = self.split()?;
        let body = self.here();
        let progress = self.guarded_turn(node, nullable, greed)?;
        self.emit(Inst::Jump(head))?;
        self.set_loop(head, body, self.here(), greed);
        self.set_endless(head);
        progress.into_iter().for_each(|pc| self.set_target(pc));
        Ok(())
    }

    /// `node{0,count}`.
    fn options(
        &mut self,
        node: &Node,
        count: u32,
        nullable: bool,
        greed: Greed,
    ) -> Result<(), Error> {
        let mut splits = Vec::new();
        let mut exits = Vec::new();
        for turn in 1..=count {
            splits.push(self.split()?);
            exits.extend(self.guarded_turn(node, nullable && turn < count, greed)?);
        }
        let exit = self.here();
        for split in splits {
            self.set_loop(split, split + 1, exit, greed);
        }
        exits.into_iter().for_each(|pc| self.set_target(pc));
        Ok(())
    }

    /// A turn, and for a body that may match nothing the check that it did.
    fn guarded_turn(
        &mut self,
        node: &Node,
        nullable: bool,
        greed: Greed,
    ) -> Result<Option<Pc>, Error> {
        if !nullable {
            self.turn(node, greed)?;
            return Ok(None);
        }
        let reg = self.place.depth;
        self.emit(Inst::Enter(reg))?;
        self.place.depth += 1;
        self.regs = self.regs.max(self.place.depth);
        self.turn(node, greed)?;
        self.place.depth -= 1;
        self.emit(Inst::Progress { reg, exit: 0 }).map(Some)
    }
}

/// A single character that must not begin a certain text.
fn guarded(node: &Node) -> Option<(Box<[u8]>, &Node)> {
    let Node::Concat(nodes) = node else {
        return None;
    };
    let [
        Node::Look {
            behind: false,
            negated: true,
            node: guard,
        },
        node @ (Node::Char(..) | Node::Class { .. }),
    ] = nodes.as_slice()
    else {
        return None;
    };
    let text: String = match &**guard {
        Node::Concat(nodes) => nodes.iter().map(plain).collect(),
        guard => plain(guard).map(String::from),
    }?;
    Some((text.into_bytes().into(), node))
}
