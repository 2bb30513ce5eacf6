//! What this host tells about itself: where its sshd listens and what it logs.
//!
//! A ban on port 22 is worthless where sshd listens on 2222, and where sshd logs
//! errors only, nobody but PAM tells of wrong passwords. The configuration is read as
//! sshd reads it; what it says for some connections only (`Match`) is left out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ferroban_engine::{FilterSettings, UseDns};

use super::glob::glob;

/// The folder of sshd's configuration.
pub(super) const SSH: &str = "/etc/ssh";

/// How deep sshd follows `Include`.
const DEEPEST: usize = 16;
/// How many files are read; who includes more goes in circles.
const MOST_FILES: usize = 1000;
/// How much of a file is read.
const MOST_BYTES: u64 = 1 << 20;

/// A configuration file with what was found out, empty if nothing was; and what is
/// there but cannot be read.
pub(super) fn jails(folder: &Path) -> (String, Vec<String>) {
    let sshd = Sshd::read(folder);
    (jails_of(&sshd.settings), sshd.problems)
}

fn jails_of(settings: &[Setting]) -> String {
    let mut options = Vec::new();
    let ports: Vec<String> = ports(settings).iter().map(u16::to_string).collect();
    if !ports.is_empty() {
        options.push(format!("port = ssh,{}\n", ports.join(",")));
    }
    if is_quiet(settings) {
        options.push("filter = sshd[attempts=pam]\n".to_owned());
    }
    if options.is_empty() {
        String::new()
    } else {
        format!("[sshd]\n{}", options.concat())
    }
}

/// What to do where sshd writes names into its log and `filter`, which looks for its
/// lines, takes none: their owner says which addresses belong to them.
pub(super) fn names_advice(folder: &Path, filter: &FilterSettings) -> Option<String> {
    let patterns = || filter.prefregex.iter().chain(&filter.failregex);
    let takes_names = |text: &String| {
        ["<HOST>", "<DNS>", "(?P<dns>"]
            .iter()
            .any(|t| text.contains(t))
    };
    let for_sshd = patterns().any(|text| text.contains("sshd"));
    if !for_sshd || (filter.usedns != UseDns::No && patterns().any(takes_names)) {
        return None;
    }
    let settings = Sshd::read(folder).settings;
    let first = settings
        .iter()
        .find(|setting| setting.keyword == "usedns")?;
    let on = first.values.first()?.eq_ignore_ascii_case("yes");
    on.then(|| {
        format!(
            "sshd may write names in place of addresses, which are not counted (UseDNS yes in \
             {}/sshd_config); set UseDNS no there",
            folder.display()
        )
    })
}

/// The ports that sshd listens on, without 22.
fn ports(settings: &[Setting]) -> BTreeSet<u16> {
    let port = |setting: &Setting| -> Option<u16> {
        let value = setting.values.first()?;
        match setting.keyword.as_str() {
            "port" => value.parse().ok(),
            // `host:port` or `[address]:port`; a bare IPv6 address has colons too.
            "listenaddress" => {
                let (host, port) = value.rsplit_once(':')?;
                let bare = host.contains(':') && !host.ends_with(']');
                (!bare).then(|| port.parse().ok()).flatten()
            }
            _ => None,
        }
    };
    settings
        .iter()
        .filter_map(port)
        .filter(|port| *port != 22)
        .collect()
}

/// Whether sshd keeps quiet about wrong passwords. The first level that is given counts.
fn is_quiet(settings: &[Setting]) -> bool {
    let first = settings
        .iter()
        .find(|setting| setting.keyword == "loglevel");
    let level = first.and_then(|setting| setting.values.first());
    level.is_some_and(|level| {
        ["SILENT", "QUIET", "FATAL", "ERROR"].contains(&level.to_ascii_uppercase().as_str())
    })
}

/// sshd's configuration as far as it holds for every connection, in its order.
struct Sshd<'a> {
    folder: &'a Path,
    settings: Vec<Setting>,
    problems: Vec<String>,
    /// The files that are being read, each included by the one before it.
    chain: Vec<PathBuf>,
    files: usize,
}

impl<'a> Sshd<'a> {
    fn read(folder: &'a Path) -> Self {
        let mut sshd = Self {
            folder,
            settings: Vec::new(),
            problems: Vec::new(),
            chain: Vec::new(),
            files: 0,
        };
        sshd.file(folder.join("sshd_config"));
        sshd
    }

