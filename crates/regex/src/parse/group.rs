//! `(...)` in all its forms.

use super::{Parser, Token, case};
use crate::Flags;
use crate::ast::Node;
use crate::error::{Error, ErrorKind};

/// Flags as a place in the pattern changes them: to on, to off, or not.
#[derive(Default)]
struct Change {
    on: Vec<char>,
    off: Vec<char>,
}

impl Parser {
    /// A group; its `(` is read. None if it was a comment or flags for the whole pattern.
    pub(super) fn group(
        &mut self,
        flags: Flags,
        depth: usize,
        at_start: bool,
    ) -> Result<Option<Node>, Error> {
        let start = self.position - 1;
        if !self.eat('?')? {
            return self.capture(None, flags, depth, start).map(Some);
        }
        let node = match self.extension_char()? {
            Token::Plain('P') => self.python_extension(flags, depth, start)?,
            Token::Plain(':') => self.inside(flags, depth, start)?,
            Token::Plain('>') => Node::Atomic(Box::new(self.inside(flags, depth, start)?)),
            Token::Plain('#') => return self.comment(start).map(|()| None),
            Token::Plain('=') => self.look(false, false, flags, (depth, start))?,
            Token::Plain('!') => self.look(false, true, flags, (depth, start))?,
            Token::Plain('<') => match self.extension_char()? {
                Token::Plain('=') => self.look(true, false, flags, (depth, start))?,
                Token::Plain('!') => self.look(true, true, flags, (depth, start))?,
                other => return Err(self.unknown_extension("<", other)),
            },
            Token::Plain('(') => self.conditional(flags, depth, start)?,
            Token::Plain(c) if c == '-' || is_flag(c) => match self.flags(c)? {
                Some(change) => self.inside(apply(flags, &change), depth, start)?,
                None if at_start => return Ok(None),
                None => return Err(self.error_at(ErrorKind::LateFlags, start)),
            },
            other => return Err(self.unknown_extension("", other)),
        };
        Ok(Some(node))
    }

    fn extension_char(&mut self) -> Result<Token, Error> {
        self.next()?
            .ok_or_else(|| self.error(ErrorKind::UnexpectedEnd, 0))
    }

    fn unknown_extension(&self, before: &str, token: Token) -> Error {
        let text = format!("{before}{}", token.text());
        let length = text.chars().count() + 1;
        self.error(ErrorKind::UnknownExtension(text), length)
    }

    /// What stands up to the closing parenthesis, and that.
    fn inside(&mut self, flags: Flags, depth: usize, start: usize) -> Result<Node, Error> {
        let node = self.alternation(flags, depth + 1)?;
        self.close(start)?;
        Ok(node)
    }

    fn close(&mut self, start: usize) -> Result<(), Error> {
        if self.eat(')')? {
            return Ok(());
        }
        Err(self.error_at(ErrorKind::UnterminatedGroup, start))
    }

    fn capture(
        &mut self,
        name: Option<String>,
        flags: Flags,
        depth: usize,
        start: usize,
    ) -> Result<Node, Error> {
        let group = self.widths.len();
        if let Some(name) = name {
            if let Some(first) = self.named(&name) {
                let length = name.chars().count() + 1;
                let kind = ErrorKind::DuplicateName { name, group, first };
                return Err(self.error(kind, length));
            }
            self.names.push((name, group));
        }
        self.widths.push(None);
        let node = self.inside(flags, depth, start)?;
        let width = node.width(&self.widths);
        if let Some(slot) = self.widths.get_mut(group) {
            *slot = Some(width);
        }
        Ok(Node::Capture(group, Box::new(node)))
    }

    /// `(?P<name>...)` and `(?P=name)`.
    fn python_extension(
        &mut self,
        flags: Flags,
        depth: usize,
        start: usize,
    ) -> Result<Node, Error> {
        if self.eat('<')? {
            let name = self.name('>')?;
            self.refuse_bad_name(&name)?;
            return self.capture(Some(name), flags, depth, start);
        }
        if self.eat('=')? {
            let name = self.name(')')?;
            self.refuse_bad_name(&name)?;
            let group = self.known(&name)?;
            self.refuse_open_group(group, name.chars().count() + 1)?;
            return Ok(Node::BackRef(group, case(flags)));
        }
        let other = self.extension_char()?;
        Err(self.unknown_extension("P", other))
    }

    fn comment(&mut self, start: usize) -> Result<(), Error> {
        loop {
            match self.next()? {
                Some(Token::Plain(')')) => return Ok(()),
                Some(_) => {}
                None => return Err(self.error_at(ErrorKind::UnterminatedComment, start)),
            }
        }
    }

    fn look(
        &mut self,
        behind: bool,
        negated: bool,
        flags: Flags,
        (depth, start): (usize, usize),
    ) -> Result<Node, Error> {
        let outermost = behind && self.lookbehind.is_none();
        if outermost {
            self.lookbehind = Some(self.widths.len());
        }
        let node = self.alternation(flags, depth + 1)?;
        if outermost {
            self.lookbehind = None;
        }
        self.close(start)?;
        Ok(Node::Look {
            behind,
            negated,
            node: Box::new(node),
        })
    }

