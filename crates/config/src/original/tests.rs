use std::path::Path;

use crate::{Definition, Layers, Memory, Options};

fn said(bytes: &[u8]) -> String {
    let files: Memory = [("/e/j.conf", bytes)].into_iter().collect();
    let layers = match Layers::read(&files, Path::new("/e"), "j") {
        Ok(layers) => layers,
        Err(errors) => return errors.iter().next().unwrap().original(),
    };
    let none = Options::new();
    let definition = Definition::new(&layers, &none, &none).unwrap();
    definition.resolved("t", &[]).unwrap_err().original()
}

#[test]
fn the_words_are_those_of_fail2ban() {
    let cases: [(&[u8], &str); 11] = [
        (
            b"x=1\n",
            "File contains no section headers.\nfile: '/e/j.conf', line: 1\n'x=1\\n'",
        ),
        (
            b"[a]\n it's",
            "Source contains parsing errors: '/e/j.conf'\n\t[line  2]: \" it's\\n\"",
        ),
        (
            b"[a]\nx=1\nX=2",
            "While reading from '/e/j.conf' [line  3]: option 'x' in section 'a' already exists",
        ),
        (
            b"[a]\n[a]",
            "While reading from '/e/j.conf' [line  2]: section 'a' already exists",
        ),
        (
            b"[a]\n\xff",
            "Error decoding config file '/e/j.conf': 'utf-8' codec can't decode byte 0xff in position 4: invalid start byte",
        ),
        (
            b"[Definition]\nt=5%d",
            "'%' must be followed by '%' or '(', found: '%d'",
        ),
        (
            b"[Definition]\nt=%(x)",
            "bad interpolation variable reference '%(x)'",
        ),
        (
            b"[Definition]\nt=%(nope)s",
            "Bad value substitution: option 't' in section 'Definition' contains an interpolation key 'nope' which is not a valid option name. Raw value: '%(nope)s'",
        ),
        (
            b"[Definition]\nt=%(t)s",
            "Recursion limit exceeded in value substitution: option 't' in section 'Definition' contains an interpolation key which cannot be substituted in 10 steps. Raw value: '%(t)s'",
        ),
        (
            b"[Definition]\nt=x<t>",
            "properties contain self referencing definitions and cannot be resolved, fail tag: t, found: t in {}, value: x<t>",
        ),
        (
            b"[a]\nx=1\x07\ny\n",
            "Source contains parsing errors: '/e/j.conf'\n\t[line  3]: 'y\\n'",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text), expected, "{text:?}");
    }
}

#[test]
fn texts_are_shown_as_python_shows_them() {
    let cases = [
        ("plain é e\u{301}", "'plain é e\u{301}'"),
        ("it's", "\"it's\""),
        ("it's \"x\"", "'it\\'s \"x\"'"),
        ("\"x\"\\", "'\"x\"\\\\'"),
        (
            "\0\t\n\r\x1f\u{a0}\u{2028}\u{e0001}",
            "'\\x00\\t\\n\\r\\x1f\\xa0\\u2028\\U000e0001'",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(super::quoted(text), expected);
    }
}

#[test]
fn all_bad_lines_of_the_first_bad_file_are_told_together() {
    let files: Memory = [("/e/j.conf", "[a]\nx\ny\n"), ("/e/j.local", "[a]\nz\n")]
        .into_iter()
        .collect();
    let errors = Layers::read(&files, Path::new("/e"), "j").unwrap_err();
    assert_eq!(
        errors.original(),
        "Source contains parsing errors: '/e/j.conf'\n\t[line  2]: 'x\\n'\n\t[line  3]: 'y\\n'"
    );
}
