//! What the engine and the resolver have to say, as the log lines that `-l` asks for.

use std::net::IpAddr;

use ferroban_engine::FilterNote;

use super::output::Printer;
use crate::log::Level;
use crate::names::{self, Unresolved};

/// Where the original has the name of a jail.
const NO_JAIL: &str = "[~jailless~]";

/// Tells what a filter noted. What concerns a running jail only is left out.
pub(super) fn note(note: &FilterNote, printer: &mut Printer) {
    let mut warn = |text: String| printer.tell(Level::Warning, "filter", &text);
    match note {
        FilterNote::NoTime { date, line } => {
            let date = ferroban_config::quoted(date);
            warn(format!(
                "{NO_JAIL} Found a match but no valid date/time found for {date}."
            ));
            warn(format!("{NO_JAIL} Match without a timestamp: {line}"));
            warn(format!(
                "{NO_JAIL} Please try setting a custom date pattern (see man page jail.conf(5))."
            ));
        }
        FilterNote::GaveUp { .. } => warn(format!("{NO_JAIL} {note}")),
        FilterNote::OddTime { .. } | FilterNote::TooOld { .. } | FilterNote::Unreadable { .. } => {}
    }
}

/// Tells the addresses of a name, if that is wanted, or why there are none.
pub(super) fn name(
    name: &str,
    found: &Result<Vec<IpAddr>, Unresolved>,
    wanted: bool,
    printer: &mut Printer,
) {
    let text = match found {
        Ok(addresses) if wanted => names::determined(name, addresses),
        Err(why) if !why.remembered => why.to_string(),
        Ok(_) | Err(_) => return,
    };
    printer.tell(Level::Warning, names::LOGGER, &text);
}
