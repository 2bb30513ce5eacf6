use super::parse;
use crate::Flags;

/// Pattern, and what Python says of it.
const BROKEN: &[(&str, &str)] = &[
    ("(", "missing ), unterminated subpattern at position 0"),
    ("a)", "unbalanced parenthesis at position 1"),
    ("[", "unterminated character set at position 0"),
    ("[a", "unterminated character set at position 0"),
    ("[]", "unterminated character set at position 0"),
    ("*a", "nothing to repeat at position 0"),
    ("a**", "multiple repeat at position 2"),
    ("a{2}{3}", "multiple repeat at position 4"),
    ("^*", "nothing to repeat at position 1"),
    ("\\b+", "nothing to repeat at position 2"),
    ("|*", "nothing to repeat at position 1"),
    ("(?=*)", "nothing to repeat at position 3"),
    ("(?i)*", "nothing to repeat at position 4"),
    ("{2}", "nothing to repeat at position 0"),
    (
        "(?P<1a>x)",
        "bad character in group name '1a' at position 4",
    ),
    (
        "(?P<a>x)(?P<a>y)",
        "redefinition of group name 'a' as group 2; was group 1 at position 12",
    ),
    ("(?P<>x)", "missing group name at position 4"),
    ("(?P<a", "missing >, unterminated name at position 4"),
    ("(?P=b)", "unknown group name 'b' at position 4"),
    ("(?P=b", "missing ), unterminated name at position 4"),
    (
        "(?P<a>(?P=a))",
        "cannot refer to an open group at position 10",
    ),
    ("(?Pz)", "unknown extension ?Pz at position 1"),
    ("(?P", "unexpected end of pattern at position 3"),
    ("(?", "unexpected end of pattern at position 2"),
    ("(?<a>x)", "unknown extension ?<a at position 1"),
    ("(?z)", "unknown extension ?z at position 1"),
    (
        "a(?i)b",
        "global flags not at the start of the expression at position 1",
    ),
    (
        "a|(?i)b",
        "global flags not at the start of the expression at position 2",
    ),
    (
        "((?i)a)",
        "global flags not at the start of the expression at position 1",
    ),
    ("(?i", "missing -, : or ) at position 3"),
    ("(?i-", "missing flag at position 4"),
    ("(?i-z:a)", "unknown flag at position 4"),
    ("(?-:a)", "missing flag at position 3"),
    (
        "(?i-i:a)",
        "bad inline flags: flag turned on and off at position 5",
    ),
    (
        "(?L)a",
        "bad inline flags: cannot use 'L' flag with a str pattern at position 3",
    ),
    (
        "(?au)a",
        "bad inline flags: flags 'a', 'u' and 'L' are incompatible at position 4",
    ),
    (
        "(?-a:b)",
        "bad inline flags: cannot turn off flags 'a', 'u' and 'L' at position 4",
    ),
    ("(?iz)", "unknown flag at position 3"),
    ("(?i*)", "missing -, : or ) at position 3"),
    ("(?-i)", "missing : at position 4"),
    ("\\", "bad escape (end of pattern) at position 0"),
    ("(\\", "bad escape (end of pattern) at position 1"),
    ("\\q", "bad escape \\q at position 0"),
    ("\\8", "invalid group reference 8 at position 1"),
    ("\\1", "invalid group reference 1 at position 1"),
    ("(a)\\2", "invalid group reference 2 at position 4"),
    ("\\x1", "incomplete escape \\x1 at position 0"),
    ("\\u12", "incomplete escape \\u12 at position 0"),
    ("\\U00110000", "bad escape \\U00110000 at position 0"),
    (
        "\\400",
        "octal escape value \\400 outside of range 0-0o377 at position 0",
    ),
    (
        "[\\400]",
        "octal escape value \\400 outside of range 0-0o377 at position 1",
    ),
    ("[\\8]", "bad escape \\8 at position 1"),
    ("[\\q]", "bad escape \\q at position 1"),
    ("[b-a]", "bad character range b-a at position 1"),
    ("[\\d-a]", "bad character range \\d-a at position 1"),
    ("[a-\\d]", "bad character range a-\\d at position 1"),
    ("a{3,2}", "min repeat greater than max repeat at position 2"),
    ("(?#a", "missing ), unterminated comment at position 0"),
    (
        "(?(1)a|b",
        "missing ), unterminated subpattern at position 0",
    ),
    ("(?(1)a)", "invalid group reference 1 at position 3"),
    ("(?(0)a)", "bad group number at position 3"),
    ("(?(x)a)", "unknown group name 'x' at position 3"),
    (
        "(a)(?(1)b|c|d)",
        "conditional backref with more than two branches at position 11",
    ),
    ("(?(?)a)", "bad character in group name '?' at position 3"),
    ("(?<=a*)b", "look-behind requires fixed-width pattern"),
    ("(?<!a|bc)d", "look-behind requires fixed-width pattern"),
    (
        "(?<=(a)\\1)b",
        "cannot refer to group defined in the same lookbehind subpattern at position 9",
    ),
    (
        "a\n(b",
        "missing ), unterminated subpattern at position 2 (line 2, column 1)",
    ),
    (
        "((a)(?P<x>b)",
        "missing ), unterminated subpattern at position 0",
    ),
    (
        "(?P<a'b>c)",
        "bad character in group name \"a'b\" at position 4",
    ),
    (
        "(?P<a\"b>c)",
        "bad character in group name 'a\"b' at position 4",
    ),
    (
        "(?x) a #)\n (",
        "missing ), unterminated subpattern at position 11 (line 2, column 2)",
    ),
];

#[test]
fn broken_patterns_are_refused_in_the_words_of_python_at_its_place() {
    for &(pattern, expected) in BROKEN {
        let error = parse(pattern, Flags::default())
            .err()
            .map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(expected), "{pattern}");
    }
}

#[test]
fn odd_patterns_that_python_takes_are_taken() {
    let cases = [
        "(?:^)*",
        "[\\1]",
        "(?<=(a))(?<=\\1)b",
        "(?P<é>a)",
        "(?:(a)|b(?<=\\1(b)))",
        "(?=a)*",
        "{2",
        "a{",
        "a(?#x)*",
        "(?x)a #\\\n)",
        "(?<=(?:ab|cd){2})e",
        "(a)|(?<=\\1)b",
        "(?(1)a)(b)",
        "[]a]",
        "[a-]",
        "\\ud800[\\ud800-\\udfff]",
        "(?:a*)*",
        "(?i)(?m)a",
        "(?x) (?i)a",
        "[[:alpha:]]",
        "(?u:a)",
        "\\é",
    ];
    for pattern in cases {
        let error = parse(pattern, Flags::default())
            .err()
            .map(|error| error.to_string());
        assert_eq!(error, None, "{pattern}");
    }
}

#[test]
fn an_error_knows_where_to_point() {
    let error = parse("ab\n(c\n[d", Flags::default()).unwrap_err();
    assert_eq!(
        (error.position(), error.line_column()),
        (Some(6), Some((3, 1)))
    );
    let error = parse("(?<=a+)b", Flags::default()).unwrap_err();
    assert_eq!((error.position(), error.line_column()), (None, None));
}
