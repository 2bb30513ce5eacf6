//! From the text of a pattern to its tree, with Python's rules and Python's complaints.
//!
//! Python reads a pattern in steps of one character, or of two after a backslash, and looks one
//! step ahead. Several of its oddities follow from that, so this parser keeps to it: `\` and a
//! newline are one step and do not end a comment, and a lone backslash at the end is found before
//! anything else that is wrong just before it.

mod class;
mod escape;
mod group;
#[cfg(test)]
mod tests;

use crate::Flags;
use crate::ast::{Assertion, Case, Greed, Item, Node, Width};
use crate::error::{Error, ErrorKind};

/// How many groups may stand inside each other.
const MAX_DEPTH: usize = 128;

/// The highest count Python reads in `{m,n}`.
const MAX_COUNT: u64 = u32::MAX as u64;

/// What the parser found.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The tree.
    pub(crate) node: Node,
    /// How wide each group is, by number; number 0 is not used.
    pub(crate) widths: Vec<Option<Width>>,
    /// The names and numbers of the named groups, in order.
    pub(crate) names: Vec<(String, usize)>,
}

/// A piece of a pattern, for those who ask why it does not match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Where it begins, in characters.
    pub(crate) position: usize,
    end: usize,
    /// The character it is, if it is only that.
    pub(crate) literal: Option<char>,
    /// Whether the place before this one is a character too and this one follows it closely.
    pub(crate) follows_literal: bool,
    /// Whether it stands in no group.
    pub(crate) outermost: bool,
}

/// Reads a pattern.
pub(crate) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, Error> {
    parse_and(pattern, flags, None).map(|(parsed, _)| parsed)
}

/// Reads a pattern and puts a [`Node::Place`] before each piece of it.
pub(crate) fn parse_with_places(
    pattern: &str,
    flags: Flags,
) -> Result<(Parsed, Vec<Place>), Error> {
    parse_and(pattern, flags, Some(Vec::new()))
}

fn parse_and(
    pattern: &str,
    flags: Flags,
    places: Option<Vec<Place>>,
) -> Result<(Parsed, Vec<Place>), Error> {
    let mut parser = Parser {
        text: pattern.chars().collect(),
        position: 0,
        flags,
        widths: vec![None],
        names: Vec::new(),
        conditions: Vec::new(),
        lookbehind: None,
        places,
    };
    parser.refuse_lone_backslash()?;
    let node = parser.alternation(flags, 0)?;
    if parser.peek().is_some() {
        return Err(parser.error(ErrorKind::UnbalancedParenthesis, 0));
    }
    for &(group, position) in &parser.conditions {
        if group >= parser.widths.len() {
            return Err(Error::at(
                ErrorKind::UnknownGroup(group),
                &parser.text,
                position,
            ));
        }
    }
    if has_variable_lookbehind(&node, &parser.widths) {
        return Err(Error::of_whole(ErrorKind::VariableLookbehind));
    }
    let parsed = Parsed {
        node,
        widths: parser.widths,
        names: parser.names,
    };
    Ok((parsed, parser.places.unwrap_or_default()))
}

fn has_variable_lookbehind(node: &Node, widths: &[Option<Width>]) -> bool {
    node.any(&mut |node| match node {
        Node::Look {
            behind: true, node, ..
        } => {
            let width = node.width(widths);
            width.min != width.max
        }
        _ => false,
    })
}

/// One step of the reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    /// A character that stands for itself or for syntax.
    Plain(char),
    /// A backslash and this character.
    Escape(char),
}

impl Token {
    /// How many characters of the pattern it takes.
    fn len(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Escape(_) => 2,
        }
    }

    /// Its text.
    fn text(self) -> String {
        match self {
            Self::Plain(c) => c.to_string(),
            Self::Escape(c) => format!("\\{c}"),
        }
    }
}

struct Parser {
    text: Vec<char>,
    /// The place of the next token, in characters.
    position: usize,
    /// The flags of the whole pattern; inline flags at its start add to them.
    flags: Flags,
    /// The groups opened so far, by number: their width once they are closed.
    widths: Vec<Option<Width>>,
    names: Vec<(String, usize)>,
    /// The groups that conditionals ask for, and where.
    conditions: Vec<(usize, usize)>,
    /// How many groups there were when the outermost open look-behind began.
    lookbehind: Option<usize>,
    /// The pieces found so far, if they are wanted.
    places: Option<Vec<Place>>,
}

