//! The file of an action in Python, and whether it may be run.
//!
//! It runs with our rights. So nobody else may have written it: not the file, and not
//! the folder in which somebody could put another in its place. What was checked is what
//! runs: the text is read once, from the file that was looked at.

use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use serde_json::{Map, Value};

use crate::action::Options;

/// The longest file, in bytes.
const MOST: u64 = 1 << 20;
/// Who may write although he is not the owner.
const OTHERS: u32 = 0o022;

/// Where Python is. The second is looked for in `PATH`.
const PROGRAMS: [&str; 2] = ["/usr/bin/python3", "python3"];

/// An action in Python as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// The file.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: String,
    /// What its class is given.
    pub(super) options: Map<String, Value>,
    /// What is set once it is made.
    pub(super) properties: Options,
    /// The program that runs it.
    pub(super) program: &'static str,
}

/// Why a file would not be run; nothing if it would, or is not there.
pub(crate) fn refusal(path: &Path) -> Option<String> {
    match checked(path) {
        Ok(_) => None,
        Err(What::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(what) => Some(
            Error {
                path: path.display().to_string(),
                what,
            }
            .to_string(),
        ),
    }
}

/// Why a file is not run.
#[derive(Debug)]
pub(crate) struct Error {
    path: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Io(&'static str, io::Error),
    NoFile,
    /// Whose it is, if it is somebody else's; else its mode.
    Others(PathBuf, Option<u32>, u32),
    TooLong,
    NoText,
    NoPython,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.what {
            What::Io(doing, error) if error.kind() == io::ErrorKind::NotFound => {
                write!(
                    f,
                    "cannot be {doing}: there is no such file; create it, or name another"
                )
            }
            What::Io(doing, error) => write!(f, "cannot be {doing}: {error}"),
            What::NoFile => f.write_str("this is no regular file; name one that is"),
            What::Others(path, Some(owner), _) => {
                let path = path.display();
                write!(
                    f,
                    "not run, since {path} belongs to user {owner}: run chown root on it"
                )
            }
            What::Others(path, None, mode) => {
                let path = path.display();
                write!(
                    f,
                    "not run, since others than its owner may write {path} (mode {:o}): run chmod \
                     go-w on it",
                    mode & 0o7777
                )
            }
            What::TooLong => write!(f, "more than {MOST} bytes; an action is a small program"),
            What::NoText => f.write_str("this is not in UTF-8; convert it"),
            What::NoPython => write!(
                f,
                "actions in Python need {}, which is not there; install python3, or use an action \
                 of action.d/*.conf",
                PROGRAMS[0]
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Source {
    /// Reads a file, if it may be run.
    pub(crate) fn read(
        path: &str,
        options: Map<String, Value>,
        properties: Options,
    ) -> Result<Self, Error> {
        let read = || {
            let program = python(&PROGRAMS).ok_or(What::NoPython)?;
            Ok((program, checked(Path::new(path))?))
        };
        let (program, text) = read().map_err(|what| Error {
            path: path.to_owned(),
            what,
        })?;
        Ok(Self {
            path: path.to_owned(),
            text,
            options,
            properties,
            program,
        })
    }
}

impl Source {
    /// A number that another source hardly has.
    pub(crate) fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let options = Value::Object(self.options.clone()).to_string();
        (&self.path, &self.text, options, &self.properties).hash(&mut hasher);
        hasher.finish()
    }
}

/// The text of a file that nobody else can have written.
fn checked(path: &Path) -> Result<String, What> {
    let opened = |error: io::Error| What::Io("opened", error);
    // Opening must not wait for somebody who writes.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(file.map_err(|error| opened(error.into()))?);
    let about = file.metadata().map_err(opened)?;
    if !about.is_file() {
        return Err(What::NoFile);
    }
    must_be_ours(path, &about)?;
    // A link is as safe as its own folder and the one of what it leads to.
    let real = fs::canonicalize(path).map_err(opened)?;
    for path in [path, &real] {
        if let Some(folder) = path.parent() {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            must_be_ours(folder, &fs::metadata(folder).map_err(opened)?)?;
        }
    }
    let mut bytes = Vec::new();
    let mut file = file.take(MOST + 1);
    let count = file.read_to_end(&mut bytes);
    count.map_err(|error| What::Io("read", error))?;
    if bytes.len() as u64 > MOST {
        return Err(What::TooLong);
    }
    String::from_utf8(bytes).map_err(|_| What::NoText)
}

fn must_be_ours(path: &Path, about: &fs::Metadata) -> Result<(), What> {
    let owner = about.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(What::Others(path.to_owned(), Some(owner), about.mode()));
    }
    if about.mode() & OTHERS != 0 {
        return Err(What::Others(path.to_owned(), None, about.mode()));
    }
    Ok(())
}

/// The first of these programs that is there.
fn python(programs: &[&'static str]) -> Option<&'static str> {
    let is_there = |program: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        found || (program.starts_with('/') && Path::new(program).is_file())
    };
    programs.iter().find(is_there).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::{PermissionsExt, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Why a file is refused, missing or not; empty if it is not.
    fn refused(path: &Path) -> String {
        let error = checked(path).err();
        let path = path.display().to_string();
        error.map_or_else(String::new, |what| Error { path, what }.to_string())
    }

    #[test]
    fn a_file_that_others_may_write_or_replace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.py");
        fs::write(&path, "x = 1\n").unwrap();
        chmod(&path, 0o644);
        assert_eq!(checked(&path).unwrap(), "x = 1\n");
        for (file, around, why) in [
            (
                0o664,
                0o755,
                "may write FOLDER/a.py (mode 664): run chmod go-w on it",
            ),
            (0o646, 0o755, "may write FOLDER/a.py (mode 646)"),
            (0o644, 0o775, "may write FOLDER (mode 775)"),
            (0o644, 0o1777, "may write FOLDER (mode 1777)"),
        ] {
            chmod(&path, file);
            chmod(folder.path(), around);
            let told = refused(&path);
            let why = why.replace("FOLDER", &folder.path().display().to_string());
            assert!(told.contains(&why), "{told}");
            assert!(told.starts_with(&path.display().to_string()), "{told}");
        }
    }

    #[test]
    fn a_link_is_as_safe_as_both_folders() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, path) = (here.path().join("a.py"), there.path().join("b.py"));
        fs::write(&path, "x = 1\n").unwrap();
        chmod(&path, 0o644);
        symlink(&path, &link).unwrap();
        assert_eq!(refused(&link), "");
        assert_eq!(refusal(&link), None);
        chmod(there.path(), 0o777);
        assert!(refused(&link).contains("chmod"), "{}", refused(&link));
        assert_eq!(refusal(&link), Some(refused(&link)));
    }

    #[test]
    fn what_is_no_file_or_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let must_be = |name: &str, why: &str| {
            let told = refused(&path(name));
            assert!(told.contains(why), "{name}: {told}");
        };
        must_be("missing.py", "there is no such file; create it");
        assert_eq!(refusal(&path("missing.py")), None, "others tell that");
        fs::create_dir(path("folder.py")).unwrap();
        must_be("folder.py", "no regular file");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo.py"),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
        must_be("fifo.py", "no regular file");
        fs::write(path("latin.py"), b"x = '\xe9'\n").unwrap();
        chmod(&path("latin.py"), 0o600);
        must_be("latin.py", "not in UTF-8");
        fs::write(path("long.py"), "#".repeat((1 << 20) + 1)).unwrap();
        chmod(&path("long.py"), 0o600);
        must_be("long.py", "more than 1048576 bytes");
    }

    #[test]
    fn somebody_elses_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.py");
        fs::write(&path, "x = 1\n").unwrap();
        chmod(&path, 0o644);
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
            // Only root gives files away.
            return;
        }
        let told = refused(&path);
        assert!(
            told.contains("belongs to user 65534: run chown root"),
            "{told}"
        );
    }

    #[test]
    fn python_is_looked_for_and_missed() {
        assert_eq!(python(&["/no/such/python3", "no-such-python3"]), None);
        assert_eq!(python(&["/no/such/python3", "sh"]), Some("sh"));
        let error = Error {
            path: "/a.py".into(),
            what: What::NoPython,
        };
        let told = error.to_string();
        assert!(
            told.contains("/a.py: ") && told.contains("install python3"),
            "{told}"
        );
    }
}
