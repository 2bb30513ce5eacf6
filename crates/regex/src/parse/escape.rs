//! What follows a backslash.

use super::{Parser, Token, case, class};
use crate::Flags;
use crate::ast::{Assertion, Item, Node};
use crate::error::{Error, ErrorKind};
use crate::unicode::Kind;

impl Parser {
    /// An escape outside a class; the backslash and `c` are read.
    pub(super) fn escape(&mut self, c: char, flags: Flags) -> Result<Node, Error> {
        let edge = |negated| Assertion::WordEdge {
            negated,
            ascii: flags.ascii,
        };
        Ok(match c {
            'A' => Node::Assert(Assertion::Start),
            'Z' => Node::Assert(Assertion::TextEnd),
            'b' => Node::Assert(edge(false)),
            'B' => Node::Assert(edge(true)),
            '1'..='9' => return self.number(c, flags),
            c => match kind(c, flags) {
                Some(item) => class(vec![item], false),
                None => Node::Char(self.code(c)?, case(flags)),
            },
        })
    }

    /// An escape inside a class.
    pub(super) fn class_escape(&mut self, c: char, flags: Flags) -> Result<Item, Error> {
        let code = match c {
            'b' => 0x08,
            c => match kind(c, flags) {
                Some(item) => return Ok(item),
                None => self.code(c)?,
            },
        };
        Ok(Item::Range(code, code))
    }

    /// An escape for a single character.
    fn code(&mut self, c: char) -> Result<u32, Error> {
        Ok(match c {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => self.hex(c, 2)?,
            'u' => self.hex(c, 4)?,
            'U' => self.hex(c, 8)?,
            'N' => return Err(self.error(ErrorKind::NamedCharacter, 2)),
            '0'..='7' => self.octal(c)?,
            c if c.is_ascii_alphanumeric() => {
                return Err(self.error(ErrorKind::BadEscape(format!("\\{c}")), 2));
            }
            c => u32::from(c),
        })
    }

    /// Exactly `count` hexadecimal digits.
    fn hex(&mut self, c: char, count: usize) -> Result<u32, Error> {
        let digits = self.take(count, |c| c.is_ascii_hexdigit())?;
        let text = format!("\\{c}{digits}");
        let length = digits.len() + 2;
        if digits.len() < count {
            return Err(self.error(ErrorKind::IncompleteEscape(text), length));
        }
        u32::from_str_radix(&digits, 16)
            .ok()
            .filter(|code| *code <= u32::from(char::MAX))
            .ok_or_else(|| self.error(ErrorKind::BadEscape(text), length))
    }

    /// Up to three octal digits, `c` the first of them.
    fn octal(&mut self, c: char) -> Result<u32, Error> {
        let rest = self.take(2, |c| c.is_digit(8))?;
        self.octal_value(&format!("{c}{rest}"))
    }

    fn octal_value(&self, digits: &str) -> Result<u32, Error> {
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|code| *code <= 0o377)
            .ok_or_else(|| {
                let text = format!("\\{digits}");
                self.error(ErrorKind::OctalTooLarge(text), digits.len() + 1)
            })
    }

    /// `\1` to `\99` are groups, three octal digits are a character.
    fn number(&mut self, c: char, flags: Flags) -> Result<Node, Error> {
        let mut digits = String::from(c);
        digits.push_str(&self.take(1, |c| c.is_ascii_digit())?);
        if digits.len() == 2 && digits.chars().all(|c| c.is_digit(8)) {
            let third = self.take(1, |c| c.is_digit(8))?;
            if !third.is_empty() {
                digits.push_str(&third);
                return Ok(Node::Char(self.octal_value(&digits)?, case(flags)));
            }
        }
        let group = digits.parse().unwrap_or(usize::MAX);
        if group >= self.widths.len() {
            return Err(self.error(ErrorKind::UnknownGroup(group), digits.len()));
        }
        self.refuse_open_group(group, digits.len() + 1)?;
        Ok(Node::BackRef(group, case(flags)))
    }

    /// Back-references need a group that is closed, and that a look-behind has not opened itself.
    pub(super) fn refuse_open_group(&self, group: usize, before: usize) -> Result<(), Error> {
        if !self.is_closed(group) {
            return Err(self.error(ErrorKind::OpenGroup, before));
        }
        self.refuse_lookbehind_group(group)
    }

    pub(super) fn refuse_lookbehind_group(&self, group: usize) -> Result<(), Error> {
        match self.lookbehind {
            Some(_) if !self.is_closed(group) => Err(self.error(ErrorKind::OpenGroup, 0)),
            Some(before) if group >= before => Err(self.error(ErrorKind::LookbehindGroup, 0)),
            _ => Ok(()),
        }
    }

    fn is_closed(&self, group: usize) -> bool {
        self.widths.get(group).is_some_and(Option::is_some)
    }

    /// At most `count` characters that pass.
    fn take(&mut self, count: usize, test: impl Fn(char) -> bool) -> Result<String, Error> {
        let mut taken = String::new();
        while let Some(Token::Plain(c)) = self.peek()
            && taken.len() < count
            && test(c)
        {
            taken.push(c);
            self.next()?;
        }
        Ok(taken)
    }
}

/// `\w` and its like.
fn kind(c: char, flags: Flags) -> Option<Item> {
    let kind = match c.to_ascii_lowercase() {
        'w' => Kind::Word,
        'd' => Kind::Digit,
        's' => Kind::Space,
        _ => return None,
    };
    Some(Item::Kind {
        kind,
        negated: c.is_ascii_uppercase(),
        ascii: flags.ascii,
    })
}
