//! From the tree to instructions.
//!
//! Counted repetitions are written out, except those of a single character, which one instruction
//! does. Loops follow Python's rule for turns that match nothing: such a turn counts, and its
//! captures stay, but no further turn follows it.

mod ahead;
pub(crate) mod analysis;
mod compact;
mod needs;
mod repeat;

use crate::ast::{Case, Item, Node, Width};
use crate::error::{Error, ErrorKind};
use crate::outlook::Shelf;
use crate::parse::Parsed;
use crate::program::{Body, Inst, Pc, Program, Sight, Split, Way};
use crate::set::Set;
use crate::unicode;
use memchr::memmem::Finder;

/// The most instructions of one program.
const MAX_INSTS: usize = 1 << 16;

/// The most tree nodes visited for them: repetitions of nothing emit nothing.
const MAX_WORK: usize = 1 << 18;

/// The most rows of a memo.
const MAX_ROWS: usize = 1 << 16;

/// The highest count of a repetition of one character that the time may be multiplied by.
const MAX_RUN: u32 = 1000;

/// The most conditions the memo can tell apart; it has a row for each combination.
const MAX_CONDITIONS: usize = 4;

/// Compiles a pattern.
pub(crate) fn compile(parsed: &Parsed) -> Result<Program, Error> {
    let conditions = analysis::conditions(&parsed.node);
    let again = analysis::again(&parsed.node);
    let wanted = [conditions.as_slice(), &again].concat();
    let mut compiler = Compiler {
        widths: &parsed.widths,
        insts: Vec::new(),
        places: Vec::new(),
        sets: Vec::new(),
        work: 0,
        place: Place {
            base: 0,
            depth: 0,
            body: Body::Main,
        },
        regs: 0,
        wanted: &wanted,
        capturing: false,
        needs: needs::needs(&parsed.node),
    };
    compiler.node(&parsed.node)?;
    compiler.emit(Inst::Accept)?;
    let memoizable = conditions.len() <= MAX_CONDITIONS && !analysis::asks_itself(&parsed.node);
    let linear = memoizable && again.is_empty() && !compiler.capturing;
    let Compiler {
        insts,
        places,
        sets,
        regs,
        needs,
        ..
    } = compiler;
    let (begin, prefix) = analysis::begin(&parsed.node);
    let required = analysis::required(&parsed.node);
    let required = (!prefix.contains(&required)).then(|| Finder::new(&required).into_owned());
    let mut program = Program {
        needs: needs.into_iter().map(|(_, text)| text).collect(),
        points: Vec::new(),
        sets,
        firsts: Vec::new(),
        texts: Vec::new(),
        code: None,
        known: 0,
        first: 0,
        rows: 0,
        slots: 2 * (parsed.widths.len() - 1),
        regs,
        memoizable,
        linear,
        begin,
        prefix,
        required,
        insts,
        conditions,
        again,
        outlook: Shelf::default(),
    };
    ahead::look_ahead(&mut program);
    compact::compact(&mut program);
    analysis::number_points(&mut program, &places);
    Ok(program)
}

/// Where an instruction stands.
#[derive(Clone, Copy)]
struct Place {
    /// The loop registers of enclosing loops that the enclosing look-around cannot see.
    base: usize,
    /// All loop registers of enclosing loops.
    depth: usize,
    body: Body,
}

struct Compiler<'a> {
    widths: &'a [Option<Width>],
    insts: Vec<Inst>,
    /// By instruction.
    places: Vec<Place>,
    sets: Vec<Set>,
    work: usize,
    place: Place,
    regs: usize,
    /// The groups that are asked for further on.
    wanted: &'a [usize],
    /// Whether any body is `Body::Capturing`.
    capturing: bool,
    /// Alternatives, and what must come after each has begun.
    needs: Vec<(&'a Node, Box<[u8]>)>,
}