    fn file(&mut self, path: PathBuf) {
        if self.chain.contains(&path) || self.files > MOST_FILES {
            return;
        }
        self.files += 1;
        let shown = path.display();
        if self.chain.len() > DEEPEST || self.files > MOST_FILES {
            let text = format!(
                "{shown}: not read: includes go too deep or are too many; include fewer files"
            );
            return self.problems.push(text);
        }
        let text = match text(&path) {
            Ok(text) => text,
            // No sshd here, or an `Include` of a folder, which sshd leaves alone too.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.chain.is_empty() => {
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return,
            Err(error) => {
                let text = format!(
                    "{shown}: cannot be read, so sshd may listen or log in another way than is \
                     thought; make it readable, or give port and filter by hand: {error}"
                );
                return self.problems.push(text);
            }
        };
        self.chain.push(path);
        let mut for_all = true;
        for setting in text.lines().filter_map(Setting::of) {
            match setting.keyword.as_str() {
                // It holds up to the next one or the end of its file.
                "match" => for_all = setting.is_for_all(),
                _ if !for_all => {}
                "include" => self.include(&setting.values),
                _ => self.settings.push(setting),
            }
        }
        self.chain.pop();
    }

    fn include(&mut self, patterns: &[String]) {
        for pattern in patterns {
            let pattern = self.folder.join(pattern);
            let mut paths = pattern.to_str().map_or_else(Vec::new, |p| glob(p).paths);
            paths.sort_unstable();
            for path in paths {
                self.file(path.into());
            }
        }
    }
}

/// People write comments in every encoding.
fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One line that says something.
struct Setting {
    /// In lower case.
    keyword: String,
    values: Vec<String>,
}

impl Setting {
    fn of(line: &str) -> Option<Self> {
        let line = line.trim();
        let (keyword, rest) = line.split_at(line.find(|c: char| c.is_whitespace() || c == '=')?);
        let rest = rest.trim_start();
        Some(Self {
            keyword: keyword.trim_matches('"').to_ascii_lowercase(),
            values: words(rest.strip_prefix('=').unwrap_or(rest)),
        })
    }

    /// `Match all` is how one goes back to what holds for every connection.
    fn is_for_all(&self) -> bool {
        matches!(self.values.as_slice(), [only] if only.eq_ignore_ascii_case("all"))
    }
}

