//! Columns below each other, and colour where it can be seen.

use clap::builder::styling::{AnsiColor, Style};

use crate::cli::out;

/// What a text means, which its colour shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Odd,
    Bad,
    /// Of no importance.
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Good => colour(AnsiColor::Green),
            Self::Odd => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// Whether there is colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Paint(bool);

impl Paint {
    /// No colour.
    #[cfg(test)]
    pub(super) const NONE: Self = Self(false);
    /// Colour.
    #[cfg(test)]
    pub(super) const FULL: Self = Self(true);

    /// What standard output can show.
    pub(super) fn of_output() -> Self {
        Self(out::has_colour())
    }

    pub(super) fn text(self, tone: Tone, text: &str) -> String {
        if !self.0 || tone == Tone::Plain {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

/// One field of a table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    /// Whether it stands at the right of its column, as numbers do.
    right: bool,
}

impl Cell {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone,
            right: false,
        }
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(Tone::Plain, text)
    }

    pub(super) fn number(number: &impl ToString) -> Self {
        Self {
            text: number.to_string(),
            tone: Tone::Plain,
            right: true,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn drawn(&self, width: usize, paint: Paint) -> String {
        let blanks = " ".repeat(width.saturating_sub(self.width()));
        let text = paint.text(self.tone, &self.text);
        if self.right {
            blanks + &text
        } else {
            text + &blanks
        }
    }
}

/// A table with its head. The texts must be fit to be shown.
pub(super) fn table(head: &[&str], rows: &[Vec<Cell>], paint: Paint) -> String {
    let is_number = |column: usize| {
        let cell = rows.first().and_then(|row| row.get(column));
        cell.is_some_and(|cell| cell.right)
    };
    let head: Vec<Cell> = head
        .iter()
        .enumerate()
        .map(|(column, name)| Cell {
            right: is_number(column),
            ..Cell::new(Tone::Faint, *name)
        })
        .collect();
    let all: Vec<&Vec<Cell>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(Cell::width).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &&Vec<Cell>| {
        let cells = row.iter().zip(&widths);
        let drawn: Vec<String> = cells
            .map(|(cell, width)| cell.drawn(*width, paint))
            .collect();
        drawn.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Names and what belongs to them, below each other; a name that is empty continues the
/// one above.
pub(super) fn list(rows: &[(&str, Cell)], paint: Paint) -> String {
    let widest = rows.iter().map(|(name, _)| name.chars().count()).max();
    let widest = widest.unwrap_or(0);
    let line = |(name, cell): &(&str, Cell)| {
        let name = paint.text(Tone::Faint, &format!("{name:widest$}"));
        format!("{name}  {}", paint.text(cell.tone, &cell.text))
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them_and_numbers_at_the_right() {
        let rows = [
            vec![Cell::number(&7), Cell::plain("é"), Cell::plain("last")],
            vec![Cell::number(&1234), Cell::plain("wide"), Cell::default()],
        ];
        let expected = "   N  NAME  END\n   7  é     last\n1234  wide";
        assert_eq!(table(&["N", "NAME", "END"], &rows, Paint::NONE), expected);
    }

    #[test]
    fn colour_takes_no_place() {
        let rows = [vec![Cell::new(Tone::Bad, "no"), Cell::plain("x")]];
        let drawn = table(&["HOLDS", "Y"], &rows, Paint::FULL);
        assert_eq!(
            drawn,
            "\u{1b}[2mHOLDS\u{1b}[0m  \u{1b}[2mY\u{1b}[0m\n\u{1b}[1m\u{1b}[31mno\u{1b}[0m     x"
        );
    }

    #[test]
    fn a_list_has_its_names_at_the_left() {
        let rows = [
            ("jail", Cell::plain("sshd")),
            ("reads", Cell::plain("a")),
            ("", Cell::plain("b")),
        ];
        let expected = "jail   sshd\nreads  a\n       b";
        assert_eq!(list(&rows, Paint::NONE), expected);
    }
}
