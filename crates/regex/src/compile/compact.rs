//! The compact form of a program, and the tables of its choices.

use crate::ast::{Assertion, Greed};
use crate::code::{Choice, Classes, Code, Guess, Head, Hint, Lead, Led, Members, Op, Span};
use crate::program::{Ahead, Begin, Inst, Pc, Program, Run, Split, Then};
use std::num::NonZeroU16;

/// Makes the compact form.
pub(super) fn compact(program: &mut Program) {
    let sets = program.sets.iter().map(|set| {
        answers(|byte| match byte.is_ascii() {
            true => set.has_ascii(byte),
            false => set.leads().has(byte),
        })
    });
    let firsts = program.firsts.iter();
    let firsts = firsts.map(|first| answers(|byte| first.allows(Some(&byte))));
    let Some(classes) = Classes::new(sets.chain(firsts)) else {
        return;
    };
    let samples: Vec<Option<u8>> = classes.samples().collect();
    let mut code = Code {
        head: head(program),
        ops: vec![Op::Other; program.insts.len()],
        spans: Vec::new(),
        guesses: Vec::new(),
        texts: Vec::new(),
        classes,
        leads: Vec::new(),
    };
    // From the last to the first, so that those they lead to have theirs.
    for pc in (0..program.insts.len()).rev() {
        let lead = lead(program, &mut code, pc, &samples);
        match program.insts.get_mut(pc) {
            Some(Inst::Split(split)) if !split.endless => split.lead = lead,
            Some(Inst::Run(run)) => run.lead = lead,
            _ => {}
        }
        let op = op(program, &mut code, (pc, lead), &samples);
        if let (Some(op), Some(slot)) = (op, code.ops.get_mut(pc)) {
            *slot = op;
        }
    }
    program.code = Some(code);
}

/// What need not be done of a pattern where its prefix has been found at the start of the text.
fn head(program: &Program) -> Head {
    let mut head = Head::default();
    if !matches!(program.begin, Begin::Text) {
        return head;
    }
    let prefix = program.prefix.as_bytes();
    for inst in &program.insts {
        let rest = prefix.get(head.pos..).unwrap_or_default();
        match inst {
            Inst::Assert(Assertion::Start) if head.pos == 0 => {}
            Inst::Save(slot) => match u32::try_from(head.pos) {
                Ok(pos) => head.slots.push((*slot, pos)),
                Err(_) => break,
            },
            Inst::Byte(byte) if rest.first() == Some(byte) => head.pos += 1,
            Inst::Bytes(bytes) if rest.starts_with(bytes) => head.pos += bytes.len(),
            _ => break,
        }
        head.pc += 1;
    }
    head
}

fn answers(question: impl Fn(u8) -> bool) -> [bool; 256] {
    std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(&question))
}

/// The classes whose sample passes the test.
fn members(samples: &[Option<u8>], test: impl Fn(Option<u8>) -> bool) -> Members {
    let mut members = Members::default();
    for (class, sample) in (0..).zip(samples) {
        if test(*sample) {
            members.insert(class);
        }
    }
    members
}

