use super::*;
use crate::Memory;

/// `section|option=raw text` of each option of each section, `[DEFAULT]` apart.
fn told(files: &[(&str, &str)], name: &str) -> Vec<String> {
    let layers = read(files, name).unwrap();
    let all = layers.sections();
    all.flat_map(|section| {
        let show = |name: &str| {
            let value = layers.raw(section, name).unwrap().text();
            format!("{section}|{name}={value}")
        };
        layers.names(section).map(show).collect::<Vec<_>>()
    })
    .collect()
}

fn read(files: &[(&str, &str)], name: &str) -> Result<Layers, Errors> {
    let files: Memory = files
        .iter()
        .map(|(path, text)| (Path::new("/e").join(path), *text))
        .collect();
    Layers::read(&files, Path::new("/e"), name)
}

fn mistakes(files: &[(&str, &str)], name: &str) -> Vec<String> {
    let errors = read(files, name).unwrap_err();
    errors.iter().map(Error::to_string).collect()
}

fn order(files: &[(&str, &str)], name: &str) -> Vec<String> {
    let layers = read(files, name).unwrap();
    let name = |path: &Arc<Path>| path.strip_prefix("/e").unwrap().display().to_string();
    layers.files().iter().map(name).collect()
}

#[test]
fn the_files_of_a_name_come_in_their_order() {
    let all = [
        ("jail.local", ""),
        ("jail.conf", ""),
        ("jail.d/b.conf", ""),
        ("jail.d/a.conf", ""),
        ("jail.d/a.local", ""),
        ("jail.d/.hidden.conf", "bad"),
        ("jail.d/a.conf.bak", "bad"),
        ("filter.d/x.d/1.conf", ""),
        ("filter.d/x.local", ""),
    ];
    assert_eq!(
        order(&all, "jail"),
        [
            "jail.conf",
            "jail.d/a.conf",
            "jail.d/b.conf",
            "jail.local",
            "jail.d/a.local"
        ]
    );
    assert_eq!(
        order(&all, "filter.d/x"),
        ["filter.d/x.d/1.conf", "filter.d/x.local"]
    );
    assert_eq!(
        order(&all, "/e/filter.d/x"),
        ["filter.d/x.d/1.conf", "filter.d/x.local"]
    );
}

/// A directory need not list its files in order.
struct Backwards(Memory);

impl Files for Backwards {
    fn read(&self, path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
        self.0.read(path, limit)
    }

    fn list(&self, dir: &Path) -> std::io::Result<Vec<OsString>> {
        let mut names = self.0.list(dir)?;
        names.reverse();
        Ok(names)
    }
}

#[test]
fn drop_ins_come_by_name() {
    let names = [
        "/e/j.d/b.conf",
        "/e/j.d/a.conf",
        "/e/j.d/10.conf",
        "/e/j.d/9.conf",
    ];
    let files = Backwards(names.map(|name| (name, "")).into_iter().collect());
    let layers = Layers::read(&files, Path::new("/e"), "j").unwrap();
    let read: Vec<_> = layers
        .files()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let expected = [
        "/e/j.d/10.conf",
        "/e/j.d/9.conf",
        "/e/j.d/a.conf",
        "/e/j.d/b.conf",
    ];
    assert_eq!(read, expected);
}

#[test]
fn includes_come_around_their_file() {
    let files = [
        (
            "j.conf",
            "[INCLUDES]\nbefore = %(one)s\n  two.conf\n\nafter: d/three.conf\n[DEFAULT]\none=one.conf",
        ),
        ("j.d/x.conf", ""),
        ("one.conf", "[INCLUDES]\nafter=/e/d/four.conf\n[s]\nx=1"),
        ("one.local", "[INCLUDES]\nbefore=five.local"),
        ("two.local", ""),
        ("d/three.conf", "[INCLUDES]\nbefore=../one.conf\n four.conf"),
        ("d/four.conf", ""),
        ("five.local", ""),
    ];
    let expected = [
        "one.conf",
        "d/four.conf",
        "five.local",
        "one.local",
        "two.local",
        "j.conf",
        "d/../one.conf",
        "d/four.conf",
        "d/../five.local",
        "d/../one.local",
        "d/four.conf",
        "d/three.conf",
        "j.d/x.conf",
    ];
    assert_eq!(order(&files, "j"), expected);
}

