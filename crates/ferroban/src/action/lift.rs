//! Lifting: what a plain command of an action does to a set in the kernel, done in process.
//!
//! `nft add element …` and `ipset add …` are what most bans of `action.d` come to. Starting
//! a shell and a program for each costs milliseconds; the change itself costs microseconds.
//! So a command that is nothing but such a change ([`plain`]) and that runs the system's own
//! program ([`program`]) is *lifted*, but not on trust: the first time it runs in the shell as
//! ever, and the set is read before and after. Only if all that happened is what we would
//! have done are the next ones done by us, many at a time. Whatever does not work in process
//! is given to the shell, which fails or succeeds as it always did: checks, repairs and the
//! words in the log are the shell's.
//!
//! Single rules of `iptables` are not made in process, but many of them by one program
//! ([`rules`]), after the same proof.

mod plain;
mod program;
mod rules;

use std::collections::BTreeMap;
use std::time::Duration;

use super::ipset::{self, Change, Ipset};
use super::nftables::elsewhere::{self, Content, Elsewhere};
use crate::process::script::{self, Script};
pub(super) use plain::Edit;
use plain::{Rule, Set, Tool, Way};
use rules::Sample;

/// How often a command is looked at before it is left to the shell for good: with sets of
/// many thousands a look costs more than the command.
const MOST_LOOKS: u8 = 5;
/// Times that differ by less are the same: the command itself takes some.
const TOLERANCE: Duration = Duration::from_secs(2);
/// How long the rules of a chain may take to be shown.
const LISTING: Duration = Duration::from_secs(10);
/// The longest list of rules that is looked at, in bytes: some 200,000 of them.
const MOST_LISTED: usize = 16 << 20;

/// How far we are with a way.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Standing {
    /// Looked at so often, without a proof.
    Looked(u8),
    /// Seen so often to leave a set of this shape alone when the element was there: as after
    /// a crash, when everything is.
    Idle(u8, Shape),
    /// A rule that was made, or taken out; that `iptables-restore` does the same is not seen
    /// yet.
    Sampled(Sample),
    /// What it does is what we would do, to a set of this shape.
    Proven(Shape),
}

/// What a set is like, as far as it matters for what a change of it does.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Shape {
    Nft(elsewhere::Shape),
    Ipset(ipset::Header),
    /// Rules, whatever they are.
    Chain,
}

/// The commands of one action that are done in process.
#[derive(Debug, Default)]
pub(super) struct Lift {
    ways: BTreeMap<Way, Standing>,
    /// Something was proven, or is not any more, since that was last asked.
    news: bool,
    sets: Sets,
}

impl Lift {
    /// What a command is, if it can be lifted at all.
    pub(super) fn plain(script: &Script) -> Option<Edit> {
        plain::read(script)
    }

    /// Whether a command, whose tags are not filled yet, may become one that can be lifted.
    pub(super) fn may_be_plain(text: &str) -> bool {
        plain::may_be(text)
    }

    /// Runs a command that is not proven yet, and looks what it does. Tells whether it
    /// succeeded, and whether it is proven now.
    pub(super) fn learn(&mut self, edit: &Edit, run: impl FnOnce() -> bool) -> (bool, bool) {
        let way = &edit.way;
        let looked = match self.ways.get(way) {
            Some(Standing::Looked(looked) | Standing::Idle(looked, _)) => *looked,
            // The set is another one now, or it was not done.
            Some(Standing::Proven(_) | Standing::Sampled(_)) | None => 0,
        };
        if looked >= MOST_LOOKS || !edit.is_the_systems() {
            return (run(), false);
        }
        if let Some(rule) = &edit.way.rule {
            let before = rules_of(edit, rule);
            let success = run();
            let after = rules_of(edit, rule).filter(|_| success);
            let sample = before.zip(after);
            let sample = sample.and_then(|(before, after)| Sample::of(rule, edit, &before, &after));
            let is_sampled = sample.is_some();
            let standing = sample.map_or(Standing::Looked(looked + 1), Standing::Sampled);
            self.ways.insert(way.clone(), standing);
            return (success, is_sampled);
        }
        let before = self.sets.look(&edit.way.set);
        let success = run();
        let after = self.sets.look(&edit.way.set).filter(|_| success);
        let standing = match (before, after) {
            (Some((shape, before)), Some((same, after))) if shape == same => {
                if shape.has(edit, &before) && alike(&before, &after) {
                    Standing::Idle(looked + 1, shape)
                } else if shape.explains(edit, before, &after) {
                    Standing::Proven(shape)
                } else {
                    Standing::Looked(looked + 1)
                }
            }
            _ => Standing::Looked(looked + 1),
        };
        let is_proven = matches!(standing, Standing::Proven(_));
        self.news |= is_proven;
        self.ways.insert(way.clone(), standing);
        (success, is_proven)
    }

