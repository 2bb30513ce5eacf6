//! `-i`: a prompt for commands.

use std::io::{self, BufRead, IsTerminal, Read};

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use signal_hook::consts::SIGINT;

use super::{Failed, Options, command, help, signals};
use crate::cli::out;
use crate::load;
use crate::wire::pickle::Str;

const PROMPT: &str = "fail2ban> ";
/// The longest line taken from a pipe; a daemon would not take a longer request.
const LONGEST: u64 = 16 << 20;

/// Takes commands until there are no more.
pub(super) fn run(options: &Options) -> Result<(), Failed> {
    out::line(&help::banner());
    let mut input = Input::new();
    loop {
        let line = input.line().map_err(|end| tell_end(options, end))?;
        match load::split(&line) {
            Err(error) => options.lines.error(&error.to_string()),
            Ok(words) => match words
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice()
            {
                [] => {}
                ["exit" | "quit"] => return Ok(()),
                ["help"] => out::line(&help::usage(options.face)),
                words => {
                    let words: Vec<Str> = words.iter().map(|word| Str::from(*word)).collect();
                    // It was told, and the next one may be better.
                    drop(command(options, &words));
                }
            },
        }
    }
}

/// Why there is no further line.
#[derive(Debug)]
enum End {
    /// Whoever gives the commands has no more.
    Eof,
    /// The key that sends SIGINT was pressed.
    Interrupted,
    Failed(String),
}

fn tell_end(options: &Options, end: End) -> Failed {
    match end {
        End::Interrupted => signals::tell(options.lines, SIGINT),
        End::Eof => options.lines.error("EOF when reading a line"),
        End::Failed(text) => options.lines.error(&text),
    }
    Failed
}

/// Where lines come from.
enum Input {
    /// A terminal: lines can be edited, and are remembered while the prompt lasts.
    Terminal(Box<DefaultEditor>),
    /// Anything else.
    Plain,
}

impl Input {
    fn new() -> Self {
        // It would have to be switched off at the end, and a signal may be the end.
        let config = Config::builder().bracketed_paste(false).build();
        let is_terminal = io::stdin().is_terminal() && out::is_terminal();
        match DefaultEditor::with_config(config) {
            Ok(editor) if is_terminal => Self::Terminal(Box::new(editor)),
            _ => Self::Plain,
        }
    }

    fn line(&mut self) -> Result<String, End> {
        match self {
            Self::Terminal(editor) => {
                let line = editor.readline(PROMPT).map_err(|error| match error {
                    ReadlineError::Eof => End::Eof,
                    ReadlineError::Interrupted => End::Interrupted,
                    error => End::Failed(error.to_string()),
                })?;
                // What is not remembered can be typed again.
                editor.add_history_entry(line.as_str()).ok();
                Ok(line)
            }
            Self::Plain => {
                out::part(PROMPT);
                plain_line(&mut io::stdin().lock()).inspect_err(|_| out::line(""))
            }
        }
    }
}

/// A line without its end; a last one without an end is one, too.
fn plain_line(source: &mut impl BufRead) -> Result<String, End> {
    let mut line = Vec::new();
    let read = source.take(LONGEST).read_until(b'\n', &mut line);
    match read.map_err(|error| End::Failed(error.to_string()))? {
        0 => Err(End::Eof),
        _ => {
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            Ok(String::from_utf8_lossy(line).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_pipe_come_one_by_one() {
        let mut source: &[u8] = b"ping\n\n\xff x\nlast";
        let lines: Vec<String> = std::iter::from_fn(|| plain_line(&mut source).ok()).collect();
        assert_eq!(lines, ["ping", "", "\u{fffd} x", "last"]);
        assert!(matches!(plain_line(&mut source), Err(End::Eof)));
    }
}
