//! Colour where it can be seen, or is asked for.

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

/// Whether there is colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn of(choice: ColorChoice) -> Self {
        Self(match choice {
            ColorChoice::Auto => out::has_colour(),
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        })
    }

    /// A text that is fit to be shown, in its colour.
    pub(super) fn text(self, tone: Tone, text: &str) -> String {
        if !self.0 || text.is_empty() {
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
