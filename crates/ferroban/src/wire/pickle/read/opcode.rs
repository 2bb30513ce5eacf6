//! What each opcode does.

use std::borrow::Cow;

use super::{Id, Node, Reader, Result};
use crate::wire::pickle::string::push_code_point;
use crate::wire::pickle::{Exception, PickleError, Value, big};

impl<'a> Reader<'a> {
    /// Runs to the end and gives the object that is on the stack then.
    pub(super) fn run(&mut self) -> Result<Id> {
        loop {
            match self.byte().map_err(|_| PickleError::NoMore)? {
                b'.' => return self.pop(),
                0x80 => {
                    let protocol = self.byte()?;
                    if protocol > 5 {
                        return Err(PickleError::Protocol(protocol));
                    }
                }
                0x95 => {
                    // A frame tells how much may be read at once; we have it all.
                    let frame = self.bytes;
                    self.counted::<8>()?;
                    self.bytes = frame.get(8..).unwrap_or_default();
                }
                opcode => self.step(opcode)?,
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'N' | 0x88 | 0x89 | b'I' | b'K' | b'M' | b'J' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let value = self.plain(opcode)?;
                self.push_new(Node::Plain(value))
            }
            b'V' | b'X' | 0x8c | 0x8d | b'S' | b'T' | b'U' => self.text(opcode),
            b'C' => self.bytes(Self::counted::<1>),
            b'B' => self.bytes(Self::counted::<4>),
            0x8e | 0x96 => self.bytes(Self::counted::<8>),
            b'(' | b'0' | b'1' | b'2' => self.shuffle(opcode),
            b'p' | b'q' | b'r' | 0x94 => self.remember(opcode),
            b'g' | b'h' | b'j' => self.recall(opcode),
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' | b'i' | b'o' => self.call(opcode),
            _ => self.contain(opcode),
        }
    }

    fn bytes(&mut self, counted: impl Fn(&mut Self) -> Result<&'a [u8]>) -> Result<()> {
        let bytes = counted(self)?;
        self.push_new(Node::Bytes(Cow::Borrowed(bytes)))
    }

    fn plain(&mut self, opcode: u8) -> Result<Value> {
        Ok(match opcode {
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' => match self.word("int")? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => decimal(digits)?,
            },
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'L' => {
                let digits = self.word("int")?;
                decimal(digits.strip_suffix('L').unwrap_or(digits))?
            }
            0x8a => big::from_bytes(self.counted::<1>()?).ok_or(PickleError::LongNumber)?,
            0x8b => {
                // The count is signed; a negative one is far beyond what is taken.
                big::from_bytes(self.counted::<4>()?).ok_or(PickleError::LongNumber)?
            }
            b'F' => {
                let number = self.word("float")?.parse();
                Value::Float(number.map_err(|_| PickleError::Number("float"))?)
            }
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            _ => Value::None,
        })
    }

    fn text(&mut self, opcode: u8) -> Result<()> {
        let bytes = match opcode {
            b'V' => Cow::Owned(numbered(self.line()?)?),
            b'S' => Cow::Owned(quoted(self.line()?)?),
            b'X' | b'T' => Cow::Borrowed(self.counted::<4>()?),
            0x8d => Cow::Borrowed(self.counted::<8>()?),
            _ => Cow::Borrowed(self.counted::<1>()?),
        };
        self.push_str(bytes)
    }

    fn shuffle(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'(' => self.mark(),
            b'0' if !self.marks.is_empty() && self.stack.len() == self.floor() => {
                self.marks.pop();
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            _ => self.top().and_then(|id| self.push(id)),
        }
    }

    fn contain(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b']' => self.push_new(Node::List(Vec::new())),
            b'}' => self.push_new(Node::Dict(Vec::new())),
            b')' => self.push_new(Node::Tuple(Vec::new())),
            0x8f => self.push_new(Node::Set(Vec::new())),
            b'l' => self.collect(Node::List),
            b't' => self.collect(Node::Tuple),
            0x91 => self.collect(Node::Set),
            b'd' => {
                let items = self.pop_to_mark()?;
                if !items.len().is_multiple_of(2) {
                    return Err(PickleError::OddItems("DICT"));
                }
                self.push_new(Node::Dict(items))
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x84..opcode {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push_new(Node::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.fill(vec![item], opcode)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.fill(vec![key, value], opcode)
            }
            b'e' | b'u' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.fill(items, opcode)
            }
            _ => Err(PickleError::Opcode(opcode)),
        }
    }

    fn collect(&mut self, make: impl Fn(Vec<Id>) -> Node<'a>) -> Result<()> {
        let items = self.pop_to_mark()?;
        self.push_new(make(items))
    }

    fn remember(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            b'p' => self.memo_word()?,
            b'q' => self.byte()?.into(),
            b'r' => u32::from_le_bytes(self.array()?).into(),
            _ => u64::try_from(self.memo.len()).unwrap_or(u64::MAX),
        };
        let id = self.top()?;
        self.memo.insert(index, id);
        if self.memo.len() > self.limits.objects {
            return Err(PickleError::TooMany {
                limit: self.limits.objects,
            });
        }
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            b'g' => self.memo_word()?,
            b'h' => self.byte()?.into(),
            _ => u32::from_le_bytes(self.array()?).into(),
        };
        match self.memo.get(&index) {
            Some(id) => self.push(*id),
            None => Err(PickleError::Memo(index)),
        }
    }

    fn memo_word(&mut self) -> Result<u64> {
        let index = self.word("int")?.parse();
        index.map_err(|_| PickleError::Number("int"))
    }

    fn call(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'c' => {
                let module = String::from_utf8_lossy(self.line()?);
                let name = String::from_utf8_lossy(self.line()?);
                self.global(&module, name.into_owned())
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (self.node(module), self.node(name)) {
                    (Node::Str(module), Node::Str(name)) => {
                        let names = self.names + module.len() + name.len();
                        if names > self.limits.bytes {
                            return Err(PickleError::TooLarge {
                                limit: self.limits.bytes,
                            });
                        }
                        let module = String::from_utf8_lossy(module).into_owned();
                        let name = String::from_utf8_lossy(name).into_owned();
                        self.names = names;
                        self.global(&module, name)
                    }
                    _ => Err(PickleError::Target {
                        kind: "object",
                        cannot: "is no name of a class",
                    }),
                }
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callee = self.pop()?;
                self.reduce(callee, args)
            }
            0x92 => {
                self.pop()?;
                self.pop()?;
                let class = self.pop()?;
                self.push_new(Node::Opaque(class))
            }
            b'b' => self.pop().and_then(|_| self.top()).map(drop),
            b'i' => {
                self.call(b'c')?;
                let class = self.pop()?;
                self.pop_to_mark()?;
                self.push_new(Node::Opaque(class))
            }
            _ => {
                let class = self.pop_to_mark()?.first().copied();
                self.push_new(Node::Opaque(class.ok_or(PickleError::Underflow)?))
            }
        }
    }

    fn global(&mut self, module: &str, name: String) -> Result<()> {
        // What Python 2 called them; protocols 0 to 2 still do.
        let module = match module {
            "__builtin__" | "exceptions" => "builtins",
            module => module,
        };
        self.push_new(Node::Global(Box::new((module.into(), name))))
    }

    /// A call. Those that stand for plain data become that data; no other has an effect.
    fn reduce(&mut self, callee: Id, args: Id) -> Result<()> {
        let (Node::Global(global), Node::Tuple(tuple)) = (self.node(callee), self.node(args))
        else {
            return self.push_new(Node::Opaque(callee));
        };
        let (module, name) = &**global;
        if Exception::is_named_so(name) {
            return self.push_new(Node::Exception(callee, args));
        }
        let is_latin1 = |id: Id| {
            matches!(self.node(id), Node::Str(codec)
                if matches!(&**codec, b"latin1" | b"latin-1"))
        };
        let node = match (module.as_str(), name.as_str(), tuple.as_slice()) {
            ("builtins", "str" | "unicode", [text]) if matches!(self.node(*text), Node::Str(_)) => {
                return self.push(*text);
            }
            ("builtins", "bytes" | "bytearray", [bytes])
                if matches!(self.node(*bytes), Node::Bytes(_) | Node::Latin1(_)) =>
            {
                return self.push(*bytes);
            }
            ("builtins", "set" | "frozenset", [list])
                if matches!(self.node(*list), Node::List(_)) =>
            {
                Node::SetOf(*list)
            }
            ("builtins", "set" | "frozenset", []) => Node::Set(Vec::new()),
            ("builtins", "bytes" | "bytearray", []) => Node::Bytes(Cow::Borrowed(&[])),
            ("_codecs", "encode", [text, codec]) | ("builtins", "bytearray", [text, codec])
                if is_latin1(*codec) && matches!(self.node(*text), Node::Str(_)) =>
            {
                Node::Latin1(*text)
            }
            _ => Node::Opaque(callee),
        };
        self.push_new(node)
    }
}

