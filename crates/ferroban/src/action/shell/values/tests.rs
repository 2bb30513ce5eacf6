use super::*;

use std::sync::Arc;

use ferroban_engine::{BanTime, Ticket};

use super::super::bind::bind;
use super::super::{Counters, Facts};

struct Known;

impl Facts for Known {
    fn counters(&self) -> Counters {
        Counters {
            banned: 1,
            banned_total: 2,
            found: 3,
            found_total: 4,
        }
    }

    fn merged(&self, id: &FailId, everywhere: bool) -> Option<Merged> {
        (id.to_string() == "192.0.2.99").then(|| Merged {
            failures: if everywhere { 20 } else { 10 },
            matches: format!("merged {everywhere}"),
        })
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        (address.to_string() == "192.0.2.99").then(|| "host.example".to_owned())
    }
}

/// Asking is a failure.
struct Unknowable;

impl Facts for Unknowable {
    fn counters(&self) -> Counters {
        panic!("nobody wants to know")
    }
    fn merged(&self, _: &FailId, _: bool) -> Option<Merged> {
        panic!("nobody wants to know")
    }
    fn host(&self, _: IpAddr) -> Option<String> {
        panic!("nobody wants to know")
    }
    fn own_name(&self, _: bool) -> String {
        panic!("nobody wants to know")
    }
}

fn world(facts: impl Facts + 'static) -> World {
    World {
        jail: "j".parse().unwrap(),
        facts: Arc::new(facts),
    }
}

fn ban(id: &str, captures: &[(&str, &str)], matches: &[&str]) -> Ban {
    let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    let date = "2026-11-25 16:34:13";
    Ban {
        id: FailId::parse(id),
        time: Timestamp::from_secs(1_795_624_453),
        bantime: BanTime::For(600),
        count: 1,
        ticket: Ticket {
            failures: u32::try_from(matches.len()).unwrap(),
            // Lines of a later failure are in one piece.
            matches: matches
                .iter()
                .enumerate()
                .map(|(place, text)| match place {
                    0 => Match::new("", date, text),
                    _ => Match::new("", "", &format!("{date}{text}")),
                })
                .collect(),
            captures: captures.iter().map(owned).collect(),
        },
        restored: false,
    }
}

/// An id, captures, and what is made of them.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

fn said(text: &str, ban: &Ban) -> String {
    let world = world(Known);
    let script = bind(text, &OfBan::new(ban, &world));
    script.shown().into_owned()
}

const EVERY_TAG: &str = "\
: 'ip=<ip> family=<family> iprev=<ip-rev> fid=<fid> failures=<failures> time=<time> bantime=<bantime> bancount=<bancount> restored=<restored>'
: \"iph=<ip-host> m=<matches> ipm=<ipmatches> ipjm=<ipjailmatches> ipf=<ipfailures> ipjf=<ipjailfailures>\"
: \"raw=<raw-ticket> U=<F-USER> S=<F-SESS_ID> X=<F-NOPE> x=<nosuch> lc=<F-user> <F-ID> <F-MATCHES> <F-FAILURES> <F-IP4> [<ip4>] <user> <F-*> <bantime>\"";