/// What a quantifier would repeat.
enum Last {
    Nothing,
    Assertion,
    Repeat,
    Other,
}

impl Parser {
    fn peek(&self) -> Option<Token> {
        match *self.text.get(self.position)? {
            '\\' => self.text.get(self.position + 1).map(|c| Token::Escape(*c)),
            c => Some(Token::Plain(c)),
        }
    }

    fn next(&mut self) -> Result<Option<Token>, Error> {
        let token = self.peek();
        self.position += token.map_or(0, Token::len);
        self.refuse_lone_backslash()?;
        Ok(token)
    }

    /// Steps over `c` if it is next.
    fn eat(&mut self, c: char) -> Result<bool, Error> {
        let found = self.peek() == Some(Token::Plain(c));
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn refuse_lone_backslash(&self) -> Result<(), Error> {
        let last = self.position + 1 == self.text.len();
        if last && self.text.get(self.position) == Some(&'\\') {
            return Err(self.error(ErrorKind::LoneBackslash, 0));
        }
        Ok(())
    }

    /// An error so many characters before the next token.
    fn error(&self, kind: ErrorKind, before: usize) -> Error {
        Error::at(kind, &self.text, self.position.saturating_sub(before))
    }

    /// An error at a place passed before.
    fn error_at(&self, kind: ErrorKind, position: usize) -> Error {
        Error::at(kind, &self.text, position)
    }

    /// `a|b|c`, up to a closing parenthesis or the end.
    fn alternation(&mut self, mut flags: Flags, depth: usize) -> Result<Node, Error> {
        if depth > MAX_DEPTH {
            return Err(self.error(ErrorKind::TooDeep, 0));
        }
        let mut nodes = vec![self.sequence(flags, depth, depth == 0)?];
        while self.eat('|')? {
            if depth == 0 {
                flags = self.flags;
            }
            nodes.push(self.sequence(flags, depth, false)?);
        }
        if let (0, 2.., Some(places)) = (depth, nodes.len(), &mut self.places) {
            // None of the alternatives is further on than another.
            places.iter_mut().for_each(|place| place.outermost = false);
        }
        Ok(match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            last => {
                nodes.extend(last);
                Node::Alternate(nodes)
            }
        })
    }

    /// One alternative. Flags for the whole pattern may stand in the `first` one only.
    fn sequence(&mut self, mut flags: Flags, depth: usize, first: bool) -> Result<Node, Error> {
        let mut nodes = Vec::new();
        let mut last = Last::Nothing;
        while let Some(token) = self.peek() {
            if matches!(token, Token::Plain('|' | ')')) {
                break;
            }
            let position = self.position;
            self.next()?;
            if flags.verbose && self.skip_blank(token)? {
                continue;
            }
            if let Token::Plain('*' | '+' | '?' | '{') = token
                && self.quantifier(token, &mut nodes, &mut last)?
            {
                continue;
            }
            let node = match token {
                Token::Plain('(') => {
                    let start = first && nodes.is_empty();
                    match self.group(flags, depth, start)? {
                        Some(node) => node,
                        None => {
                            if start {
                                flags = self.flags;
                            }
                            continue;
                        }
                    }
                }
                Token::Plain('[') => self.class(flags)?,
                Token::Plain(c) => plain(c, flags),
                Token::Escape(c) => self.escape(c, flags)?,
            };
            // A group that only holds an assertion or a repetition may itself be repeated.
            last = match node {
                Node::Assert(_) if token != Token::Plain('(') => Last::Assertion,
                _ => Last::Other,
            };
            self.mark(&mut nodes, position, &node, depth);
            nodes.push(node);
        }
        Ok(match nodes.pop() {
            None => Node::Empty,
            Some(only) if nodes.is_empty() => only,
            Some(last) => {
                nodes.push(last);
                Node::Concat(nodes)
            }
        })
    }

    /// Puts a place before a piece, if places are wanted.
    fn mark(&mut self, nodes: &mut Vec<Node>, position: usize, node: &Node, depth: usize) {
        let Some(places) = &mut self.places else {
            return;
        };
        let literal = |node: &Node| match node {
            Node::Char(code, _) => char::from_u32(*code),
            _ => None,
        };
        let touches = places.last().is_some_and(|place| place.end == position);
        places.push(Place {
            position,
            end: self.position,
            literal: literal(node),
            follows_literal: touches && nodes.last().and_then(literal).is_some(),
            outermost: depth == 0,
        });
        nodes.push(Node::Place(places.len() - 1));
    }

