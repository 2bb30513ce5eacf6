use std::path::Path;

use crate::{Error, Layers, Memory, Options, Place, Value};

fn read(files: &[(&str, String)]) -> Layers {
    let files: Memory = files
        .iter()
        .map(|(path, text)| (Path::new("/e").join(path), text.as_str()))
        .collect();
    Layers::read(&files, Path::new("/e"), "j").unwrap()
}

const WORLD: &str = "\
[DEFAULT]
x = d
only = default
broken = %(nope)s
me = <%(__name__)s>
[sec]
x = s
val = 7
needs = %(val)s
percent = %%
known/q = literal
Sub/Z = lit
[Sec]
x = capital
[known]
k = shadowed
[default]
zz = shadowed
";

#[test]
fn names_are_found_as_in_fail2ban() {
    let cases = [
        // text of option `t` in [a], where x = 1; result or the name that is unknown
        ("plain", Ok("plain")),
        ("%(x)s-%(X)s", Ok("1-1")),
        ("%(only)s", Ok("default")),
        ("%(__name__)s %(me)s", Ok("a <a>")),
        ("50%% %%(x)s %(sec/percent)s", Ok("50% %(x)s %")),
        ("%(default/x)s", Ok("d")),
        ("%(default/me)s", Ok("<a>")),
        ("%(default/nope)s", Err("default/nope")),
        ("%(default/zz)s", Err("default/zz")),
        ("%(DEFAULT/only)s", Ok("default")),
        ("%(known/x)s", Ok("d")),
        ("%(known/k)s", Err("known/k")),
        ("%(known/__name__)s", Err("known/__name__")),
        ("%(sec/x)s", Ok("s")),
        ("%(Sec/X)s", Ok("s")),
        ("%(sec/only)s", Ok("default")),
        ("%(sec/needs)s", Err("val")),
        ("%(sec/known/q)s", Ok("literal")),
        ("%(sec/sub/z)s", Ok("lit")),
        ("%(sec/nope)s", Err("sec/nope")),
        ("%(sec/__name__)s", Err("sec/__name__")),
        ("%(nosec/x)s", Err("nosec/x")),
        ("%(known/sec/x)s", Err("known/sec/x")),
        ("%(broken)s", Err("nope")),
        ("%( x)s", Err(" x")),
        ("%(/x)s", Err("/x")),
        ("%(a/)s", Err("a/")),
    ];
    for (text, expected) in cases {
        let layers = read(&[("j.conf", format!("{WORLD}[a]\nx = 1\nt = {text}"))]);
        let result = layers
            .option("a", "T")
            .map(|value| value.unwrap().text().to_owned());
        let result = result.map_err(|error| match error {
            Error::UnknownOption { name, .. } => name,
            other => other.to_string(),
        });
        assert_eq!(
            result.as_deref(),
            expected.map_err(str::to_owned).as_ref().copied(),
            "{text}"
        );
    }
}

#[test]
fn a_percent_sign_alone_is_told_with_its_line() {
    let cases = [
        ("%", "/e/j.conf:2: a lone percent sign in '%'; write %%"),
        (
            "a\n  50%d x",
            "/e/j.conf:3: a lone percent sign in '%d x'; write %%",
        ),
        (
            "a\n\n  %(x)d",
            "/e/j.conf:4: '%(x)d' is no reference; write %(name)s",
        ),
        ("%(x", "/e/j.conf:2: '%(x' is no reference; write %(name)s"),
        (
            "%()s",
            "/e/j.conf:2: '%()s' is no reference; write %(name)s",
        ),
        (
            "a\n %(tt)s",
            "/e/j.conf:3: no option 'tt'; did you mean 't'?",
        ),
        (
            "%(bantime)s",
            "/e/j.conf:2: no option 'bantime'; set it, or write %% for a percent sign",
        ),
        (
            "%(a/tx)s",
            "/e/j.conf:2: no option 'a/tx'; did you mean 'a/t'?",
        ),
    ];
    for (text, expected) in cases {
        let layers = read(&[("j.conf", format!("[a]\nt={text}"))]);
        assert_eq!(layers.option("a", "t").unwrap_err().to_string(), expected);
    }
}

