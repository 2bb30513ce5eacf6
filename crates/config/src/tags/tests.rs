use std::path::Path;

use super::*;
use crate::{Memory, Place};

fn read(text: &str) -> Layers {
    let files: Memory = [("/e/f.conf", text)].into_iter().collect();
    Layers::read(&files, Path::new("/e"), "f").unwrap()
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let value = |text: &str| Value::new(text, Place::named("given"));
    pairs
        .iter()
        .map(|(name, text)| (*name, value(text)))
        .collect()
}

/// Option `t` of [Definition] with its tags replaced.
fn resolved(text: &str, given: &[(&str, &str)], jail: &[(&str, &str)]) -> Result<String, String> {
    let (layers, given, jail) = (read(text), options(given), options(jail));
    let definition = Definition::new(&layers, &given, &jail).map_err(|e| e.to_string())?;
    let value = definition
        .resolved("t", &["matches"])
        .map_err(|e| e.to_string())?;
    Ok(value.unwrap().text().to_owned())
}

#[test]
fn tags_are_found_as_in_fail2ban() {
    let world = "\
[DEFAULT]
dd = def <x>
ov = default
[Definition]
y = yy
ov = definition
q = %(y)s
b = c
cap = C
[Init]
x = initx
k = one
ov = init
x-c-y = deep
[Other]
z = %(w)s <x> %(__name__)s
w = ww
[lt_one]
p = P1
";
    let cases = [
        ("plain <x>", "plain initx"),
        ("<y> %(y)s <Y> <ov> <dd>", "yy yy yy init def initx"),
        (
            "<HOST> <nope> <x <> < x> </F-ID> <x\n",
            "<HOST> <nope> <x <> < x> </F-ID> <x",
        ),
        ("<x-<b>-y> <<q>> <lt_<k>/p>", "deep <yy> P1"),
        (
            "<Other/z> <other/z> <nope/z>",
            "ww initx Other <other/z> <nope/z>",
        ),
        (
            "<Definition/ov> <Init/ov> <DEFAULT/ov> <default/ov>",
            "definition init default default",
        ),
        ("<known/x> <known/y> <known/nope>", "initx yy <known/nope>"),
        ("<matches> <Cap> <__name__>", "<matches> C <__name__>"),
        ("%(dd)s<y>", "def initxyy"),
    ];
    for (text, expected) in cases {
        let text = world.replace("q = ", &format!("t = {text}\nq = "));
        assert_eq!(resolved(&text, &[], &[]).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_the_caller_passes_comes_first() {
    let text = "\
[Definition]
t = A <x> %(y)s <Y> <known/x> <known/y> <maxretry> %(maxretry)s <i>
y = yy
maxretry = 9
[Init]
x = initx
i = <x>
";
    assert_eq!(
        resolved(
            text,
            &[("x", "G<known/x>"), ("y", "gy")],
            &[("maxretry", "3"), ("x", "no")]
        ),
        Ok("A Ginitx gy gy initx yy 3 3 Ginitx".into())
    );
    assert_eq!(
        resolved(text, &[("t", "%(y)s <x>|<known/t>")], &[]),
        Ok("%(y)s initx|A initx yy yy initx yy 9 9 initx".into())
    );
    let own = "[Definition]\nt = %(y)s <y>\ny = yy";
    let given = [("t", "<known/t>"), ("y", "gy")];
    assert_eq!(resolved(own, &given, &[("y", "no")]), Ok("yy gy".into()));
    let opt = "[Definition]\nt = <Opt> <opt>\nopt = 1";
    assert_eq!(resolved(opt, &[("OPT", "z")], &[]), Ok("z z".into()));
}

#[test]
fn a_filter_sees_of_its_jail_what_fail2ban_shows_it() {
    let text = "\
[Definition]
t = <maxretry> %(maxretry)s <bantime> %(bantime)s <x> <findtime> %(findtime)s <usedns> %(usedns)s <filter> <port>
maxretry = 77
x = %(maxretry)s
[DEFAULT]
bantime = 88
usedns = default
[Init]
findtime = init
";
    let layers = read(text);
    let none = Options::new();
    let early = options(&[("filter", "f")]);
    let jail = options(&[
        ("filter", "f"),
        ("maxretry", "5"),
        ("bantime", "6"),
        ("findtime", "7"),
        ("usedns", "no"),
        ("port", "9"),
    ]);
    let filter = Definition::of_filter(&layers, &none, &early, &jail).unwrap();
    let shown = filter.resolved("t", &[]).unwrap().unwrap();
    assert_eq!(shown.text(), "5 5 88 6 5 init init default no f <port>");
    let action = Definition::new(&layers, &none, &jail).unwrap();
    let shown = action.resolved("t", &[]).unwrap().unwrap();
    assert_eq!(shown.text(), "5 5 6 6 5 init 7 no no f 9");
}

#[test]
fn chains_that_bite_their_tail_are_told() {
    let cases = [
        ("t = <t>", "t"),
        ("t = <b>\nb = <t>", "t"),
        ("t = x<b>\nb = <c>\nc = y<b>", "b"),
        ("t = <known/t> x", "known/t"),
    ];
    for (text, tag) in cases {
        let expected =
            format!("/e/f.conf:2: tag <{tag}> in option 't' leads to itself; break the chain");
        let text = format!("[Definition]\n{text}");
        assert_eq!(resolved(&text, &[], &[]), Err(expected), "{text}");
    }
}

#[test]
fn a_property_that_leads_to_itself_is_a_mistake_though_unused() {
    let cases = [
        ("x = <y>\ny = z", Ok(())),
        ("x = <y>\ny = <x>", Err("known/x")),
        ("x = <known/x>", Err("known/x")),
        ("ip = <ip>", Err("known/ip")),
        ("x = <later>", Ok(())),
    ];
    for (init, expected) in cases {
        let layers = read(&format!(
            "[Definition]\nt = 1\n[Init]\n{init}\nlater = <later>\n"
        ));
        let none = Options::new();
        let definition = Definition::new(&layers, &none, &none).unwrap();
        let told = definition.check(&["later"]).map_err(|error| match error {
            Error::SelfReference { option, .. } => option,
            other => other.to_string(),
        });
        assert_eq!(told, expected.map_err(str::to_owned), "{init}");
    }
}

#[test]
fn a_chain_is_given_up_after_so_many_rounds() {
    let layers = read("[Definition]\nt = x<b>\nb = <c>\nc = y<b>");
    let none = Options::new();
    let definition = Definition::new(&layers, &none, &none).unwrap();
    let Err(Error::SelfReference { value, .. }) = definition.resolved("t", &[]) else {
        panic!("the chain has an end");
    };
    assert_eq!(value, format!("x{}<b>", "y".repeat(26)));
}

#[test]
fn many_uses_and_long_chains_are_no_mistake() {
    let chain: String = (0..40).map(|n| format!("b{n} = <b{}>\n", n + 1)).collect();
    let text = format!(
        "[Definition]\nt = {}<b0>\nz = Z\n{chain}b40 = e",
        "<z>".repeat(60)
    );
    assert_eq!(resolved(&text, &[], &[]), Ok("Z".repeat(60) + "e"));
}

#[test]
fn growth_is_bounded() {
    let chain: String = (0..20)
        .map(|n| format!("b{n} = {}\n", format!("<b{}>", n + 1).repeat(4)))
        .collect();
    let error = resolved(&format!("[Definition]\nt = <b0>\n{chain}b20 = x"), &[], &[]);
    let expected = "/e/f.conf:2: option 't' grows beyond 1048576 bytes; shorten what it refers to";
    assert_eq!(error, Err(expected.into()));
}

#[test]
fn options_with_a_condition_wait_for_the_ban() {
    let text = "\
[Definition]
t = <cmd> <ip> <blocktype> <bt2>
cmd = iptables <matches>
[Definition?family=inet6]
t = six
[Init]
blocktype = REJECT
bt2 = <blocktype> b
[Init?family=inet6]
blocktype = REJECT6
";
    let expected = "iptables <matches> <ip> <blocktype> <blocktype> b";
    assert_eq!(resolved(text, &[], &[]).as_deref(), Ok(expected));
    assert_eq!(
        resolved(text, &[("blocktype", "DROP")], &[]).as_deref(),
        Ok(expected)
    );

    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case; 3] = [
        (
            &[("name", "n")],
            &[
                "name=n",
                "blocktype=REJECT",
                "bt2=<blocktype> b",
                "blocktype?family=inet6=REJECT6",
            ],
        ),
        (
            &[("blocktype", "DROP")],
            &[
                "blocktype=DROP",
                "bt2=<blocktype> b",
                "blocktype?family=inet6=DROP",
            ],
        ),
        (
            &[("blocktype?family=inet6", "six")],
            &[
                "blocktype?family=inet6=six",
                "blocktype=REJECT",
                "bt2=<blocktype> b",
            ],
        ),
    ];
    let layers = read(text);
    let none = Options::new();
    for (given, expected) in cases {
        let given = options(given);
        let definition = Definition::new(&layers, &given, &none).unwrap();
        let properties = definition.properties();
        let shown: Vec<String> = properties
            .iter()
            .map(|(name, value)| format!("{name}={}", value.text()))
            .collect();
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_property_is_the_same_alone_and_among_all() {
    let layers = read("[Init]\nx = 1\ny = 2\n[Init?family=inet6]\nx = 6\ny = 66\nz = 666\n");
    let (given, none) = (options(&[("x", "given"), ("w", "0")]), Options::new());
    let definition = Definition::new(&layers, &given, &none).unwrap();
    let properties = definition.properties();
    assert_eq!(properties.len(), 6);
    for (name, value) in properties {
        assert_eq!(definition.property(name), Some(value), "{name}");
    }
    assert_eq!(definition.property("z"), None);
}

#[test]
fn init_sees_nothing_but_itself_and_default() {
    let text = "[DEFAULT]\nd = D\n[Definition]\nt = <i> <x>\ny = 1\n[Init]\nx = X\ni = %(x)s %(d)s %(__name__)s";
    assert_eq!(resolved(text, &[("x", "g")], &[]), Ok("X D Init g".into()));
    let text = "[Definition]\nt = <i>\ny = 1\n[Init]\ni = %(y)s\nj = %(y)s";
    let mistakes = resolved(text, &[("y", "given")], &[("y", "jail")]);
    let expected = "/e/f.conf:5: no option 'y'; did you mean 'i'?\n/e/f.conf:6: no option 'y'; did you mean 'i'?";
    assert_eq!(mistakes, Err(expected.into()));
}

#[test]
fn only_definition_is_asked_in_lower_case() {
    let text = "[Definition]\nt = <Ini> <Foo> <known/Ini> <KNOWN/ini> <known/Foo>\nfoo = F\n[Init]\nini = I";
    assert_eq!(
        resolved(text, &[], &[]),
        Ok("<Ini> F <known/Ini> <KNOWN/ini> F".into())
    );
    assert_eq!(
        resolved(text, &[("INI", "G")], &[]),
        Ok("G F <known/Ini> <KNOWN/ini> F".into())
    );
}

#[test]
fn lines_keep_their_places_through_tags() {
    let layers = read("[Definition]\nt = <two>\n  ^<p>\n[Init]\ntwo = 1\n 2\np = pre");
    let none = Options::new();
    let definition = Definition::new(&layers, &none, &none).unwrap();
    let value = definition.resolved("t", &[]).unwrap().unwrap();
    let lines: Vec<String> = value
        .lines()
        .map(|(line, at)| format!("{}{line}", at.line))
        .collect();
    assert_eq!(lines, ["51", "62", "3^pre"]);
}

#[test]
fn a_file_without_definition_has_no_options() {
    let layers = read("[Init]\nx = 1");
    let none = Options::new();
    let definition = Definition::new(&layers, &none, &none).unwrap();
    assert_eq!(definition.resolved("failregex", &[]).unwrap(), None);
}
