//! Actions that are programs in Python.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::home::{Home, STOPPED};
use crate::support::world::skip;

/// Writes down what it is told.
const PROGRAM: &str = "\
from fail2ban.server.actions import ActionBase

class Action(ActionBase):
    def __init__(self, jail, name, port='22'):
        super().__init__(jail, name)
        self.port = port

    def tell(self, text):
        with open('@/acts', 'a') as file:
            file.write('%s: %s\\n' % (self._name, text))

    def start(self):
        self.tell('start ' + self.port)

    def stop(self):
        self.tell('stop')

    def ban(self, aInfo):
        self.tell('ban %(ip)s %(failures)i %(bantime)i' % aInfo)
        if aInfo['ip'] == '192.0.2.66':
            raise ValueError('boom')

    def unban(self, aInfo):
        self.tell('unban %(ip)s' % aInfo)

    def twice(self, text):
        return text * 2
";

/// A folder with a jail that has the program for an action; nothing without Python.
fn home() -> Option<Home> {
    if !Path::new("/usr/bin/python3").exists() {
        skip("python3 is missing; install it");
        return None;
    }
    let home = Home::new();
    home.write("conf/action.d/tell.py", PROGRAM);
    home.write("conf/jail.local", "[j1]\naction = tell.py[port=80]\n");
    chmod(&home, "conf/action.d", 0o755);
    chmod(&home, "conf/action.d/tell.py", 0o644);
    Some(home)
}

fn chmod(home: &Home, name: &str, mode: u32) {
    set_permissions(home.path(name), Permissions::from_mode(mode)).expect("the file is ours");
}

#[test]
fn a_program_in_python_lives_with_its_jail() {
    let Some(home) = home() else { return };
    let server = home.start();
    home.must_act(&["tell: start 80"]);
    home.fail(&["192.0.2.7"; 3]);
    home.must_act(&["tell: ban 192.0.2.7 3 600"]);
    home.ask(&["set", "j1", "banip", "192.0.2.66"]);
    home.must_act(&["tell: ban 192.0.2.66 0 600"]);
    home.must_tell(
        "fail2ban.actions ERROR Failed to execute ban jail 'j1' action 'tell' info \
         'ActionInfo({'ip': '192.0.2.66', 'family': 'inet4', 'fid': <function \
         Actions.ActionInfo.<lambda> at 0x7f0000000000>, 'raw-ticket': <function \
         Actions.ActionInfo.<lambda> at 0x7f0000000000>})': boom",
    );
    for (words, answer) in [
        (&["get", "j1", "action", "tell", "port"][..], "80"),
        (&["set", "j1", "action", "tell", "port", "8080"], "8080"),
        (&["get", "j1", "action", "tell", "port"], "8080"),
        (
            &["set", "j1", "action", "tell", "twice", r#"{"text": "a"}"#],
            "aa",
        ),
        (&["set", "j1", "unbanip", "192.0.2.66"], "1"),
    ] {
        assert_eq!(home.ask(words), answer, "{words:?}");
    }
    home.must_act(&["tell: unban 192.0.2.66"]);
    assert_eq!(home.ask(&["stop"]), STOPPED);
    home.must_act(&["tell: unban 192.0.2.7", "tell: stop"]);
    server.must_end();
}

#[test]
fn a_reload_makes_a_changed_program_anew_and_refuses_one_that_others_may_write() {
    let Some(home) = home() else { return };
    let _server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.must_act(&["tell: start 80", "tell: ban 192.0.2.8 0 600"]);
    assert_eq!(home.ask(&["reload"]), "OK");
    let anew = [
        "tell: unban 192.0.2.8",
        "tell: stop",
        "tell: start 80",
        "tell: ban 192.0.2.8 0 600",
    ];
    home.write("conf/action.d/tell.py", &format!("{PROGRAM}\n# more\n"));
    assert_eq!(home.ask(&["reload"]), "OK");
    home.must_act(&anew);
    chmod(&home, "conf/action.d/tell.py", 0o646);
    let why = "action 'tell': @/conf/action.d/tell.py: not run, since others than its owner may \
               write @/conf/action.d/tell.py (mode 646): run chmod go-w on it";
    let told = format!("fail2ban ERROR NOK: (\"{why}\",)");
    home.must_refuse(&["reload"], why, &told);
    home.ask(&["set", "j1", "banip", "192.0.2.9"]);
    home.must_act(&["tell: ban 192.0.2.9 0 600"]);
}

#[test]
fn a_program_that_cannot_be_loaded_is_refused_when_it_is_added() {
    let Some(home) = home() else { return };
    let _server = home.start();
    let file = home.filled("@/conf/action.d/tell.py");
    let words = ["set", "j1", "addaction", "x", &file, r#"{"nothing": "1"}"#];
    let done = home.client(&words);
    assert_eq!(done.code, Some(255), "{done:?}");
    let why = "TypeError: ";
    let advice = "unexpected keyword argument 'nothing'; name only options that its class takes";
    assert!(
        done.stdout.contains(why) && done.stdout.contains(advice),
        "{done:?}"
    );
    let listed = home.ask(&["get", "j1", "actions"]);
    assert_eq!(listed, "The jail j1 has the following actions:\ntell");
}
