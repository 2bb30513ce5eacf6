//! The log files of a jail.

use super::super::folder::{Folder, JAIL_READER};
use super::super::glob::{self, Found};
use super::super::word::{Command, Word};
use crate::log::Level;

/// What becomes of `logpath`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Logs {
    /// The files that exist. If there are none, nothing starts.
    Needed,
    /// The same, but a jail without any is only told.
    Wished,
    /// The paths as they are written, which need not exist yet; patterns give the
    /// files that do.
    Listed,
}

/// The commands for the files of a jail.
pub(super) fn commands(
    folder: &mut Folder<'_>,
    jail: &str,
    logpath: &str,
    logs: Logs,
) -> Vec<Command> {
    let mut commands = Vec::new();
    for line in logpath.split('\n') {
        let (path, mode) = line.rsplit_once(' ').unwrap_or((line, "head"));
        let pattern = path.contains(['*', '?', '[']);
        let files = if logs == Logs::Listed && !pattern {
            vec![path.to_owned()]
                .into_iter()
                .filter(|path| !path.is_empty())
                .collect()
        } else {
            files(folder, path)
        };
        for file in files {
            let words = ["set", jail, "addlogpath", &file, mode];
            commands.push(words.map(Word::from).into());
        }
    }
    commands
}

/// The files that a pattern stands for, as far as they can be read.
fn files(folder: &mut Folder<'_>, pattern: &str) -> Vec<String> {
    let Found { paths, complete } = glob::glob(pattern);
    if !complete {
        let text = format!("{pattern}: too many files; some are left out");
        folder.tell(Level::Warning, JAIL_READER, text);
    }
    let (there, dangling): (Vec<String>, Vec<String>) = paths
        .into_iter()
        .partition(|path| std::path::Path::new(path).exists());
    for path in dangling {
        let text = format!("File {path} is a dangling link, thus cannot be monitored");
        folder.tell(Level::Warning, JAIL_READER, text);
    }
    if there.is_empty() {
        let text = format!("No file(s) found for glob {pattern}");
        folder.tell(Level::Notice, JAIL_READER, text);
    }
    there
}
