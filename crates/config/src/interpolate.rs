//! `%(name)s`: one option's text inside another's.
//!
//! A name is looked for where the text is *used*, not where it was written: what the
//! caller gave, the section, `[DEFAULT]`. `%(default/x)s` asks `[DEFAULT]` only,
//! `%(known/x)s` for the value before the last file changed it, `%(other/x)s` another
//! section. Names are lower-cased first, so a section with capitals cannot be asked.

use std::borrow::Cow;

use crate::{
    Error, Layers, MAX_VALUE, Options,
    error::Wanted,
    line::{Place, Value, cut, newlines},
    nearest::nearest,
};

const MAX_DEPTH: usize = 10;
/// References in one text, those to empty texts included: a bound on time, as
/// [`MAX_VALUE`] is one on space.
const MAX_STEPS: usize = 100_000;

/// Where names are looked for.
pub(crate) struct Scope<'a> {
    layers: &'a Layers,
    section: &'a str,
    /// What the caller gave.
    given: &'a [&'a Options],
}

impl<'a> Scope<'a> {
    /// Of several `given`, the first that has a name wins.
    pub(crate) fn new(layers: &'a Layers, section: &'a str, given: &'a [&'a Options]) -> Self {
        Self {
            layers,
            section,
            given,
        }
    }

    /// The text of `option`, itself given or in the files, with all references replaced.
    pub(crate) fn option(&self, option: &str) -> Result<Option<Value>, Error> {
        let option = option.to_lowercase();
        self.plain(&option)
            .map(|raw| self.expand(&option, raw))
            .transpose()
    }

    /// `raw` with all references replaced; `option` is its name in messages.
    pub(crate) fn expand(&self, option: &str, raw: &Value) -> Result<Value, Error> {
        let mut work = Work {
            scope: self,
            option,
            raw,
            out: Value::new("", raw.place().clone()),
            steps: 0,
        };
        work.expand(raw, 1)?;
        Ok(work.out)
    }

    fn plain(&self, name: &str) -> Option<&'a Value> {
        let given = self.given.iter().find_map(|options| lowered(options, name));
        given.or_else(|| self.layers.raw(self.section, name))
    }

    /// What stands for `%(name)s`.
    fn find(&self, name: &str, at: &Place) -> Option<Cow<'a, Value>> {
        if name == "__name__" {
            return Some(Cow::Owned(Value::new(self.section, at.clone())));
        }
        let found = self.plain(name).or_else(|| match name.split_once('/')? {
            ("default", option) => self.layers.fallback(option),
            ("known", option) => self.layers.known(self.section, option),
            (section, option) => self.layers.raw(section, option),
        });
        found.map(Cow::Borrowed)
    }

    /// A name that could have been meant.
    fn nearest(&self, name: &str) -> Option<String> {
        if let Some((section, option)) = name.split_once('/') {
            let options = match section {
                "default" | "known" => self.layers.visible_names(self.section),
                _ => self.layers.visible_names(section),
            };
            let option = nearest(option, options.iter().map(String::as_str))?;
            return Some(format!("{section}/{option}"));
        }
        let visible = self.layers.visible_names(self.section);
        let given = self.given.iter().flat_map(|options| options.names());
        nearest(name, given.chain(visible.iter().map(String::as_str)))
    }
}

/// The last option whose name in lower case is `name`.
fn lowered<'a>(options: &'a Options, name: &str) -> Option<&'a Value> {
    let same = |own: &str| {
        if own.is_ascii() {
            own.eq_ignore_ascii_case(name)
        } else {
            own.to_lowercase() == name
        }
    };
    let found = options.iter().rev().find(|(own, _)| same(own));
    found.map(|(_, value)| value)
}

/// One option being put together.
struct Work<'a> {
    scope: &'a Scope<'a>,
    option: &'a str,
    raw: &'a Value,
    out: Value,
    steps: usize,
}

impl Work<'_> {
    fn expand(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep {
                at: value.place().clone(),
                wanted: self.wanted(),
            });
        }
        let mut rest = value.text();
        let mut line = 0;
        while let Some(at) = rest.find('%') {
            let (plain, tail) = cut(rest, at);
            self.out.push_part(plain, value, line);
            line += newlines(plain);
            let place = value.place_of(line);
            rest = if let Some(after) = tail.strip_prefix("%%") {
                self.out.push_part("%", value, line);
                after
            } else if tail.starts_with("%(") {
                let (name, after) = reference(tail).ok_or_else(|| Error::BadReference {
                    at: place.clone(),
                    found: tail.to_owned(),
                })?;
                self.refer(name, place, depth)?;
                line += newlines(name);
                after
            } else {
                return Err(Error::BadPercent {
                    at: place.clone(),
                    found: tail.to_owned(),
                });
            };
            self.check_size(place)?;
        }
        self.out.push_part(rest, value, line);
        self.check_size(value.place())
    }

    fn refer(&mut self, name: &str, at: &Place, depth: usize) -> Result<(), Error> {
        self.steps += 1;
        let name = name.to_lowercase();
        let Some(found) = self.scope.find(&name, at) else {
            return Err(Error::UnknownOption {
                at: at.clone(),
                nearest: self.scope.nearest(&name),
                name,
                wanted: self.wanted(),
            });
        };
        if !found.text().contains('%') {
            self.out.push_substitute(&found);
            return Ok(());
        }
        let mut inner = Value::new("", found.place().clone());
        std::mem::swap(&mut self.out, &mut inner);
        let result = self.expand(&found, depth + 1);
        std::mem::swap(&mut self.out, &mut inner);
        self.out.push_substitute(&inner);
        result
    }

    fn check_size(&self, at: &Place) -> Result<(), Error> {
        if self.out.text().len() <= MAX_VALUE && self.steps <= MAX_STEPS {
            return Ok(());
        }
        Err(Error::ValueTooLong {
            at: at.clone(),
            option: self.option.to_owned(),
        })
    }

    fn wanted(&self) -> Box<Wanted> {
        Box::new(Wanted {
            section: self.scope.section.to_owned(),
            option: self.option.to_owned(),
            raw: self.raw.text().to_owned(),
        })
    }
}

/// `name` and the text after it in `%(name)s…`.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix("%(")?.split_once(')')?;
    let after = after.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, after))
}

#[cfg(test)]
mod tests;
