//! Random configurations and texts, always the same ones.

use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Path and text of each file.
pub(crate) type Files = Vec<(String, String)>;

/// So many configurations called `jail`.
pub(crate) fn configurations(count: usize) -> Vec<Files> {
    generate(count, &configuration())
}

/// So many texts made of these pieces.
pub(crate) fn texts(count: usize, pieces: &'static [&'static str]) -> Vec<String> {
    let text = prop::collection::vec(select(pieces), 1..9);
    generate(count, &text.prop_map(|pieces| pieces.concat()))
}

pub(crate) const TIME: [&str; 26] = [
    "1", "2", "30", "007", "0", "1.5", ".5", "1_0", "h", "m", "mo", "year", "d", "D", " ", " ",
    "+", "-", "*", "/", "(", ")", "1h", "2 days", "5m", "x",
];

pub(crate) const INVOCATION: [&str; 26] = [
    "name",
    "[",
    "[",
    "]",
    "]",
    "a=",
    "b=",
    "c.d-e=",
    "\"",
    "'",
    ",",
    ",",
    " ",
    "\n",
    "x",
    "1 2",
    "\"q,]\"",
    "'r'",
    "[a=1]",
    "b=\"2\"",
    "][",
    "é",
    "=",
    "[a=1,b='2']",
    "a=x,",
    "]",
];

/// The files of one configuration, to be read by people.
pub(crate) fn shown(files: &Files) -> String {
    files
        .iter()
        .map(|(path, text)| format!("--- {path}\n{text:?}\n"))
        .collect()
}

fn generate<T: std::fmt::Debug>(count: usize, strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut next = || strategy.new_tree(&mut runner).unwrap().current();
    (0..count).map(|_| next()).collect()
}

fn configuration() -> impl Strategy<Value = Files> {
    let paths = vec![
        "jail.d/a.conf",
        "jail.d/b.conf",
        "jail.local",
        "jail.d/a.local",
        "inc.conf",
        "inc.local",
        "sub/deep.conf",
        "sub/deep.local",
    ];
    subsequence(paths, 0..5).prop_flat_map(|paths| {
        let paths = std::iter::once("jail.conf").chain(paths);
        let file = |path: &'static str| file(path).prop_map(|text| (path.to_owned(), text));
        paths.map(file).collect::<Vec<_>>()
    })
}

fn file(path: &str) -> impl Strategy<Value = String> + use<> {
    let names = vec![
        "DEFAULT", "a", "b", "a?c=1", "Sec", " a ", "x]y", "default", "a", "known",
    ];
    let sections = subsequence(names, 0..5)
        .prop_flat_map(|names| names.into_iter().map(section).collect::<Vec<_>>());
    let ends = select(vec!["\n", "\n", "\n", "\r\n", "\r"]);
    let first = prop_oneof![20 => noise(), 1 => junk()];
    let parts = (first, includes(path), sections, ends);
    parts.prop_map(|(first, includes, sections, end)| {
        format!("{first}{includes}{}", sections.concat()).replace('\n', end)
    })
}

/// Only files further down are named: fail2ban gets lost in some circles.
fn includes(path: &str) -> impl Strategy<Value = String> + use<> {
    let names = if path.starts_with("jail") {
        vec![
            "inc.conf",
            "sub/deep.conf",
            "none.conf",
            "sub/%(x)s.conf",
            "",
        ]
    } else if path.starts_with("inc") {
        vec!["sub/deep.conf", "none.conf", "sub/%(sub/deep)s.conf"]
    } else {
        vec!["none.conf"]
    };
    // From inside `jail.d` the others are one directory up.
    let up = if path.starts_with("jail.d") {
        "../"
    } else {
        ""
    };
    let list = subsequence(names.clone(), 0..=names.len().min(2));
    let list = list.prop_map(move |names| {
        let path = |name: &&str| {
            if name.is_empty() {
                String::new()
            } else {
                format!("{up}{name}")
            }
        };
        names.iter().map(path).collect::<Vec<_>>().join("\n ")
    });
    prop_oneof![
        2 => Just(String::new()),
        1 => (list.clone(), list).prop_map(|(a, b)| {
            format!("[INCLUDES]\nbefore = {a}\nafter: {b}\n[sub]\ndeep=deep\n")
        }),
    ]
}

