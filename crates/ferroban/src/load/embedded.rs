//! The configuration inside the program, for machines that have none.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use ferroban_config::{Disk, Files, Layers, Memory, nearest};
use ferroban_engine::options;

use super::{LoadError, host};

/// Where the files pretend to be.
pub(super) const BASE: &str = "/embedded";

/// What the options of the embedded jails refer to.
const VARIABLES: &[&str] = &["port", "protocol", "blocktype", "heal", "cut"];

const FILES: &[(&str, &str)] = &[
    ("jail.conf", include_str!("../../config/jail.conf")),
    ("jail.d/guard.conf", "[sshd]\nenabled = true\n"),
    (
        "filter.d/sshd.conf",
        include_str!("../../config/filter.d/sshd.conf"),
    ),
    (
        "filter.d/courier-auth.conf",
        include_str!("../../config/filter.d/courier-auth.conf"),
    ),
    (
        "action.d/hostsdeny.conf",
        include_str!("../../config/action.d/hostsdeny.conf"),
    ),
    (
        "action.d/iptables.conf",
        include_str!("../../config/action.d/iptables.conf"),
    ),
    (
        "action.d/mail-whois.conf",
        include_str!("../../config/action.d/mail-whois.conf"),
    ),
];

/// The files, with what this host tells about itself and with `overrides` laid
/// over them as an administrator's own files would be, one file each; and what this host
/// does not tell.
pub(super) fn files(overrides: &[String]) -> Result<(Memory, Vec<String>), LoadError> {
    let stock = FILES
        .iter()
        .map(|(name, text)| Ok(((*name).to_owned(), (*text).to_owned())));
    let (jails, problems) = host::jails(host::SSH.as_ref());
    let host = std::iter::once(Ok(("jail.d/host.conf".to_owned(), jails)));
    let path = |(name, text)| (format!("{BASE}/{name}"), text);
    let own = texts(BASE.as_ref(), overrides)?;
    let files: Result<Vec<_>, LoadError> = stock.chain(host).map(|file| file.map(path)).collect();
    let mut files = Memory::from_iter(files?);
    check_jails(&files, BASE.as_ref(), overrides)?;
    files.0.extend(own.0);
    Ok((files, problems))
}

/// A folder on disk with `overrides` laid over it, one file each.
pub(super) struct Overlay {
    own: Memory,
}

impl Overlay {
    pub(super) fn new(base: &Path, overrides: &[String]) -> Result<Self, LoadError> {
        check_jails(&Disk, base, overrides)?;
        texts(base, overrides).map(|own| Self { own })
    }
}

impl Files for Overlay {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        match self.own.read(path, limit) {
            Ok(bytes) => Ok(bytes),
            Err(_) => Disk.read(path, limit),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        match (Disk.list(dir), self.own.list(dir)) {
            (Ok(mut names), Ok(own)) => {
                names.extend(own);
                Ok(names)
            }
            (Err(error), Err(_)) => Err(error),
            (Ok(names), Err(_)) | (Err(_), Ok(names)) => Ok(names),
        }
    }
}

/// The files that say what `overrides` say.
fn texts(base: &Path, overrides: &[String]) -> Result<Memory, LoadError> {
    let file = |(index, text): (usize, &String)| {
        Ok((
            // Behind every other name, as the last one wins.
            base.join(format!("jail.d/~~set-{index:04}.local")),
            file_of(text)?,
        ))
    };
    overrides
        .iter()
        .enumerate()
        .map(file)
        .collect::<Result<Vec<_>, _>>()
        .map(Memory::from_iter)
}

/// The file that says what `jail.option=value` says.
fn file_of(text: &str) -> Result<String, LoadError> {
    let parts = text
        .split_once('=')
        .and_then(|(name, value)| Some((name.trim().rsplit_once('.')?, value)));
    match parts {
        Some(((jail, option), value))
            if is_word(jail) && is_word(option) && !value.contains(['\n', '\r']) =>
        {
            check_option(jail, option)?;
            Ok(format!("[{jail}]\n{option} = {value}\n"))
        }
        _ => Err(LoadError::Override(text.to_owned())),
    }
}

/// A slip of the pen in `--set` must not go unnoticed. In files it must: they may
/// be of another version.
fn check_option(jail: &str, option: &str) -> Result<(), LoadError> {
    if options::jail(option).is_some() || VARIABLES.contains(&option) {
        return Ok(());
    }
    Err(LoadError::NoOption {
        jail: jail.into(),
        option: option.into(),
    })
}

/// A jail that nobody defines is one that somebody misspelt. What is wrong in the
/// files themselves is told when they are read in earnest.
fn check_jails(files: &dyn Files, base: &Path, overrides: &[String]) -> Result<(), LoadError> {
    if overrides.is_empty() {
        return Ok(());
    }
    let (layers, _) = Layers::read_partly(files, base, "jail");
    let names = || {
        let name = |text: &'_ String| Some(text.split_once('=')?.0.trim().to_owned());
        overrides.iter().filter_map(name)
    };
    for name in names() {
        let Some((jail, _)) = name.rsplit_once('.') else {
            continue;
        };
        let made = names().any(|other| other == format!("{jail}.enabled"));
        if jail != "DEFAULT" && !layers.has_section(jail) && !made {
            return Err(LoadError::NoJail {
                jail: jail.to_owned(),
                near: nearest(jail, layers.sections()),
            });
        }
    }
    Ok(())
}

/// Whether a text may stand as a section or an option.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_become_files_of_their_own() {
        let cases = [
            ("sshd.bantime=1h", Some("[sshd]\nbantime = 1h\n")),
            (
                "my.jail.filter=sshd[mode=ddos]",
                Some("[my.jail]\nfilter = sshd[mode=ddos]\n"),
            ),
            ("sshd.port=2222", Some("[sshd]\nport = 2222\n")),
            ("sshd.maxretri=3", None),
            ("bantime=1h", None),
            ("sshd.bantime", None),
            (".x=1", None),
            ("sshd]\n[x.bantime=1", None),
            ("sshd.bantime=1\n[x]", None),
        ];
        for (text, expected) in cases {
            assert_eq!(file_of(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_jail_must_exist_or_be_switched_on() {
        let of = |texts: &[&str]| {
            files(
                &texts
                    .iter()
                    .map(|text| (*text).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(of(&["sshd.bantime=1h"]).is_ok());
        assert!(
            matches!(of(&["ssh.bantime=1h"]), Err(LoadError::NoJail { jail, .. }) if jail == "ssh")
        );
        assert!(of(&["web.enabled=true", "web.filter=sshd"]).is_ok());
    }
}