#[test]
fn a_file_does_not_include_itself_through_others() {
    let files = [
        (
            "j.conf",
            "[INCLUDES]\nbefore = j.conf\n d/../j.conf\n k.conf",
        ),
        ("k.conf", "[INCLUDES]\nafter = j.conf"),
        ("j.local", "[INCLUDES]\nafter = j.conf"),
    ];
    let expected = ["k.conf", "j.conf", "j.local", "k.conf", "j.conf"];
    assert_eq!(order(&files, "j"), expected);
}

#[test]
fn later_files_win_option_by_option() {
    let files = [
        ("j.conf", "[DEFAULT]\nd=1\n[a]\nx=1\ny=1\n[b]\nz=1"),
        ("j.local", "[c]\n[a]\ny=2\nw=2\n[DEFAULT]\nd=2"),
    ];
    assert_eq!(told(&files, "j"), ["a|x=1", "a|y=2", "a|w=2", "b|z=1"]);
    let layers = read(&files, "j").unwrap();
    assert_eq!(layers.sections().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(layers.raw("c", "d").map(Value::text), Some("2"));
    assert_eq!(
        layers.raw("c", "d").unwrap().place().to_string(),
        "/e/j.local:6"
    );
    assert_eq!(layers.raw("c", "x"), None);
    assert_eq!(layers.raw("nope", "d"), None);
    assert_eq!(layers.known("a", "y").map(Value::text), Some("1"));
    assert_eq!(layers.overridden("a", "x"), None);
}

#[test]
fn a_condition_moves_from_the_section_to_its_keys() {
    let cases: [(&str, &[&str]); 9] = [
        ("[a?f=6]\nx=1", &["a|x?f=6=1"]),
        ("[a]\nx=0\nx?c=1\n[a?c]\nx=2", &["a|x=0", "a|x?c=2"]),
        ("[e?f?g]\nq=4", &["e|q?f?g=4"]),
        ("[é? x]\nk=1", &["é|k? x=1"]),
        ("[?c]\nz=1", &["?c|z=1"]),
        ("[d?]\nz=1", &["d?|z=1"]),
        ("[a b?x]\nk=1", &["a b?x|k=1"]),
        ("[a-b?x]\nk=1", &["a-b?x|k=1"]),
        ("[DEFAULT?x]\nk=1", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(told(&[("j.conf", text)], "j"), expected, "{text:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case; 6] = [
        (
            &[("jails.conf", "")],
            &["/e: there is no jail.conf and no jail.local; did you mean 'jails'?"],
        ),
        (
            &[("x/y", "")],
            &["/e: there is no jail.conf and no jail.local; create one"],
        ),
        (
            &[("jail.conf/x", ""), ("jail.local", "[a\n")],
            &[
                "/e/jail.conf: cannot be read; a file is wanted, not a directory",
                "/e/jail.local:1: '[a' stands before the first section; begin with a line like [DEFAULT]",
            ],
        ),
        (
            &[
                ("jail.conf", "[INCLUDES]\nbefore=no.conf\n d\n[a]\nx\n"),
                ("d/x", ""),
            ],
            &[
                "/e/jail.conf:5: 'x' is no option; write name = value, or indent it to continue the value above",
                "/e/jail.conf:3: included file /e/d cannot be read; a file is wanted, not a directory",
            ],
        ),
        (
            &[("jail.conf", "[INCLUDES]\nbefore=%(ona)s\n[DEFAULT]\none=1")],
            &["/e/jail.conf:2: no option 'ona'; did you mean 'one'?"],
        ),
        (
            &[
                ("jail.conf", "[INCLUDES]\nbefore=b.conf\n b.conf"),
                ("b.conf", "x=1"),
            ],
            &[
                "/e/b.conf:1: 'x=1' stands before the first section; begin with a line like [DEFAULT]",
            ],
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(mistakes(files, "jail"), expected, "{files:?}");
    }
}

#[test]
fn size_number_and_nesting_of_files_are_bounded() {
    let large = format!("[a]\nx={}", "y".repeat(MAX_FILE));
    assert_eq!(
        mistakes(&[("j.conf", &large)], "j"),
        ["/e/j.conf: larger than 1048576 bytes; split it into several files"]
    );

    let names: String = (0..600).map(|n| format!("\n {n}.conf")).collect();
    let many = format!("[INCLUDES]\nbefore={names}");
    assert_eq!(
        mistakes(&[("j.conf", &many)], "j"),
        [
            "/e/499.local: more than 1000 files or 16777216 bytes make up this configuration; include fewer"
        ]
    );

    let deep: Vec<(String, String)> = (0..30)
        .map(|n| {
            (
                format!("{n}.conf"),
                format!("[INCLUDES]\nbefore={}.conf", n + 1),
            )
        })
        .collect();
    let deep: Vec<(&str, &str)> = deep.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        mistakes(&deep, "0"),
        ["/e/20.conf:2: files include each other more than 20 deep; include fewer"]
    );

    let filled = format!("#{}\n", "x".repeat(MAX_FILE - 2));
    let again = format!("[INCLUDES]\nbefore={}", "\n filled.conf".repeat(17));
    assert_eq!(
        mistakes(&[("j.conf", &again), ("filled.conf", &filled)], "j"),
        [
            "/e/filled.conf: more than 1000 files or 16777216 bytes make up this configuration; include fewer"
        ]
    );

    // Without a bound, two includes on each of 20 levels make a million files.
    let wide: Vec<(String, String)> = (0..19)
        .map(|n| {
            (
                format!("{n}.conf"),
                format!("[INCLUDES]\nbefore={0}.conf\n {0}.conf", n + 1),
            )
        })
        .collect();
    let wide: Vec<(&str, &str)> = wide.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(mistakes(&wide, "0").len(), 1);
}

#[test]
fn a_whole_configuration_tells_a_bounded_number_of_mistakes() {
    let bad = format!("[a]\n{}", "word\n".repeat(99));
    let files = [
        ("j.conf", bad.as_str()),
        ("j.d/a.conf", &bad),
        ("j.local", &bad),
    ];
    assert_eq!(mistakes(&files, "j").len(), 100);
}

#[test]
fn predefined_options_give_way_to_files() {
    let mut layers = read(&[("j.conf", "[DEFAULT]\nv=file\n[a]\nx=%(v)s %(w)s")], "j").unwrap();
    layers.define("v", "ours");
    layers.define("w", "ours");
    let value = layers.option("a", "x").unwrap().unwrap();
    assert_eq!(value.text(), "file ours");
}

#[test]
fn published_options_come_before_older_texts() {
    let files = [
        ("j.conf", "[a]\nx=1"),
        ("j.local", "[a]\nx=%(known/x)s %(known/y)s"),
    ];
    let mut layers = read(&files, "j").unwrap();
    assert!(layers.option("a", "x").is_err());
    let value = |text: &str| Value::new(text, Place::named("filter"));
    let options = [("X", value("f")), ("y", value("g"))].into_iter().collect();
    layers.publish_known("a", &options);
    assert_eq!(layers.option("a", "x").unwrap().unwrap().text(), "f g");
}

#[test]
fn a_missing_section_is_told() {
    let layers = read(&[("j.conf", "[Definition]\nx=1")], "j").unwrap();
    let tell = |section: &str| layers.option(section, "x").unwrap_err().to_string();
    assert_eq!(
        tell("Definitoin"),
        "there is no section [Definitoin]; did you mean [Definition]?"
    );
    assert_eq!(tell("Init"), "there is no section [Init]; add it");
}

#[test]
fn what_can_be_read_is_given_beside_the_mistakes() {
    let files: Memory = [
        ("/e/jail.conf", &b"[a]\nx = 1\nx = 2\n[b]\ny = 3\n"[..]),
        ("/e/jail.d/bad.conf", b"[c]\nz = \xff\n"),
        ("/e/jail.local", b"[b]\ny = 4\n"),
    ]
    .into_iter()
    .collect();
    let (layers, errors) = Layers::read_partly(&files, "/e".as_ref(), "jail");
    assert_eq!(layers.sections().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(layers.raw("a", "x").unwrap().text(), "1");
    assert_eq!(layers.raw("b", "y").unwrap().text(), "4");
    let places = errors
        .iter()
        .map(|error| error.place().unwrap().to_string());
    assert_eq!(
        places.collect::<Vec<_>>(),
        ["/e/jail.conf:3", "/e/jail.d/bad.conf:2"]
    );
}
