//! From the instructions to their places.

use super::super::alphabet::{Alphabet, Ask};
use super::super::bits;
use super::{Eater, NOWHERE, Net, Rule, Test};
use crate::ast::{Assertion, Case, Greed, Item};
use crate::program::{Inst, Pc, Program, Run, Sight};
use crate::set::Set;
use crate::unicode::Kind;

mod again;
mod exact;

use exact::{begins_once, is_exact};

/// The most places, of all states of the conditions together.
const MAX_PLACES: usize = 16 << 10;

/// The highest count of a run that is kept exactly; above it any number will do.
const MAX_COUNT: u32 = 32;

/// The most conditions told apart, and the most loops.
const MAX_CONDITIONS: usize = 2;
const MAX_LOOPS: usize = 2;

pub(super) fn net(program: &Program) -> Option<Net> {
    let mut places = Vec::with_capacity(program.insts.len() + 1);
    let mut total: u32 = 0;
    for inst in &program.insts {
        places.push(total);
        total = total.saturating_add(size(inst));
        if total as usize > MAX_PLACES {
            return None;
        }
    }
    places.push(total);
    let bodies = bodies(program);
    let conditions = conditions(program, &bodies);
    let mut builder = Builder {
        program,
        places,
        bodies,
        conditions,
        next: total,
        asks: Vec::new(),
        eaters: Vec::new(),
        guarded: Vec::new(),
        always: Vec::new(),
        rules: Vec::new(),
        newline: NOWHERE,
        end: NOWHERE,
    };
    builder.end_of_text();
    for pc in 0..program.insts.len() {
        builder.inst(pc);
    }
    builder.finish()
}

/// How many places an instruction takes.
fn size(inst: &Inst) -> u32 {
    match inst {
        Inst::Bytes(bytes) => u32::try_from(characters(bytes).count()).unwrap_or(u32::MAX),
        Inst::Run(run) => {
            let (min, more, _) = counts(run);
            min + more
        }
        _ => 1,
    }
}

/// How many characters a run must eat, how many places after them eat or not (one, if it is endless),
/// and whether that is exact.
fn counts(run: &Run) -> (u32, u32, bool) {
    let min = run.min.min(MAX_COUNT);
    match run.max {
        Some(max) if max <= MAX_COUNT => (min, max.saturating_sub(min), true),
        max => (min, 1, max.is_none() && run.min <= MAX_COUNT),
    }
}

/// Whether it has a place where it can eat for ever.
fn is_endless(run: &Run) -> bool {
    run.max.is_none_or(|max| max > MAX_COUNT)
}

fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    // Instructions hold whole characters.
    std::str::from_utf8(bytes).unwrap_or_default().chars()
}

/// What an instruction stands in.
#[derive(Clone, Copy, Debug, Default)]
struct Body {
    /// The innermost look-around.
    look: Option<Pc>,
    /// The innermost atomic group inside it,
    atomic: Option<Pc>,
    /// and whether there is any at all.
    in_atomic: bool,
}

fn bodies(program: &Program) -> Vec<Body> {
    let mut open: Vec<(Pc, Body)> = vec![(usize::MAX, Body::default())];
    let mut bodies = Vec::with_capacity(program.insts.len());
    for (pc, inst) in program.insts.iter().enumerate() {
        while open.last().is_some_and(|(end, _)| *end <= pc) {
            open.pop();
        }
        let body = open.last().map(|(_, body)| *body).unwrap_or_default();
        bodies.push(body);
        match inst {
            Inst::Look { next, .. } => {
                let (look, atomic) = (Some(pc), None);
                open.push((
                    *next,
                    Body {
                        look,
                        atomic,
                        ..body
                    },
                ));
            }
            Inst::Atomic { next } => {
                let (atomic, in_atomic) = (Some(pc), true);
                open.push((
                    *next,
                    Body {
                        atomic,
                        in_atomic,
                        ..body
                    },
                ));
            }
            _ => {}
        }
    }
    bodies
}

/// The groups whose state is told apart: all that conditionals ask for, or none.
fn conditions(program: &Program, bodies: &[Body]) -> Vec<usize> {
    let asked = &program.conditions;
    let in_look = program.insts.iter().zip(bodies).any(|(inst, body)| {
        let saves = matches!(inst, Inst::Save(slot) if asked.contains(&(slot / 2 + 1)));
        saves && body.look.is_some()
    });
    if in_look || asked.len() > MAX_CONDITIONS {
        return Vec::new();
    }
    asked.clone()
}

