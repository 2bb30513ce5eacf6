use super::*;
use ferroban_engine::{Filter, LogLine, Timestamp};
use serde_json::Value;

/// 2026-11-25 12:30:00 UTC, when the sample lines are young.
const NOW: i64 = 1_795_609_800;

fn field<'a>(sample: &'a Value, name: &str) -> &'a str {
    sample.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A fresh filter as a sample wants it, out of the embedded configuration.
fn filter(sample: &Value) -> Filter {
    let attempts = match field(sample, "attempts") {
        "" => String::new(),
        attempts => format!(", attempts={attempts}"),
    };
    let option = format!("sshd.filter=sshd[mode={}{attempts}]", field(sample, "mode"));
    let settings = embedded(&[option, "sshd.findtime=1h".to_owned()]).unwrap();
    let plan = settings.setup.plans().next().expect("the sshd jail is on");
    Filter::new(
        &plan.filter,
        ferroban_date::Zone::utc(),
        Timestamp::from_secs(NOW),
    )
    .unwrap()
}

/// What is reported for a line: who, how many, which user, when.
fn reported(
    filter: &mut Filter,
    line: &str,
    journal: bool,
) -> Option<(String, u32, Option<String>, i64)> {
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    let now = Timestamp::from_secs(NOW);
    let line = LogLine {
        text: line,
        time: journal.then_some(now),
        live: false,
    };
    filter.feed(now, line, &mut failures, &mut notes);
    assert!(failures.len() <= 1, "one line, one report");
    let failure = failures.pop()?;
    let user = failure
        .ticket
        .captures
        .into_iter()
        .find(|(name, _)| **name == *"user")
        .map(|(_, user)| user.to_string());
    Some((
        failure.id.to_string(),
        failure.ticket.failures,
        user,
        failure.time.secs(),
    ))
}

