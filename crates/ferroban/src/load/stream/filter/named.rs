//! One filter, or the filter of one jail, asked for by name: what `fail2ban-regex` tests.
//!
//! A filter without a jail sees no options but those it is given. With a jail, these come
//! before what the jail passes to its filter, and before the jail's own. Whether the jail
//! is switched on, what it reads and what it does make no difference.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ferroban_config::{
    Definition, Disk, Files, Invocation, Layers, Options, Ordered, Place, Value,
};

use super::super::super::LoadError;
use super::super::super::folder::Folder;
use super::super::super::word::{Command, Word};
use super::super::jail::{FIRST, REST};
use super::super::typed::{Row, Typed};
use super::{DEFINITION, Filter, STANDARD, check, fill, kind, resolved};
use crate::COMPATIBLE;

/// How a line is looked at, as a configuration says it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rules {
    pub(crate) prefregex: Option<String>,
    pub(crate) failregex: Vec<String>,
    pub(crate) ignoreregex: Vec<String>,
    pub(crate) maxlines: Option<i64>,
    pub(crate) datepattern: Option<String>,
    /// Groups of fields of the journal that must all match.
    pub(crate) journalmatch: Vec<Vec<String>>,
    /// Every option the filter was given in the end, for those who wonder.
    pub(crate) given: Vec<(String, String)>,
}

/// Options in `[…]` behind a name.
type Given = Ordered<String>;

impl Folder<'_> {
    /// The filter of this name in `filter.d`. `None` if there is none that can be read,
    /// and why is among the messages.
    pub(crate) fn filter_named(
        &mut self,
        name: &str,
        given: &Given,
        journal: bool,
    ) -> Result<Option<Rules>, LoadError> {
        let Some(layers) = self.filter(name)? else {
            return Ok(None);
        };
        self.rules_in(layers, &format!("filter.d/{name}"), given, journal)
    }

    /// A filter in a file of any name, beside which nothing is read but what it includes.
    pub(crate) fn filter_in_file(
        path: &Path,
        given: &Given,
        journal: bool,
    ) -> Result<Option<Rules>, LoadError> {
        // As the original tells it.
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let alone = Alone::new(path);
        let base = path.parent().unwrap_or(Path::new(""));
        let mut folder = Folder::new(&alone, base);
        folder.filter_at(&alone.name, given, journal)
    }

    fn filter_at(
        &mut self,
        name: &str,
        given: &Given,
        journal: bool,
    ) -> Result<Option<Rules>, LoadError> {
        let Some(layers) = self.layers(name)? else {
            return Ok(None);
        };
        self.rules_in(layers, name, given, journal)
    }

    fn rules_in(
        &mut self,
        layers: Rc<Layers>,
        name: &str,
        given: &Given,
        journal: bool,
    ) -> Result<Option<Rules>, LoadError> {
        let place = Place::named(name);
        let mut filter = Filter {
            layers,
            given: options(given, &place),
            early: Options::new(),
            raw: Vec::new(),
        };
        filter.be_of(journal, &place);
        check(self, &filter.layers, STANDARD);
        filter
            .rules(self, &Typed::default(), &Options::new())
            .map(Some)
    }

    /// Whether there is a jail of this name. Nobody's business if no jails can be read.
    pub(crate) fn has_jail(&mut self, name: &str) -> bool {
        // What reading them tells would be told again when they are needed.
        let layers = self.layers("jail");
        layers.is_ok_and(|layers| layers.is_some_and(|layers| layers.has_section(name)))
    }

    /// The filter of a jail that exists, as the jail uses it. `None` if it cannot be had,
    /// and why is among the messages.
    pub(crate) fn jail_named(
        &mut self,
        name: &str,
        given: &Given,
        journal: bool,
    ) -> Result<Option<Rules>, LoadError> {
        let Some(layers) = self.layers("jail")? else {
            return Ok(None);
        };
        let mut layers = (*layers).clone();
        layers.define("fail2ban_version", COMPATIBLE);
        layers.define("fail2ban_confpath", &self.base().display().to_string());
        let mut jail = self.typed_with(&layers, name, FIRST, given)?;
        let Some(filter) = self.filter_of(name, &jail, given, journal)? else {
            return Ok(None);
        };
        layers.publish_known(name, &filter.known(self)?);
        jail.extend(self.typed_with(&layers, name, REST, given)?);
        let seen = jail.as_options(&Place::named(name));
        filter.rules(self, &jail, &seen).map(Some)
    }

    fn filter_of(
        &mut self,
        name: &str,
        jail: &Typed,
        given: &Given,
        journal: bool,
    ) -> Result<Option<Filter>, LoadError> {
        let text = jail.text("filter").to_owned();
        let invocation = Invocation::parse(&text).map_err(|source| LoadError::Invocation {
            jail: name.to_owned(),
            option: "filter",
            text,
            source,
        })?;
        let place = Place::named(name);
        let Some(layers) = self.filter(&invocation.name)? else {
            return Ok(None);
        };
        let mut passed = invocation.options;
        for (name, value) in given.iter() {
            passed.insert(name, value.clone());
        }
        let mut filter = Filter {
            layers,
            given: options(&passed, &place),
            early: jail.as_options(&place),
            raw: Vec::new(),
        };
        filter.be_of(
            journal || jail.text("backend").starts_with("systemd"),
            &place,
        );
        check(self, &filter.layers, STANDARD);
        Ok(Some(filter))
    }

    /// The options of a jail but for those that are given: these are the filter's.
    fn typed_with(
        &mut self,
        layers: &Layers,
        jail: &str,
        rows: &[Row],
        given: &Given,
    ) -> Result<Typed, LoadError> {
        let mut typed = self.typed(layers, jail, rows)?;
        for (name, text) in given.iter() {
            if kind(STANDARD, name).is_some() {
                typed.remove(name);
            } else if name == "backend" {
                typed.set(name, text.as_str().into());
            }
        }
        Ok(typed)
    }
}