    /// Does what is proven, with an answer for each: whether it is done. What is not is for
    /// the shell. `run` runs a program for many rules.
    pub(super) fn carry_out(
        &mut self,
        edits: &[Edit],
        run: &mut dyn FnMut(&Script) -> bool,
    ) -> Vec<bool> {
        let mut done = Vec::with_capacity(edits.len());
        for together in edits.chunk_by(|one, other| one.way == other.way) {
            let results = match together.first().and_then(|edit| edit.way.rule.as_ref()) {
                Some(rule) => self.carry_out_rules(rule, together, run),
                None => self.carry_out_alike(together),
            };
            match results {
                Some(results) => done.extend(results),
                None => done.extend(together.iter().map(|_| false)),
            }
        }
        done
    }

    fn carry_out_alike(&mut self, edits: &[Edit]) -> Option<Vec<bool>> {
        let edit = edits.first()?;
        let way = &edit.way;
        let (shape, is_idle) = match self.ways.get(way)? {
            Standing::Proven(shape) => (shape, false),
            Standing::Idle(_, shape) => (shape, true),
            Standing::Looked(_) | Standing::Sampled(_) => return None,
        };
        if !edit.is_the_systems() || self.sets.shape(&edit.way.set)? != *shape {
            // It is to be learnt anew.
            self.ways.remove(way);
            self.news = true;
            return None;
        }
        if is_idle {
            let (_, content) = self.sets.look(&edit.way.set)?;
            return Some(edits.iter().map(|edit| shape.has(edit, &content)).collect());
        }
        self.sets.change(shape, edits)
    }

    /// The same with rules, by one program for many.
    fn carry_out_rules(
        &mut self,
        rule: &Rule,
        mut edits: &[Edit],
        run: &mut dyn FnMut(&Script) -> bool,
    ) -> Option<Vec<bool>> {
        let (first, _) = edits.split_first().filter(|(_, rest)| !rest.is_empty())?;
        if !first.is_the_systems() {
            return None;
        }
        let (way, count) = (&first.way, edits.len());
        let mut done = Vec::with_capacity(count);
        if let Standing::Sampled(sample) = self.ways.get(way)? {
            let foretold = sample.foretell(first.network, &rules_of(first, rule)?)?;
            let (one, rest) = edits.split_at_checked(1)?;
            done.extend(rules::together(rule, one).map(|(script, _)| run(&script)));
            // It was made, even if nobody can see what it looks like.
            let is_proven =
                done == [true] && rules_of(first, rule).is_some_and(|now| now == foretold);
            self.news |= is_proven;
            let standing = match is_proven {
                true => Standing::Proven(Shape::Chain),
                false => Standing::Looked(MOST_LOOKS),
            };
            self.ways.insert(way.clone(), standing);
            edits = rest;
        }
        if let Some(Standing::Proven(_)) = self.ways.get(way) {
            let together = rules::together(rule, edits);
            for (_, more) in together.take_while(|(script, _)| run(script)) {
                done.resize(done.len() + more, true);
            }
        }
        done.resize(count, false);
        Some(done)
    }

    /// Forgets what was learnt of commands that may be others now.
    pub(super) fn forget(&mut self) {
        self.news |= !self.ways.is_empty();
        self.ways.clear();
    }