/// Words, which may be quoted, up to a comment.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == '#' && word.is_none() => break,
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

    use tempfile::TempDir;

    /// Names and texts.
    type Files<'a> = &'a [(&'a str, &'a str)];

    /// A folder with these files; `DIR` in a text is the folder.
    fn folder(files: Files<'_>) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().to_str().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("DIR", own)).unwrap();
        }
        folder
    }

    /// What is found out where everything can be read.
    fn found(files: Files<'_>) -> String {
        let folder = folder(files);
        let (text, problems) = jails(folder.path());
        assert!(problems.is_empty(), "{problems:?}");
        text
    }

    #[test]
    fn ports_are_found_however_sshd_accepts_them() {
        let cases = [
            ("Port 2222\n", vec![2222]),
            ("  port = 2222\nPort 22\n", vec![2222]),
            (
                "Port=\"2222\" # not 22\r\n\"Port\" '2223'\n",
                vec![2222, 2223],
            ),
            ("#Port 2222\n", vec![]),
            (
                "ListenAddress 192.0.2.1:2022\nListenAddress [2001:db8::1]:2023\n",
                vec![2022, 2023],
            ),
            (
                "ListenAddress 2001:db8::22\nListenAddress 0.0.0.0\n",
                vec![],
            ),
            ("PortForwarding 5\nGatewayPorts no\nPort\n", vec![]),
        ];
        for (text, expected) in cases {
            let settings: Vec<Setting> = text.lines().filter_map(Setting::of).collect();
            assert_eq!(Vec::from_iter(ports(&settings)), expected, "{text}");
        }
    }

    #[test]
    fn what_was_found_out_is_a_configuration() {
        const QUIET: &str = "[sshd]\nfilter = sshd[attempts=pam]\n";
        let cases = [
            ("", ""),
            ("Port 2222\n", "[sshd]\nport = ssh,2222\n"),
            ("loglevel error\n", QUIET),
            ("LogLevel \"SILENT\"\n", QUIET),
            ("LogLevel VERBOSE\nLogLevel QUIET\n", ""),
            ("LogLevel QUIET\nLogLevel VERBOSE\n", QUIET),
            ("Match User git\nLogLevel QUIET\n", ""),
            (
                "Match User git\nLogLevel INFO\nMatch all\nLogLevel QUIET\n",
                QUIET,
            ),
            ("Match all\nMatch Group all\nLogLevel QUIET\n", ""),
            (
                "LogLevel QUIET\nPort 2222\n",
                "[sshd]\nport = ssh,2222\nfilter = sshd[attempts=pam]\n",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(found(&[("sshd_config", text)]), expected, "{text}");
        }
        assert_eq!(found(&[]), "", "no sshd");
    }

    #[test]
    fn names_in_the_log_are_told_where_nobody_takes_them() {
        let advised = |config: &str, pattern: &str, usedns| {
            let folder = folder(&[("sshd_config", config)]);
            let filter = FilterSettings {
                failregex: vec![pattern.to_owned()],
                usedns,
                ..FilterSettings::default()
            };
            names_advice(folder.path(), &filter).is_some()
        };
        let on = "Match User git\nUseDNS no\nMatch all\nusedns YES\nUseDNS no\n";
        let (address, name) = ("sshd.* from <ADDR>", "sshd.* from <HOST>");
        assert!(advised(on, address, UseDns::Warn));
        assert!(advised(on, name, UseDns::No));
        assert!(!advised(on, name, UseDns::Warn), "they are resolved");
        assert!(!advised(on, "imapd.* from <ADDR>", UseDns::Warn));
        assert!(!advised("UseDNS no\nUseDNS yes\n", address, UseDns::Warn));
        assert!(!advised("Port 22\n", address, UseDns::Warn));
    }

    #[test]
    fn includes_are_read_in_their_place_and_in_order() {
        let quiet = ("sshd_config.d/50-quiet.conf", "LogLevel QUIET\n");
        let verbose = ("sshd_config.d/40-verbose.conf", "LogLevel VERBOSE\n");
        let other = ("sshd_config.d/10.bak", "LogLevel QUIET\n");
        let all = "Include DIR/sshd_config.d/*.conf\n";
        let info = "LogLevel INFO\n";
        let cases: [(&str, Files<'_>, bool); 9] = [
            (&format!("{all}{info}"), &[quiet], true),
            (&format!("{info}{all}"), &[quiet], false),
            (all, &[quiet, verbose], false),
            (all, &[other], false),
            ("# nothing is included\n", &[quiet], false),
            ("include=sshd_config.d/1*.bak # old\n", &[other], true),
            (
                "Include nosuch \"a b\"\n",
                &[("a b", "LogLevel QUIET\n")],
                true,
            ),
            (&format!("Match User git\n{all}"), &[quiet], false),
            (
                // What an included file says of some ends with it.
                "Include m\nLogLevel QUIET\n",
                &[("m", "Match User git\nLogLevel INFO\n")],
                true,
            ),
        ];
        for (text, beside, expected) in cases {
            let files = [&[("sshd_config", text)], beside].concat();
            assert_eq!(!found(&files).is_empty(), expected, "{text} {beside:?}");
        }
    }

    #[test]
    fn a_byte_of_another_encoding_does_not_hide_a_file() {
        let folder = folder(&[]);
        fs::write(
            folder.path().join("sshd_config"),
            b"# f\xfcr alle\nPort 2222\n",
        )
        .unwrap();
        assert_eq!(jails(folder.path()).0, "[sshd]\nport = ssh,2222\n");
    }

    #[test]
    fn circles_and_depths_end() {
        let circle = [
            ("sshd_config", "Include a sshd_config\nPort 2222\n"),
            ("a", "Include b\n"),
            ("b", "Include DIR/a\n"),
        ];
        assert_eq!(found(&circle), "[sshd]\nport = ssh,2222\n");

        // Each includes the next one `times` times, and the last one has the port.
        let chain = |depth: usize, times: usize| {
            let name = |n: usize| match n {
                0 => "sshd_config".to_owned(),
                n => format!("f{n}"),
            };
            let text = |n: usize| match n {
                n if n == depth => "Port 2222\n".to_owned(),
                n => format!("Include {}\n", name(n + 1)).repeat(times),
            };
            let files: Vec<_> = (0..=depth).map(|n| (name(n), text(n))).collect();
            let files: Vec<_> = files
                .iter()
                .map(|(n, t)| (n.as_str(), t.as_str()))
                .collect();
            let folder = folder(&files);
            let (text, problems) = jails(folder.path());
            (!text.is_empty(), problems.len())
        };
        assert_eq!(chain(16, 1), (true, 0));
        assert_eq!(chain(17, 1), (false, 1));
        assert_eq!(chain(16, 2), (true, 1), "2^16 files, but for the limit");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told() {
        // A link to itself: nobody can open it, not even root.
        let folder = folder(&[("sshd_config", "Include *.conf\nPort 2222\n")]);
        let link = folder.path().join("x.conf");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        let (text, problems) = jails(folder.path());
        assert_eq!(text, "[sshd]\nport = ssh,2222\n");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("x.conf: cannot be read"),
            "{problems:?}"
        );
    }
}