impl Filter {
    /// Says what kind of log it is for, unless that is said.
    fn be_of(&mut self, journal: bool, place: &Place) {
        let is_set = self.layers.names(DEFINITION).any(|own| own == "logtype");
        if self.given.get("logtype").is_none() && !is_set {
            let kind = if journal { "journal" } else { "file" };
            self.given
                .insert("logtype", Value::new(kind, place.clone()));
        }
    }

    /// What it comes to for a jail of these options.
    fn rules(
        mut self,
        folder: &mut Folder<'_>,
        jail: &Typed,
        seen: &Options,
    ) -> Result<Rules, LoadError> {
        self.read_again(jail, seen)?;
        let mut rules = Rules {
            given: self.all_given(seen)?,
            ..Rules::default()
        };
        let mut commands = self.commands(folder, "", seen)?;
        fill(&mut commands, "", jail.iter())?;
        for command in &commands {
            rules.take(command);
        }
        Ok(rules)
    }

    /// What was passed, and the rest of `[Init]`.
    fn all_given(&self, seen: &Options) -> Result<Vec<(String, String)>, LoadError> {
        let definition = Definition::of_filter(&self.layers, &self.given, &self.early, seen);
        let definition = definition.map_err(LoadError::Config)?;
        let passed = definition.properties().into_iter();
        let passed = passed.map(|(name, value)| (name.to_owned(), value.clone()));
        let all = resolved(&definition, passed.collect(), &[])?;
        let text = |(name, value): (String, Value)| (name, value.text().to_owned());
        Ok(all.into_iter().map(text).collect())
    }
}