impl Compiler<'_> {
    fn emit(&mut self, inst: Inst) -> Result<Pc, Error> {
        if self.insts.len() >= MAX_INSTS {
            return Err(Error::of_whole(ErrorKind::TooLarge));
        }
        self.insts.push(inst);
        self.places.push(self.place);
        Ok(self.insts.len() - 1)
    }

    fn here(&self) -> Pc {
        self.insts.len()
    }

    fn node(&mut self, node: &Node) -> Result<(), Error> {
        self.work += 1;
        if self.work > MAX_WORK {
            return Err(Error::of_whole(ErrorKind::TooLarge));
        }
        match node {
            Node::Empty => {}
            Node::Char(..) | Node::Class { .. } => self.character(node)?,
            Node::Assert(assertion) => {
                self.emit(Inst::Assert(*assertion))?;
            }
            Node::Place(number) => {
                self.emit(Inst::Place(*number))?;
            }
            Node::Concat(nodes) => self.concat(nodes)?,
            Node::Alternate(nodes) => self.alternate(nodes)?,
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => self.repeat(node, *min, *max, *greed)?,
            Node::Capture(group, node) => {
                self.emit(Inst::Save(2 * group - 2))?;
                self.node(node)?;
                self.emit(Inst::Save(2 * group - 1))?;
            }
            Node::Look {
                behind,
                negated,
                node,
            } => self.look(*behind, *negated, node)?,
            Node::Atomic(node) => self.atomic(node, |compiler| compiler.node(node))?,
            Node::BackRef(group, case) => {
                self.emit(Inst::BackRef {
                    group: *group,
                    case: *case,
                })?;
            }
            Node::IfGroup { group, yes, no } => {
                let test = self.emit(Inst::IfGroup {
                    group: *group,
                    otherwise: 0,
                })?;
                self.node(yes)?;
                let done = self.emit(Inst::Jump(0))?;
                self.set_target(test);
                self.node(no)?;
                self.set_target(done);
            }
        }
        Ok(())
    }

    /// Makes an earlier instruction lead to the place of the next one.
    fn set_target(&mut self, pc: Pc) {
        let here = self.here();
        match self.insts.get_mut(pc) {
            Some(Inst::Jump(to) | Inst::IfGroup { otherwise: to, .. }) => *to = here,
            Some(Inst::Look { next, .. } | Inst::Atomic { next }) => *next = here,
            Some(Inst::Progress { exit, .. }) => *exit = here,
            _ => {}
        }
    }

    fn character(&mut self, node: &Node) -> Result<(), Error> {
        if let Some(c) = plain(node) {
            let mut buffer = [0; 4];
            return self.bytes(c.encode_utf8(&mut buffer).as_bytes());
        }
        let set = self.set(node);
        self.emit(Inst::One(set))?;
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.emit(match bytes {
            [byte] => Inst::Byte(*byte),
            bytes => Inst::Bytes(bytes.into()),
        })?;
        Ok(())
    }

    /// The number of the set for a node of one character.
    fn set(&mut self, node: &Node) -> usize {
        let set = match node {
            Node::Class {
                items,
                negated,
                case,
            } => Set::new(items, *negated, *case),
            Node::Char(code, case) => Set::new(&[Item::Range(*code, *code)], false, *case),
            _ => Set::new(&[], false, Case::Exact),
        };
        index_of(&mut self.sets, set)
    }

    fn concat(&mut self, nodes: &[Node]) -> Result<(), Error> {
        let mut rest = nodes;
        while let Some((node, after)) = rest.split_first() {
            let text: String = rest.iter().map_while(plain).collect();
            if text.is_empty() {
                self.node(node)?;
                rest = after;
            } else {
                self.bytes(text.as_bytes())?;
                rest = rest.get(text.chars().count()..).unwrap_or(&[]);
            }
        }
        Ok(())
    }

    fn alternate(&mut self, nodes: &[Node]) -> Result<(), Error> {
        let mut jumps = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                self.alternative(node)?;
            } else {
                let split = self.split()?;
                let prefer = self.here();
                self.alternative(node)?;
                jumps.push(self.emit(Inst::Jump(0))?);
                self.set_split(split, prefer, self.here());
            }
        }
        for jump in jumps {
            self.set_target(jump);
        }
        Ok(())
    }

    fn alternative(&mut self, node: &Node) -> Result<(), Error> {
        let mut needs = self.needs.iter();
        if let Some(need) = needs.position(|(known, _)| std::ptr::eq(*known, node)) {
            self.emit(Inst::Need(need))?;
        }
        self.node(node)
    }

    fn split(&mut self) -> Result<Pc, Error> {
        self.emit(Inst::Split(Split {
            endless: false,
            prefer: Way::to(0),
            other: Way::to(0),
            lead: None,
        }))
    }

    fn set_split(&mut self, pc: Pc, first: Pc, second: Pc) {
        if let Some(Inst::Split(split)) = self.insts.get_mut(pc) {
            (split.prefer, split.other) = (Way::to(first), Way::to(second));
        }
    }

    fn atomic(
        &mut self,
        node: &Node,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outer = self.place;
        let start = self.emit(Inst::Atomic { next: 0 })?;
        // Whoever asks later must find the groups as they are, so they must be matched anew.
        let wanted = self.wanted;
        let asked = captures(node, &|group| wanted.contains(&group));
        self.set_body(if asked || outer.body == Body::Capturing {
            Body::Capturing
        } else {
            Body::Sub
        });
        body(self)?;
        self.emit(Inst::Accept)?;
        self.place = outer;
        self.set_target(start);
        Ok(())
    }

    fn look(&mut self, behind: bool, negated: bool, node: &Node) -> Result<(), Error> {
        let outer = self.place;
        let width = usize::try_from(node.width(self.widths).min).unwrap_or(usize::MAX);
        let behind = behind.then_some(width);
        if let Some(what) = self.sight(node) {
            self.emit(Inst::Peek {
                negated,
                behind,
                what,
            })?;
            return Ok(());
        }
        let start = self.emit(Inst::Look {
            negated,
            behind,
            next: 0,
        })?;
        self.place.base = self.place.depth;
        self.set_body(if captures(node, &|_| true) {
            Body::Capturing
        } else {
            Body::Look
        });
        self.node(node)?;
        self.emit(Inst::Accept)?;
        self.place = outer;
        self.set_target(start);
        Ok(())
    }

    fn set_body(&mut self, body: Body) {
        self.capturing |= body == Body::Capturing;
        self.place.body = body;
    }

    /// What a look-around looks for, if that takes no choices.
    fn sight(&mut self, node: &Node) -> Option<Sight> {
        let nodes = match node {
            Node::Concat(nodes) => nodes.as_slice(),
            node => std::slice::from_ref(node),
        };
        if let Some(text) = nodes.iter().map(plain).collect::<Option<String>>() {
            return Some(Sight::Bytes(text.into_bytes().into()));
        }
        match nodes {
            [node @ (Node::Char(..) | Node::Class { .. })] => Some(Sight::One(self.set(node))),
            _ => None,
        }
    }
}

/// Whether a group that passes the test stands in the node.
fn captures(node: &Node, test: &dyn Fn(usize) -> bool) -> bool {
    node.any(&mut |node| matches!(node, Node::Capture(group, _) if test(*group)))
}

/// The index of a value in a list, added if it is new.
fn index_of<T: PartialEq>(list: &mut Vec<T>, value: T) -> usize {
    list.iter()
        .position(|known| *known == value)
        .unwrap_or_else(|| {
            list.push(value);
            list.len() - 1
        })
}

/// The character a node stands for, if it is only that one.
fn plain(node: &Node) -> Option<char> {
    match node {
        Node::Char(code, Case::Exact) => char::from_u32(*code),
        Node::Char(code, Case::Folded) if unicode::variants(*code).len() == 1 => {
            char::from_u32(*code)
        }
        Node::Char(code, Case::FoldedAscii) if unicode::variants_ascii(*code).len() == 1 => {
            char::from_u32(*code)
        }
        _ => None,
    }
}