/// An instruction in compact form, if it has one.
fn op(
    program: &Program,
    code: &mut Code,
    (pc, lead): (Pc, Option<Lead>),
    samples: &[Option<u8>],
) -> Option<Op> {
    let taken = |set: usize| {
        let set = program.sets.get(set)?;
        let has = |byte: Option<u8>| byte.is_some_and(|byte| set.has_ascii(byte));
        Some(members(samples, has))
    };
    let next = after(program, pc)?;
    Some(match program.insts.get(pc)? {
        Inst::Byte(byte) => Op::Byte { byte: *byte, next },
        Inst::Bytes(bytes) if bytes.len() > 8 => {
            code.texts.push(bytes.clone());
            let number = u32::try_from(code.texts.len() - 1).ok()?;
            Op::Text { number, next }
        }
        Inst::Bytes(bytes) => {
            let (length, word) = word(bytes);
            Op::Word { length, next, word }
        }
        Inst::One(set) => {
            let members = taken(*set)?;
            Op::One { members, next }
        }
        Inst::Save(slot) => {
            let slot = u32::try_from(*slot).ok()?;
            Op::Save { slot, next }
        }
        Inst::Jump(to) => Op::Jump(u32::try_from(*to).ok()?),
        Inst::Split(split) => choice(program, code, (split, lead?), samples)?,
        Inst::Run(run) => {
            let mut span = span(program, run, (taken(run.set)?, lead), samples)?;
            span.to = next;
            if span.keeps
                && let Some(Inst::Byte(byte)) = program.insts.get(next as usize)
            {
                span.then = Some(*byte);
                span.to = after(program, next as usize)?;
            }
            code.spans.push(span);
            Op::Span(u32::try_from(code.spans.len() - 1).ok()?)
        }
        Inst::Enter(reg) => Op::Enter(u32::try_from(*reg).ok()?),
        Inst::Progress { reg, exit } => Op::Progress {
            reg: u32::try_from(*reg).ok()?,
            exit: u32::try_from(*exit).ok()?,
        },
        Inst::Assert(assertion) => Op::Assert(*assertion),
        Inst::Need(number) => Op::Need(u32::try_from(*number).ok()?),
        Inst::IfGroup { group, otherwise } => Op::IfGroup {
            group: u32::try_from(*group).ok()?,
            otherwise: u32::try_from(*otherwise).ok()?,
        },
        Inst::Accept => Op::Accept,
        _ => return None,
    })
}

/// Where it goes on after an instruction: where a jump follows, there at once.
fn after(program: &Program, pc: Pc) -> Option<u32> {
    let next = match program.insts.get(pc + 1) {
        Some(Inst::Jump(to)) if *to > pc => *to,
        _ => pc + 1,
    };
    u32::try_from(next).ok()
}

fn choice(
    program: &Program,
    code: &mut Code,
    (split, lead): (&Split, Lead),
    samples: &[Option<u8>],
) -> Option<Op> {
    let Split { prefer, other, .. } = split;
    let ways = [prefer, other].map(|way| hint(program, way.ahead, samples));
    let guess = match ways {
        [Hint::Open, Hint::Open] => None,
        [prefer, other] => {
            code.guesses.push(Guess { prefer, other });
            let number = u16::try_from(code.guesses.len()).ok()?;
            Some(NonZeroU16::new(number)?)
        }
    };
    Some(Op::Choice(Choice {
        lead,
        prefer: u16::try_from(prefer.pc).ok()?,
        other: u16::try_from(other.pc).ok()?,
        guess,
    }))
}

/// The first bytes of a text, up to eight, as a word, and how many.
fn word(bytes: &[u8]) -> (u8, u64) {
    let mut word = [0; 8];
    word.iter_mut()
        .zip(bytes)
        .for_each(|(to, byte)| *to = *byte);
    let length = u8::try_from(bytes.len().min(8)).unwrap_or(8);
    (length, u64::from_le_bytes(word))
}

fn hint(program: &Program, ahead: Ahead, samples: &[Option<u8>]) -> Hint {
    match ahead.then {
        Then::Open => Hint::Open,
        Then::Text(text) => match program.texts.get(text as usize) {
            Some(text) => {
                let (length, word) = word(text);
                Hint::Word { length, word }
            }
            None => Hint::Open,
        },
        Then::After(first) => Hint::Second(members(samples, |next| allows(program, first, next))),
    }
}