    /// In verbose mode: whether `token` was a blank or began a comment, which is then skipped.
    fn skip_blank(&mut self, token: Token) -> Result<bool, Error> {
        match token {
            Token::Plain(' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') => Ok(true),
            Token::Plain('#') => {
                while let Some(token) = self.next()? {
                    if token == Token::Plain('\n') {
                        break;
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Repeats the last of `nodes`; false if the token is only a `{`.
    fn quantifier(
        &mut self,
        token: Token,
        nodes: &mut Vec<Node>,
        last: &mut Last,
    ) -> Result<bool, Error> {
        let here = self.position;
        let (min, max) = match token {
            Token::Plain('?') => (0, Some(1)),
            Token::Plain('*') => (0, None),
            Token::Plain('+') => (1, None),
            _ => match self.counts(here)? {
                Some(counts) => counts,
                None => {
                    self.position = here;
                    return Ok(false);
                }
            },
        };
        let kind = match last {
            Last::Nothing | Last::Assertion => Some(ErrorKind::NothingToRepeat),
            Last::Repeat => Some(ErrorKind::MultipleRepeat),
            Last::Other => None,
        };
        let node = match (kind, nodes.pop()) {
            (None, Some(node)) => Box::new(node),
            (kind, _) => {
                return Err(self.error_at(kind.unwrap_or(ErrorKind::NothingToRepeat), here - 1));
            }
        };
        let greed = if self.eat('?')? {
            Greed::Lazy
        } else if self.eat('+')? {
            Greed::Possessive
        } else {
            Greed::Greedy
        };
        if let (Some(Node::Place(number)), Some(places)) = (nodes.last(), &mut self.places)
            && let Some(place) = places.get_mut(*number)
        {
            place.literal = None;
        }
        nodes.push(Node::Repeat {
            node,
            min,
            max,
            greed,
        });
        *last = Last::Repeat;
        Ok(true)
    }

    /// The inside of `{m,n}`; none if it does not have that shape.
    fn counts(&mut self, here: usize) -> Result<Option<(u32, Option<u32>)>, Error> {
        if self.peek() == Some(Token::Plain('}')) {
            return Ok(None);
        }
        let low = self.digits()?;
        let high = if self.eat(',')? {
            self.digits()?
        } else {
            low.clone()
        };
        if !self.eat('}')? {
            return Ok(None);
        }
        let min = self.count(&low, here)?;
        let max = self.count(&high, here)?;
        if let (Some(min), Some(max)) = (min, max)
            && max < min
        {
            return Err(self.error_at(ErrorKind::MinAboveMax, here));
        }
        Ok(Some((min.unwrap_or(0), max)))
    }

    fn digits(&mut self) -> Result<String, Error> {
        let mut digits = String::new();
        while let Some(Token::Plain(c @ '0'..='9')) = self.peek() {
            digits.push(c);
            self.next()?;
        }
        Ok(digits)
    }

    fn count(&self, digits: &str, here: usize) -> Result<Option<u32>, Error> {
        if digits.is_empty() {
            return Ok(None);
        }
        let count = digits
            .parse()
            .ok()
            .filter(|count| u64::from(*count) < MAX_COUNT);
        count
            .map(Some)
            .ok_or_else(|| self.error_at(ErrorKind::CountTooLarge, here))
    }
}

/// A character that stands for itself, or one of `.`, `^`, `$`.
fn plain(c: char, flags: Flags) -> Node {
    let newline = u32::from('\n');
    match c {
        '.' if flags.dot_all => class(vec![Item::Range(0, u32::from(char::MAX))], false),
        '.' => class(vec![Item::Range(newline, newline)], true),
        '^' if flags.multi_line => Node::Assert(Assertion::LineStart),
        '^' => Node::Assert(Assertion::Start),
        '$' if flags.multi_line => Node::Assert(Assertion::LineEnd),
        '$' => Node::Assert(Assertion::End),
        c => Node::Char(u32::from(c), case(flags)),
    }
}

fn class(items: Vec<Item>, negated: bool) -> Node {
    Node::Class {
        items,
        negated,
        case: Case::Exact,
    }
}

fn case(flags: Flags) -> Case {
    match (flags.ignore_case, flags.ascii) {
        (false, _) => Case::Exact,
        (true, false) => Case::Folded,
        (true, true) => Case::FoldedAscii,
    }
}
