//! Lines made to take long: no stock pattern takes many times longer for them than for its
//! ordinary lines.
//!
//! A walk through the tree of a pattern writes a text that it matches or nearly matches, with some of
//! its repetitions pumped up until the line is long, and then something that does not fit. The walks
//! that cost most on short lines are made again for long ones.

use super::grammar::Random;
use super::sets;
use super::stock::{Pattern, ask, corpus, unhex};
use crate::ast::{Case, Node};
use crate::backtrack::{Care, Found};
use crate::compile::analysis::required;
use crate::set::Set;
use crate::unicode;
use crate::{Flags, Regex, Slots, parse};
use std::collections::HashMap;

/// What a search costs that the matcher has not even begun, in steps.
const SEARCH: u64 = 2;

/// Writes texts that a tree matches.
struct Walk {
    random: Random,
    text: String,
    groups: HashMap<usize, String>,
    /// The length up to which repetitions are pumped.
    length: usize,
    /// How likely a repetition is pumped, in percent.
    pump: usize,
}

/// Where a text can come from: a seed and what to do with it.
#[derive(Clone, Copy, Debug)]
struct Recipe {
    seed: u64,
    pump: usize,
}

impl Recipe {
    /// The text of about this length.
    fn text(self, node: &Node, length: usize) -> String {
        let mut walk = Walk {
            random: Random::new(self.seed),
            text: String::new(),
            groups: HashMap::new(),
            length,
            pump: self.pump,
        };
        walk.node(node);
        walk.spoil();
        // Nothing was pumped: then all of it.
        if walk.text.len() < length / 2 && !walk.text.is_empty() {
            walk.text = walk.text.repeat(length / walk.text.len());
        }
        // Without it, nothing would be searched.
        let required = required(node);
        if !walk.text.contains(&required) {
            walk.text.push_str(&required);
        }
        walk.text
    }
}

impl Walk {
    /// Makes the text one that mostly does not match: by its end, or by a character somewhere.
    fn spoil(&mut self) {
        let wrong = [
            "", "\n", "x", "\u{1}", " \u{1}", "\"", "]", ":", "é", "1.2.3.4 ", "::", " from ",
            "\n\n", " ", "0", "²",
        ];
        let wrong = self.random.pick(&wrong);
        let length = self.text.len();
        let place = match self.random.below(6) {
            // Then it may match after all.
            0 => return,
            1 => length * self.random.below(1000) / 1000,
            2 => self.random.below(200).min(length),
            3 => length.saturating_sub(self.random.below(100)),
            _ => length,
        };
        let place = self.text.floor_char_boundary(place);
        if self.random.below(3) == 0 {
            let before = self.text.floor_char_boundary(place.saturating_sub(1));
            self.text.replace_range(before..place, "");
            self.text.insert_str(before, wrong);
        } else {
            self.text.insert_str(place, wrong);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Empty | Node::Place(_) | Node::Assert(_) | Node::Look { .. } => {}
            Node::Char(code, case) => self.character(*code, *case),
            Node::Class { .. } => self.class(node),
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Alternate(nodes) => {
                let index = self.random.below(nodes.len());
                self.node(&nodes[index]);
            }
            Node::Repeat { node, min, max, .. } => self.repeat(node, *min, *max),
            Node::Capture(group, node) => {
                let start = self.text.len();
                self.node(node);
                let text = self.text.get(start..).unwrap_or_default().to_owned();
                self.groups.insert(*group, text);
            }
            Node::Atomic(node) => self.node(node),
            Node::BackRef(group, _) => {
                if let Some(text) = self.groups.get(group) {
                    self.text.push_str(text);
                }
            }
            Node::IfGroup { group, yes, no } => {
                let follows = self.random.below(8) > 0;
                let yes_or_no = if self.groups.contains_key(group) == follows {
                    yes
                } else {
                    no
                };
                self.node(yes_or_no);
            }
        }
    }

    fn character(&mut self, code: u32, case: Case) {
        let code = match case {
            Case::Exact | Case::FoldedAscii => code,
            Case::Folded => {
                let variants = unicode::variants(code);
                variants[self.random.below(variants.len())]
            }
        };
        self.text.extend(char::from_u32(code));
    }

