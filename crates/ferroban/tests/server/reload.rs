//! Another configuration for a server at work.

use std::path::Path;

use crate::home::{Home, STOPPED};
use crate::support::child::{command, run};
use crate::support::guard::DEBIANS;
use crate::support::wait::{SOON, until};
use crate::support::world::skip;

#[test]
fn a_reload_with_a_mistake_leaves_everything_as_it_was() {
    let home = Home::new();
    let _server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0"]);
    let before = home.ask(&["get", "j1", "failregex"]);
    home.write("conf/filter.d/wrong.local", "[Definition]\nfailregex = (\n");
    home.write(
        "conf/jail.local",
        "[j1]\nmaxretry = 9\n[j2]\nenabled = true\n",
    );
    let printed = "Unable to compile regular expression '(':\n\
                   missing ), unterminated subpattern at position 0";
    let told = "fail2ban ERROR NOK: (\"Unable to compile regular expression '(':\\n\
                missing ), unterminated subpattern at position 0\",)";
    for words in [
        &["reload"][..],
        &["reload", "j1"],
        &["reload", "--restart", "--unban"],
    ] {
        home.must_refuse(words, printed, told);
        assert_eq!(
            home.ask(&["status"]),
            "Status\n|- Number of jail:\t1\n`- Jail list:\tj1"
        );
        assert_eq!(home.ask(&["get", "j1", "banip"]), "192.0.2.8");
        assert_eq!(home.ask(&["get", "j1", "maxretry"]), "3");
        assert_eq!(home.ask(&["get", "j1", "failregex"]), before);
    }
    // It still counts, by the filter it had.
    home.fail(&["192.0.2.7"; 3]);
    home.must_act(&["j1: ban 192.0.2.7 0"]);
}

#[test]
fn a_reload_keeps_bans_and_what_is_asked_for_lifts_them() {
    let home = Home::new();
    let _server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0"]);
    let banned = || home.ask(&["get", "j1", "banip"]);
    for words in [&["reload"][..], &["reload", "j1"]] {
        assert_eq!(home.ask(words), "OK");
        assert_eq!(banned(), "192.0.2.8");
    }
    for words in [&["reload", "--restart"][..], &["restart", "j1"]] {
        assert_eq!(home.ask(words), "OK");
        // Nothing was written down by the reloads before.
        home.must_act(&[
            "j1: unban 192.0.2.8",
            "j1: stop",
            "j1: start",
            "j1: ban 192.0.2.8 1",
        ]);
        assert_eq!(banned(), "192.0.2.8");
    }
    // Whoever reads the last line knows that it runs.
    let of_jail = |line: &String| line.contains("[j1]") || line.contains("Jail 'j1' st");
    let told = || home.log().into_iter().filter(of_jail);
    let again = [
        "fail2ban.actions NOTICE [j1] Repeal Ban 192.0.2.8",
        "fail2ban.jail INFO Jail 'j1' stopped",
        "fail2ban.jail INFO Jail 'j1' started",
        "fail2ban.actions NOTICE [j1] Restore Ban 192.0.2.8",
    ];
    let first = [
        "fail2ban.jail INFO Jail 'j1' started",
        "fail2ban.actions NOTICE [j1] Ban 192.0.2.8",
    ];
    let whole = [&first[..], &again, &again].concat();
    until(SOON, "all of it is told", || told().count() >= whole.len());
    assert_eq!(told().collect::<Vec<_>>(), whole);
    assert_eq!(home.ask(&["reload", "--unban", "j1"]), "OK");
    home.must_act(&["j1: unban 192.0.2.8"]);
    assert_eq!(banned(), "");
    assert_eq!(home.ask(&["reload", "--restart", "j1"]), "OK");
    home.must_act(&["j1: stop", "j1: start"]);
    assert_eq!(banned(), "", "it is not in the database any more");
}

