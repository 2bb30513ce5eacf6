//! What `<REGEX>` is: a jail, a filter, the file of one, or a failregex.
//!
//! Only a text that looks like a name, perhaps with options in brackets, is looked for;
//! one that is no name, or that nothing has, is a failregex. So a mistyped name is tested
//! as one, as in the original.

use std::path::{Path, PathBuf};

use ferroban_config::{Disk, Invocation, Ordered, quoted};

use super::options::Options;
use super::output::Printer;
use super::{Ended, python, shortened};
use crate::load::{Folder, LoadError, Rules};

/// Where the rules come from.
#[derive(Debug)]
enum Found {
    /// A jail of the configuration.
    Jail(String),
    /// A filter in the `filter.d` of a configuration.
    Filter { base: PathBuf, name: String },
    /// A file that belongs to no configuration.
    File(PathBuf),
}

/// The rules that `text` stands for. `journal` says what kind of log is tested.
pub(super) fn find(
    text: &str,
    options: &Options,
    journal: bool,
    printer: &mut Printer,
) -> Result<Rules, Ended> {
    let literal = |printer: &mut Printer| {
        printer.report(&format!("Use   failregex line : {}", shortened(text)));
        Ok(Rules {
            failregex: vec![text.to_owned()],
            ..Rules::default()
        })
    };
    if !is_name(text) {
        return literal(printer);
    }
    let called = Invocation::parse(text).map_err(|why| {
        printer.line(&format!(
            "ERROR: Wrong filter name or options: {why}\n       while parsing: {text}"
        ));
        Ended::Failed
    })?;
    let mut folder = Folder::new(&Disk, &options.config);
    let Some(found) = look_for(&called.name, &mut folder, &options.config) else {
        return literal(printer);
    };
    folder.messages();
    let refused = match &found {
        Found::Jail(_) => format!("ERROR: Failed to get jail for {}", quoted(text)),
        _ => format!("ERROR: failed to load filter {}", called.name),
    };
    match read(&found, folder, (&called.options, journal), printer) {
        Ok(Some(rules)) => Ok(rules),
        Ok(None) => {
            printer.line(&refused);
            Err(Ended::Failed)
        }
        Err(LoadError::Config(errors)) => {
            printer.line(&format!("Wrong config file: {}", errors.original()));
            printer.line(&refused);
            Err(Ended::Failed)
        }
        Err(error) => Err(Ended::Broken(format!("{text}: {}", error.original()))),
    }
}

/// Reads what was found, and tells what it is.
fn read(
    found: &Found,
    mut folder: Folder<'_>,
    (given, journal): (&Ordered<String>, bool),
    printer: &mut Printer,
) -> Result<Option<Rules>, LoadError> {
    let rules = match found {
        Found::Jail(name) => {
            printer.report(&format!("Use             jail : {name}"));
            tell_options("Use jail/flt options", given, printer);
            folder.jail_named(name, given, journal)
        }
        Found::Filter { base, name } => {
            let shown = base.display();
            printer.report(&format!("Use      filter file : {name}, basedir: {shown}"));
            tell_options("Use   filter options", given, printer);
            folder = Folder::new(&Disk, base);
            folder.filter_named(name, given, journal)
        }
        Found::File(path) => {
            printer.report(&format!("Use      filter file : {}", path.display()));
            tell_options("Use   filter options", given, printer);
            Folder::filter_in_file(path, given, journal)
        }
    };
    for message in folder.messages() {
        let module = message.logger.trim_start_matches("fail2ban.");
        printer.tell(message.level, module, &message.text);
    }
    rules
}

fn tell_options(label: &str, given: &Ordered<String>, printer: &mut Printer) {
    if given.names().next().is_some() {
        let pairs = given.iter().map(|(name, value)| (name, quoted(value)));
        printer.report(&format!("{label} : {}", python::dict(pairs)));
    }
}

/// Whether a text is a name, perhaps with options in brackets behind it.
fn is_name(text: &str) -> bool {
    let (name, options) = match text.split_once('[') {
        Some((name, options)) => (name, Some(options)),
        None => (text, None),
    };
    let letter = |c: char| c.is_alphanumeric() || "_/-.".contains(c);
    let closed = options.is_none_or(|options| options.ends_with(']'));
    !name.is_empty() && name.chars().all(letter) && closed
}

fn look_for(name: &str, folder: &mut Folder<'_>, config: &Path) -> Option<Found> {
    let path = Path::new(name);
    let ending = |ending: &str| path.extension().is_some_and(|own| own == ending);
    let is_file = ending("conf") || ending("local");
    let filters = config.join("filter.d");
    if !name.contains('/') {
        if !is_file && folder.has_jail(name) {
            return Some(Found::Jail(name.to_owned()));
        }
        return in_folder(&filters, path).then(|| filter(config, path));
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    if is_file && parent == Path::new("filter.d") && in_folder(&filters, path) {
        return Some(filter(config, path));
    }
    if parent.file_name().is_some_and(|name| name == "filter.d") {
        let base = parent.parent().unwrap_or(Path::new(""));
        let known = if parent == filters {
            in_folder(&filters, path)
        } else {
            path.is_file()
        };
        let base = if base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            base
        };
        return known.then(|| filter(base, path));
    }
    path.is_file().then(|| Found::File(path.to_owned()))
}

/// Whether `filter.d` has a file of this name, with or without its ending.
fn in_folder(filters: &Path, path: &Path) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    ["", ".conf", ".local"].iter().any(|ending| {
        let mut name = name.to_owned();
        name.push(ending);
        filters.join(name).is_file()
    })
}

fn filter(base: &Path, path: &Path) -> Found {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let name = match ending {
        Some("conf" | "local") => path.file_stem(),
        _ => path.file_name(),
    };
    Found::Filter {
        base: base.to_owned(),
        name: name.unwrap_or_default().to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_for() {
        let rows = [
            ("sshd", true),
            ("sshd[mode=x]", true),
            ("sshd[a=b][c=d]", true),
            ("sshd[a=b]]", true),
            ("/a-b/c_d.conf", true),
            ("é", true),
            ("", false),
            ("[a=b]", false),
            ("sshd[a=b", false),
            ("sshd [a=b]", false),
            ("sshd[a=b] ", false),
            ("a b", false),
            ("^x", false),
            ("<HOST>", false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}