fn span(
    program: &Program,
    run: &Run,
    (taken, lead): (Members, Option<Lead>),
    samples: &[Option<u8>],
) -> Option<Span> {
    if run.guard.is_some() || run.greed == Greed::Lazy {
        return None;
    }
    let Ahead {
        first,
        then,
        depends,
    } = run.next;
    let set = program.sets.get(run.set)?;
    Some(Span {
        members: taken,
        line: run.max.is_none() && run.min <= 1 && set.is_all_but_newline(),
        least: run.min,
        most: run.max.unwrap_or(u32::MAX),
        keeps: run.greed == Greed::Possessive,
        next: members(samples, |next| allows(program, first, next)),
        sure: matches!((then, depends), (Then::Open, false)),
        then: None,
        to: 0,
        lead,
    })
}

/// Makes the table of a choice.
fn lead(program: &Program, code: &mut Code, pc: Pc, samples: &[Option<u8>]) -> Option<Lead> {
    let is_choice = match program.insts.get(pc)? {
        Inst::Split(_) => true,
        Inst::Run(run) => run.min == 0,
        _ => false,
    };
    if !is_choice || pc >= usize::from(Code::NOWHERE) {
        return None;
    }
    let lead = Lead(u32::try_from(code.leads.len()).ok()?);
    let table: Vec<u16> = samples
        .iter()
        .map(|next| target(program, code, pc, *next))
        .collect();
    code.leads.extend(table);
    Some(lead)
}

/// Whether this may come next by what is known, in any state of the conditions.
fn allows(program: &Program, first: u32, next: Option<u8>) -> bool {
    let firsts = program.firsts.iter().skip(first as usize);
    let mut firsts = firsts.take(1 << program.known);
    firsts.any(|first| first.allows(next.as_ref()))
}

/// Where a choice leads if this comes next: to itself if something is chosen there.
fn target(program: &Program, code: &Code, start: Pc, next: Option<u8>) -> u16 {
    let place = |pc: Pc| u16::try_from(pc).unwrap_or(Code::NOWHERE);
    let mut at = start;
    loop {
        let known = match program.insts.get(at) {
            Some(Inst::Split(Split { lead, .. }) | Inst::Run(Run { lead, .. })) => *lead,
            _ => None,
        };
        if let Some(lead) = known {
            return match code.led(lead, next.as_ref()) {
                Led::Nowhere => Code::NOWHERE,
                Led::To(to) => place(to),
            };
        }
        at = match past(program, at, next) {
            // The memo must see each visit.
            _ if at != start && is_endless(program, at) => return place(at),
            Past::Nowhere => return Code::NOWHERE,
            Past::To(to) if to > at && to < usize::from(Code::NOWHERE) => to,
            // Back to where a loop begins.
            Past::To(to) if at == start && to < usize::from(Code::NOWHERE) => return place(to),
            Past::Stay | Past::To(_) => return place(at),
        };
    }
}

fn is_endless(program: &Program, pc: Pc) -> bool {
    matches!(program.insts.get(pc), Some(Inst::Split(split)) if split.endless)
}

/// What a choice comes to.
enum Past {
    /// It must be made.
    Stay,
    Nowhere,
    To(Pc),
}

fn past(program: &Program, pc: Pc, next: Option<u8>) -> Past {
    let may_come = |ahead: Ahead| allows(program, ahead.first, next);
    let leads = |set: usize| {
        let set = program.sets.get(set);
        next.is_some_and(|byte| set.is_none_or(|set| set.leads().has(byte)))
    };
    match program.insts.get(pc) {
        Some(Inst::Split(split)) => {
            match (may_come(split.prefer.ahead), may_come(split.other.ahead)) {
                (true, true) => Past::Stay,
                (true, false) => Past::To(split.prefer.pc),
                (false, true) => Past::To(split.other.pc),
                (false, false) => Past::Nowhere,
            }
        }
        Some(Inst::Run(run)) if !leads(run.set) => match run.min == 0 && may_come(run.next) {
            true => Past::To(pc + 1),
            false => Past::Nowhere,
        },
        Some(Inst::Jump(to)) => Past::To(*to),
        _ => Past::Stay,
    }
}