#[test]
fn a_jail_of_the_folder_comes_and_goes_with_a_reload() {
    let home = Home::new();
    let _server = home.start();
    home.must_act(&["j1: start"]);
    home.write("conf/jail.local", "[j2]\nenabled = true\n");
    home.must_refuse(
        &["reload", "j2"],
        "Sorry but the jail 'j2' does not exist",
        "fail2ban ERROR NOK: ('j2',)",
    );
    assert_eq!(home.ask(&["reload", "--if-exists", "j2"]), "OK");
    home.must_act(&["j2: start"]);
    home.ask(&["set", "j2", "banip", "192.0.2.9"]);
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.must_act(&["j2: ban 192.0.2.9 0", "j1: ban 192.0.2.8 0"]);
    home.remove("conf/jail.local");
    assert_eq!(home.ask(&["reload"]), "OK");
    // The reply waits for the end of what ends.
    assert_eq!(home.acts(), ["j2: unban 192.0.2.9", "j2: stop"]);
    home.must_act(&["j2: unban 192.0.2.9", "j2: stop"]);
    assert_eq!(
        home.ask(&["status"]),
        "Status\n|- Number of jail:\t1\n`- Jail list:\tj1"
    );
    assert_eq!(home.ask(&["get", "j1", "banip"]), "192.0.2.8");
    for line in [
        "fail2ban.actions NOTICE [j2] Repeal Ban 192.0.2.9",
        "fail2ban.jail INFO Jail 'j2' stopped",
    ] {
        home.must_tell(line);
    }
}

#[test]
fn an_action_that_is_replaced_lifts_its_bans_and_the_new_one_makes_them() {
    let home = Home::new();
    let _server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0"]);
    home.write("conf/jail.local", "[j1]\naction = other\n");
    assert_eq!(home.ask(&["reload"]), "OK");
    let expected = [
        "j1: unban 192.0.2.8",
        "j1: stop",
        "j1: other start",
        "j1: other ban 192.0.2.8 0",
    ];
    assert_eq!(home.acts(), expected, "the reply waits for it");
    home.must_act(&expected);
    let actions = |names: &str| {
        let listed = home.ask(&["get", "j1", "actions"]);
        assert_eq!(
            listed,
            format!("The jail j1 has the following actions:\n{names}")
        );
    };
    actions("other");
    // One that stays goes on.
    home.write("conf/jail.local", "[j1]\naction = other\n         record\n");
    assert_eq!(home.ask(&["reload", "j1"]), "OK");
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0"]);
    actions("other, record");
    home.ask(&["set", "j1", "banip", "192.0.2.9"]);
    home.must_act(&["j1: other ban 192.0.2.9 0", "j1: ban 192.0.2.9 0"]);
    assert_eq!(home.ask(&["stop"]), STOPPED);
    home.must_act(&[
        "j1: other flush",
        "j1: unban 192.0.2.8",
        "j1: unban 192.0.2.9",
        "j1: stop",
        "j1: other stop",
    ]);
}

#[test]
fn an_action_that_goes_lifts_what_a_reload_is_to_lift() {
    let home = Home::new();
    let _server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8", "192.0.2.9"]);
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0", "j1: ban 192.0.2.9 0"]);
    home.write("conf/jail.local", "[j1]\naction = other\n");
    assert_eq!(home.ask(&["reload", "--unban", "j1"]), "OK");
    home.must_act(&[
        "j1: unban 192.0.2.8",
        "j1: unban 192.0.2.9",
        "j1: stop",
        "j1: other start",
    ]);
    assert_eq!(home.ask(&["get", "j1", "banip"]), "");
}

/// fail2ban's own client starts and reloads our server as ours does.
#[test]
fn the_originals_client_gets_along_with_it() {
    if !Path::new(DEBIANS).exists() {
        return skip("/usr/bin/fail2ban-client is missing; install fail2ban");
    }
    let home = Home::new();
    let _server = home.start();
    home.must_act(&["j1: start"]);
    let ask = |words: &[&str]| {
        run(command(DEBIANS)
            .arg("-c")
            .arg(home.path("conf"))
            .args(words))
    };
    assert!(ask(&["ping"]).succeeded("Server replied: pong\n"));
    assert!(ask(&["reload"]).succeeded("OK\n"));
    assert!(ask(&["set", "j1", "banip", "192.0.2.8"]).succeeded("1\n"));
    assert!(ask(&["reload", "--restart", "j1"]).succeeded("OK\n"));
    home.must_act(&[
        "j1: ban 192.0.2.8 0",
        "j1: unban 192.0.2.8",
        "j1: stop",
        "j1: start",
        "j1: ban 192.0.2.8 1",
    ]);
    assert!(ask(&["stop"]).succeeded("Shutdown successful\n"));
}