    /// `(?(name)yes|no)`.
    fn conditional(&mut self, flags: Flags, depth: usize, start: usize) -> Result<Node, Error> {
        let name = self.name(')')?;
        let length = name.chars().count() + 1;
        let group = if is_identifier(&name) {
            self.known(&name)?
        } else {
            let group = name
                .parse()
                .ok()
                .filter(|_| name.bytes().all(|b| b.is_ascii_digit()));
            let Some(group) = group else {
                return Err(self.error(ErrorKind::BadName(name), length));
            };
            if group == 0 {
                return Err(self.error(ErrorKind::GroupZero, length));
            }
            self.conditions.push((group, self.position - length));
            group
        };
        self.refuse_lookbehind_group(group)?;
        if depth >= super::MAX_DEPTH {
            return Err(self.error(ErrorKind::TooDeep, 0));
        }
        let yes = Box::new(self.sequence(flags, depth + 1, false)?);
        let mut no = Box::new(Node::Empty);
        if self.eat('|')? {
            no = Box::new(self.sequence(flags, depth + 1, false)?);
            if self.peek() == Some(Token::Plain('|')) {
                return Err(self.error(ErrorKind::TooManyBranches, 0));
            }
        }
        self.close(start)?;
        Ok(Node::IfGroup { group, yes, no })
    }

    /// A name and the character that ends it.
    fn name(&mut self, end: char) -> Result<String, Error> {
        let mut name = String::new();
        loop {
            match self.next()? {
                None if name.is_empty() => return Err(self.error(ErrorKind::EmptyName, 0)),
                None => {
                    let kind = ErrorKind::UnterminatedName(end);
                    return Err(self.error(kind, name.chars().count()));
                }
                Some(Token::Plain(c)) if c == end => break,
                Some(token) => name.push_str(&token.text()),
            }
        }
        if name.is_empty() {
            return Err(self.error(ErrorKind::EmptyName, 1));
        }
        Ok(name)
    }

    fn refuse_bad_name(&self, name: &str) -> Result<(), Error> {
        if is_identifier(name) {
            return Ok(());
        }
        Err(self.error(
            ErrorKind::BadName(name.to_owned()),
            name.chars().count() + 1,
        ))
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, group)| *group)
    }

    fn known(&self, name: &str) -> Result<usize, Error> {
        self.named(name).ok_or_else(|| {
            self.error(
                ErrorKind::UnknownName(name.to_owned()),
                name.chars().count() + 1,
            )
        })
    }

    /// The flags after `(?`, `c` the first; none if they are for the whole pattern, where they
    /// are then set.
    fn flags(&mut self, c: char) -> Result<Option<Change>, Error> {
        let mut change = Change::default();
        let mut end = c;
        if c != '-' {
            end = self.flags_on(c, &mut change)?;
        }
        if end == ')' {
            if self.flags.ascii && change.on.contains(&'u') {
                return Err(self.error(ErrorKind::ClashingFlags, 0));
            }
            self.flags = apply(self.flags, &change);
            return Ok(None);
        }
        if end == '-' {
            self.flags_off(&mut change)?;
        }
        if change.on.iter().any(|flag| change.off.contains(flag)) {
            return Err(self.error(ErrorKind::FlagOnAndOff, 1));
        }
        Ok(Some(change))
    }

    /// Letters up to `)`, `-` or `:`, which is returned.
    fn flags_on(&mut self, mut flag: char, change: &mut Change) -> Result<char, Error> {
        loop {
            change.on.push(flag);
            if flag == 'L' {
                return Err(self.error(ErrorKind::LocaleFlag, 0));
            }
            if change.on.contains(&'a') && change.on.contains(&'u') {
                return Err(self.error(ErrorKind::ClashingFlags, 0));
            }
            match self.next()? {
                Some(Token::Plain(end @ (')' | '-' | ':'))) => return Ok(end),
                Some(Token::Plain(next)) if is_flag(next) => flag = next,
                other => return Err(self.no_flag(other, ErrorKind::MissingFlagsEnd)),
            }
        }
    }

    /// Letters up to `:`.
    fn flags_off(&mut self, change: &mut Change) -> Result<(), Error> {
        let mut missing = ErrorKind::MissingFlag;
        loop {
            match self.next()? {
                Some(Token::Plain(':')) if !change.off.is_empty() => return Ok(()),
                Some(Token::Plain('a' | 'u' | 'L')) => {
                    return Err(self.error(ErrorKind::CannotTurnOff, 0));
                }
                Some(Token::Plain(flag)) if is_flag(flag) => change.off.push(flag),
                other => return Err(self.no_flag(other, missing)),
            }
            missing = ErrorKind::MissingColon;
        }
    }

    fn no_flag(&self, found: Option<Token>, missing: ErrorKind) -> Error {
        match found {
            Some(Token::Plain(c)) if c.is_alphabetic() => self.error(ErrorKind::UnknownFlag, 1),
            found => self.error(missing, found.map_or(0, Token::len)),
        }
    }
}

fn is_flag(c: char) -> bool {
    matches!(c, 'i' | 'L' | 'm' | 's' | 'x' | 'a' | 'u')
}

fn apply(mut flags: Flags, change: &Change) -> Flags {
    for (letters, on) in [(&change.on, true), (&change.off, false)] {
        for letter in letters {
            match letter {
                'i' => flags.ignore_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_all = on,
                'x' => flags.verbose = on,
                'a' => flags.ascii = true,
                'u' => flags.ascii = false,
                _ => {}
            }
        }
    }
    flags
}

/// Whether Python would take the text for an identifier (closely enough for letters it knows).
fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}