#[test]
fn every_sample_line_of_sshd_is_judged_as_labelled() {
    let samples = include_str!("../../tests/samples/sshd.jsonl");
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for text in samples.lines() {
        let sample: Value = serde_json::from_str(text).unwrap();
        let journal = field(&sample, "layout") == "journal";
        let mut filter = filter(&sample);
        let context = sample
            .get("context")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for line in &context {
            reported(&mut filter, line.as_str().unwrap(), journal);
        }
        let found = reported(&mut filter, field(&sample, "line"), journal);
        let count = u32::try_from(sample["count"].as_u64().unwrap()).unwrap();
        let user = sample["user"].as_str().map(str::to_owned);
        let time = sample["time"].to_string();
        let time = time
            .split('.')
            .next()
            .and_then(|secs| secs.parse().ok())
            .unwrap_or(NOW);
        let expected = sample["ip"]
            .as_str()
            .map(|ip| (ip.to_owned(), count, user, time));
        judged += 1;
        if found != expected {
            wrong.push(format!(
                "{} | {}\n  found {found:?}\n  expected {expected:?}",
                field(&sample, "note"),
                field(&sample, "line").chars().take(200).collect::<String>()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {judged} samples:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(judged >= 500, "the samples are there: {judged}");
}

/// Who has failed by a line of Courier's, as the filter of the old name sees it.
fn failed_at_courier(line: &str) -> Option<(String, Option<String>)> {
    let options = ["c.enabled=true", "c.filter=courierlogin", "c.logpath=/c"];
    let settings = embedded(&options.map(str::to_owned)).unwrap();
    let plan = settings
        .setup
        .plans()
        .find(|plan| plan.jail.name.as_str() == "c");
    let now = Timestamp::from_secs(NOW);
    let zone = ferroban_date::Zone::utc();
    let mut filter = Filter::new(&plan.unwrap().filter, zone, now).unwrap();
    let (ip, count, user, _) = reported(&mut filter, line, false)?;
    assert_eq!(count, 1, "{line}");
    Some((ip, user))
}

#[test]
fn lines_of_courier_are_judged_and_no_name_accuses_another() {
    const OWN: &str = "192.0.2.7";
    let long = "x".repeat(256);
    let cases = [
        (
            "srv imapd: LOGIN FAILED, user=ann, ip=[::ffff:192.0.2.7]",
            Some("ann"),
        ),
        (
            "srv pop3d-ssl: LOGIN FAILED, user=ann, ip=[192.0.2.7], port=[40000]",
            Some("ann"),
        ),
        (
            "srv courierpop3login: LOGIN FAILED, user=a@example.org, ip=[::ffff:192.0.2.7]",
            Some("a@example.org"),
        ),
        (
            "srv imapd-ssl[31]: LOGIN FAILED, method=PLAIN, ip=[::ffff:192.0.2.7]",
            Some("PLAIN"),
        ),
        ("[pop3d] LOGIN FAILED, user=, ip=[192.0.2.7]", Some("")),
        (
            "srv pop3d: LOGIN FAILED, user=x, ip=[198.51.100.1], port=[1], ip=[192.0.2.7]",
            Some("x, ip=[198.51.100.1], port=[1]"),
        ),
        ("srv pop3d: LOGIN FAILED, user=ann, ip=[192.0.2.7] ", None),
        ("srv pop3d: LOGIN FAILED, user=ann, ip=[host.example]", None),
        (
            "srv pop3d: LOGIN, user=ann, ip=[192.0.2.7], protocol=POP3",
            None,
        ),
        ("srv pop3d: x: LOGIN FAILED, user=ann, ip=[192.0.2.7]", None),
        (
            "srv nginx: pop3d: LOGIN FAILED, user=ann, ip=[192.0.2.7]",
            None,
        ),
        (
            &format!("srv pop3d: LOGIN FAILED, user={long}, ip=[192.0.2.7]"),
            None,
        ),
    ];
    for (text, user) in cases {
        let found = failed_at_courier(&format!("Nov 25 12:29:00 {text}"));
        let expected = user.map(|user| (OWN.to_owned(), Some(user.to_owned())));
        assert_eq!(found, expected, "{text}");
    }
}

proptest::proptest! {
    /// Whatever somebody gives as his name: if anybody failed, it is he.
    #[test]
    fn no_name_at_courier_accuses_another(name in "(?:[ -~]|, ip=\\[198\\.51\\.100\\.1\\]|, port=\\[1\\]|: LOGIN FAILED, ){0,30}") {
        let line = format!("Nov 25 12:29:00 srv pop3d: LOGIN FAILED, user={name}, ip=[192.0.2.7]");
        let found = failed_at_courier(&line);
        proptest::prop_assert!(found.is_none_or(|(ip, _)| ip == "192.0.2.7"));
    }
}

#[test]
fn the_embedded_configuration_guards_sshd() {
    let settings = embedded(&[]).unwrap();
    let plans: Vec<JailPlan> = settings.setup.plans().collect();
    let [plan] = plans.as_slice() else {
        panic!("one jail")
    };
    assert_eq!(plan.jail.name.as_str(), "sshd");
    assert_eq!(
        (
            plan.jail.maxretry,
            plan.jail.findtime,
            plan.jail.bantime.secs()
        ),
        (5, 600, 600)
    );
    assert_eq!(plan.backend, Backend::Auto);
    assert_eq!(
        plan.logpaths.first().map(String::as_str),
        Some("/var/log/auth.log")
    );
    assert_eq!(plan.journal.len(), 5);
    let [action] = plan.actions.as_slice() else {
        panic!("one action")
    };
    assert_eq!(action.name, "ferroban");
    let own = |name: &&str| !name.starts_with("action") && *name != "timeout";
    let options = action.options.keys().map(String::as_str).filter(own);
    let options: Vec<&str> = options.collect();
    assert_eq!(
        options,
        [
            "actname",
            "blocktype",
            "cut",
            "heal",
            "name",
            "port",
            "protocol"
        ]
        .into_iter()
        .filter(own)
        .collect::<Vec<_>>()
    );
}

#[test]
fn the_action_that_mails_is_known_whatever_it_is_called() {
    let calls = [
        (
            "ferroban-smtp[dest=\"a@b, c\", password=geheim]",
            "ferroban-smtp",
        ),
        (
            "ferroban-smtp[name=sshd-admins, password=geheim]",
            "ferroban-smtp-admins",
        ),
        ("ferroban-smtp[actname=post, password=geheim]", "post"),
    ];
    for (call, name) in calls {
        let settings = embedded(&[format!("sshd.action={call}")]).unwrap();
        let setup = settings.setup.jail("sshd").unwrap();
        let action = setup.action(name).unwrap();
        assert!(
            action.plan().is_smtp() && !action.plan().is_native(),
            "{call}"
        );
        assert_eq!(action.plan().options.get("password").unwrap(), "geheim");
        let shown = action.get("password").unwrap();
        assert_eq!(shown.shown().unwrap(), "***", "{call}");
    }
    let settings = embedded(&["sshd.action=ferroban".to_owned()]).unwrap();
    let action = settings
        .setup
        .jail("sshd")
        .unwrap()
        .action("ferroban")
        .unwrap();
    assert!(action.plan().is_native() && !action.plan().is_smtp());
}

#[test]
fn an_override_wins_and_a_mistake_names_the_option() {
    let settings = embedded(&[
        "sshd.bantime=1h 30m".to_owned(),
        "sshd.maxretry=2".to_owned(),
    ])
    .unwrap();
    let plan = settings.setup.plans().next().unwrap();
    assert_eq!((plan.jail.bantime.secs(), plan.jail.maxretry), (5400, 2));
    assert!(
        embedded(&["sshd.enabled=no".to_owned()])
            .unwrap()
            .setup
            .plans()
            .next()
            .is_none()
    );
    let cases = [
        (
            "maxretry=lots",
            "jail 'sshd': maxretry = lots: not a whole number",
        ),
        (
            "bantime=soon",
            "jail 'sshd': bantime = soon: not a time such as 600, 10m or 1d 12h",
        ),
        (
            "filter=ssh",
            "jail 'sshd': there is no filter 'ssh'; name one that is in filter.d",
        ),
        (
            "filter=sshd[x",
            "jail 'sshd': filter = sshd[x: unexpected option syntax",
        ),
        (
            "action=nft",
            "jail 'sshd': there is no action 'nft'; name one that is in action.d, or 'ferroban', or 'ferroban-smtp'",
        ),
        (
            "failregex=",
            "jail 'sshd': its filter has no failregex; it would find nothing",
        ),
        (
            "port=%(por)s",
            "/embedded/jail.d/~~set-0000.local:2: no option 'por'; did you mean 'port'?",
        ),
    ];
    for (option, expected) in cases {
        let error = embedded(&[format!("sshd.{option}")]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// A folder with a jail that is right, one without a filter and one without a log.
fn mixed_folder(server: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("filter.d")).unwrap();
    write("log", "");
    write("filter.d/f.conf", "[Definition]\nfailregex = x <HOST>\n");
    write("fail2ban.conf", server);
    let log = folder.path().join("log");
    let jails = format!(
        "[DEFAULT]\nenabled = true\nfilter = f\nbackend = polling\naction = ferroban\nlogpath = {}\n\
         [good]\n[soon]\nlogpath = /nonexistent/log\n[broken]\nfilter = nosuch\n",
        log.display()
    );
    write("jail.conf", &jails);
    folder
}

#[test]
fn a_broken_jail_keeps_no_other_from_starting_unless_that_is_wished() {
    let folder = mixed_folder("[Definition]\n");
    let (settings, problems) = super::folder(folder.path(), &[]).unwrap();
    let jails = settings.setup.jails();
    let names: Vec<&str> = jails.map(|jail| jail.name.as_str()).collect();
    assert_eq!(names, ["good", "soon"], "a log may still come");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["jail 'broken': there is no filter 'nosuch'; name one that is in filter.d"]
    );

    let told = |server: &str| {
        let folder = mixed_folder(server);
        super::folder(folder.path(), &[]).unwrap_err().to_string()
    };
    let error = told("[Definition]\ncompat = strict\n");
    assert!(error.starts_with("jail 'soon': none of its log"), "{error}");
    let error = told("[Definition]\ncompat = strict\ncompat = strict\n");
    assert!(error.contains("fail2ban.conf:3: "), "{error}");
}

#[test]
fn what_is_set_by_hand_wins_over_every_file_and_names_a_jail_that_is_there() {
    let folder = mixed_folder("[Definition]\n");
    std::fs::create_dir(folder.path().join("jail.d")).unwrap();
    let local = folder.path().join("jail.d/zz.local");
    std::fs::write(local, "[good]\nmaxretry = 7\n").unwrap();
    let load = |text: &str| super::folder(folder.path(), &[text.to_owned()]);
    let (settings, _) = load("good.maxretry = 9").unwrap();
    assert_eq!(settings.setup.plans().next().unwrap().jail.maxretry, 9);
    let cases = [
        (
            "goodd.maxretry=9",
            "no jail 'goodd'; did you mean 'good'? --set goodd.enabled=true would make one",
        ),
        (
            "Definition.maxretry=9",
            "no jail 'Definition'; --set Definition.enabled=true would make one",
        ),
        (
            "good.maxretry=9\r[x]",
            "--set good.maxretry=9\r[x]: not understood; write it as jail.option=value",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(load(text).unwrap_err().to_string(), expected);
    }
    let (_, problems) = load("good.maxretry=lots").unwrap();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let about_good = told.iter().filter(|text| text.contains("'good'")).count();
    assert_eq!(about_good, 1, "{told:?}");
}
