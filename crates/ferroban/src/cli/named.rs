//! What a word names to which a log is shown: a jail, a filter or the file of one; and what
//! else `fail2ban-regex` and `ferroban explain` have in common.

use std::path::{Path, PathBuf};

use crate::load::Folder;

/// Where rules come from.
#[derive(Debug)]
pub(super) enum Found {
    /// A jail of the configuration.
    Jail(String),
    /// A filter in the `filter.d` of a configuration.
    Filter { base: PathBuf, name: String },
    /// A file that belongs to no configuration.
    File(PathBuf),
}

/// Whether a text is a name, perhaps with options in brackets behind it.
pub(super) fn is_name(text: &str) -> bool {
    let (name, options) = match text.split_once('[') {
        Some((name, options)) => (name, Some(options)),
        None => (text, None),
    };
    let letter = |c: char| c.is_alphanumeric() || "_/-.".contains(c);
    let closed = options.is_none_or(|options| options.ends_with(']'));
    !name.is_empty() && name.chars().all(letter) && closed
}

/// What has this name in a configuration, or among the files.
pub(super) fn look_for(name: &str, folder: &mut Folder<'_>, config: &Path) -> Option<Found> {
    let path = Path::new(name);
    let ending = |ending: &str| path.extension().is_some_and(|own| own == ending);
    let is_file = ending("conf") || ending("local");
    let filters = config.join("filter.d");
    if !name.contains('/') {
        if !is_file && folder.has_jail(name) {
            return Some(Found::Jail(name.to_owned()));
        }
        return in_folder(&filters, path).then(|| filter(config, path));
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    if is_file && parent == Path::new("filter.d") && in_folder(&filters, path) {
        return Some(filter(config, path));
    }
    if parent.file_name().is_some_and(|name| name == "filter.d") {
        let base = parent.parent().unwrap_or(Path::new(""));
        let known = if parent == filters {
            in_folder(&filters, path)
        } else {
            path.is_file()
        };
        let base = if base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            base
        };
        return known.then(|| filter(base, path));
    }
    path.is_file().then(|| Found::File(path.to_owned()))
}

/// Whether `filter.d` has a file of this name, with or without its ending.
fn in_folder(filters: &Path, path: &Path) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    ["", ".conf", ".local"].iter().any(|ending| {
        let mut name = name.to_owned();
        name.push(ending);
        filters.join(name).is_file()
    })
}

fn filter(base: &Path, path: &Path) -> Found {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let name = match ending {
        Some("conf" | "local") => path.file_stem(),
        _ => path.file_name(),
    };
    Found::Filter {
        base: base.to_owned(),
        name: name.unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// A line without the end that every line has.
pub(super) fn without_end(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_for() {
        let rows = [
            ("sshd", true),
            ("sshd[mode=x]", true),
            ("sshd[a=b][c=d]", true),
            ("sshd[a=b]]", true),
            ("/a-b/c_d.conf", true),
            ("é", true),
            ("", false),
            ("[a=b]", false),
            ("sshd[a=b", false),
            ("sshd [a=b]", false),
            ("sshd[a=b] ", false),
            ("a b", false),
            ("^x", false),
            ("<HOST>", false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}