fn section(name: &str) -> impl Strategy<Value = String> + use<> {
    let keys = vec!["x", "y", "z", "k y", "b/x", "known/q", "x?c=1"];
    let options = prop_oneof![
        25 => subsequence(keys.clone(), 0..6),
        1 => prop::collection::vec(select(keys), 0..6),
    ];
    let options = options.prop_flat_map(|keys| keys.into_iter().map(option).collect::<Vec<_>>());
    let after =
        prop_oneof![12 => Just(""), 1 => Just(" ; c"), 1 => Just("tail"), 1 => Just("\t;c")];
    let name = name.to_owned();
    (indent(), after, noise(), options).prop_map(move |(indent, after, noise, options)| {
        let indent = if options.len() > 3 { indent } else { "" };
        format!("{indent}[{name}]{after}\n{noise}{}", options.concat())
    })
}

fn option(key: &str) -> impl Strategy<Value = String> + use<> {
    let further = prop::collection::vec(further_line(), 0..3);
    let line = (
        indent(),
        any::<bool>(),
        separator(),
        text(),
        further,
        junk_or_none(),
    );
    let key = key.to_owned();
    line.prop_map(move |(indent, upper, separator, text, further, junk)| {
        let key = if upper {
            key.to_uppercase()
        } else {
            key.clone()
        };
        format!("{indent}{key}{separator}{text}\n{}{junk}", further.concat())
    })
}

fn indent() -> impl Strategy<Value = &'static str> {
    prop_oneof![15 => Just(""), 1 => Just(" "), 1 => Just("\t ")]
}

fn separator() -> impl Strategy<Value = &'static str> {
    select(vec!["=", " = ", ":", " :", "\t=  ", "= ", " =\u{a0}"])
}

fn text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "1",
        "text",
        " ",
        "  ",
        "%(x)s",
        "%(y)s",
        "%(Z)s",
        "%(k y)s",
        "%(known/x)s",
        "%(known/y)s",
        "%(default/x)s",
        "%(b/x)s",
        "%(a/y)s",
        "%(sec/x)s",
        "%(known/q)s",
        "%(__name__)s",
        "%%",
        "a;b",
        " ; c",
        "\t;c",
        " # c",
        "#",
        ";",
        "<x>",
        "\"q\"",
        "é",
        "=",
        ":",
        "[s]",
        "\u{1f}",
    ];
    let rare = vec![
        "%",
        "%(",
        "%d",
        "%(nope)s",
        "%()s",
        "%(x)",
        "%(b/nope)s",
        "%(nope/x)s",
    ];
    let piece = prop_oneof![30 => select(pieces), 1 => select(rare)];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn further_line() -> impl Strategy<Value = String> {
    let deep = select(vec!["  ", "    ", "\t\t\t", "   "]);
    prop_oneof![
        4 => (deep, text()).prop_map(|(deep, text)| format!("{deep}{text}\n")),
        2 => noise(),
    ]
}

/// Lines without meaning.
fn noise() -> impl Strategy<Value = String> {
    let lines = select(vec![
        "\n",
        "   \n",
        "# c\n",
        "  ; c = 1\n",
        ";\n",
        "\t# [c]\n",
    ]);
    prop::collection::vec(lines, 0..2).prop_map(|lines| lines.concat())
}

/// Lines that are mistakes.
fn junk() -> impl Strategy<Value = String> {
    select(vec![
        "word\n",
        "= v\n",
        "[]\n",
        "[a\n",
        " [b]\n",
        "\u{feff}\n",
        "it's \"x\"\n",
        "[a]\n",
        "x = 1\n",
    ])
    .prop_map(str::to_owned)
}

fn junk_or_none() -> impl Strategy<Value = String> {
    prop_oneof![120 => Just(String::new()), 1 => junk()]
}