    /// The commands that are done in process, without their elements, if there is news
    /// since that was last asked.
    pub(super) fn take_news(&mut self) -> Option<Vec<String>> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let proven = |(_, standing): &(&Way, &Standing)| matches!(standing, Standing::Proven(_));
        let proven = self.ways.iter().filter(proven);
        let mut texts: Vec<String> = proven.map(|(way, _)| way.text()).collect();
        texts.dedup();
        Some(texts)
    }

    /// Whether such a command can be carried out here; of rules, with others like it.
    pub(super) fn is_proven(&self, edit: &Edit) -> bool {
        let standing = self.ways.get(&edit.way);
        matches!(standing, Some(Standing::Proven(_) | Standing::Sampled(_)))
    }

    /// Whether some of many such commands may be carried out here.
    pub(super) fn is_known(&self, edit: &Edit) -> bool {
        let standing = self.ways.get(&edit.way);
        matches!(standing, Some(Standing::Idle(..))) || self.is_proven(edit)
    }
}

impl Shape {
    /// Whether a set that held `before` and holds `after` has seen this change and no other.
    fn explains(&self, edit: &Edit, mut before: Content, after: &Content) -> bool {
        let span = elsewhere::span(&edit.element());
        let place = before.binary_search_by_key(&span, |(span, _)| *span);
        match (edit.way.is_added, place) {
            (true, Err(place)) => before.insert(place, (span, self.time_of(edit))),
            (false, Ok(place)) => drop(before.remove(place)),
            // It was there already, or not there: that proves nothing.
            (true, Ok(_)) | (false, Err(_)) => return false,
        }
        alike(&before, after)
    }

    /// Whether what a command adds is there already, and stays for ever: then there is nothing
    /// to do.
    fn has(&self, edit: &Edit, content: &Content) -> bool {
        let span = elsewhere::span(&edit.element());
        let place = content.binary_search_by_key(&span, |(span, _)| *span);
        let held = place.ok().and_then(|place| content.get(place));
        let stays = held.is_some_and(|(_, timeout)| timeout.is_none());
        edit.way.is_added && stays && self.time_of(edit).is_none()
    }

    /// What time an element has right after it came.
    fn time_of(&self, edit: &Edit) -> Option<Duration> {
        let of_set = match self {
            Self::Nft(_) | Self::Chain => None,
            Self::Ipset(header) => header.timeout.map(u64::from).map(Duration::from_secs),
        };
        edit.timeout.or(of_set).filter(|time| !time.is_zero())
    }
}

