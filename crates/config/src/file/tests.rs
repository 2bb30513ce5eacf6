use super::*;

fn parse(text: &str) -> (File, Vec<String>) {
    let (file, errors) = File::parse(&Arc::from(Path::new("f")), text.as_bytes());
    (file, errors.iter().map(Error::to_string).collect())
}

/// `section|option=value` of each option, `[DEFAULT]` last.
fn options(file: &File) -> Vec<String> {
    let defaults = [(DEFAULT, &file.defaults)];
    let all = file.sections.iter().chain(defaults);
    all.flat_map(|(section, options)| {
        let show =
            move |(name, value): (&str, &Value)| format!("{section}|{name}={}", value.text());
        options.iter().map(show)
    })
    .collect()
}

#[test]
fn the_dialect_reads_as_pythons() {
    let cases: [(&str, &[&str]); 24] = [
        ("[a]\nx = 1\ny: 2\nZ=3", &["a|x=1", "a|y=2", "a|z=3"]),
        ("[a]\nx=1=2:3\ny:4=5", &["a|x=1=2:3", "a|y=4=5"]),
        ("[ a ] b\nx=1", &[" a |x=1"]),
        ("[a]b]c\nx=1", &["a]b|x=1"]),
        ("[a\n=1", &[]),
        ("[a]\nx=1 # no comment", &["a|x=1 # no comment"]),
        ("[a]\nx=1 ; comment", &["a|x=1"]),
        ("[a]\nx=1;no\ty\t;comment", &["a|x=1;no\ty"]),
        ("[a] ; comment\nx=;no", &["a|x=;no"]),
        ("[a]\nx=1;; ;c", &["a|x=1;;"]),
        (
            "[a]\nx=1\n  # gone\n  2\n;gone\n\t3 ;gone",
            &["a|x=1\n2\n3"],
        ),
        ("[a]\nx=1\n\n  2\n\n\n", &["a|x=1\n\n2"]),
        ("[a]\nx=\n  1\n  y=2", &["a|x=\n1\ny=2"]),
        (
            "[a]\n  x=1\n  y=2\n   3\n z=4",
            &["a|x=1", "a|y=2\n3", "a|z=4"],
        ),
        ("[a]\nx=1\n [b]\n", &["a|x=1\n[b]"]),
        ("  [a]\nx=1", &["a|x=1"]),
        ("[a]\r\nx=1\r\n 2\r\ry=3", &["a|x=1\n2", "a|y=3"]),
        ("[a]\nx = \"1\"", &["a|x=\"1\""]),
        ("[a]\nx y =1", &["a|x y=1"]),
        (
            "[DEFAULT]\nx=1\n[a]\ny=2\n[DEFAULT]\nz=3",
            &["a|y=2", "DEFAULT|x=1", "DEFAULT|z=3"],
        ),
        ("[default]\nx=1", &["default|x=1"]),
        ("[a]\n[]=1", &["a|[]=1"]),
        ("[a]\nx=1\n\u{a0}2\u{1f}", &["a|x=1\n2"]),
        ("", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(options(&parse(text).0), expected, "{text:?}");
    }
}

#[test]
fn each_mistake_is_told_with_its_line() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "x=1\ny=2\n[a]\nz=3",
            &["f:1: 'x=1' stands before the first section; begin with a line like [DEFAULT]"],
        ),
        (
            "\u{feff}[a]\nx=1",
            &["f:1: the file begins with a byte order mark; save it as UTF-8 without one"],
        ),
        (
            "[a]\nx=1\n\nX = 2",
            &["f:4: option 'x' of [a] is already set in line 2; keep one of them"],
        ),
        (
            "[a]\n[b]\n[a]\nx=1",
            &["f:3: section [a] already begins in line 1; keep one of them"],
        ),
        (
            "[a]\nword",
            &[
                "f:2: 'word' is no option; write name = value, or indent it to continue the value above",
            ],
        ),
        ("[a]\n= 1", &["f:2: '= 1' has no name; write name = value"]),
        (
            "[]",
            &["f:1: '[]' stands before the first section; begin with a line like [DEFAULT]"],
        ),
        (
            "[a]\n[]",
            &[
                "f:2: '[]' is no option; write name = value, or indent it to continue the value above",
            ],
        ),
        (
            "[a]\nw\nx=1\nx=2\n[a]\nx=3",
            &[
                "f:2: 'w' is no option; write name = value, or indent it to continue the value above",
                "f:4: option 'x' of [a] is already set in line 3; keep one of them",
                "f:5: section [a] already begins in line 1; keep one of them",
                "f:6: option 'x' of [a] is already set in line 3; keep one of them",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).1, expected, "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_one_mistake_at_their_line() {
    let cases: [(&[u8], &str); 3] = [
        (
            b"[a]\nx=\xff\n\xff",
            "f:2: byte 0xff is not UTF-8; save the file as UTF-8",
        ),
        (
            b"[a]\r\n\xc3",
            "f:2: byte 0xc3 is not UTF-8; save the file as UTF-8",
        ),
        (
            b"\xfe",
            "f:1: byte 0xfe is not UTF-8; save the file as UTF-8",
        ),
    ];
    for (bytes, expected) in cases {
        let (file, errors) = File::parse(&Arc::from(Path::new("f")), bytes);
        assert!(file.sections.is_empty());
        let errors: Vec<String> = errors.iter().map(Error::to_string).collect();
        assert_eq!(errors, [expected]);
    }
}

#[test]
fn each_line_of_a_value_knows_its_line_in_the_file() {
    let (file, _) = parse("[a]\n# c\nx = 1\n  # c\n\n  2\n\ny=");
    let value = file.sections.get("a").and_then(|a| a.get("x")).unwrap();
    let lines: Vec<_> = value.lines().map(|(text, at)| (text, at.line)).collect();
    assert_eq!(lines, [("1", 3), ("", 5), ("2", 6)]);
}

#[test]
fn a_file_full_of_mistakes_tells_a_bounded_number() {
    let (_, errors) = parse(&format!("[a]\n{}", "word\n".repeat(10_000)));
    assert_eq!(errors.len(), MAX_ERRORS);
}
