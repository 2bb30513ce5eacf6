//! The stream of commands that a configuration stands for.
//!
//! It has the words of the stream that fail2ban's client sends to its server, so
//! that one day either of the two clients can drive us.

use ferroban_config::{Definition, Invocation, Layers, Memory, Options, Place, Value, addresses};
use ferroban_engine::options::{self, Kind};

use super::{LoadError, embedded::BASE};

/// Commands in the order in which they are to be carried out.
pub(super) type Stream = Vec<Vec<String>>;

/// The options of a jail that become `set <jail> <option> <value>` as they are.
const PLAIN: &[&str] = &[
    "maxretry",
    "findtime",
    "bantime",
    "maxmatches",
    "ignoreself",
];

/// Reads a configuration.
pub(super) fn read(files: &Memory) -> Result<Stream, LoadError> {
    let layers = Layers::read(files, BASE.as_ref(), "jail").map_err(LoadError::Config)?;
    let mut stream = Stream::new();
    let mut starts = Stream::new();
    for name in layers.sections() {
        let jail = Section {
            files,
            layers: &layers,
            name,
        };
        if is_on(&jail.text("enabled")?) {
            jail.write(&mut stream)?;
            starts.push(words(["start", name]));
        }
    }
    stream.extend(starts);
    Ok(stream)
}

/// One section of `jail.conf`.
struct Section<'a> {
    files: &'a Memory,
    layers: &'a Layers,
    name: &'a str,
}

impl Section<'_> {
    fn write(&self, stream: &mut Stream) -> Result<(), LoadError> {
        let name = self.name;
        stream.push(words(["add", name, &self.text("backend")?]));
        self.write_filter(stream)?;
        for option in PLAIN {
            stream.push(words(["set", name, option, &self.text(option)?]));
        }
        let ignored = self.text("ignoreip")?;
        let mut ignore = words(["set", name, "addignoreip"]);
        ignore.extend(addresses(&ignored).map(str::to_owned));
        stream.push(ignore);
        for path in self
            .text("logpath")?
            .lines()
            .map(str::trim)
            .filter(|path| !path.is_empty())
        {
            stream.push(words(["set", name, "addlogpath", path]));
        }
        let journal = self.text("journalmatch")?;
        let mut matches = words(["set", name, "addjournalmatch"]);
        matches.extend(journal.split_whitespace().map(str::to_owned));
        stream.push(matches);
        self.write_action(stream)
    }

    fn write_filter(&self, stream: &mut Stream) -> Result<(), LoadError> {
        let (filter, given) = self.invocation("filter")?;
        let layers = Layers::read(self.files, BASE.as_ref(), &format!("filter.d/{filter}"))
            .map_err(LoadError::Config)?;
        let none = Options::new();
        let definition = Definition::new(&layers, &given, &none).map_err(LoadError::Config)?;
        let option = |name: &str| -> Result<String, LoadError> {
            let value = definition.resolved(name, &[]).map_err(LoadError::Option)?;
            Ok(value
                .map(|value| value.text().to_owned())
                .unwrap_or_default())
        };
        let prefix = option("prefregex")?;
        if !prefix.is_empty() {
            stream.push(words(["set", self.name, "prefregex", &prefix]));
        }
        let mut found = false;
        for (name, command) in [
            ("failregex", "addfailregex"),
            ("ignoreregex", "addignoreregex"),
        ] {
            for pattern in option(name)?
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
            {
                found |= name == "failregex";
                stream.push(words(["set", self.name, command, pattern]));
            }
        }
        if found {
            Ok(())
        } else {
            Err(LoadError::NoPattern {
                jail: self.name.into(),
                filter,
            })
        }
    }

    fn write_action(&self, stream: &mut Stream) -> Result<(), LoadError> {
        let (action, given) = self.invocation("action")?;
        stream.push(words(["set", self.name, "addaction", &action]));
        for (property, value) in given.iter() {
            stream.push(words([
                "set",
                self.name,
                "action",
                &action,
                property,
                value.text(),
            ]));
        }
        Ok(())
    }

    /// The `name[…]` of an option.
    fn invocation(&self, option: &'static str) -> Result<(String, Options), LoadError> {
        let text = self.text(option)?;
        let parsed = Invocation::parse(text.trim()).map_err(|source| LoadError::Invocation {
            jail: self.name.into(),
            option,
            text: text.clone(),
            source,
        })?;
        let given = parsed.options_at(&Place::named(self.name));
        Ok((parsed.name, given))
    }

    /// The text of an option, or its default.
    fn text(&self, option: &str) -> Result<String, LoadError> {
        let row = options::jail(option).ok_or_else(|| LoadError::NoOption {
            jail: self.name.into(),
            option: option.into(),
        })?;
        let value = self
            .layers
            .option(self.name, option)
            .map_err(LoadError::Option)?;
        let text = value.as_ref().map_or(row.default, Value::text);
        Ok(if row.kind == Kind::Lines {
            text.to_owned()
        } else {
            text.trim().to_owned()
        })
    }
}

/// fail2ban's idea of yes.
pub(super) fn is_on(text: &str) -> bool {
    ["1", "on", "true", "yes"].contains(&text.to_ascii_lowercase().as_str())
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}
