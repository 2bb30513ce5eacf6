use super::*;

/// `name|key=value|…`
fn told(text: &str) -> Result<String, String> {
    let invocation = Invocation::parse(text).map_err(|error| error.to_string())?;
    let options = invocation
        .options
        .iter()
        .map(|(key, value)| format!("|{key}={value}"));
    Ok(invocation.name.clone() + &options.collect::<String>())
}

#[test]
fn options_are_read_as_in_fail2ban() {
    let cases = [
        ("a", "a"),
        ("a ", "a "),
        ("a[b=1]", "a|b=1"),
        ("a [b=1]", "a |b=1"),
        ("  a[b=1]  ", "  a|b=1"),
        ("a[]", "a"),
        ("a[,]", "a"),
        ("a[ ]", "a"),
        ("a[b=1,]", "a|b=1"),
        ("a[b=1,\n]", "a|b=1"),
        ("a[b=1][c=2][b=3]", "a|b=3|c=2"),
        ("a[b=1] \n[c=2]", "a|b=1|c=2"),
        ("a[b=1][]", "a|b=1"),
        ("a[][b=1]", "a|b=1"),
        ("a[ b= 1 , c=2 ]", "a|b=1|c=2"),
        ("a[b=x\n,\nc=y]", "a|b=x|c=y"),
        ("a[b=,c=1]", "a|b=|c=1"),
        ("a[b=\"\",c='']", "a|b=|c="),
        ("a[b=\"x]y\",c='y,\"z']", "a|b=x]y|c=y,\"z"),
        ("a[b=\"x\ny\"]", "a|b=x\ny"),
        ("a[b=\"1\" ]", "a|b=1"),
        ("a[b=\"1\" , c=2]", "a|b=1|c=2"),
        ("a[b=\"][\"]", "a|b=]["),
        ("a[b=x y #c;d]", "a|b=x y #c;d"),
        ("a[b==1]", "a|b==1"),
        ("a[b=[x]", "a|b=[x"),
        ("a[b=\"x]", "a|b=\"x"),
        ("a[b=x\"y\"]", "a|b=x\"y\""),
        ("a[B.c-d_=1,é=2]", "a|B.c-d_=1|é=2"),
        ("a[b?family=inet6=\"x\"]", "a|b?family=inet6=x"),
        ("a]b[c=1]", "a]b|c=1"),
    ];
    for (text, expected) in cases {
        assert_eq!(told(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn mistakes_are_told_in_the_words_of_fail2ban() {
    let cases = [
        ("", "unexpected option syntax"),
        ("[a=1]", "unexpected option syntax"),
        ("a[b=1", "unexpected option syntax"),
        ("a[b=1]x", "unexpected option syntax"),
        ("a[b=1][c", "unexpected option syntax"),
        ("a[b=1]]", "unexpected syntax at 3 after option 'b': ]"),
        ("a[b=\"1\"x]", "unexpected syntax at 5 after option 'b': x"),
        (
            "a[b=\"x\"] , [c=1]",
            "unexpected syntax at 5 after option 'b': ] , [c=1",
        ),
        (
            "a[b=\"x\\\"y\"]",
            "unexpected syntax at 6 after option 'b': y\"",
        ),
        ("a[b=\"ü\"x]", "unexpected syntax at 5 after option 'b': x"),
        ("a[b =1]", "expected option, wrong syntax at 0: b =1"),
        ("a[word]", "expected option, wrong syntax at 0: word"),
        ("a[b=1,,c=2]", "expected option, wrong syntax at 4: ,c=2"),
        ("a[b=x\\,y]", "expected option, wrong syntax at 5: y"),
        ("a[\"b\"=1]", "expected option, wrong syntax at 0: \"b\"=1"),
        ("a[=1]", "expected option, wrong syntax at 0: =1"),
        (
            "a[b?f=\"x\"]",
            "expected option, wrong syntax at 0: b?f=\"x\"",
        ),
        ("a[b=1]  [word]", "expected option, wrong syntax at 7: word"),
        (
            "a[  b=1,  word]",
            "expected option, wrong syntax at 6:   word",
        ),
        (
            "a[b=\"1\"] [c=\"2\"x]",
            "unexpected syntax at 13 after option 'c': x",
        ),
        (
            "a[abcdefghijklmnopqrstuvwxyz 1]",
            "expected option, wrong syntax at 0: abcdefghijklmnopqrstuvwxy",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(told(text), Err(expected.to_owned()), "{text:?}");
    }
}

#[test]
fn a_list_is_split_outside_its_brackets() {
    let cases: [(&str, &[&str]); 15] = [
        ("", &[]),
        (" \n ", &[]),
        ("a b", &["a", "b"]),
        (
            "a\nb[c=1,\n d=\"2 3\"]\n e",
            &["a", "b[c=1,\n d=\"2 3\"]", "e"],
        ),
        ("a[b=1][c=2] d", &["a[b=1][c=2]", "d"]),
        ("a [b=1] c", &["a [b=1]", "c"]),
        ("a[b=1]\n[c=2]", &["a[b=1]\n[c=2]"]),
        ("a[b=\"x]\"] c", &["a[b=\"x]\"]", "c"]),
        ("a[b='] '] c", &["a[b='] ']", "c"]),
        ("a[b=\"x y] c\"] d", &["a[b=\"x y] c\"]", "d"]),
        ("a[b=\"x c] d", &["a[b=\"x c]", "d"]),
        ("a[b=1]c d", &["a[b=1]c", "d"]),
        ("a[b c", &["a[b", "c"]),
        ("a[b=[x] y", &["a[b=[x]", "y"]),
        ("a,b[c=1], d", &["a,b[c=1],", "d"]),
    ];
    for (text, expected) in cases {
        assert_eq!(Invocation::split(text), expected, "{text:?}");
    }
}

#[test]
fn white_space_around_a_value_does_not_reach_the_filter() {
    let parsed = Invocation::parse("f[a=\" x y \", b= z ]").unwrap();
    let options = parsed.options_at(&Place::named("jail"));
    let values: Vec<&str> = options.iter().map(|(_, value)| value.text()).collect();
    assert_eq!(values, ["x y", "z"]);
}
