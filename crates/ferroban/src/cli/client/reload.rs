//! `reload`, and what is called `restart` of a jail: the daemon goes on with another
//! configuration.

use super::exchange::{self, Show};
use super::transport::Patience;
use super::{Failed, Options, configuration, is_running, start};
use crate::wire::pickle::Value;
use crate::wire::text::repr;

/// The words behind `reload`.
#[derive(Debug, Eq, PartialEq)]
struct Wish<'a> {
    options: &'a [&'a str],
    /// A jail; without one, all of them.
    jail: Option<&'a str>,
}

impl<'a> Wish<'a> {
    /// Options come first. The error is what is too much.
    fn read(words: &'a [&'a str]) -> Result<Self, &'a [&'a str]> {
        let is_option = |word: &&str| matches!(*word, "--restart" | "--unban" | "--if-exists");
        let count = words.iter().take_while(|word| is_option(word)).count();
        let (options, named) = words.split_at_checked(count).unwrap_or_default();
        match named {
            [] | ["--all"] => Ok(None),
            [jail] => Ok(Some(*jail)),
            named => Err(named),
        }
        .map(|jail| Self { options, jail })
    }

    fn request(&self, stream: Value) -> Value {
        let jail = self.jail.unwrap_or("--all").into();
        let options = Value::strings(self.options.iter().copied());
        Value::List(vec!["reload".into(), jail, options, stream])
    }
}

pub(super) fn reload(options: &Options, words: &[&str]) -> Result<(), Failed> {
    let wish = Wish::read(words).map_err(|named| {
        let named = repr(&Value::strings(named.iter().copied()));
        let text = format!("Unexpected argument(s) for reload: {named}");
        options.lines.error(&text);
        Failed
    })?;
    if !is_running(options, &Value::strings(["ping"])) {
        options.lines.error("Could not find server");
        return Err(Failed);
    }
    start::progress(options, "reload");
    let stream = configuration::stream(options, wish.jail)?;
    let request = wish.request(configuration::commands(&stream));
    let mut connection = exchange::open(options, Patience::Endless, &["reload"])?;
    exchange::exchange(options.lines, &mut connection, &request, Show::All)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_before_at_most_one_name() {
        type Row = (
            &'static str,
            Result<(usize, Option<&'static str>), &'static str>,
        );
        let rows: [Row; 9] = [
            ("", Ok((0, None))),
            ("--all", Ok((0, None))),
            ("j1", Ok((0, Some("j1")))),
            ("--restart --unban --all", Ok((2, None))),
            ("--restart --unban --if-exists j1", Ok((3, Some("j1")))),
            ("--restart --restart", Ok((2, None))),
            ("--bogus", Ok((0, Some("--bogus")))),
            ("j1 --restart", Err("j1 --restart")),
            ("--unban --all j1", Err("--all j1")),
        ];
        for (words, expected) in rows {
            let words: Vec<&str> = words.split_whitespace().collect();
            let read = Wish::read(&words);
            let read = read.map(|wish| (wish.options.len(), wish.jail));
            assert_eq!(
                read.map_err(|named| named.join(" ")),
                expected.map_err(str::to_owned)
            );
        }
    }

    #[test]
    fn the_request_has_the_shape_that_fail2ban_sends() {
        let stream = Value::List(vec![Value::strings(["start", "j1"])]);
        let rows: [(&[&str], &str); 2] = [
            (&[], "['reload', '--all', [], [['start', 'j1']]]"),
            (
                &["--restart", "--unban", "j1"],
                "['reload', 'j1', ['--restart', '--unban'], [['start', 'j1']]]",
            ),
        ];
        for (words, expected) in rows {
            let wish = Wish::read(words).unwrap();
            assert_eq!(repr(&wish.request(stream.clone())), expected);
        }
    }
}
