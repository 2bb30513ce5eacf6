//! The configuration inside the program, for machines that have none.

use ferroban_config::Memory;

use super::{LoadError, host};

/// Where the files pretend to be.
pub(super) const BASE: &str = "/embedded";

const FILES: &[(&str, &str)] = &[
    ("jail.conf", include_str!("../../config/jail.conf")),
    (
        "filter.d/sshd.conf",
        include_str!("../../config/filter.d/sshd.conf"),
    ),
];

/// The files, with what this host tells about itself and with `overrides` laid
/// over them as an administrator's own files would be, one file each.
pub(super) fn files(overrides: &[String]) -> Result<Memory, LoadError> {
    let stock = FILES
        .iter()
        .map(|(name, text)| Ok(((*name).to_owned(), (*text).to_owned())));
    let host = std::iter::once(Ok(("jail.d/host.conf".to_owned(), host::jails())));
    let own = overrides
        .iter()
        .enumerate()
        .map(|(index, text)| Ok((format!("jail.d/set-{index:04}.local"), file_of(text)?)));
    let path = |(name, text)| (format!("{BASE}/{name}"), text);
    stock
        .chain(host)
        .chain(own)
        .map(|file| file.map(path))
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
            if is_word(jail) && is_word(option) && !value.contains('\n') =>
        {
            Ok(format!("[{jail}]\n{option} = {value}\n"))
        }
        _ => Err(LoadError::Override(text.to_owned())),
    }
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
}
