use super::*;

use std::collections::VecDeque;

type Answers = VecDeque<Result<Vec<IpAddr>, String>>;

/// Answers in turn, and writes down what it was asked.
#[derive(Clone, Default)]
struct Oracle {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Answers>>,
    host: Option<String>,
}

impl Oracle {
    fn new(answers: &[Result<&[&str], &str>]) -> Self {
        let answer = |answer: &Result<&[&str], &str>| match answer {
            Ok(texts) => Ok(addresses(texts)),
            Err(why) => Err((*why).to_owned()),
        };
        Self {
            answers: Arc::new(Mutex::new(answers.iter().map(answer).collect())),
            ..Self::default()
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.asked))
    }
}

impl Lookup for Oracle {
    fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, String> {
        lock(&self.asked).push(format!("{name}{}", if ipv6 { " 6" } else { "" }));
        let answer = lock(&self.answers).pop_front();
        answer.unwrap_or_else(|| Err("no answer".into()))
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        lock(&self.asked).push(address.to_string());
        self.host.clone()
    }

    fn ipv6(&self) -> bool {
        true
    }

    fn own_name(&self) -> String {
        "box".into()
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const UNKNOWN: &str = "[Errno -2] Name or service not known";

#[test]
fn addresses_come_once_each_ipv4_first_and_undressed() {
    let oracle = Oracle::new(&[Ok(&[
        "2001:db8::1",
        "192.0.2.9",
        "::ffff:192.0.2.1",
        "192.0.2.9",
    ])]);
    let found = Resolver::new(oracle).addresses("a.example").unwrap();
    assert_eq!(found, addresses(&["192.0.2.1", "192.0.2.9", "2001:db8::1"]));
}

#[test]
fn answers_are_remembered_for_five_minutes_bad_ones_too() {
    let oracle = Oracle::new(&[Ok(&["192.0.2.1"]), Err(UNKNOWN), Ok(&["192.0.2.2"])]);
    let resolver = Resolver::new(oracle.clone());
    let start = clock::tick();
    let at = |second| start + Duration::from_secs(second);
    let failure = |remembered| Unresolved {
        name: "b".into(),
        why: UNKNOWN.into(),
        remembered,
    };
    let cases = [
        ("a", 0, Ok("192.0.2.1"), 1),
        ("a", 299, Ok("192.0.2.1"), 0),
        ("b", 299, Err(failure(false)), 1),
        ("b", 300, Err(failure(true)), 0),
        ("a", 300, Ok("192.0.2.2"), 1),
        ("b", 598, Err(failure(true)), 0),
    ];
    for (name, second, expected, asked) in cases {
        let expected = expected.map(|text| addresses(&[text]));
        let found = resolver.addresses_at(name, at(second));
        assert_eq!(found, expected, "{name} after {second} s");
        assert_eq!(oracle.asked().len(), asked, "{name} after {second} s");
    }
}

#[test]
fn a_name_that_no_server_can_have_is_not_asked_for() {
    let of = |last| ["a".repeat(63), "b".repeat(63), "c".repeat(63), last].join(".");
    let (fits, long) = (of("d".repeat(61)), of("d".repeat(62)));
    let (label, many) = ("a".repeat(64), "a".repeat(300_000));
    let ends = [
        ("", UNKNOWN),
        ("a\0b", UNKNOWN),
        (&long, UNKNOWN),
        ("..", "label empty or too long)"),
        (".a", "label empty or too long)"),
        (&format!("{label}.x"), "label empty or too long)"),
        (&label, "label too long)"),
        (&many, "label too long)"),
        ("bücher.example", "xn--…)"),
    ];
    let oracle = Oracle::default();
    let resolver = Resolver::new(oracle.clone());
    for (name, end) in ends {
        let error = resolver.addresses(name).unwrap_err();
        assert!(error.why.ends_with(end), "{name:?}: {}", error.why);
        assert!(error.to_string().len() < 500, "{error}");
        assert!(!error.remembered, "{error}");
        let again = resolver.addresses(name).unwrap_err();
        assert!(again.remembered, "and it is told once: {error}");
    }
    assert_eq!(oracle.asked(), [""; 0]);
    for name in ["a.", "-", "1.2.3", "a_b^c", &fits, &format!("{fits}.")] {
        drop(resolver.addresses(name));
        assert_eq!(oracle.asked(), [format!("{name} 6")]);
    }
}

/// Answers nobody before two have asked.
struct Both(std::sync::Barrier);

impl Lookup for Both {
    fn addresses(&self, _: &str, _: bool) -> Result<Vec<IpAddr>, String> {
        self.0.wait();
        Err(UNKNOWN.into())
    }

    fn host(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn ipv6(&self) -> bool {
        true
    }

    fn own_name(&self) -> String {
        "box".into()
    }
}

#[test]
fn what_two_find_out_at_once_is_new_for_one_of_them() {
    let resolver = Resolver::new(Both(std::sync::Barrier::new(2)));
    let ask = || resolver.addresses("a").unwrap_err().remembered;
    let mut found = std::thread::scope(|scope| {
        [scope.spawn(ask), scope.spawn(ask)].map(|thread| thread.join().unwrap())
    });
    found.sort_unstable();
    assert_eq!(found, [false, true]);
}

#[test]
fn ipv6_is_asked_for_only_where_it_is_allowed() {
    let cases = [("auto", true), ("yes", true), ("no", false)];
    for (text, expected) in cases {
        let oracle = Oracle::new(&[Ok(&["::1", "192.0.2.1"])]);
        let resolver = Resolver::new(oracle.clone());
        resolver.allow_ipv6(text.parse().unwrap());
        let found = resolver.addresses("a").unwrap();
        assert_eq!(found.len(), if expected { 2 } else { 1 }, "{text}");
        let asked = if expected { "a 6" } else { "a" };
        assert_eq!(oracle.asked(), [asked], "{text}");
    }
    assert_eq!("maybe".parse::<Ipv6>(), Err(()));
}

#[test]
fn what_was_learned_under_another_rule_is_forgotten() {
    let oracle = Oracle::new(&[Ok(&["::1", "192.0.2.1"]), Ok(&["192.0.2.1"])]);
    let resolver = Resolver::new(oracle);
    let count = |resolver: &Resolver| resolver.addresses("a").unwrap().len();
    assert_eq!(count(&resolver), 2);
    resolver.allow_ipv6(Ipv6::No);
    assert_eq!(count(&resolver), 1);
    resolver.clone().allow_ipv6(Ipv6::No);
    assert_eq!(count(&resolver), 1, "nothing changed, nothing is forgotten");
}

#[test]
fn the_names_of_addresses_are_remembered_too() {
    let oracle = Oracle {
        host: Some("host.example".into()),
        ..Oracle::default()
    };
    let resolver = Resolver::new(oracle.clone());
    let start = clock::tick();
    for (second, asked) in [(0, 1), (299, 0), (300, 1)] {
        let now = start + Duration::from_secs(second);
        let found = resolver.host_at("192.0.2.1".parse().unwrap(), now);
        assert_eq!(found.as_deref(), Some("host.example"));
        assert_eq!(oracle.asked().len(), asked, "after {second} s");
    }
}

#[test]
fn own_names_are_that_of_the_host_with_and_without_its_domain_and_localhost() {
    let answers: &[Result<&[&str], &str>] =
        &[Ok(&["127.0.1.1"]), Err(UNKNOWN), Ok(&["127.0.0.1", "::1"])];
    let cases: [(Option<&str>, &[&str]); 3] = [
        (
            Some("box.example"),
            &["box ok", "box.example failed", "localhost ok"],
        ),
        (Some("localhost"), &["box ok", "localhost failed"]),
        (None, &["box ok", "localhost failed"]),
    ];
    for (host, expected) in cases {
        let oracle = Oracle {
            host: host.map(str::to_owned),
            ..Oracle::new(answers)
        };
        let found: Vec<String> = Resolver::new(oracle)
            .own_names()
            .into_iter()
            .map(|(name, found)| format!("{name} {}", if found.is_ok() { "ok" } else { "failed" }))
            .collect();
        assert_eq!(found, expected, "{host:?}");
    }
}

#[test]
fn the_words_are_the_originals() {
    assert_eq!(
        unresolved("nosuch.invalid", UNKNOWN),
        "Unable to find a corresponding IP address for nosuch.invalid: [Errno -2] Name or service not known"
    );
    let cases: [(&[&str], &str); 3] = [
        (&["127.0.0.1"], "{'127.0.0.1'}"),
        (&["127.0.0.1", "::1"], "{'127.0.0.1', '::1'}"),
        (&[], "set()"),
    ];
    for (found, set) in cases {
        assert_eq!(
            determined("localhost", &addresses(found)),
            format!("Determined IP using DNS Lookup: localhost = {set}")
        );
    }
}

#[test]
fn the_system_knows_localhost_in_both_directions() {
    let resolver = Resolver::system();
    let found = resolver.addresses("localhost").unwrap();
    assert_eq!(found.first(), addresses(&["127.0.0.1"]).first());
    let host = resolver.host("127.0.0.1".parse().unwrap());
    assert!(host.is_some_and(|name| !name.is_empty()));
}
