//! Who may lean on whom, read from the sources.
//!
//! Cargo keeps the crates apart, and here it is told which way. Inside `ferroban`
//! nothing does, so this test reads every path that starts with `crate::`, or that
//! leaves its room through `super::`, and fails on one that points up or sideways.
//! It also keeps the few things that only one place may do (ask the time, start a
//! child, print) in that place. An `#[expect]` quiets clippy; it does not quiet this.

#[cfg(test)]
#[path = "layers/tokens.rs"]
mod tokens;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::tokens::{inline_depths, looks, rooms_named, test_items, tokens};

    /// The rooms of `ferroban`, from the top. A room may use those of the rows below.
    const LAYERS: [&[&str]; 4] = [
        &["cli"],
        &["daemon"],
        &["load", "source", "action", "store", "wire"],
        &["log", "clock", "names", "report", "process", "sys"],
    ];
    /// What a room may use of its own row: a line of the log starts with the time, a
    /// command has a limit of time and is told in the log, and what a name stands for is
    /// known for a while.
    const SIDEWAYS: [(&str, &str); 5] = [
        ("log", "clock"),
        ("names", "clock"),
        ("log", "names"),
        ("process", "clock"),
        ("process", "log"),
    ];

    /// What a crate may use of ours.
    const CRATES: [(&str, &[&str]); 5] = [
        ("regex", &[]),
        ("config", &[]),
        ("date", &["ferroban-regex"]),
        (
            "engine",
            &["ferroban-config", "ferroban-date", "ferroban-regex"],
        ),
        (
            "ferroban",
            &["ferroban-engine", "ferroban-config", "ferroban-date"],
        ),
    ];

    /// Something that only a few places may do.
    struct Reserved {
        /// How it looks, as tokens with a blank between them.
        looks: &'static [&'static str],
        /// Files, or folders that end with a slash.
        places: &'static [&'static str],
        /// Whether tests are bound too.
        tests: bool,
    }

    const RESERVED: [Reserved; 4] = [
        Reserved {
            looks: &["unsafe"],
            places: &["ferroban/src/sys/"],
            tests: true,
        },
        Reserved {
            looks: &["SystemTime :: now", "Instant :: now", "Zoned :: now"],
            places: &["ferroban/src/clock.rs"],
            tests: false,
        },
        Reserved {
            looks: &["Command :: new"],
            places: &["ferroban/src/process.rs", "ferroban/src/process/"],
            tests: false,
        },
        Reserved {
            looks: &[
                "io :: stdout",
                "io :: stderr",
                "stdout ( )",
                "stderr ( )",
                "println !",
                "print !",
                "eprintln !",
                "eprint !",
                "dbg !",
            ],
            places: &["ferroban/src/cli/out.rs", "ferroban/src/log.rs"],
            tests: false,
        },
    ];

    #[test]
    fn in_ferroban_uses_point_down_only() {
        let files = sources("ferroban/src");
        assert!(files.len() > 20, "the sources were found: {}", files.len());
        let offences = files
            .iter()
            .flat_map(|(name, text)| wrong_uses(name, text))
            .collect::<Vec<_>>();
        none(&offences);
    }

    #[test]
    fn what_is_reserved_for_one_place_is_done_there_only() {
        let mut offences = Vec::new();
        for (name, _) in CRATES {
            let files = sources(&format!("{name}/src"));
            let tests = test_files(&files);
            for (name, text) in &files {
                let is_test = tests.iter().any(|test| {
                    name.strip_suffix(".rs") == Some(test) || name.starts_with(&format!("{test}/"))
                });
                offences.extend(trespasses(name, text, is_test));
            }
        }
        none(&offences);
    }

    #[test]
    fn the_crates_depend_on_each_other_as_drawn() {
        let mut folders: Vec<String> = entries(&crates())
            .iter()
            .filter(|path| path.join("Cargo.toml").exists())
            .map(|path| relative(path))
            .collect();
        folders.sort();
        let mut drawn = CRATES.map(|(name, _)| name);
        drawn.sort_unstable();
        assert_eq!(folders, drawn, "each crate has a row in CRATES");
        let read = |name: &str| fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
        let offences = CRATES
            .iter()
            .flat_map(|(name, may)| wrong_dependencies(name, &read(name), may))
            .collect::<Vec<_>>();
        none(&offences);
    }

    /// Paths of `file` that lead to a room which its own room may not use.
    fn wrong_uses(file: &str, text: &str) -> Vec<String> {
        let path = module_path(file);
        // The roof holds the rooms, and the programs only knock at the door of `cli`.
        let Some(room) = path
            .first()
            .filter(|room| *room != "main" && *room != "bin")
        else {
            return Vec::new();
        };
        if layer(room).is_none() {
            return vec![format!("{file}:1: no row in LAYERS has the room '{room}'")];
        }
        let tokens = tokens(text);
        let mut offences = Vec::new();
        for (index, depth) in inline_depths(&tokens).into_iter().enumerate() {
            for used in rooms_named(&tokens, index, path.len() + depth) {
                if let Some(why) = forbidden(room, &used) {
                    let line = tokens[index].line;
                    offences.push(format!("{file}:{line}: {room} uses {used}: {why}"));
                }
            }
        }
        offences
    }

    fn forbidden(room: &str, used: &str) -> Option<&'static str> {
        let is_constant = used.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if used == room || is_constant || SIDEWAYS.contains(&(room, used)) {
            return None;
        }
        match (layer(room)?, layer(used)) {
            (_, None) => Some("not a room"),
            (own, Some(other)) if other < own => Some("points up"),
            (own, Some(other)) if other == own => Some("points sideways"),
            _ => None,
        }
    }

    fn layer(room: &str) -> Option<usize> {
        LAYERS.iter().position(|row| row.contains(&room))
    }

    /// What only other places may do, and `file` does.
    fn trespasses(file: &str, text: &str, is_test: bool) -> Vec<String> {
        let tokens = tokens(text);
        let in_test = test_items(&tokens);
        let mut offences = Vec::new();
        for rule in &RESERVED {
            if rule
                .places
                .iter()
                .any(|place| file == *place || place.ends_with('/') && file.starts_with(place))
            {
                continue;
            }
            for (index, token) in tokens.iter().enumerate() {
                let free = !rule.tests && (is_test || in_test[index]);
                let found = rule.looks.iter().find(|look| looks(&tokens, index, look));
                if let Some(look) = found.filter(|_| !free) {
                    let place = rule.places[0];
                    offences.push(format!(
                        "{file}:{}: `{}` is for {place}",
                        token.line,
                        look.replace(' ', "")
                    ));
                }
            }
        }
        offences
    }

    /// Dependencies on our own crates that the drawing does not have. A test may use
    /// what it likes: Cargo itself refuses circles.
    fn wrong_dependencies(name: &str, manifest: &str, may: &[&str]) -> Vec<String> {
        let mut section = String::new();
        let mut offences = Vec::new();
        for (index, line) in manifest.lines().enumerate() {
            let line = line.trim();
            // A table of its own, `[dependencies.ferroban-x]`, or a row of the section.
            let mut named = line
                .split(['.', '=', ' '])
                .next()
                .unwrap_or_default()
                .trim_matches('"');
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']').to_owned();
                named = section.rsplit('.').next().unwrap_or_default();
            }
            let counts = section
                .split('.')
                .any(|part| part == "dependencies" || part == "build-dependencies");
            // `other = { package = "ferroban-x" }`
            let renamed = line
                .split("package = \"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            for dependency in [Some(named), renamed].into_iter().flatten() {
                if counts && dependency.starts_with("ferroban") && !may.contains(&dependency) {
                    offences.push(format!(
                        "{name}/Cargo.toml:{}: {name} may not use {dependency}",
                        index + 1
                    ));
                }
            }
        }
        offences
    }

    fn none(offences: &[String]) {
        assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
    }

    fn crates() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .to_owned()
    }

    fn relative(path: &Path) -> String {
        path.strip_prefix(crates())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// All Rust files below `folder`, by their names below `crates/`, with their texts.
    fn sources(folder: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        let mut folders = vec![crates().join(folder)];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    files.push((relative(&path), fs::read_to_string(&path).unwrap()));
                }
            }
        }
        files.sort();
        files
    }

    /// `ferroban/src/source/file.rs` is `source::file`, and `lib.rs` is nothing.
    fn module_path(file: &str) -> Vec<String> {
        let mut path: Vec<String> = file
            .trim_end_matches(".rs")
            .split('/')
            .skip_while(|part| *part != "src")
            .skip(1)
            .map(ToOwned::to_owned)
            .collect();
        if path
            .last()
            .is_some_and(|last| last == "mod" || last == "lib")
        {
            path.pop();
        }
        path
    }

    /// The files, without `.rs`, that another one declares with `#[cfg(test)] mod name;`.
    fn test_files(files: &[(String, String)]) -> Vec<String> {
        let mut found = Vec::new();
        for (file, text) in files {
            let tokens = tokens(text);
            let in_test = test_items(&tokens);
            let own = file.trim_end_matches(".rs");
            // A root file's modules lie beside it, another file's in a folder of its name.
            let folder = ["/lib", "/mod", "/main"]
                .iter()
                .find_map(|root| own.strip_suffix(root))
                .unwrap_or(own);
            for (index, _) in in_test.iter().enumerate().filter(|(_, is)| **is) {
                if looks(&tokens, index, "mod")
                    && tokens.get(index + 2).is_some_and(|t| t.text == ";")
                {
                    found.push(format!("{folder}/{}", tokens[index + 1].text));
                }
            }
        }
        found
    }

    /// A file, its text, and its offences without the name of the file.
    type Case = (&'static str, &'static str, &'static [&'static str]);

    const USES: &[Case] = &[
        ("wire.rs", "use crate::clock;", &[]),
        (
            "wire.rs",
            "\nuse crate::daemon;",
            &["2: wire uses daemon: points up"],
        ),
        (
            "wire.rs",
            "use crate::store::Row;",
            &["1: wire uses store: points sideways"],
        ),
        ("wire/text.rs", "use crate::wire::frame;", &[]),
        (
            "daemon/actor.rs",
            "use crate::{action::Job, sys, cli::{out, x}, log};",
            &["1: daemon uses cli: points up"],
        ),
        (
            "daemon.rs",
            "fn f() {\n  crate::cli::main()\n}",
            &["2: daemon uses cli: points up"],
        ),
        ("log.rs", "use crate::clock;", &[]),
        (
            "clock.rs",
            "use crate::log;",
            &["1: clock uses log: points sideways"],
        ),
        ("wire.rs", "f(crate::COMPATIBLE)", &[]),
        (
            "wire.rs",
            "use crate::helpers::x;",
            &["1: wire uses helpers: not a room"],
        ),
        ("wire.rs", "use crate::*;", &["1: wire uses *: not a room"]),
        (
            "extra/x.rs",
            "",
            &["1: no row in LAYERS has the room 'extra'"],
        ),
        // super
        ("wire/text.rs", "use super::store;", &[]),
        (
            "wire.rs",
            "use super::store;",
            &["1: wire uses store: points sideways"],
        ),
        (
            "wire/text.rs",
            "use super::super::daemon;",
            &["1: wire uses daemon: points up"],
        ),
        ("wire.rs", "mod tests { use super::*; }", &[]),
        (
            "wire.rs",
            "mod a { mod b { use super::super::super::store; } }",
            &["1: wire uses store: points sideways"],
        ),
        (
            "wire.rs",
            "mod a {}\nuse super::{log, store::Row};",
            &["2: wire uses store: points sideways"],
        ),
        (
            "wire/mod.rs",
            "use super::daemon;",
            &["1: wire uses daemon: points up"],
        ),
        // What is not code.
        (
            "wire.rs",
            "//! [`x`](crate::daemon)\n/* /* */ crate::cli */ f(\"crate::cli\", r#\"\"crate::cli\"#, '\"', 'a', b'\\'')",
            &[],
        ),
        (
            "wire.rs",
            "f::<'a>(\"\\\"\"); crate::cli::x",
            &["1: wire uses cli: points up"],
        ),
        // The roof and the programs.
        ("lib.rs", "pub use crate::cli::x;", &[]),
        ("bin/fail2ban.rs", "ferroban::cli::main()", &[]),
    ];

    #[test]
    fn a_use_that_points_up_or_sideways_is_seen_with_its_line() {
        for (file, text, expected) in USES {
            let file = format!("ferroban/src/{file}");
            let expected: Vec<String> =
                expected.iter().map(|end| format!("{file}:{end}")).collect();
            assert_eq!(wrong_uses(&file, text), expected, "{file}: {text}");
        }
    }

    const TRESPASSES: &[Case] = &[
        ("ferroban/src/sys/journal.rs", "unsafe { f() }", &[]),
        (
            "ferroban/src/wire.rs",
            "\nunsafe { f() }",
            &["2: `unsafe` is for ferroban/src/sys/"],
        ),
        (
            "date/src/zone.rs",
            "#[cfg(test)] mod t { unsafe { f() } }",
            &["1: `unsafe` is for ferroban/src/sys/"],
        ),
        (
            "engine/src/lib.rs",
            "#![forbid(unsafe_code)] // unsafe",
            &[],
        ),
        ("ferroban/src/clock.rs", "SystemTime::now()", &[]),
        (
            "ferroban/src/log.rs",
            "std::time::Instant::now()",
            &["1: `Instant::now` is for ferroban/src/clock.rs"],
        ),
        ("ferroban/src/process/run.rs", "Command::new(x)", &[]),
        (
            "ferroban/src/wire.rs",
            "Command::new(x)",
            &["1: `Command::new` is for ferroban/src/process.rs"],
        ),
        (
            "ferroban/src/wire.rs",
            "#[cfg(test)]\n#[expect(x)]\nmod tests { fn f(a: [u8; 3]) { Command::new(x) } }",
            &[],
        ),
        (
            "ferroban/src/wire.rs",
            "#[cfg(test)] mod tests;\nprintln!()",
            &["2: `println!` is for ferroban/src/cli/out.rs"],
        ),
        ("ferroban/src/cli/out.rs", "io::stdout()", &[]),
        ("ferroban/src/log.rs", "io::stderr()", &[]),
        (
            "regex/src/lib.rs",
            "use std::io::stdout;",
            &["1: `io::stdout` is for ferroban/src/cli/out.rs"],
        ),
        (
            "ferroban/src/wire.rs",
            "child.stdout(); \"println!()\"",
            &[],
        ),
    ];

    #[test]
    fn a_reserved_thing_elsewhere_is_seen_with_its_line() {
        for (file, text, expected) in TRESPASSES {
            let expected: Vec<String> =
                expected.iter().map(|end| format!("{file}:{end}")).collect();
            assert_eq!(trespasses(file, text, false), expected, "{file}: {text}");
        }
        assert_eq!(
            trespasses("ferroban/src/wire/oracle.rs", "Command::new(x)", true),
            [""; 0]
        );
    }

    #[test]
    fn files_that_are_tests_are_known_by_their_declaration() {
        let files = [
            ("ferroban/src/wire.rs", "#[cfg(test)] mod oracle; mod text;"),
            (
                "ferroban/src/lib.rs",
                "mod wire; #[cfg(test)] #[rustfmt::skip] mod all;",
            ),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(
            test_files(&files),
            ["ferroban/src/wire/oracle", "ferroban/src/all"]
        );
    }

    #[test]
    fn a_dependency_that_is_not_drawn_is_seen_with_its_line() {
        let cases: &[(&str, &[&str])] = &[
            (
                "[dependencies]\nferroban-date.workspace = true\njiff = \"1\"",
                &[],
            ),
            ("[dev-dependencies]\nferroban-regex.workspace = true", &[]),
            (
                "[dependencies]\nferroban-regex = { path = \"x\" }",
                &["2: x may not use ferroban-regex"],
            ),
            (
                "[dependencies.ferroban-regex]\npath = \"x\"",
                &["1: x may not use ferroban-regex"],
            ),
            (
                "[target.'cfg(unix)'.dependencies]\nferroban.workspace = true",
                &["2: x may not use ferroban"],
            ),
            (
                "[build-dependencies]\nr = { package = \"ferroban-regex\" }",
                &["2: x may not use ferroban-regex"],
            ),
        ];
        for (manifest, expected) in cases {
            let expected: Vec<String> = expected
                .iter()
                .map(|end| format!("x/Cargo.toml:{end}"))
                .collect();
            assert_eq!(
                wrong_dependencies("x", manifest, &["ferroban-date"]),
                expected,
                "{manifest}"
            );
        }
    }
}