    fn class(&mut self, node: &Node) {
        let Node::Class {
            items,
            negated,
            case,
        } = node
        else {
            return;
        };
        let set = Set::new(items, *negated, *case);
        let usual = "a1 :.-fx0/[]()<>\"'=,;_@\té\n{}|";
        let members: Vec<char> = usual.chars().filter(|c| has(&set, *c)).collect();
        // The first few are the ones that other parts of a pattern match too.
        let limit = if self.random.below(3) > 0 {
            3
        } else {
            members.len()
        };
        if !members.is_empty() {
            let index = self.random.below(limit.min(members.len()));
            self.text.push(members[index]);
        }
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>) {
        let min = min.min(50);
        let more = max.map_or(3, |max| max.min(50).saturating_sub(min) + 1) as usize;
        let pumped = max.is_none_or(|max| max > 50) && self.random.below(100) < self.pump;
        let turns = min as usize + self.random.below(more);
        for _ in 0..turns {
            self.node(node);
        }
        if !pumped {
            return;
        }
        let start = self.text.len();
        for _ in 0..=self.random.below(3) {
            self.node(node);
        }
        let unit = self.text.get(start..).unwrap_or_default().to_owned();
        let share = 1 + self.random.below(2);
        let room = self.length.saturating_sub(self.text.len()) / share;
        if !unit.is_empty() {
            self.text.push_str(&unit.repeat(room / unit.len()));
        }
    }
}

fn steps(regex: &Regex, text: &str) -> Found {
    super::search(regex, text, Care::USUAL).1
}

/// The worst walks for a pattern, the very worst first, on lines of 2 KiB.
fn worst(regex: &Regex, node: &Node, tries: u64, kept: usize) -> Vec<Recipe> {
    let recipes = (1..=tries).map(|seed| Recipe {
        seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        pump: [10, 30, 60][(seed % 3) as usize],
    });
    let lines: Vec<(Recipe, String)> = recipes
        .map(|recipe| (recipe, recipe.text(node, 2 << 10)))
        .collect();
    // What the outlook learns from them counts once in its life, not for each line.
    for (_, text) in &lines {
        steps(regex, text);
    }
    let mut all: Vec<(u64, Recipe)> = lines
        .iter()
        .map(|(recipe, text)| (steps(regex, text).steps, *recipe))
        .collect();
    all.sort_by_key(|(steps, _)| std::cmp::Reverse(*steps));
    all.into_iter()
        .take(kept)
        .map(|(_, recipe)| recipe)
        .collect()
}

fn has(set: &Set, c: char) -> bool {
    match u8::try_from(c) {
        Ok(byte) if byte < 128 => set.has_ascii(byte),
        _ => set.has_wide(u32::from(c)),
    }
}

fn tree(pattern: &Pattern) -> Node {
    let flags = Flags {
        multi_line: pattern.multi_line,
        ..Flags::default()
    };
    parse::parse(&pattern.text, flags).unwrap().node
}

/// The sample lines by filter, without their dates.
fn sample_lines() -> HashMap<String, Vec<String>> {
    let mut lines: HashMap<String, Vec<String>> = HashMap::new();
    for line in ask(&["lines", &corpus()]).unwrap_or_default().lines() {
        let mut words = line.split(' ').skip(1);
        if let (Some(filter), Some(text)) = (words.next(), words.next()) {
            let lines = lines.entry(filter.to_owned()).or_default();
            lines.push(unhex(text));
        }
    }
    lines
}

/// A line as other kinds of log have it: from a journal, and with the header of RFC 5424.
fn as_logged_elsewhere(line: &str) -> Vec<String> {
    let mut all = vec![line.to_owned()];
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    if let ["", host, daemon, message] = words[..]
        && let Some((name, _)) = daemon.split_once(['[', ':'])
    {
        all.push(format!("{daemon} {message}"));
        all.push(format!(" {host} {name} 123 - - {message}"));
    }
    all
}

