//! The options of a filter or an action, and the tags `<name>` in them.
//!
//! Tags are the second stage: `%(name)s` is replaced first, when an option is read.
//! A tag may be built from another (`<a-<b>>`), may name another section
//! (`<section/option>`, whose text then comes ready from *that* section) or the text
//! the caller replaced (`<known/option>`). A tag that nobody knows stays: it is for the
//! filter (`<HOST>`), the action (`<ip>`), or the shell.

use std::collections::HashSet;

use crate::{
    Error, Errors, Layers, MAX_ERRORS, MAX_VALUE, Options, Ordered, Value,
    file::DEFAULT,
    interpolate::Scope,
    line::{cut, newlines},
};

const DEFINITION: &str = "Definition";
const INIT: &str = "Init";
/// How often one tag may be replaced in one text.
const MAX_REPEATS: usize = 25;
/// How many bytes may be rewritten for one text: a bound on time.
const MAX_WORK: usize = 64 * MAX_VALUE;

/// A filter or an action: its files, and what its caller passed.
///
/// ```
/// use ferroban_config::{Definition, Layers, Memory, Options, Place, Value};
///
/// let text = "[Definition]\nfailregex = ^<prefix-<mode>> <HOST>\n[Init]\nmode = slow\nprefix-fast = F\n";
/// let files: Memory = [("/f/x.conf", text)].into_iter().collect();
/// let layers = Layers::read(&files, "/f".as_ref(), "x")?;
///
/// let given: Options = [("mode", Value::new("fast", Place::named("jail")))].into_iter().collect();
/// let none = Options::new();
/// let filter = Definition::new(&layers, &given, &none)?;
/// let failregex = filter.resolved("failregex", &[])?.expect("it is in the file");
/// assert_eq!(failregex.text(), "^F <HOST>");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Definition<'a> {
    layers: &'a Layers,
    given: &'a Options,
    jail: &'a Options,
    /// Those of the jail that tags of a filter see; `None` for an action, whose tags see
    /// all of them.
    early: Option<&'a Options>,
    /// `[Init]`, references replaced.
    init: Options,
    /// The names that `[Init]` or the caller also sets for some condition.
    conditional: HashSet<String>,
}

impl<'a> Definition<'a> {
    /// `given` is what stands in `name[…]`, `jail` the options of the jail that a filter
    /// or action may see; both come before `[Definition]`, `given` first. `[Init]` sees
    /// neither of them, and no `[Definition]`.
    ///
    /// # Errors
    /// All references in `[Init]` that cannot be replaced.
    pub fn new(layers: &'a Layers, given: &'a Options, jail: &'a Options) -> Result<Self, Errors> {
        let mut init = Options::new();
        let mut errors = Vec::new();
        let scope = Scope::new(layers, INIT, &[]);
        for (name, raw) in layers.own(INIT) {
            match scope.expand(name, raw) {
                Ok(value) => {
                    init.insert(name, value);
                }
                Err(error) if errors.len() < MAX_ERRORS => errors.push(error),
                Err(_) => {}
            }
        }
        let names = init.names().chain(given.names());
        let conditional = names.filter_map(base).map(str::to_owned).collect();
        let new = Self {
            layers,
            given,
            jail,
            early: None,
            init,
            conditional,
        };
        Errors::unless_empty(errors, new)
    }

    /// The same for a filter, which fail2ban reads twice: once with only the `early`
    /// options of its jail, for `%(known/…)s`, and again when all are known. What is left
    /// of the first time: a tag that is not in the filter's own `[Definition]` sees the
    /// `early` options only, and `%(…)s` sees `[Init]` too.
    ///
    /// # Errors
    /// All references in `[Init]` that cannot be replaced.
    pub fn of_filter(
        layers: &'a Layers,
        given: &'a Options,
        early: &'a Options,
        jail: &'a Options,
    ) -> Result<Self, Errors> {
        let early = Some(early);
        Self::new(layers, given, jail).map(|new| Self { early, ..new })
    }

    /// An option of `[Definition]`: what the caller gave, as it stands, or what the files
    /// say with every `%(name)s` replaced. Tags are still in it.
    ///
    /// # Errors
    /// A reference cannot be replaced.
    pub fn option(&self, name: &str) -> Result<Option<Value>, Error> {
        match self.given.get(name) {
            Some(given) => Ok(Some(given.clone())),
            None if self.layers.has_section(DEFINITION) => self.configured(name),
            None => Ok(None),
        }
    }

    /// The same with its tags replaced.
    ///
    /// # Errors
    /// A reference cannot be replaced, or a tag leads to itself.
    pub fn resolved(&self, name: &str, keep: &[&str]) -> Result<Option<Value>, Error> {
        let value = self.option(name)?;
        value
            .map(|value| self.resolve(name, &value, keep))
            .transpose()
    }

    /// What the caller gave, then the rest of `[Init]`, in order; tags are still in it.
    /// A given `x` also stands for every `x?condition` of `[Init]`.
    #[must_use]
    pub fn properties(&self) -> Vec<(&str, &Value)> {
        let mut all: Vec<(&str, &Value)> = self.given.iter().collect();
        let (conditional, plain): (Vec<_>, Vec<_>) =
            self.init.iter().partition(|(name, _)| name.contains('?'));
        for (name, value) in plain.into_iter().chain(conditional) {
            if self.given.get(name).is_none() {
                let given = base(name).and_then(|base| self.given.get(base));
                all.push((name, given.unwrap_or(value)));
            }
        }
        all
    }

