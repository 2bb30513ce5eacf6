//! What the output can show: colour where it can be seen or is asked for, and how wide it is.

use std::fs::File;

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};

use crate::cli::out;

/// What a text means, which its colour shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    /// What was taken for the date.
    Date,
    /// What fits.
    Good,
    /// What stopped it.
    Bad,
    /// A failure.
    Found,
    /// Names of steps, and what is of no importance.
    Faint,
    Strong,
}

/// How wide what is no terminal is taken to be.
const COLUMNS: usize = 123;

/// What the output can show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Paint {
    colour: bool,
    /// So many characters stand in a line.
    pub(super) columns: usize,
}

impl Paint {
    /// An output of that width without colour.
    #[cfg(test)]
    pub(super) const fn plain(columns: usize) -> Self {
        Self {
            colour: false,
            columns,
        }
    }

    /// One with colour.
    #[cfg(test)]
    pub(super) const FULL: Self = Self {
        colour: true,
        columns: COLUMNS,
    };

    pub(super) fn of(choice: ColorChoice) -> Self {
        let colour = match choice {
            ColorChoice::Auto => out::has_colour(),
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let columns = out::is_terminal().then(columns).flatten();
        Self {
            colour,
            columns: columns.unwrap_or(COLUMNS),
        }
    }

    /// A text that is fit to be shown, in its colour.
    pub(super) fn text(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let style = match tone {
            Tone::Date => colour(AnsiColor::Cyan),
            Tone::Good => colour(AnsiColor::Green),
            Tone::Bad => colour(AnsiColor::Red),
            Tone::Found => colour(AnsiColor::Yellow).bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// The width of the terminal we run on.
fn columns() -> Option<usize> {
    let terminal = File::open("/dev/tty").ok()?;
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
