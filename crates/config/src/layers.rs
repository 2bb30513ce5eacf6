//! Several files, read in their order and laid over each other.
//!
//! A configuration *name* such as `jail` or `filter.d/sshd` means `name.conf`,
//! `name.d/*.conf`, `name.local` and `name.d/*.local`, each with what its `[INCLUDES]`
//! ask for around it. Later texts win, option by option; the text that lost remains
//! reachable as `%(known/option)s`, one step back.
//!
//! Nothing is substituted before it is asked for: a mistake in a section that nobody
//! uses does no harm.

use std::{
    collections::HashSet,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error, Errors, Files, MAX_BYTES, MAX_ERRORS, MAX_FILE, MAX_FILES, MAX_INCLUDE_DEPTH, Options,
    Ordered, Place, Value,
    file::{DEFAULT, File},
    files::{is_absent, normal},
    interpolate::Scope,
    line::is_space,
    nearest::nearest,
};

const INCLUDES: &str = "INCLUDES";

/// What all files of one configuration say together.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    sections: Ordered<Options>,
    defaults: Options,
    known: Ordered<Options>,
    files: Vec<Arc<Path>>,
}

impl Layers {
    /// Reads the configuration `name` (`jail`, `filter.d/sshd`, or an absolute path
    /// without `.conf`) below the directory `base`.
    ///
    /// # Errors
    /// All mistakes of all its files, or that there is none.
    pub fn read(files: &dyn Files, base: &Path, name: &str) -> Result<Self, Errors> {
        let (all, errors) = Self::read_partly(files, base, name);
        Errors::unless_empty(errors, all)
    }

    /// The same, but gives what could be read beside the mistakes: a file that cannot be
    /// read or decoded is left out, and of a file with wrong lines only these.
    #[must_use]
    pub fn read_partly(files: &dyn Files, base: &Path, name: &str) -> (Self, Vec<Error>) {
        let mut reader = Reader::new(files);
        for extension in ["conf", "local"] {
            reader.file(&with_suffix(base, name, extension), None);
            for path in reader.drop_ins(&with_suffix(base, name, "d"), extension) {
                reader.file(&path, None);
            }
        }
        if reader.parsed.is_empty() && reader.errors.is_empty() {
            reader.errors.push(Error::NoFiles {
                name: name.to_owned(),
                base: base.to_owned(),
                nearest: alike(files, base, name),
            });
        }
        (Self::merge(reader.parsed), reader.errors)
    }

    fn merge(parsed: Vec<(Arc<Path>, File)>) -> Self {
        let mut all = Self::default();
        for (path, file) in parsed {
            all.add(file);
            all.files.push(path);
        }
        all
    }

    fn add(&mut self, file: File) {
        for (name, value) in file.defaults {
            self.defaults.insert(name, value);
        }
        for (section, options) in file.sections {
            let (section, condition) = conditional(&section);
            let merged = self.sections.entry(section);
            for (name, value) in options {
                let name = name + condition;
                if let Some(old) = merged.insert(name.as_str(), value) {
                    self.known.entry(section).insert(name, old);
                }
            }
        }
    }