    /// One of the [`properties`](Self::properties).
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        let given = base(name).and_then(|base| self.given.get(base));
        let init = self.init.get(name);
        self.given.get(name).or_else(|| init.and(given).or(init))
    }

    /// Whether all [`properties`](Self::properties) can be resolved. fail2ban replaces the
    /// tags of all of them, so one that leads to itself is a mistake even if nobody uses it.
    ///
    /// # Errors
    /// A reference cannot be replaced, or a tag leads to itself.
    pub fn check(&self, keep: &[&str]) -> Result<(), Error> {
        for (name, value) in self.given.iter() {
            self.resolve(name, value, keep)?;
        }
        for (name, value) in self.init.iter() {
            if value.text().contains('<') {
                self.resolve(&format!("known/{name}"), value, keep)?;
                self.resolve(name, self.property(name).unwrap_or(value), keep)?;
            }
        }
        Ok(())
    }

    /// `text` of the option `name` with its tags replaced, except those in `keep` and
    /// those of options with a condition (`blocktype?family=inet6`): they are for later.
    ///
    /// # Errors
    /// A reference cannot be replaced, or a tag leads to itself.
    pub fn resolve(&self, name: &str, text: &Value, keep: &[&str]) -> Result<Value, Error> {
        let mut out = text.clone();
        let mut repeats: Ordered<usize> = Ordered::new();
        let mut work = 0;
        let mut from = 0;
        while let Some((at, tag)) = next_tag(out.text(), from) {
            let tag = tag.to_owned();
            let found = if keep.contains(&tag.as_str()) {
                None
            } else {
                self.find(&tag)?
            };
            let Some(found) = found else {
                from = at + 1;
                continue;
            };
            let repeat = repeats.get(&tag).copied().unwrap_or(0);
            if tag == name || repeat > MAX_REPEATS {
                return Err(Error::SelfReference {
                    at: text.place().clone(),
                    option: name.to_owned(),
                    tag,
                    repeats: repeats.into_iter().collect(),
                    value: out.text().to_owned(),
                });
            }
            repeats.insert(tag.as_str(), repeat + 1);
            out = replace(&out, &format!("<{tag}>"), &found);
            work += out.text().len();
            if out.text().len() > MAX_VALUE || work > MAX_WORK {
                return Err(Error::ValueTooLong {
                    at: text.place().clone(),
                    option: name.to_owned(),
                });
            }
            from = outer_tag(out.text(), at);
        }
        Ok(out)
    }

    /// What stands for `<tag>`.
    fn find(&self, tag: &str) -> Result<Option<Value>, Error> {
        if self.conditional.contains(tag) {
            return Ok(None);
        }
        if let Some(value) = self.given.get(tag).or_else(|| self.init.get(tag)) {
            return Ok(Some(value.clone()));
        }
        match tag.split_once('/') {
            Some(("known", option)) => self.known(option),
            Some(("default" | DEFAULT, option)) => self.layers.option(DEFAULT, option),
            Some((section, option)) if self.layers.has_section(section) => {
                self.layers.option(section, option)
            }
            Some(_) => Ok(None),
            None if self.layers.has_section(DEFINITION) => match self.early {
                Some(early) if !self.defines(tag) => {
                    let given = [self.given, early];
                    self.layers.option_with(DEFINITION, tag, &given)
                }
                _ => self.configured(tag),
            },
            None => Ok(None),
        }
    }

    /// Whether `[Definition]` itself sets the option.
    fn defines(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.layers.own(DEFINITION).any(|(own, _)| own == name)
    }

    fn configured(&self, name: &str) -> Result<Option<Value>, Error> {
        let all = [self.given, &self.init, self.jail];
        let without_init = [self.given, self.jail];
        let given: &[&Options] = match self.early {
            Some(_) => &all,
            None => &without_init,
        };
        self.layers.option_with(DEFINITION, name, given)
    }

    /// The text of the files although the caller gave another.
    fn known(&self, option: &str) -> Result<Option<Value>, Error> {
        if let Some(value) = self.init.get(option) {
            return Ok(Some(value.clone()));
        }
        let option = option.to_lowercase();
        let raw = self.layers.overridden(DEFINITION, &option);
        let raw = raw.or_else(|| self.layers.raw(DEFINITION, &option));
        let scope = Scope::new(self.layers, DEFINITION, &[]);
        raw.map(|raw| scope.expand(&option, raw)).transpose()
    }
}

/// `blocktype` in `blocktype?family=inet6`.
fn base(name: &str) -> Option<&str> {
    name.split_once('?').map(|(base, _)| base)
}

/// The first tag at or after `from`: `<`, characters other than blank, `<` and `>`, `>`.
fn next_tag(text: &str, from: usize) -> Option<(usize, &str)> {
    let mut at = from;
    loop {
        at += cut(text, at).1.find('<')?;
        let inner = cut(text, at + 1).1;
        let (tag, end) = cut(inner, inner.find([' ', '<', '>'])?);
        if !tag.is_empty() && end.starts_with('>') {
            return Some((at, tag));
        }
        at += 1;
    }
}

/// Where a tag may begin that a replacement at `at` has completed.
fn outer_tag(text: &str, at: usize) -> usize {
    match cut(text, at).0.rfind([' ', '<', '>']) {
        Some(open) if cut(text, open).1.starts_with('<') => open,
        _ => at,
    }
}

fn replace(text: &Value, tag: &str, with: &Value) -> Value {
    let mut out = Value::new("", text.place().clone());
    let mut line = 0;
    for (index, part) in text.text().split(tag).enumerate() {
        if index > 0 {
            out.push_substitute(with);
            line += newlines(tag);
        }
        out.push_part(part, text, line);
        line += newlines(part);
    }
    out
}

#[cfg(test)]
mod tests;