fn decimal(digits: &str) -> Result<Value> {
    big::from_decimal(digits)
        .map_err(|()| PickleError::Number("int"))?
        .ok_or(PickleError::LongNumber)
}

/// A string of protocol 0: each byte is the character of that number, `\uXXXX` and
/// `\UXXXXXXXX` are others.
fn numbered(line: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, later)) = rest.split_first() {
        let (code, later) = match (byte, later) {
            (b'\\', [b'u', digits @ ..]) => hex(digits, 4)?,
            (b'\\', [b'U', digits @ ..]) => hex(digits, 8)?,
            // A backslash that is not one of these takes the next character with it.
            (b'\\', [next, after @ ..]) => {
                out.push(b'\\');
                (u32::from(*next), after)
            }
            (byte, later) => (u32::from(*byte), later),
        };
        push_code_point(&mut out, code).ok_or(PickleError::Escape)?;
        rest = later;
    }
    Ok(out)
}

fn hex(bytes: &[u8], count: usize) -> Result<(u32, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(count).ok_or(PickleError::Escape)?;
    let digits = std::str::from_utf8(digits).map_err(|_| PickleError::Escape)?;
    // `from_str_radix` would take a sign.
    if digits.starts_with('+') {
        return Err(PickleError::Escape);
    }
    let code = u32::from_str_radix(digits, 16).map_err(|_| PickleError::Escape)?;
    Ok((code, rest))
}

/// A string of Python 2 in its quotes; clients written in Go send them.
fn quoted(line: &[u8]) -> Result<Vec<u8>> {
    let line = line.trim_ascii_end();
    let ([b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\'']) = line else {
        return Err(PickleError::Escape);
    };
    let mut rest = inner;
    let mut out = Vec::with_capacity(rest.len());
    while let Some((byte, later)) = rest.split_first() {
        rest = later;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escaped, later) = rest.split_first().ok_or(PickleError::Escape)?;
        rest = later;
        match escaped {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'\\' | b'\'' | b'"' => out.push(*escaped),
            b'x' => {
                let (code, later) = hex(rest, 2)?;
                out.push(u8::try_from(code).map_err(|_| PickleError::Escape)?);
                rest = later;
            }
            _ => return Err(PickleError::Escape),
        }
    }
    Ok(out)
}
