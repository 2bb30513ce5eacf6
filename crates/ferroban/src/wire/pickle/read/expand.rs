//! From objects that refer to each other to a tree.

use super::{Id, Limits, Node, Result};
use crate::wire::pickle::{Exception, PickleError, Str, Value};

/// Makes a tree of the object and everything it refers to.
pub(super) fn expand(arena: &[Node<'_>], root: Id, limits: &Limits) -> Result<Value> {
    let mut tree = Tree {
        arena,
        limits,
        path: Vec::new(),
        objects: 0,
        bytes: 0,
    };
    tree.value(root)
}

struct Tree<'a> {
    arena: &'a [Node<'a>],
    limits: &'a Limits,
    /// The containers around the present object.
    path: Vec<Id>,
    objects: usize,
    bytes: usize,
}

impl<'a> Tree<'a> {
    fn node(&self, id: Id) -> &'a Node<'a> {
        self.arena
            .get(id)
            .expect("an id is only made when its object is put into the arena")
    }

    fn value(&mut self, id: Id) -> Result<Value> {
        self.objects += 1;
        if self.objects > self.limits.objects {
            return Err(PickleError::TooMany {
                limit: self.limits.objects,
            });
        }
        Ok(match self.node(id) {
            Node::Plain(value) => {
                if let Value::Big(number) = value {
                    self.pay(number.as_bytes().len())?;
                }
                value.clone()
            }
            Node::Str(text) => {
                self.pay(text.len())?;
                Value::Str(Str::from_checked(text.to_vec()))
            }
            Node::Bytes(bytes) => {
                self.pay(bytes.len())?;
                Value::Bytes(bytes.to_vec())
            }
            Node::Latin1(text) => self.latin1(*text)?,
            Node::List(items) => Value::List(self.all(id, items)?),
            Node::Tuple(items) => Value::Tuple(self.all(id, items)?),
            Node::Set(items) => Value::Set(self.all(id, items)?),
            Node::SetOf(list) => match self.node(*list) {
                Node::List(items) => Value::Set(self.all(id, items)?),
                _ => Value::Set(Vec::new()),
            },
            Node::Dict(items) => {
                let mut items = self.all(id, items)?.into_iter();
                let pair = || Some((items.next()?, items.next()?));
                Value::Dict(std::iter::from_fn(pair).collect())
            }
            Node::Exception(class, args) => self.exception(id, *class, *args)?,
            Node::Opaque(class) => self.opaque(*class)?,
            Node::Global(_) => self.opaque(id)?,
        })
    }

    fn all(&mut self, id: Id, items: &[Id]) -> Result<Vec<Value>> {
        if self.path.contains(&id) {
            return Err(PickleError::ContainsItself);
        }
        if self.path.len() >= self.limits.depth {
            return Err(PickleError::TooDeep {
                limit: self.limits.depth,
            });
        }
        self.path.push(id);
        let values = items.iter().map(|item| self.value(*item)).collect();
        self.path.pop();
        values
    }

    fn pay(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes {
            return Err(PickleError::TooLarge {
                limit: self.limits.bytes,
            });
        }
        Ok(())
    }

    fn latin1(&mut self, text: Id) -> Result<Value> {
        let Node::Str(text) = self.node(text) else {
            return Ok(Value::Bytes(Vec::new()));
        };
        self.pay(text.len())?;
        let text = Str::from_checked(text.to_vec());
        let bytes = text
            .code_points()
            .map(|code| u8::try_from(code).map_err(|_| PickleError::Escape));
        Ok(Value::Bytes(bytes.collect::<Result<_>>()?))
    }

    fn exception(&mut self, id: Id, class: Id, args: Id) -> Result<Value> {
        let (Node::Global(global), Node::Tuple(items)) = (self.node(class), self.node(args)) else {
            return self.opaque(class);
        };
        let (module, class) = &**global;
        self.pay(module.len() + class.len())?;
        Ok(Value::Exception(Box::new(Exception {
            module: module.clone(),
            class: class.clone(),
            args: self.all(id, items)?,
        })))
    }

    fn opaque(&mut self, class: Id) -> Result<Value> {
        let name = match self.node(class) {
            Node::Global(global) => format!("{}.{}", global.0, global.1),
            _ => "object".to_owned(),
        };
        self.pay(name.len())?;
        Ok(Value::Opaque(name))
    }
}