/// A rule for each state of the conditions, as far as it is the same for all.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain(Test, [u32; 2]),
    /// A group that conditionals ask for begins, perhaps not for the first time; or it ends.
    Begin(usize),
    End(usize),
    /// On if the group has matched, or else there; on if the turn of a loop has moved, or else there.
    If(usize, u32),
    /// A turn of a loop begins.
    Enter(usize),
}

struct Builder<'p> {
    program: &'p Program,
    /// Where each instruction begins.
    places: Vec<u32>,
    bodies: Vec<Body>,
    conditions: Vec<usize>,
    /// The next free place.
    next: u32,
    asks: Vec<Ask>,
    eaters: Vec<Eater>,
    guarded: Vec<(u32, u32)>,
    always: Vec<u32>,
    /// With the look-around each stands in.
    rules: Vec<(Option<Pc>, u32, Way)>,
    /// What stands at a final newline, and at the end.
    newline: u32,
    end: u32,
}

impl Builder<'_> {
    fn end_of_text(&mut self) {
        self.newline = self.eat_more(Ask::Char('\n'));
        self.end = self.next;
        self.next += 1;
    }

    fn ask(&mut self, ask: Ask) -> usize {
        let known = self.asks.iter().position(|known| *known == ask);
        known.unwrap_or_else(|| {
            self.asks.push(ask);
            self.asks.len() - 1
        })
    }

    fn set(&self, set: usize) -> Ask {
        Ask::set(self.program, set)
    }

    fn eat(&mut self, place: u32, ask: Ask, stays: bool) {
        let ask = self.ask(ask);
        self.eaters.push(Eater { place, ask, stays });
    }

    fn eat_all(&mut self, first: u32, bytes: &[u8]) {
        for (place, c) in (first..).zip(characters(bytes)) {
            self.eat(place, Ask::Char(c), false);
        }
    }

    /// One more place, behind those of the program.
    fn eat_more(&mut self, ask: Ask) -> u32 {
        let place = self.next;
        self.next += 1;
        self.eat(place, ask, false);
        place
    }

    /// Where it is seen whether characters stand somewhere.
    fn chain(&mut self, asks: impl IntoIterator<Item = Ask>) -> u32 {
        let start = self.next;
        for ask in asks {
            self.eat_more(ask);
        }
        self.always.push(self.next);
        self.next += 1;
        start
    }

    fn sight(&mut self, what: &Sight) -> u32 {
        match what {
            Sight::Bytes(bytes) => self.chain(characters(bytes).map(Ask::Char)),
            Sight::One(set) => {
                let ask = self.set(*set);
                self.chain([ask])
            }
        }
    }

    fn place(&self, pc: Pc) -> u32 {
        self.places.get(pc).copied().unwrap_or(NOWHERE)
    }

    fn body(&self, pc: Pc) -> Body {
        self.bodies.get(pc).copied().unwrap_or_default()
    }

    fn inst(&mut self, pc: Pc) {
        let program = self.program;
        let (place, next) = (self.place(pc), self.place(pc + 1));
        let Some(inst) = program.insts.get(pc) else {
            return;
        };
        let way = match inst {
            Inst::Byte(byte) => return self.eat(place, Ask::Char(char::from(*byte)), false),
            Inst::Bytes(bytes) => return self.eat_all(place, bytes),
            Inst::One(set) => return self.eat(place, self.set(*set), false),
            Inst::Run(run) => return self.run(pc, run),
            Inst::BackRef { group, case } => return self.again(pc, *group, *case),
            Inst::Split(split) => either(self.place(split.prefer.pc), self.place(split.other.pc)),
            Inst::Jump(to) => always(self.place(*to)),
            Inst::Enter(reg) => match self.turn(*reg) {
                Some(bit) => Way::Enter(bit),
                None => always(next),
            },
            Inst::Progress { reg, exit } => match self.turn(*reg) {
                Some(bit) => Way::If(bit, self.place(*exit)),
                None => either(next, self.place(*exit)),
            },
            Inst::Place(_) | Inst::Need(_) | Inst::Atomic { .. } => always(next),
            Inst::Save(slot) => match self.condition(slot / 2 + 1) {
                Some(bit) if slot % 2 == 1 => Way::End(bit),
                Some(bit) if !begins_once(program, *slot) => Way::Begin(bit),
                _ => always(next),
            },
            Inst::IfGroup { group, otherwise } => match self.condition(*group) {
                Some(bit) => Way::If(bit, self.place(*otherwise)),
                None => either(next, self.place(*otherwise)),
            },
            Inst::Assert(assertion) => Way::Plain(self.assertion(*assertion), [next; 2]),
            Inst::Look { .. } | Inst::Peek { .. } => return self.look(pc, inst),
            Inst::Accept => match self.owner(pc) {
                Some(next) => always(self.place(next)),
                None => return self.always.push(place),
            },
        };
        self.rule(pc, place, way);
    }

    fn rule(&mut self, pc: Pc, place: u32, way: Way) {
        self.rules.push((self.body(pc).look, place, way));
    }

    /// The bit of a condition in their state.
    fn condition(&self, group: usize) -> Option<usize> {
        let place = self
            .conditions
            .iter()
            .rev()
            .position(|asked| *asked == group);
        place.map(|place| 1 << place)
    }

    /// The bit that says whether the turn of a loop has moved on.
    fn turn(&self, reg: usize) -> Option<usize> {
        (reg < self.loops()).then(|| 1 << (self.conditions.len() + reg))
    }

    fn loops(&self) -> usize {
        self.program.regs.min(MAX_LOOPS)
    }

    fn run(&mut self, pc: Pc, run: &Run) {
        let (min, more, exact) = counts(run);
        let guard = run.guard.as_deref();
        let guard = guard.map(|guard| self.chain(characters(guard).map(Ask::Char)));
        let mut test = Test::Always;
        if run.greed == Greed::Possessive && exact && guard.is_none() {
            // It goes on only where it can eat no more.
            test = Test::Lacks(self.chain([self.set(run.set)]));
        }
        let first = self.place(pc);
        for place in first..first + min + more {
            let optional = place >= first + min;
            self.eat(place, self.set(run.set), optional && is_endless(run));
            if let Some(guard) = guard {
                self.guarded.push((place, guard));
            }
            if optional {
                self.rule(pc, place, Way::Plain(test, [place + 1; 2]));
            }
        }
    }

    /// Where it goes on after the atomic group that ends here.
    fn owner(&self, accept: Pc) -> Option<Pc> {
        let atomic = self.body(accept).atomic?;
        match self.program.insts.get(atomic) {
            Some(Inst::Atomic { next }) => Some(*next),
            _ => None,
        }
    }

    fn assertion(&mut self, assertion: Assertion) -> Test {
        match assertion {
            Assertion::Start => Test::Start,
            Assertion::LineStart => Test::LineStart {
                newline: self.ask(Ask::Char('\n')),
            },
            Assertion::End => Test::Has([self.newline, self.end]),
            Assertion::LineEnd => Test::Has([self.chain([Ask::Char('\n')]), self.end]),
            Assertion::TextEnd => Test::Has([self.end; 2]),
            Assertion::WordEdge { negated, ascii } => {
                let word = Item::Kind {
                    kind: Kind::Word,
                    negated: false,
                    ascii,
                };
                let word = Ask::In(Box::new(Set::new(&[word], false, Case::Exact)));
                Test::Edge {
                    ask: self.ask(word.clone()),
                    after: self.chain([word]),
                    negated,
                }
            }
        }
    }

    fn look(&mut self, pc: Pc, inst: &Inst) {
        let (next, test) = match inst {
            Inst::Look {
                negated,
                behind: None | Some(0),
                next,
            } => {
                let body = self.place(pc + 1);
                let test = match negated {
                    false => Test::Has([body; 2]),
                    true if is_exact(self.program, &self.conditions, pc + 1..*next) => {
                        Test::Lacks(body)
                    }
                    true => Test::Always,
                };
                (*next, test)
            }
            Inst::Peek {
                negated,
                behind: None | Some(0),
                what,
            } => {
                let place = self.sight(what);
                let test = match negated {
                    false => Test::Has([place; 2]),
                    true => Test::Lacks(place),
                };
                (pc + 1, test)
            }
            Inst::Peek {
                negated,
                behind: Some(width),
                what,
            } => (pc + 1, self.behind(*negated, *width, what)),
            Inst::Look { next, .. } => (*next, Test::Always),
            _ => return,
        };
        let next = self.place(next);
        self.rule(pc, self.place(pc), Way::Plain(test, [next; 2]));
    }

    /// Of what must stand before, the last character.
    fn behind(&mut self, negated: bool, width: usize, what: &Sight) -> Test {
        if negated && width > 1 {
            return Test::Always;
        }
        let ask = match what {
            Sight::One(set) => self.set(*set),
            Sight::Bytes(bytes) => characters(bytes).last().map_or(Ask::Any, Ask::Char),
        };
        Test::Before {
            ask: self.ask(ask),
            holds: !negated,
        }
    }

    fn finish(mut self) -> Option<Net> {
        let words = (self.next as usize).div_ceil(64);
        let loops = self.loops();
        let copies = 1 << (self.conditions.len() + loops);
        if 64 * words * copies > MAX_PLACES {
            return None;
        }
        let mut always = vec![0; words].into_boxed_slice();
        for place in &self.always {
            bits::add(&mut always, *place);
        }
        let mut rules = std::mem::take(&mut self.rules);
        // Look-arounds before what they stand in; then from the end, since rules mostly lead on.
        rules.sort_by_key(|(look, place, _)| std::cmp::Reverse((*look, *place)));
        let mut groups = Vec::new();
        for group in rules.chunk_by(|a, b| a.0 == b.0) {
            let rules: Vec<Rule> = group
                .iter()
                .flat_map(|(_, at, way)| (0..copies).map(move |state| (state, *at, *way)))
                .map(|(state, at, way)| self.copied((state, words), at, way))
                .collect();
            let place = |at: u32| at as usize % (64 * words);
            let leads_back = |rule: &Rule| rule.to.iter().any(|to| place(*to) <= place(rule.at));
            let again = rules.iter().any(leads_back);
            groups.push((again, rules));
        }
        let offsets = (0..copies).map(|state| offset(state, words));
        let guarded = offsets
            .flat_map(|offset| {
                let all = self.guarded.iter();
                all.map(move |(place, guard)| (place + offset, guard + offset))
            })
            .collect();
        let hidden = |(place, body): (&u32, &Body)| if body.in_atomic { NOWHERE } else { *place };
        Some(Net {
            entries: self.places.iter().zip(&self.bodies).map(hidden).collect(),
            alphabet: Alphabet::new(self.asks)?,
            exact: is_exact(self.program, &self.conditions, 0..self.program.insts.len()),
            words,
            copies,
            conditions: self.conditions.len(),
            loops,
            eaters: self.eaters,
            guarded,
            always,
            end: self.end,
            rules: groups,
            masks: Vec::new(),
        })
    }

    /// The rule for one state of the conditions.
    fn copied(&self, (state, words): (usize, usize), place: u32, way: Way) -> Rule {
        let here = |place: u32| place + offset(state, words);
        let (test, to) = match way {
            Way::Plain(test, [a, b]) => (test, [here(a), here(b)]),
            Way::End(bit) => {
                let set = offset(state | bit, words);
                (Test::Always, [place + 1 + set; 2])
            }
            // Until it ends again it counts as it did, unless it began after it ended.
            Way::Begin(bit) => {
                let unset = offset(state & !bit, words);
                (Test::Always, [here(place + 1), place + 1 + unset])
            }
            Way::Enter(bit) => {
                let begun = offset(state & !bit, words);
                (Test::Always, [place + 1 + begun; 2])
            }
            Way::If(bit, _) if state & bit != 0 => (Test::Always, [here(place + 1); 2]),
            Way::If(_, otherwise) => (Test::Always, [here(otherwise); 2]),
        };
        let test = match test {
            Test::Has([a, b]) => Test::Has([here(a), here(b)]),
            Test::Lacks(place) => Test::Lacks(here(place)),
            Test::Edge {
                ask,
                after,
                negated,
            } => Test::Edge {
                ask,
                after: here(after),
                negated,
            },
            test => test,
        };
        Rule {
            at: here(place),
            to,
            test,
        }
    }
}

fn offset(state: usize, words: usize) -> u32 {
    u32::try_from(64 * words * state).unwrap_or(NOWHERE)
}

fn always(to: u32) -> Way {
    Way::Plain(Test::Always, [to; 2])
}

fn either(a: u32, b: u32) -> Way {
    Way::Plain(Test::Always, [a, b])
}
