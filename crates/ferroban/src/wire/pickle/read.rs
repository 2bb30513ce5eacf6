//! Runs the little program that a pickle is, and only builds data with it.
//!
//! First the opcodes fill an arena, where objects refer to each other by number: there a
//! list may be filled after it was remembered, as pickles do. Then [`expand`] makes a
//! tree of it, which is where shared objects are copied and bounded.

mod expand;
mod opcode;

use std::borrow::Cow;
use std::collections::HashMap;

use super::{PickleError, Str, Value};

type Result<T> = std::result::Result<T, PickleError>;

/// What one pickle may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How deep containers may be nested. Everybody who walks through a [`Value`],
    /// dropping it included, uses the stack by this.
    pub depth: usize,
    /// How many objects there may be, shared ones counted wherever they are used.
    pub objects: usize,
    /// How long all texts together may be, counted in the same way.
    pub bytes: usize,
}

impl Default for Limits {
    /// Enough for any request: the configuration of some thousand jails.
    fn default() -> Self {
        Self {
            depth: 100,
            objects: 1 << 20,
            bytes: 64 << 20,
        }
    }
}

impl Limits {
    /// Enough for a request of so many bytes. It may share texts and lists, and unfold
    /// to more than it has, but not without any proportion: many clients ask at once.
    #[must_use]
    pub fn request(length: usize) -> Self {
        let most = Self::default();
        Self {
            objects: most.objects.min((1 << 16) + 4 * length),
            bytes: most.bytes.min((1 << 20) + 16 * length),
            ..most
        }
    }

    /// Enough for a reply: some million banned addresses.
    #[must_use]
    pub fn reply() -> Self {
        Self {
            objects: 32 << 20,
            bytes: 1 << 30,
            ..Self::default()
        }
    }
}

/// Reads a pickle within the limits of a request. What follows its end is ignored.
///
/// # Errors
/// The bytes are no pickle, or one that is not for us.
pub fn loads(bytes: &[u8]) -> Result<Value> {
    loads_within(bytes, &Limits::request(bytes.len()))
}

/// Reads a pickle within limits. What follows its end is ignored.
///
/// # Errors
/// The bytes are no pickle, or one that is not for us.
pub fn loads_within(bytes: &[u8], limits: &Limits) -> Result<Value> {
    let mut reader = Reader {
        bytes,
        limits,
        arena: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        names: 0,
    };
    let root = reader.run()?;
    expand::expand(&reader.arena, root, limits)
}

/// The number of an object in the arena.
type Id = usize;

/// An object as opcodes make it.
enum Node<'a> {
    /// `None`, a number: what needs no other object.
    Plain(Value),
    Str(Cow<'a, [u8]>),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    /// Keys and values in turn.
    Dict(Vec<Id>),
    /// The name of a class or function, as module and name.
    Global(Box<(String, String)>),
    /// `set(list)`.
    SetOf(Id),
    /// The bytes of a string's characters, `_codecs.encode(string, "latin1")`.
    Latin1(Id),
    /// An exception's class, and the tuple of its arguments.
    Exception(Id, Id),
    /// An object of a class, if that has a name.
    Opaque(Id),
}

impl Node<'_> {
    /// The name of the type, as Python's messages have it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Plain(Value::None) => "NoneType",
            Self::Plain(Value::Bool(_)) => "bool",
            Self::Plain(Value::Float(_)) => "float",
            Self::Plain(_) => "int",
            Self::Str(_) => "str",
            Self::Bytes(_) | Self::Latin1(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) | Self::SetOf(_) => "set",
            Self::Dict(_) => "dict",
            Self::Global(_) => "type",
            Self::Exception(..) | Self::Opaque(_) => "object",
        }
    }
}

struct Reader<'a> {
    /// What is still to be read.
    bytes: &'a [u8],
    limits: &'a Limits,
    arena: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// How high the stack was at each mark that is not yet collected.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// How long the names of classes are together: unlike other texts they are copied.
    names: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (now, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(PickleError::Truncated)?;
        self.bytes = rest;
        Ok(now)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (now, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or(PickleError::Truncated)?;
        self.bytes = rest;
        Ok(*now)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Bytes whose number stands before them, in `N` bytes.
    fn counted<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let mut wide = [0; 8];
        for (to, from) in wide.iter_mut().zip(self.array::<N>()?) {
            *to = from;
        }
        let count = usize::try_from(u64::from_le_bytes(wide));
        self.take(count.map_err(|_| PickleError::Truncated)?)
    }

    /// The bytes up to a line end, which protocol 0 uses. Python wants at least one.
    fn line(&mut self) -> Result<&'a [u8]> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or(PickleError::Truncated)?)?;
        self.byte()?;
        Ok(line)
    }

    /// A line that is not empty and holds ordinary characters.
    fn word(&mut self, kind: &'static str) -> Result<&'a str> {
        let line = self.line()?;
        if line.is_empty() {
            return Err(PickleError::Truncated);
        }
        std::str::from_utf8(line)
            .map(str::trim)
            .map_err(|_| PickleError::Number(kind))
    }

    fn push_new(&mut self, node: Node<'a>) -> Result<()> {
        if self.arena.len() >= self.limits.objects {
            return Err(PickleError::TooMany {
                limit: self.limits.objects,
            });
        }
        self.arena.push(node);
        self.push(self.arena.len() - 1)
    }

    fn push(&mut self, id: Id) -> Result<()> {
        if self.stack.len() >= self.limits.objects {
            return Err(PickleError::TooMany {
                limit: self.limits.objects,
            });
        }
        self.stack.push(id);
        Ok(())
    }

    fn mark(&mut self) -> Result<()> {
        if self.marks.len() >= self.limits.objects {
            return Err(PickleError::TooMany {
                limit: self.limits.objects,
            });
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Below this height the stack belongs to the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        let above = self.stack.get(self.floor()..).unwrap_or_default();
        above.last().copied().ok_or(if self.marks.is_empty() {
            PickleError::Underflow
        } else {
            PickleError::MarkFound
        })
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above the last mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let height = self.marks.pop().ok_or(PickleError::NoMark)?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }

    fn node(&self, id: Id) -> &Node<'a> {
        self.arena
            .get(id)
            .expect("an id is only made when its object is put into the arena")
    }

    fn push_str(&mut self, bytes: Cow<'a, [u8]>) -> Result<()> {
        Str::check(&bytes).map_err(|position| PickleError::Utf8 { position })?;
        self.push_new(Node::Str(bytes))
    }

    /// Adds to the container on top of the stack.
    fn fill(&mut self, items: Vec<Id>, opcode: u8) -> Result<()> {
        let target = self.top()?;
        let node = self
            .arena
            .get_mut(target)
            .expect("an id is only made when its object is put into the arena");
        match (node, opcode) {
            (Node::List(into), b'a' | b'e') | (Node::Set(into), 0x90) => into.extend(items),
            (Node::Dict(into), b's' | b'u') => {
                if !items.len().is_multiple_of(2) {
                    return Err(PickleError::OddItems("SETITEMS"));
                }
                into.extend(items);
            }
            (other, _) => {
                let cannot = match opcode {
                    0x90 => "has no attribute 'add'",
                    b's' | b'u' => "does not support item assignment",
                    _ => "has no attribute 'append'",
                };
                let kind = other.kind();
                return Err(PickleError::Target { kind, cannot });
            }
        }
        Ok(())
    }
}