/// What fail2ban 1.0.2 gave `sh -c` for these tickets, word for word, but for
/// `<jail.name>`, which it did not know yet.
#[test]
fn a_ticket_becomes_the_originals_arguments() {
    let world = world(Known);

    let first = ban(
        "10.0.0.1",
        &[
            ("ip4", "10.0.0.1"),
            ("user", "$(touch x)"),
            ("sess_id", "a;b"),
        ],
        &[
            " bad 10.0.0.1 user=$(touch x) sess=a;b",
            " bad 10.0.0.1 user=$(touch x) sess=c",
        ],
    );
    let script = bind(EVERY_TAG, &OfBan::new(&first, &world));
    assert_eq!(
        script.text,
        "f2bV_matches=$0 f2bV_ipmatches=$1 f2bV_ipjailmatches=$2 f2bV_raw_ticket=$3 f2bV_F__=$4 f2bV_F_user=$5 f2bV_F_sess_id=$6 f2bV_F_matches=$7 \n\
: 'ip=10.0.0.1 family=inet4 iprev=1.0.0.10. fid=10.0.0.1 failures=2 time=1795624453.0 bantime=600 bancount=1 restored=0'\n\
: \"iph=None m=$f2bV_matches ipm=$f2bV_ipmatches ipjm=$f2bV_ipjailmatches ipf=2 ipjf=2\"\n\
: \"raw=$f2bV_raw_ticket U=$f2bV_F_user S=$f2bV_F_sess_id X= x=<nosuch> lc=<F-user>  $f2bV_F_matches 2 10.0.0.1 [<ip4>] <user> $f2bV_F__ 600\""
    );
    let lines = "2026-11-25 16:34:13 bad 10.0.0.1 user=$(touch x) sess=a;b\n2026-11-25 16:34:13 bad 10.0.0.1 user=$(touch x) sess=c";
    let list = "[('', '2026-11-25 16:34:13', ' bad 10.0.0.1 user=$(touch x) sess=a;b'), '2026-11-25 16:34:13 bad 10.0.0.1 user=$(touch x) sess=c']";
    assert_eq!(
        script.args,
        [
            lines,
            lines,
            lines,
            &format!(
                "BanTicket: ip=10.0.0.1 time=1795624453.0 bantime=None bancount=1 #attempts=2 matches={list}"
            ),
            &format!(
                "{{'matches': {list}, 'failures': 2, 'ip4': '10.0.0.1', 'user': '$(touch x)', 'sess_id': 'a;b'}}"
            ),
            "$(touch x)",
            "a;b",
            list,
        ]
    );
}

#[test]
fn an_id_that_is_no_address_becomes_the_originals_arguments() {
    let world = world(Known);
    let mut second = ban("b;ob", &[], &[]);
    second.time = Timestamp::from_micros(1_795_624_461_300_544);
    let script = bind(EVERY_TAG, &OfBan::new(&second, &world));
    assert_eq!(
        script.text,
        "f2bV_ip=$0 f2bV_fid=$1 f2bV_raw_ticket=$2 f2bV_F__=$3 f2bV_F_matches=$4 \n\
: 'ip=$f2bV_ip family=None iprev= fid=$f2bV_fid failures=0 time=1795624461.300544 bantime=600 bancount=1 restored=0'\n\
: \"iph=None m= ipm= ipjm= ipf=0 ipjf=0\"\n\
: \"raw=$f2bV_raw_ticket U= S= X= x=<nosuch> lc=<F-user>  $f2bV_F_matches 0  [<ip4>] <user> $f2bV_F__ 600\""
    );
    assert_eq!(
        script.args,
        [
            "b;ob",
            "b;ob",
            "BanTicket: ip=b;ob time=1795624461.300544 bantime=None bancount=1 #attempts=0 matches=[]",
            "{'matches': [], 'failures': 0}",
            "[]",
        ]
    );
}

#[test]
fn quotes_and_control_characters_are_shown_as_python_shows_them() {
    let found = ban(
        "10.0.0.2",
        &[("user", "'\"`\\&|*?~<>^()[]{}#\r")],
        &[" user='\"`\\&\r\u{1b}é"],
    );
    assert_eq!(
        said("<F-*>", &found),
        "['f2bV_F__=$0 \\n$f2bV_F__', '{\\'matches\\': [(\\'\\', \\'2026-11-25 16:34:13\\', \\' \
         user=\\\\\\'\"`\\\\\\\\&\\\\r\\\\x1bé\\')], \\'failures\\': 1, \\'user\\': \\'\\\\\\'\"\
         `\\\\\\\\&|*?~<>^()[]{}#\\\\r\\'}']"
    );
}

#[test]
fn what_is_banned_says_its_address_in_every_form() {
    let text = "<ip> <family> <ip-rev> <fid> <ip-host>";
    let cases = [
        ("1.2.3.4", "1.2.3.4 inet4 4.3.2.1. 1.2.3.4 None"),
        (
            "10.9.0.0/16",
            "10.9.0.0/16 inet4 0/16.0.9.10. 10.9.0.0/16 None",
        ),
        (
            "2001:db8::7",
            "2001:db8::7 inet6 7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2. \
             2001:db8::7 None",
        ),
        (
            "2001:db8::/32",
            "2001:db8::/32 inet6 0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2. \
             2001:db8::/32 None",
        ),
        ("bob", "bob None  bob None"),
        (
            "192.0.2.99",
            "192.0.2.99 inet4 99.2.0.192. 192.0.2.99 host.example",
        ),
    ];
    for (id, expected) in cases {
        assert_eq!(said(text, &ban(id, &[], &[])), expected, "{id}");
    }
}