/// Whether two looks have seen the same.
fn alike(one: &Content, other: &Content) -> bool {
    let same = |(one, other): (&(_, Option<Duration>), &(_, _))| {
        one.0 == other.0
            && match (one.1, other.1) {
                (None, None) => true,
                (Some(one), Some(other)) => one.abs_diff(other) <= TOLERANCE,
                _ => false,
            }
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

impl Edit {
    /// Whether the program that it names is the one that we know.
    fn is_the_systems(&self) -> bool {
        let tool = self.way.set.tool();
        match tool {
            Tool::Nft | Tool::Ipset => program::is_the_systems(&self.way.program, tool),
            Tool::Iptables | Tool::Ip6tables => program::has_restore(&self.way.program, tool),
        }
    }

    /// Whether it is worth while only together with others.
    pub(super) fn is_rule(&self) -> bool {
        self.way.rule.is_some()
    }
}

/// The rules of a chain; nothing if they cannot be shown, or are too many to be kept.
fn rules_of(edit: &Edit, rule: &Rule) -> Option<Vec<String>> {
    let list = rules::list(&edit.way.program, rule);
    let ran = script::read(&list, LISTING, MOST_LISTED).ok()?;
    let is_whole = ran.is_success() && ran.stdout.lost == 0;
    let text = String::from_utf8(ran.stdout.bytes).ok()?;
    is_whole.then(|| text.lines().map(str::to_owned).collect())
}

/// The ways to the sets, opened when they are needed.
#[derive(Debug, Default)]
struct Sets {
    nft: Option<Elsewhere>,
    ipset: Option<Ipset>,
}

impl Sets {
    fn nft(&mut self) -> Option<&mut Elsewhere> {
        if self.nft.is_none() {
            self.nft = Elsewhere::open().ok();
        }
        self.nft.as_mut()
    }

    fn ipset(&mut self) -> Option<&mut Ipset> {
        if self.ipset.is_none() {
            self.ipset = Ipset::open().ok();
        }
        self.ipset.as_mut()
    }

    /// What a set is like; nothing if it is not there, or of no kind that we know through
    /// and through.
    fn shape(&mut self, set: &Set) -> Option<Shape> {
        match set {
            Set::Nft(place) => self.nft()?.shape(place).ok()?.map(Shape::Nft),
            Set::Ipset(name) => {
                let header = self.ipset()?.header(name).ok()??;
                let is_known = ["hash:ip", "hash:net"].contains(&header.kind.as_str());
                (is_known && header.netmask.is_none()).then_some(Shape::Ipset(ipset::Header {
                    references: 0,
                    entries: None,
                    ..header
                }))
            }
            Set::Chain { .. } => Some(Shape::Chain),
        }
    }

    /// The same, with all that it holds.
    fn look(&mut self, set: &Set) -> Option<(Shape, Content)> {
        let shape = self.shape(set)?;
        let content = match (&shape, set) {
            (Shape::Nft(shape), Set::Nft(place)) => self.nft()?.content(place, *shape).ok()?,
            (Shape::Ipset(_), Set::Ipset(name)) => {
                let entries = self.ipset()?.list(name).ok()?;
                let held = |entry: &ipset::Entry| {
                    let timeout = entry.timeout.map(u64::from).map(Duration::from_secs);
                    let network = entry.network;
                    let element = super::nftables::Element { network, timeout };
                    (elsewhere::span(&element), timeout)
                };
                let mut content: Content = entries.iter().map(held).collect();
                content.sort_by_key(|(span, _)| *span);
                content
            }
            _ => return None,
        };
        Some((shape, content))
    }

    /// Changes one set, with an answer for each.
    fn change(&mut self, shape: &Shape, edits: &[Edit]) -> Option<Vec<bool>> {
        let Way { set, is_added, .. } = &edits.first()?.way;
        match (shape, set) {
            (Shape::Nft(shape), Set::Nft(place)) => {
                let elements: Vec<_> = edits.iter().map(Edit::element).collect();
                let changed = self.nft()?.change(place, *shape, *is_added, &elements);
                Some(vec![changed.is_ok(); edits.len()])
            }
            (Shape::Ipset(header), Set::Ipset(name)) => {
                let fits = |edit: &Edit| edit.network.is_single() || header.kind == "hash:net";
                if !edits.iter().all(fits) {
                    return None;
                }
                let edit = |edit: &Edit| {
                    let seconds = edit.timeout.map(|time| time.as_secs());
                    let timeout = seconds.and_then(|seconds| u32::try_from(seconds).ok());
                    let change = match is_added {
                        true => Change::Add { timeout },
                        false => Change::Delete,
                    };
                    ipset::Edit {
                        set: name,
                        network: edit.network,
                        change,
                        exist: edit.way.exist,
                    }
                };
                let edits: Vec<_> = edits.iter().map(edit).collect();
                let results = self.ipset()?.change(&edits);
                Some(results.iter().map(Result::is_ok).collect())
            }
            _ => None,
        }
    }
}

impl Set {
    /// The program whose sets these are.
    fn tool(&self) -> Tool {
        match self {
            Self::Nft(_) => Tool::Nft,
            Self::Ipset(_) => Tool::Ipset,
            Self::Chain { is_v6: false, .. } => Tool::Iptables,
            Self::Chain { is_v6: true, .. } => Tool::Ip6tables,
        }
    }

    /// The words that change it.
    fn verb(&self, is_added: bool) -> &'static str {
        match (self, is_added) {
            (Self::Nft(_), true) => "add element",
            (Self::Nft(_), false) => "delete element",
            (Self::Ipset(_), true) => "add",
            (Self::Ipset(_), false) => "del",
            (Self::Chain { .. }, true) => "-I",
            (Self::Chain { .. }, false) => "-D",
        }
    }
}

#[cfg(test)]
mod tests;