impl Rules {
    /// Takes one command of a filter; a later one goes before an earlier.
    fn take(&mut self, command: &Command) {
        let Some(words) = command.get(2..) else {
            return;
        };
        let Some((Some(option), values)) = words
            .split_first()
            .map(|(word, rest)| (word.as_str(), rest))
        else {
            return;
        };
        let value = values.first();
        let text = || value.and_then(Word::as_str).map(str::to_owned);
        match option {
            "prefregex" => self.prefregex = text().filter(|text| !text.is_empty()),
            "datepattern" => self.datepattern = text(),
            "maxlines" => {
                if let Some(Word::Int(number)) = value {
                    self.maxlines = Some(*number);
                }
            }
            "addfailregex" => extend(&mut self.failregex, value),
            "addignoreregex" => extend(&mut self.ignoreregex, value),
            "addjournalmatch" => {
                let words = values.iter().filter_map(Word::as_str).map(str::to_owned);
                self.journalmatch.push(words.collect());
            }
            _ => {}
        }
    }
}

fn extend(list: &mut Vec<String>, value: Option<&Word>) {
    match value {
        Some(Word::List(items)) => {
            list.extend(items.iter().filter_map(Word::as_str).map(str::to_owned));
        }
        Some(Word::Text(text)) => list.push(text.clone()),
        _ => {}
    }
}

fn options(given: &Given, place: &Place) -> Options {
    let value = |text: &String| Value::new(text.trim(), place.clone());
    given
        .iter()
        .map(|(name, text)| (name, value(text)))
        .collect()
}

/// The files of this computer, of which one stands alone: what would be read beside it, as
/// `.local` or from a `.d` folder, is not there.
struct Alone {
    /// What it is called without an ending.
    name: String,
    path: PathBuf,
    /// Where it is looked for, and must not be found.
    hidden: Vec<PathBuf>,
    /// Where it is looked for, whatever it is called.
    shown: PathBuf,
}

impl Alone {
    fn new(path: &Path) -> Self {
        let stem = |ending: &str| path.extension().is_some_and(|own| own == ending);
        let bare = if stem("conf") || stem("local") {
            path.with_extension("")
        } else {
            path.to_owned()
        };
        let with = |ending: &str| {
            let mut name = bare.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        let shown = if stem("local") {
            with(".local")
        } else {
            with(".conf")
        };
        let hidden = [with(".conf"), with(".local"), with(".d")];
        let hidden = hidden.into_iter().filter(|path| *path != shown).collect();
        let name = bare.file_name().unwrap_or_default();
        Self {
            name: name.to_string_lossy().into_owned(),
            path: path.to_owned(),
            hidden,
            shown,
        }
    }
}

impl Files for Alone {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path == self.shown {
            return Disk.read(&self.path, limit);
        }
        if self.hidden.iter().any(|hidden| hidden == path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Disk.read(path, limit)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        if self.hidden.iter().any(|hidden| hidden == dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Disk.list(dir)
    }
}

#[cfg(test)]
mod tests {
    use ferroban_config::Memory;

    use super::*;

    const FILES: [(&str, &str); 4] = [
        (
            "/c/jail.conf",
            "[web]\nenabled = false\nfilter = web[who=ann]\nmaxlines = 3\n\
             [own]\nfilter = web\nfailregex = own <HOST>\ndatepattern = EPOCH\n\
             [lost]\nfilter = nosuch\n[none]\n",
        ),
        (
            "/c/filter.d/web.conf",
            "[Definition]\nfailregex = a <HOST>\n            b <HOST> <kind>\nignoreregex = <who>\n\
             kind = <kind-<logtype>>\nkind-file = F\nkind-journal = J\n\
             journalmatch = _COMM=a + _UID=0\n",
        ),
        (
            "/c/filter.d/web.local",
            "[Definition]\ndatepattern = {^LN-BEG}\n[Init]\nwho = nobody\n",
        ),
        ("/c/filter.d/bad.conf", "no section\n"),
    ];