#[test]
fn an_id_that_is_no_address_has_the_one_that_was_captured_beside_it() {
    let text = "<ip> <family> <ip-rev> <fid> <F-ID> <F-IP> <F-IP4>";
    let cases: [Row<'_>; 5] = [
        (
            "bob",
            &[("fid", "bob"), ("ip4", "10.0.0.1")],
            "10.0.0.1 inet4 1.0.0.10. bob bob 10.0.0.1 10.0.0.1",
        ),
        (
            "bob",
            &[("fid", "bob"), ("ip6", "2001:DB8::1")],
            "2001:db8::1 inet6 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2. bob \
             bob 2001:db8::1 ",
        ),
        ("bob", &[("fid", "bob")], "bob None  bob bob  "),
        (
            "bob",
            &[("ip", "10.0.0.1")],
            "10.0.0.1 inet4 1.0.0.10. bob  10.0.0.1 ",
        ),
        (
            "10.0.0.2",
            &[("fid", "10.0.0.2"), ("ip4", "10.0.0.9")],
            "10.0.0.2 inet4 2.0.0.10. 10.0.0.2 10.0.0.2  10.0.0.9",
        ),
    ];
    for (id, captures, expected) in cases {
        assert_eq!(
            said(text, &ban(id, captures, &[])),
            expected,
            "{id} {captures:?}"
        );
    }
}

#[test]
fn the_daemon_is_asked_for_what_only_it_knows() {
    let known = ban("192.0.2.99", &[], &[" x"]);
    assert_eq!(
        said(
            "<ipmatches>|<ipjailmatches>|<ipfailures>|<ipjailfailures>",
            &known
        ),
        "merged true|merged false|20|10"
    );
    let other = ban("192.0.2.1", &[], &[" x", " y"]);
    assert_eq!(said("<ipfailures> <ipjailfailures>", &other), "2 2");
    assert_eq!(
        said(
            "<jail.name> <jail.banned> <jail.banned_total> <jail.found> <jail.found_total>",
            &other
        ),
        "j 1 2 3 4"
    );
}

#[test]
fn nobody_is_asked_for_what_does_not_stand_there() {
    let world = world(Unknowable);
    let ban = ban("192.0.2.1", &[("user", "x")], &[" x"]);
    let ticket = OfBan::new(&ban, &world);
    let script = bind(
        "<ip> <fid> <matches> <F-USER> <nosuch> <time> <raw-ticket>",
        &ticket,
    );
    assert!(script.text.contains("192.0.2.1 192.0.2.1 "));
    assert!(ticket.info().contains("192.0.2.1"));
}

#[test]
fn restored_and_endless_bans_look_like_it() {
    let mut ban = ban("192.0.2.1", &[], &[]);
    ban.restored = true;
    ban.bantime = BanTime::Forever;
    ban.count = 7;
    assert_eq!(
        said("<time> <restored> <bantime> <bancount>", &ban),
        "1795624453 1 -1 7"
    );
    let raw = said("<raw-ticket>", &ban);
    assert!(
        raw.contains("time=1795624453 bantime=-1 bancount=7 "),
        "{raw}"
    );
}

#[test]
fn seconds_are_written_as_python_writes_them() {
    let cases = [
        (1_795_624_453_000_000, "1795624453.0"),
        (1_795_624_461_300_544, "1795624461.300544"),
        (1_795_624_461_300_000, "1795624461.3"),
        (1_795_624_460_000_001, "1795624460.000001"),
        (0, "0.0"),
    ];
    for (micros, expected) in cases {
        assert_eq!(float(Timestamp::from_micros(micros)), expected);
    }
}