#[test]
fn ten_steps_are_allowed() {
    let chain: String = (1..12).map(|n| format!("m{n}=%(m{})s\n", n + 1)).collect();
    let layers = read(&[("j.conf", format!("[a]\n{chain}m12=end\nl=%(L)s"))]);
    assert_eq!(layers.option("a", "m2").unwrap().unwrap().text(), "end");
    let tell = |option: &str| layers.option("a", option).unwrap_err().to_string();
    let deep = "leads to itself, or through more than ten others; break the chain";
    assert_eq!(tell("m1"), format!("/e/j.conf:12: option 'm1' {deep}"));
    assert_eq!(tell("l"), format!("/e/j.conf:14: option 'l' {deep}"));
}

#[test]
fn known_is_the_text_before_the_last_change() {
    let layers = read(&[
        ("j.conf", "[a]\nx=1\n".to_owned()),
        ("j.d/b.conf", "[a]\nx=%(known/x)s 2\n".to_owned()),
    ]);
    assert_eq!(layers.option("a", "x").unwrap().unwrap().text(), "1 2");
    let layers = read(&[
        ("j.conf", "[a]\nx=1\n".to_owned()),
        ("j.d/b.conf", "[a]\nx=%(known/x)s 2\n".to_owned()),
        ("j.local", "[a]\nx=%(known/x)s 3\n".to_owned()),
    ]);
    let error = layers.option("a", "x").unwrap_err();
    assert!(matches!(error, Error::TooDeep { .. }), "{error}");
}

#[test]
fn what_the_caller_gives_comes_first() {
    let layers = read(&[(
        "j.conf",
        format!("{WORLD}[a]\nx=1\nt=%(x)s %(known/x)s %(__name__)s"),
    )]);
    let value = |text: &str| Value::new(text, Place::named("given"));
    let first: Options = [("X", value("g%(n)s")), ("__name__", value("no"))]
        .into_iter()
        .collect();
    let second: Options = [
        ("x", value("no")),
        ("n", value("N")),
        ("known/x", value("K")),
    ]
    .into_iter()
    .collect();
    let text = |option: &str| {
        let value = layers.option_with("a", option, &[&first, &second]);
        value.unwrap().map(|value| value.text().to_owned())
    };
    assert_eq!(text("t").as_deref(), Some("gN K a"));
    assert_eq!(text("n").as_deref(), Some("N"));
    assert_eq!(text("zzz"), None);
}

#[test]
fn lines_keep_their_places_through_references() {
    let layers = read(&[
        ("j.conf", "[a]\nr = one\n  two\n".to_owned()),
        (
            "j.local",
            "[a]\nr = %(known/r)s\n  ^%(p)s\n\np = pre\n".to_owned(),
        ),
    ]);
    let value = layers.option("a", "r").unwrap().unwrap();
    let lines: Vec<String> = value
        .lines()
        .map(|(line, at)| format!("{at} {line}"))
        .collect();
    assert_eq!(
        lines,
        ["/e/j.conf:2 one", "/e/j.conf:3 two", "/e/j.local:3 ^pre"]
    );
}

#[test]
fn growth_and_work_are_bounded() {
    let ten = |name: &str| format!("%({name})s").repeat(10);
    let doubling: String = (1..10)
        .map(|n| format!("m{n}={}\n", ten(&format!("m{}", n + 1))))
        .collect();
    for end in ["x", "%(empty)s"] {
        let layers = read(&[("j.conf", format!("[a]\n{doubling}m10={end}\nempty="))]);
        let error = layers.option("a", "m1").unwrap_err();
        assert!(matches!(error, Error::ValueTooLong { .. }), "{error}");
    }
}
