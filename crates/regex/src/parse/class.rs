//! `[...]`.

use super::{Parser, Token, case};
use crate::Flags;
use crate::ast::{Item, Node};
use crate::error::{Error, ErrorKind};

impl Parser {
    /// A class; its `[` is read.
    pub(super) fn class(&mut self, flags: Flags) -> Result<Node, Error> {
        let start = self.position - 1;
        let negated = self.eat('^')?;
        let mut items = Vec::new();
        loop {
            let low = self.class_token(start)?;
            if low == Token::Plain(']') && !items.is_empty() {
                break;
            }
            let item = self.item(low, flags)?;
            if !self.eat('-')? {
                items.push(item);
                continue;
            }
            let high = self.class_token(start)?;
            if high == Token::Plain(']') {
                items.extend([item, single('-')]);
                break;
            }
            let last = self.item(high, flags)?;
            match (item, last) {
                (Item::Range(first, _), Item::Range(_, last)) if first <= last => {
                    items.push(Item::Range(first, last));
                }
                _ => return Err(self.bad_range(low, high)),
            }
        }
        Ok(Node::Class {
            items,
            negated,
            case: case(flags),
        })
    }

    fn class_token(&mut self, start: usize) -> Result<Token, Error> {
        match self.next()? {
            Some(token) => Ok(token),
            None => Err(self.error_at(ErrorKind::UnterminatedClass, start)),
        }
    }

    fn item(&mut self, token: Token, flags: Flags) -> Result<Item, Error> {
        match token {
            Token::Plain(c) => Ok(single(c)),
            Token::Escape(c) => self.class_escape(c, flags),
        }
    }

    /// Python names the first step of each end only, and counts back as if they were all.
    fn bad_range(&self, low: Token, high: Token) -> Error {
        let length = low.len() + 1 + high.len();
        self.error(ErrorKind::BadRange(low.text(), high.text()), length)
    }
}

fn single(c: char) -> Item {
    Item::Range(u32::from(c), u32::from(c))
}
