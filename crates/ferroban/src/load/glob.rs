//! Files by a pattern, as Python's `glob` finds them.
//!
//! `*`, `?` and `[…]` stand for parts of one name, and never for a `.` at its start. The
//! result is in the order in which directories list their entries.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// How many directory entries one pattern may look at.
const MOST_ENTRIES: usize = 1_000_000;
/// Of how many bytes it may be: as many as a path may have.
const LONGEST: usize = 4096;
/// How many paths it may give.
const MOST_PATHS: usize = 10_000;

/// What a pattern found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) paths: Vec<String>,
    /// Whether that is everything.
    pub(super) complete: bool,
}

/// The paths that `pattern` stands for, dangling links among them. Names that are not
/// UTF-8 are left out.
pub(super) fn glob(pattern: &str) -> Found {
    let mut room = MOST_ENTRIES;
    if pattern.len() > LONGEST {
        // No path that exists is longer, and the way through is one call for each part.
        return Found {
            paths: Vec::new(),
            complete: true,
        };
    }
    let mut paths = walk(pattern, &mut room, false);
    let complete = room > 0 && paths.len() <= MOST_PATHS;
    paths.truncate(MOST_PATHS);
    Found { paths, complete }
}

fn walk(pattern: &str, room: &mut usize, directories: bool) -> Vec<String> {
    let (dir, name) = parts(pattern);
    if !is_magic(pattern) {
        return if exists(dir, name) {
            vec![pattern.to_owned()]
        } else {
            Vec::new()
        };
    }
    let dirs = if is_magic(dir) {
        walk(dir, room, true)
    } else {
        vec![dir.to_owned()]
    };
    let mut paths = Vec::new();
    for dir in dirs {
        if is_magic(name) {
            paths.extend(matching(&dir, &Pattern::new(name), room, directories));
        } else if exists(&dir, name) {
            paths.push(join(&dir, name));
        }
    }
    paths
}

/// The entries of a directory whose names fit.
fn matching(dir: &str, pattern: &Pattern, room: &mut usize, directories: bool) -> Vec<String> {
    let place = if dir.is_empty() { "." } else { dir };
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for entry in entries.flatten() {
        if *room == 0 {
            break;
        }
        *room -= 1;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = join(dir, &name);
        if pattern.fits(&name) && (!directories || Path::new(&path).is_dir()) {
            paths.push(path);
        }
    }
    paths
}

/// Everything up to the last `/`, without slashes at its end, and what follows.
fn parts(path: &str) -> (&str, &str) {
    let Some((_, name)) = path.rsplit_once('/') else {
        return ("", path);
    };
    let dir = path.strip_suffix(name).unwrap_or_default();
    let trimmed = dir.trim_end_matches('/');
    (if trimmed.is_empty() { dir } else { trimmed }, name)
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() || dir.ends_with('/') {
        format!("{dir}{name}")
    } else {
        format!("{dir}/{name}")
    }
}

/// Whether there is such an entry, be it a dangling link. Without a name the directory is
/// meant.
fn exists(dir: &str, name: &str) -> bool {
    if name.is_empty() {
        return Path::new(dir).is_dir();
    }
    fs::symlink_metadata(join(dir, name)).is_ok()
}

fn is_magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A part of a pattern for one name.
#[derive(Debug)]
enum Part {
    Char(char),
    Any,
    Many,
    Set {
        negated: bool,
        ranges: Vec<RangeInclusive<char>>,
    },
}

impl Part {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any | Self::Many => true,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|range| range.contains(&c)) != *negated
            }
        }
    }
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<Part>,
    hidden: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut rest = chars.as_slice();
        let mut parts = Vec::new();
        while let [first, after @ ..] = rest {
            rest = after;
            parts.push(match first {
                '*' => Part::Many,
                '?' => Part::Any,
                '[' => match set(after) {
                    Some((set, after)) => {
                        rest = after;
                        set
                    }
                    None => Part::Char('['),
                },
                c => Part::Char(*c),
            });
        }
        let hidden = text.starts_with('.');
        Self { parts, hidden }
    }

    fn fits(&self, name: &str) -> bool {
        if name.starts_with('.') && !self.hidden {
            return false;
        }
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // Where to go on if what follows the last `*` does not fit.
        let mut again: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.parts.get(part) {
                Some(Part::Many) => {
                    part += 1;
                    again = Some((part, at));
                }
                Some(own) if own.fits(name[at]) => {
                    part += 1;
                    at += 1;
                }
                _ => match &mut again {
                    Some((after, from)) => {
                        *from += 1;
                        (part, at) = (*after, *from);
                    }
                    None => return false,
                },
            }
        }
        let rest = self.parts.get(part..).unwrap_or_default();
        rest.iter().all(|part| matches!(part, Part::Many))
    }
}

/// The set after a `[`, and what follows its `]`. A `]` right at its start belongs to it.
fn set(text: &[char]) -> Option<(Part, &[char])> {
    let (negated, inside) = match text {
        ['!', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let end = 1 + inside.iter().skip(1).position(|c| *c == ']')?;
    let (mut members, after) = inside.split_at_checked(end)?;
    let mut ranges = Vec::new();
    loop {
        match members {
            [from, '-', to, rest @ ..] => {
                ranges.push(*from..=*to);
                members = rest;
            }
            [one, rest @ ..] => {
                ranges.push(*one..=*one);
                members = rest;
            }
            [] => return Some((Part::Set { negated, ranges }, after.get(1..)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_longer_than_any_path_finds_nothing_and_goes_no_deeper() {
        assert!(glob(&"/*".repeat(1 << 19)).paths.is_empty());
    }

    #[test]
    fn names_fit_as_in_python() {
        let cases = [
            ("*.log", "a.log", true),
            ("*.log", ".log", false),
            (".*", ".log", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("?", "ä", true),
            ("?", "", false),
            ("**", "abc", true),
            ("[a-c]1", "b1", true),
            ("[a-c]1", "d1", false),
            ("[!a-c]1", "d1", true),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[!]]", "x", true),
            ("[a-]", "-", true),
            ("[c-a]", "b", false),
            ("[", "[", true),
            ("[a", "[a", true),
            ("a[", "a", false),
            ("{a,b}", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                Pattern::new(pattern).fits(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = "*a".repeat(500);
        assert!(!Pattern::new(&pattern).fits(&"a".repeat(250)));
    }

    #[test]
    fn paths_are_found_through_directories() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().to_str().unwrap();
        for name in ["x1/a.log", "x2/a.log", "x2/b.log", "y/a.log", "x3"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("/nonexistent/file", dir.path().join("link")).unwrap();
        let cases: [(&str, &[&str]); 10] = [
            ("x*/a.log", &["x1/a.log", "x2/a.log"]),
            ("x2/*.log", &["x2/a.log", "x2/b.log"]),
            ("x*/", &["x1/", "x2/"]),
            ("x[12]/b*", &["x2/b.log"]),
            ("link", &["link"]),
            ("y", &["y"]),
            ("y/", &["y/"]),
            ("y/a.log/", &[]),
            ("none*", &[]),
            ("none/x*", &[]),
        ];
        for (pattern, expected) in cases {
            let mut found = glob(&format!("{base}/{pattern}")).paths;
            found.sort();
            let expected: Vec<String> = expected.iter().map(|p| format!("{base}/{p}")).collect();
            assert_eq!(found, expected, "{pattern}");
        }
        assert!(glob("").paths.is_empty());
        assert_eq!(glob("/").paths, ["/"]);
    }
}