#[test]
fn what_concerns_nobody_is_an_empty_ticket() {
    let world = world(Known);
    let nobody = OfNobody {
        family: "inet6".to_owned(),
        world: &world,
        now: Timestamp::from_secs(5),
    };
    let text = "[<ip>][<family>][<failures>][<time>][<matches>][<ip-rev>][<ip-host>][<fid>]\
                [<bantime>][<bancount>][<restored>][<ipmatches>][<jail.banned>][<F-USER>][<no>]";
    assert_eq!(
        bind(text, &nobody).text,
        "[][inet6][0][5.0][][][None][][600][0][0][][1][][<no>]"
    );
    assert_eq!(
        bind("<raw-ticket> <F-*>", &nobody).args,
        [
            "BanTicket: ip= time=5.0 bantime=None bancount=0 #attempts=0 matches=[]",
            "{'matches': [], 'failures': 0}",
        ]
    );
    assert_eq!(
        bind("<ip> <family> <F-USER>.", &OfFamily("inet4")).text,
        "<ip> inet4 ."
    );
}

/// The info of a ban whose command asked for some tags.
fn info(ban: &Ban, command: &str) -> String {
    let world = world(Known);
    let ticket = OfBan::new(ban, &world);
    bind(command, &ticket);
    OfBan::new(ban, &world).told(ticket.asked())
}

/// The lines are those of the original, but for the number behind `0x`.
#[test]
fn the_info_says_who_it_is_and_what_the_command_asked_for() {
    let unasked = "<function Actions.ActionInfo.<lambda> at 0x7f0000000000>";
    let captures = [("ip4", "10.0.0.1"), ("user", "it's")];
    let found = ban("10.0.0.1", &captures, &[" bad 10.0.0.1"]);
    let line = "2026-11-25 16:34:13 bad 10.0.0.1";
    let data = "{'matches': [('', '2026-11-25 16:34:13', ' bad 10.0.0.1')], 'failures': 1, \
                'ip4': '10.0.0.1', 'user': \"it's\"}";
    let raw = "BanTicket: ip=10.0.0.1 time=1795624453.0 bantime=None bancount=1 #attempts=1 \
               matches=[('', '2026-11-25 16:34:13', ' bad 10.0.0.1')]";
    let cases = [
        (
            "echo <ip> <family> <br> <nope>",
            format!("'fid': {unasked}, 'raw-ticket': {unasked}"),
        ),
        (
            "<F-USER> <fid>",
            format!("'fid': '10.0.0.1', 'F-*': {data}, 'raw-ticket': {unasked}"),
        ),
        (
            "<raw-ticket> <jail.found_total> <jail.found> <jail.banned_total> <jail.banned> \
             <ipjailfailures> <ipfailures> <ipjailmatches> <ipmatches> <restored> <matches> \
             <bancount> <bantime> <time> <failures> <fid> <ip-host> <ip-rev> <jail.name>",
            format!(
                "'ip-rev': '1.0.0.10.', 'ip-host': None, 'fid': '10.0.0.1', 'failures': 1, \
                 'time': 1795624453.0, 'bantime': 600, 'bancount': 1, 'matches': '{line}', \
                 'restored': 0, 'ipmatches': '{line}', 'ipjailmatches': '{line}', \
                 'ipfailures': 1, 'ipjailfailures': 1, 'raw-ticket': \"{raw}\", \
                 'jail.banned': 1, 'jail.banned_total': 2, 'jail.found': 3, \
                 'jail.found_total': 4"
            ),
        ),
    ];
    for (command, expected) in cases {
        let expected = format!("ActionInfo({{'ip': '10.0.0.1', 'family': 'inet4', {expected}}})");
        assert_eq!(info(&found, command), expected, "{command}");
    }
    assert_eq!(
        info(&ban("bob", &[], &[]), "<fid>"),
        format!(
            "ActionInfo({{'ip': 'bob', 'family': None, 'fid': 'bob', 'raw-ticket': {unasked}}})"
        )
    );
    let named = info(&ban("192.0.2.99", &[], &[]), "<ip-host>");
    assert!(
        named.contains("'ip-host': 'host.example', 'fid': <f"),
        "{named}"
    );
}

#[test]
fn the_info_does_not_grow_with_what_strangers_wrote() {
    let long = ban("10.0.0.1", &[("user", &"é".repeat(4000))], &[]);
    let info = info(&long, "<F-USER>");
    assert!(
        info.len() < MOST_INFO + 200 && info.ends_with("é…})"),
        "{}",
        info.len()
    );
}
