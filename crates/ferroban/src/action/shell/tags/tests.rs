use super::*;

/// A command, options, the condition, and what fail2ban 1.0.2 makes of it.
type Row<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a str,
    Result<&'a str, &'a str>,
);

fn options(pairs: &[(&str, &str)]) -> Properties {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn constant(tag: &str) -> Option<String> {
    match tag {
        "br" => Some("\n".into()),
        "sp" => Some(" ".into()),
        _ => None,
    }
}

fn filled(text: &str, pairs: &[(&str, &str)], condition: &str) -> Result<String, String> {
    Resolved::new(&options(pairs), condition)
        .and_then(|resolved| resolved.fill(text, &constant))
        .map_err(|error| error.to_string())
}

fn check(rows: &[Row<'_>]) {
    for (text, pairs, condition, expected) in rows {
        let expected = expected.map(ToOwned::to_owned).map_err(ToOwned::to_owned);
        assert_eq!(
            filled(text, pairs, condition),
            expected,
            "{text} {pairs:?} {condition}"
        );
    }
}

#[test]
fn tags_are_filled_from_options() {
    check(&[
        ("<A>", &[("a", "1")], "", Ok("<A>")),
        ("<a<b>>", &[("b", "x"), ("ax", "yes")], "", Ok("yes")),
        (
            "<a<b>>",
            &[("b", "x"), ("ax", "<b>"), ("c", "<a<b>>")],
            "",
            Ok("x"),
        ),
        ("<<b>>", &[("b", "x"), ("x", "yes")], "", Ok("yes")),
        ("<<b>", &[("b", "x")], "", Ok("<x")),
        ("<b>>", &[("b", "x")], "", Ok("x>")),
        ("<b >< b><b\n><>", &[("b", "x")], "", Ok("<b >< b><b\n><>")),
        (
            "<a-b><a.b><a?b><a/b><a*b><é>",
            &[
                ("a-b", "1"),
                ("a.b", "2"),
                ("a?b", "3"),
                ("a/b", "4"),
                ("a*b", "5"),
                ("é", "6"),
            ],
            "",
            Ok("123456"),
        ),
        (
            "<a><a><a>",
            &[("a", "<b><b>"), ("b", "1")],
            "",
            Ok("111111"),
        ),
        (
            "<c>",
            &[("c", "<nosuch> <d>"), ("d", "<c1>")],
            "",
            Ok("<nosuch> <c1>"),
        ),
        (
            "<c>",
            &[("c", "<F-USER> <ip> <b>"), ("b", "1")],
            "",
            Ok("<F-USER> <ip> 1"),
        ),
        ("<a<x>>", &[("x", "<y>"), ("y", "x")], "", Ok("<ax>")),
        (
            "<a>",
            &[("a", "$b `c` \\1 \\g<0>")],
            "",
            Ok("$b `c` \\1 \\g<0>"),
        ),
        ("<br><sp>|<BR>", &[("a", "1")], "", Ok("\n |<BR>")),
        (
            "<br><sp>|<a>",
            &[("a", "<br>.<sp>."), ("br", "X")],
            "",
            Ok("X |X. ."),
        ),
    ]);
}

#[test]
fn an_option_for_a_family_goes_before_the_one_for_all() {
    const A: (&str, &str) = ("a", "v");
    const A6: (&str, &str) = ("a?family=inet6", "v6");
    const A4: (&str, &str) = ("a?family=inet4", "v4");
    check(&[
        ("<a>", &[A, A6, A4], "", Ok("v")),
        ("<a>", &[A, A6, A4], "family=inet4", Ok("v4")),
        (
            "<a>",
            &[
                A,
                ("a?family=inet6", "v6<b>"),
                ("b", "1"),
                ("b?family=inet6", "6"),
            ],
            "family=inet6",
            Ok("v66"),
        ),
        ("<a?family=inet6>", &[A, A6], "family=inet4", Ok("v6")),
        ("<c>", &[A, A6, ("c", "<a>")], "family=inet6", Ok("v6")),
        ("<c> <family>", &[A], "family=inet6", Ok("<c> <family>")),
        ("<a>", &[A6], "family=inet4", Ok("<a>")),
        (
            "<a>",
            &[("a", "<b>"), ("b?family=inet6", "<a>")],
            "family=inet4",
            Ok("<b>"),
        ),
        (
            "<a>",
            &[("a", "1"), ("a?family=inet6", "<a>x")],
            "family=inet4",
            Ok("1"),
        ),
    ]);
}

#[test]
fn options_that_lead_back_to_themselves_are_errors() {
    macro_rules! error {
        ($rest:expr) => {
            Err(concat!(
                "properties contain self referencing definitions and cannot be resolved, fail tag: ",
                $rest
            ))
        };
    }
    check(&[
        (
            "x <c>",
            &[("a", "<b>"), ("b", "<a>"), ("c", "1")],
            "",
            error!("a, found: a in {'b': 1}, value: <a>"),
        ),
        (
            "<a>",
            &[("a", "x<a>")],
            "",
            error!("a, found: a in {}, value: x<a>"),
        ),
        (
            "<z>",
            &[("x", "<y>"), ("y", "<z>"), ("z", "<x>")],
            "",
            error!("x, found: x in {'y': 1, 'z': 1}, value: <x>"),
        ),
        (
            "<q>",
            &[("q", "-<x>-"), ("x", "<y>"), ("y", "<z>"), ("z", "<x>")],
            "",
            error!("q, found: x in {'x': 26, 'y': 26, 'z': 26}, value: -<x>-"),
        ),
        (
            "<q>",
            &[("q", "<a<q>>"), ("aq", "1")],
            "",
            error!("q, found: q in {}, value: <a<q>>"),
        ),
        (
            "<a>",
            &[("a", "<b>"), ("b?family=inet6", "<a>")],
            "family=inet6",
            error!("a, found: a in {'b': 1}, value: <a>"),
        ),
        (
            "<c>",
            &[("a", "1"), ("c", "3"), ("a?family=inet6", "<a>x")],
            "family=inet6",
            error!("a?family=inet6, found: a in {'a': 26}, value: <a>xxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ),
    ]);
}

#[test]
fn a_chain_may_be_long_but_a_command_comes_to_rest() {
    let names: Vec<(String, String)> = (0..60)
        .map(|n| (format!("t{n}"), format!("<t{}>", n + 1)))
        .collect();
    let mut chain: Vec<(&str, &str)> = names
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    chain.push(("t60", "end"));
    assert_eq!(filled("<t0>", &chain, ""), Ok("end".into()));
    assert_eq!(filled(&"<t0>".repeat(40), &chain, ""), Ok("end".repeat(40)));

    let grows = [("b", "<b")];
    let ends = format!("<b>{}", ">".repeat(24));
    assert_eq!(filled(&ends, &grows, ""), Ok("<b".into()));
    for (more, left) in [(25, "<b"), (28, "<b>>>")] {
        let text = format!("<b>{}", ">".repeat(more));
        let expected = format!(
            "unexpected too long replacement interpolation, possible self referencing definitions \
             in query: {left}"
        );
        assert_eq!(filled(&text, &grows, ""), Err(expected));
    }
}

#[test]
fn options_cannot_grow_without_end() {
    let names: Vec<(String, String)> = (0..40)
        .map(|n| (format!("t{n}"), format!("<t{0}><t{0}>", n + 1)))
        .collect();
    let mut doubling: Vec<(&str, &str)> = names
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    doubling.push(("t40", "z"));
    let error = filled("<t0>", &doubling, "").err().unwrap_or_default();
    assert!(
        error.starts_with("unexpected too long") && error.len() < 2000,
        "{error}"
    );

    let long = "x".repeat(MOST_TEXT / 2);
    let error = filled("<a><a><a>", &[("a", &long)], "")
        .err()
        .unwrap_or_default();
    assert!(
        error.starts_with("unexpected too long") && error.len() < 2000,
        "{error}"
    );
}

#[test]
fn options_named_like_matched_lines_are_not_trusted() {
    check(&[
        (
            "<matches>",
            &[("matches", "<b>;"), ("b", "2;")],
            "",
            Ok("\\<b\\>\\;"),
        ),
        (
            "<a>",
            &[("a", "<matches>"), ("matches", "<b>;"), ("b", "2;")],
            "",
            Ok("\\<b\\>\\;"),
        ),
        (
            "<ipmatches> <ipjailmatches> <ip>",
            &[("ipmatches", "a\nb"), ("ipjailmatches", "c$"), ("ip", "d$")],
            "",
            Ok("a\\nb c\\$ d$"),
        ),
    ]);
}

#[test]
fn escaping_is_the_originals() {
    let text = "a\\b$c;d\ne'\" #&`|*?~<>^()[]{}\r%-=!:/\t";
    let expected =
        "a\\\\b\\$c\\;d\\ne\\'\\\" \\#\\&\\`\\|\\*\\?\\~\\<\\>\\^\\(\\)\\[\\]\\{\\}\\r%-=!:/\t";
    assert_eq!(escaped(text), expected);
}