/// The patterns of a filter, and the lines they are for.
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) regexes: Vec<Regex>,
    trees: Vec<Node>,
    /// The sample lines that one of the patterns matches, and what the prefix leaves of them.
    lines: Vec<(String, String)>,
}

impl Filter {
    /// All filters, with all their options.
    pub(super) fn all() -> Vec<Self> {
        let samples = sample_lines();
        let new = |set: sets::Set| {
            let mut filter = Self {
                name: format!("{} {}", set.filter, set.options),
                regexes: set.patterns.iter().map(sets::regex).collect(),
                trees: set.patterns.iter().map(tree).collect(),
                lines: Vec::new(),
            };
            let samples = samples.get(&set.filter).into_iter().flatten();
            let all = samples.flat_map(|line| as_logged_elsewhere(line));
            filter.lines = all.filter_map(|line| filter.read(line)).collect();
            filter
        };
        sets::sets()
            .unwrap_or_default()
            .into_iter()
            .map(new)
            .collect()
    }

    fn prefix(&self) -> Option<&Regex> {
        let first = self.regexes.first();
        first.filter(|regex| regex.group("content").is_some())
    }

    /// A line and what the patterns after the prefix see of it, if one of them matches.
    fn read(&self, line: String) -> Option<(String, String)> {
        let content = match self.prefix() {
            None => line.clone(),
            Some(prefix) => prefix.search(&line).ok()??.name("content")?.to_owned(),
        };
        let mut rest = self
            .regexes
            .iter()
            .skip(usize::from(self.prefix().is_some()));
        let matches = rest.any(|regex| regex.is_match(&content) == Ok(true));
        matches.then_some((line, content))
    }

    /// What all patterns do with a line, and with what the prefix leaves of it.
    fn search(&self, line: &str, content: &str, mut each: impl FnMut(&Regex, &str)) {
        for (index, regex) in self.regexes.iter().enumerate() {
            let whole = index == 0 && self.prefix().is_some();
            each(regex, if whole { line } else { content });
        }
    }

    /// The steps of all patterns for each KiB.
    fn steps(&self, line: &str, content: &str) -> u64 {
        let mut sum = 0;
        self.search(line, content, |regex, text| {
            sum += SEARCH + steps(regex, text).steps;
        });
        1024 * sum / line.len().max(1) as u64
    }

    /// The same for a line that is searched again and again, so that the outlook learns nothing from it.
    fn usual_steps(&self, line: &str) -> u64 {
        let rounds = (0..3).map(|_| self.steps(line, line));
        rounds.min().unwrap_or(0)
    }

    /// The steps for each KiB of the median line that matches; none if none does.
    fn ordinary(&self) -> Option<u64> {
        median(
            self.lines
                .iter()
                .map(|(line, content)| self.steps(line, content))
                .collect(),
        )
    }

    /// The picoseconds for each byte of the median line that matches.
    pub(super) fn ordinary_time(&self, time: impl Fn(&mut dyn FnMut()) -> u64) -> Option<u64> {
        let each = |(line, content): &(String, String)| self.time(line, content, &time);
        median(self.lines.iter().map(each).collect())
    }

    /// The picoseconds for each byte of a line.
    pub(super) fn time(
        &self,
        line: &str,
        content: &str,
        time: impl Fn(&mut dyn FnMut()) -> u64,
    ) -> u64 {
        let mut slots = Slots::default();
        let mut all = || {
            self.search(line, content, |regex, text| {
                std::hint::black_box(regex.search_into(text, 0, &mut slots).is_ok());
            });
        };
        time(&mut all) / line.len().max(1) as u64
    }
}

