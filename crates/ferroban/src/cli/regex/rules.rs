//! What `<REGEX>` is: a jail, a filter, the file of one, or a failregex.
//!
//! Only a text that looks like a name, perhaps with options in brackets, is looked for;
//! one that is no name, or that nothing has, is a failregex. So a mistyped name is tested
//! as one, as in the original.

use ferroban_config::{Disk, Invocation, Ordered, quoted};

use super::options::Options;
use super::output::Printer;
use super::{Ended, python, shortened};
use crate::cli::named::{self, Found};
use crate::load::{Folder, LoadError, Rules};

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
    if !named::is_name(text) {
        return literal(printer);
    }
    let called = Invocation::parse(text).map_err(|why| {
        printer.line(&format!(
            "ERROR: Wrong filter name or options: {why}\n       while parsing: {text}"
        ));
        Ended::Failed
    })?;
    let mut folder = Folder::new(&Disk, &options.config);
    let Some(found) = named::look_for(&called.name, &mut folder, &options.config) else {
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