    /// The sections in the order in which they first appeared, `[DEFAULT]` and
    /// `[INCLUDES]` left out.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections
            .names()
            .filter(|name| ![DEFAULT, INCLUDES].contains(name))
    }

    /// Whether some file has this section.
    #[must_use]
    pub fn has_section(&self, section: &str) -> bool {
        self.sections.get(section).is_some()
    }

    /// The names a section sets itself, in order. Those that every section has are the
    /// names of `DEFAULT`.
    pub fn names(&self, section: &str) -> impl Iterator<Item = &str> {
        let defaults = (section == DEFAULT).then_some(&self.defaults);
        let own = self.sections.get(section).into_iter().chain(defaults);
        own.flat_map(Ordered::names)
    }

    /// The text of an option as it was written, in the section or in `[DEFAULT]`.
    #[must_use]
    pub fn raw(&self, section: &str, option: &str) -> Option<&Value> {
        match self.sections.get(section) {
            Some(options) => options.get(option).or_else(|| self.fallback(option)),
            None if section == DEFAULT => self.fallback(option),
            None => None,
        }
    }

    /// The text of an option with every `%(name)s` replaced; `None` if nobody set it.
    ///
    /// # Errors
    /// There is no such section, or a reference cannot be replaced.
    pub fn option(&self, section: &str, option: &str) -> Result<Option<Value>, Error> {
        self.option_with(section, option, &[])
    }

    /// The same, with options from elsewhere that come before those of the files. Of
    /// several `given`, the first that has a name wins.
    ///
    /// # Errors
    /// There is no such section, or a reference cannot be replaced.
    pub fn option_with(
        &self,
        section: &str,
        option: &str,
        given: &[&Options],
    ) -> Result<Option<Value>, Error> {
        if !self.has_section(section) && section != DEFAULT {
            return Err(Error::NoSection {
                section: section.to_owned(),
                nearest: nearest(section, self.sections()),
            });
        }
        Scope::new(self, section, given).option(option)
    }

    /// Predefines an option of `[DEFAULT]`; what a file says comes first.
    pub fn define(&mut self, option: &str, text: &str) {
        if self.fallback(option).is_none() {
            let value = Value::new(text, Place::named("predefined"));
            self.defaults.insert(option, value);
        }
    }

    /// Makes `options` reachable as `%(known/…)s` in a section, before older such texts.
    pub fn publish_known(&mut self, section: &str, options: &Options) {
        let known = self.known.entry(section);
        for (name, value) in options.iter() {
            known.insert(name.to_lowercase(), value.clone());
        }
    }

    /// The files that were read, in their order; a file may come more than once.
    #[must_use]
    pub fn files(&self) -> &[Arc<Path>] {
        &self.files
    }

    /// What a section sets itself, as written.
    pub(crate) fn own(&self, section: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.sections
            .get(section)
            .into_iter()
            .flat_map(Ordered::iter)
    }

    /// The text of an option in `[DEFAULT]`.
    pub(crate) fn fallback(&self, option: &str) -> Option<&Value> {
        self.defaults.get(option)
    }

    /// The text an option had before the last file changed it.
    pub(crate) fn known(&self, section: &str, option: &str) -> Option<&Value> {
        let known = self.known.get(section).and_then(|known| known.get(option));
        known.or_else(|| self.fallback(option))
    }

    /// The same without a look at `[DEFAULT]`.
    pub(crate) fn overridden(&self, section: &str, option: &str) -> Option<&Value> {
        self.known.get(section)?.get(option)
    }

    /// What a section can refer to by name alone.
    pub(crate) fn visible_names(&self, section: &str) -> Vec<String> {
        let own = self.names(section).chain(self.defaults.names());
        own.map(str::to_owned).collect()
    }
}

/// Splits `Init?family=inet6` into the section `Init` and the ending of its keys.
fn conditional(section: &str) -> (&str, &str) {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    match section.split_once('?') {
        Some((name, condition))
            if !name.is_empty() && !condition.is_empty() && name.chars().all(word) =>
        {
            section
                .split_at_checked(name.len())
                .unwrap_or((section, ""))
        }
        _ => (section, ""),
    }
}

fn with_suffix(base: &Path, name: &str, extension: &str) -> PathBuf {
    let mut path = OsString::from(base.join(name));
    path.push(".");
    path.push(extension);
    path.into()
}

/// A configuration that exists and whose name looks like `name`.
fn alike(files: &dyn Files, base: &Path, name: &str) -> Option<String> {
    let (dir, last) = name.rsplit_once('/').unwrap_or(("", name));
    let names = files.list(&base.join(dir)).ok()?;
    let stems: Vec<&str> = names
        .iter()
        .filter_map(|name| name.to_str()?.strip_suffix(".conf"))
        .collect();
    nearest(last, stems)
}

/// Reads files and what they include.
struct Reader<'a> {
    files: &'a dyn Files,
    parsed: Vec<(Arc<Path>, File)>,
    errors: Vec<Error>,
    /// Mistakes of these files were told; a file may be read more than once.
    told: HashSet<PathBuf>,
    /// So was the depth of includes.
    told_depth: bool,
    /// So was the number or the size of all files.
    told_number: bool,
    /// The files that include the one being read.
    chain: Vec<PathBuf>,
    /// How many files were asked for, whether they exist or not.
    asked: usize,
    /// How many bytes further files may have.
    room: usize,
}