pub(super) fn median(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// A line that takes long.
pub(super) struct Worst {
    /// The filter and its pattern by number.
    pub(super) filter: usize,
    pub(super) pattern: usize,
    recipe: Recipe,
    /// The steps of all patterns of the filter for each KiB, and how many times more that is than
    /// for the filter's ordinary lines.
    pub(super) steps: u64,
    pub(super) times: f64,
    /// The length for which that is so.
    pub(super) length: usize,
}

/// The lengths of the lines: short ones never get beyond the plain search, and of long ones it is
/// forgotten.
const LENGTHS: [usize; 4] = [256, 1 << 10, 4 << 10, 32 << 10];

/// The lengths for patterns that are given up. They have some thousand steps for each line, because
/// what should match must not be given up.
const LONG: [usize; 1] = [32 << 10];

impl Worst {
    fn is_long(&self) -> bool {
        self.length >= 32 << 10
    }

    pub(super) fn text(&self, filters: &[Filter], length: usize) -> String {
        let tree = &filters[self.filter].trees[self.pattern];
        self.recipe.text(tree, length)
    }
}

/// The worst line for each different pattern, the very worst first.
pub(super) fn worst_lines(filters: &[Filter], tries: u64) -> Vec<Worst> {
    let ordinary: Vec<Option<u64>> = filters.iter().map(Filter::ordinary).collect();
    // For the few filters without a line that matches.
    let usual = median(ordinary.iter().flatten().copied().collect()).unwrap_or(1);
    let mut seen: Vec<&str> = Vec::new();
    let mut all: Vec<Worst> = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        for (number, (regex, tree)) in filter.regexes.iter().zip(&filter.trees).enumerate() {
            if seen.contains(&regex.as_str()) {
                continue;
            }
            seen.push(regex.as_str());
            let ordinary = ordinary[index].unwrap_or(usual) as f64;
            let lengths = match regex.is_linear() {
                true => LENGTHS.as_slice(),
                false => LONG.as_slice(),
            };
            let lines = worst(regex, tree, tries, 3)
                .into_iter()
                .flat_map(|recipe| lengths.iter().map(move |length| (*length, recipe)));
            let lines = lines.map(|(length, recipe)| {
                let text = recipe.text(tree, length);
                let steps = filter.usual_steps(&text);
                Worst {
                    filter: index,
                    pattern: number,
                    recipe,
                    steps,
                    times: steps as f64 / ordinary,
                    length,
                }
            });
            let (long, short): (Vec<Worst>, Vec<Worst>) = lines.partition(Worst::is_long);
            let worst = [long, short].into_iter();
            all.extend(worst.filter_map(|lines| lines.into_iter().max_by_key(|line| line.steps)));
        }
    }
    all.sort_by(|a, b| b.times.total_cmp(&a.times));
    all
}

/// The most steps for each byte of a linear pattern, whatever the line: the worst takes 6,
const STEPS_PER_BYTE: u64 = 8;

/// and of a filter's patterns together, in multiples of those for its ordinary lines. The worst comes
/// to 18, which is a line that matches; those with back-references come to as much, since then they
/// are given up.
const TIMES_ORDINARY: f64 = 20.;

/// The same for lines below 32 KiB, in which what the outlook has to learn weighs more: the worst comes to
/// 31, and in time to 16.
const TIMES_ORDINARY_SHORT: f64 = 36.;

#[test]
fn stock_patterns_take_bounded_steps_for_hostile_lines() {
    let filters = Filter::all();
    let all = worst_lines(&filters, 400);
    for (rank, worst) in all.iter().enumerate() {
        let regex = &filters[worst.filter].regexes[worst.pattern];
        // The longest lines take long, so only the worst patterns get them.
        let longest = if rank < 16 { 1 << 20 } else { 32 << 10 };
        for length in [worst.length, longest] {
            let text = worst.text(&filters, length);
            let found = steps(regex, &text);
            let again = steps(regex, &text);
            let what = format!("{found:?} for {} on {:.80?}", regex.as_str(), text);
            assert!(found.steps <= regex.step_limit(text.len()), "{what}");
            if regex.is_linear() {
                assert!(!found.exhausted, "{what}");
                assert!(again.steps <= STEPS_PER_BYTE * text.len() as u64, "{what}");
            }
            let most = if worst.is_long() {
                TIMES_ORDINARY
            } else {
                TIMES_ORDINARY_SHORT
            };
            assert!(worst.times < most, "{} times {what}", worst.times);
        }
    }
    assert!(all.is_empty() || all.len() > 300, "{} patterns", all.len());
}