    fn given(options: &[(&str, &str)]) -> Given {
        let mut given = Given::new();
        for (name, value) in options {
            given.insert(*name, (*value).to_owned());
        }
        given
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_filter_is_read_with_what_it_is_given() {
        let files: Memory = FILES.into_iter().collect();
        let mut folder = Folder::new(&files, Path::new("/c"));
        let rules = folder
            .filter_named("web", &given(&[]), false)
            .unwrap()
            .unwrap();
        assert_eq!(rules.failregex, texts(&["a <HOST>", "b <HOST> F"]));
        assert_eq!(rules.ignoreregex, texts(&["nobody"]));
        assert_eq!(rules.datepattern.as_deref(), Some("{^LN-BEG}"));
        assert_eq!(rules.journalmatch, [texts(&["_COMM=a", "+", "_UID=0"])]);
        let options = given(&[("who", "bob"), ("maxlines", "5"), ("failregex", "c <HOST>")]);
        let rules = folder.filter_named("web", &options, true).unwrap().unwrap();
        assert_eq!(rules.failregex, texts(&["c <HOST>"]));
        assert_eq!(rules.ignoreregex, texts(&["bob"]));
        assert_eq!(rules.maxlines, Some(5));
        assert!(
            folder
                .filter_named("nosuch", &given(&[]), false)
                .unwrap()
                .is_none()
        );
        assert!(folder.filter_named("bad", &given(&[]), false).is_err());
    }

    #[test]
    fn a_jail_changes_its_filter_and_options_change_both() {
        let files: Memory = FILES.into_iter().collect();
        let mut folder = Folder::new(&files, Path::new("/c"));
        let mut jail =
            |name: &str, options: &[(&str, &str)]| folder.jail_named(name, &given(options), false);
        let web = jail("web", &[]).unwrap().unwrap();
        assert_eq!((web.maxlines, web.ignoreregex), (Some(3), texts(&["ann"])));
        let web = jail(
            "web",
            &[("who", "eve"), ("maxlines", "1"), ("backend", "systemd")],
        );
        let web = web.unwrap().unwrap();
        assert_eq!((web.maxlines, web.ignoreregex), (Some(1), texts(&["eve"])));
        assert_eq!(web.failregex, texts(&["a <HOST>", "b <HOST> J"]));
        let own = jail("own", &[]).unwrap().unwrap();
        assert_eq!(own.failregex, texts(&["own <HOST>"]));
        assert_eq!(own.datepattern.as_deref(), Some("EPOCH"));
        let own = jail(
            "own",
            &[("failregex", "new <HOST>"), ("datepattern", "^EPOCH")],
        );
        let own = own.unwrap().unwrap();
        assert_eq!(own.failregex, texts(&["new <HOST>"]));
        assert_eq!(own.datepattern.as_deref(), Some("^EPOCH"));
        assert!(jail("lost", &[]).unwrap().is_none());
        assert!(jail("none", &[]).is_err());
        assert!(folder.has_jail("own") && !folder.has_jail("other"));
    }

    #[test]
    fn a_file_alone_is_read_with_its_includes_and_without_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "x.conf",
            "[INCLUDES]\nbefore = y.conf\n[Definition]\nfailregex = x <HOST>\n",
        );
        write("x.local", "[Definition]\nfailregex = local <HOST>\n");
        write("y.conf", "[Definition]\nignoreregex = y\n");
        write("z", "[Definition]\nfailregex = z <HOST>\n");
        for (name, failregex, ignoreregex) in [
            ("x.conf", "x <HOST>", texts(&["y"])),
            ("x.local", "local <HOST>", vec![]),
            ("z", "z <HOST>", vec![]),
        ] {
            let path = folder.path().join(name);
            let rules = Folder::filter_in_file(&path, &given(&[]), false);
            let rules = rules.unwrap().unwrap();
            assert_eq!(rules.failregex, texts(&[failregex]), "{name}");
            assert_eq!(rules.ignoreregex, ignoreregex, "{name}");
        }
    }
}