impl<'a> Reader<'a> {
    fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            parsed: Vec::new(),
            errors: Vec::new(),
            told: HashSet::new(),
            told_depth: false,
            told_number: false,
            chain: Vec::new(),
            asked: 0,
            room: MAX_BYTES,
        }
    }

    /// What is in `NAME.d` with that extension, sorted by name, hidden files left out.
    fn drop_ins(&mut self, dir: &Path, extension: &str) -> Vec<PathBuf> {
        let mut names = match self.files.list(dir) {
            Ok(names) => names,
            Err(error) if is_absent(&error) => Vec::new(),
            Err(source) => {
                self.unreadable(dir, None, source);
                Vec::new()
            }
        };
        names.retain(|name| {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            !hidden
                && Path::new(name)
                    .extension()
                    .is_some_and(|own| own == extension)
        });
        names.sort();
        names.iter().map(|name| dir.join(name)).collect()
    }

    /// Reads one file, if it exists, between what it includes before and after.
    /// `asked_by` is the line that includes it.
    fn file(&mut self, path: &Path, asked_by: Option<&Place>) {
        let normal = normal(path);
        if self.chain.contains(&normal) || self.errors.len() >= MAX_ERRORS {
            return;
        }
        let Some(bytes) = self.bytes(path, asked_by) else {
            return;
        };
        let path: Arc<Path> = Arc::from(path);
        let (file, mut errors) = File::parse(&path, &bytes);
        let [before, after] = includes(&file).map(|list| {
            list.unwrap_or_else(|error| {
                errors.push(error);
                None
            })
        });
        if self.told.insert(normal.clone()) {
            self.errors.append(&mut errors);
            self.errors.truncate(MAX_ERRORS);
        }
        self.chain.push(normal);
        self.include(&path, before.as_ref());
        self.parsed.push((Arc::clone(&path), file));
        self.include(&path, after.as_ref());
        self.chain.pop();
    }

    fn bytes(&mut self, path: &Path, asked_by: Option<&Place>) -> Option<Vec<u8>> {
        self.asked += 1;
        if self.asked > MAX_FILES {
            self.too_many(path);
            return None;
        }
        match self.files.read(path, MAX_FILE + 1) {
            Ok(bytes) if bytes.len() > MAX_FILE => {
                let path = path.to_owned();
                self.errors.push(Error::FileTooLarge { path });
                None
            }
            Ok(bytes) if bytes.len() > self.room => {
                self.too_many(path);
                None
            }
            Ok(bytes) => {
                self.room -= bytes.len();
                Some(bytes)
            }
            Err(error) if is_absent(&error) => None,
            Err(source) => {
                self.unreadable(path, asked_by, source);
                None
            }
        }
    }

    fn too_many(&mut self, path: &Path) {
        if !self.told_number {
            self.told_number = true;
            let path = path.to_owned();
            self.errors.push(Error::TooManyFiles { path });
        }
    }

    fn unreadable(&mut self, path: &Path, asked: Option<&Place>, source: std::io::Error) {
        if self.told.insert(normal(path)) {
            self.errors.push(Error::Read {
                path: path.to_owned(),
                asked: asked.cloned(),
                source,
            });
        }
    }

    /// Reads the files that one option of `[INCLUDES]` names.
    fn include(&mut self, includer: &Path, list: Option<&Value>) {
        let dir = includer.parent().unwrap_or(Path::new(""));
        for (line, at) in list.into_iter().flat_map(Value::lines) {
            let name = line.trim_matches(is_space);
            if name.is_empty() {
                continue;
            }
            if self.chain.len() > MAX_INCLUDE_DEPTH {
                if !self.told_depth {
                    self.told_depth = true;
                    self.errors.push(Error::TooManyIncludes { at: at.clone() });
                }
                return;
            }
            let path = dir.join(name);
            if self.chain.contains(&normal(&path)) {
                continue;
            }
            self.file(&path, Some(at));
            let local = path.with_extension("local");
            if local != path {
                self.file(&local, Some(at));
            }
        }
    }
}

/// What a file includes before and after itself, references replaced from this file alone.
fn includes(file: &File) -> [Result<Option<Value>, Error>; 2] {
    let Some(own) = file.sections.get(INCLUDES) else {
        return [Ok(None), Ok(None)];
    };
    let simple = |value: &Value| !value.text().contains('%');
    if own.iter().all(|(_, value)| simple(value)) {
        let plain = |option| own.get(option).or_else(|| file.defaults.get(option));
        let values = ["before", "after"].map(plain);
        if values.iter().flatten().all(|value| simple(value)) {
            return values.map(|value| Ok(value.cloned()));
        }
    }
    let alone = Layers {
        sections: file.sections.clone(),
        defaults: file.defaults.clone(),
        ..Layers::default()
    };
    ["before", "after"].map(|option| alone.option(INCLUDES, option))
}

#[cfg(test)]
mod tests;
