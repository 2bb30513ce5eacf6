//! The zone of the machine, which a process can be told only when it starts:
//! the test starts itself again for each row.

#![cfg(test)]

use std::io::Write as _;
use std::process::Command;

use ferroban_date::{Timestamp, Zone, local_text};

/// 2026-06-15 12:00:00 UTC.
const NOON: Timestamp = Timestamp::from_secs(1_781_524_800);

/// Set for the child, which only tells its time.
const CHILD: &str = "FERROBAN_TEST_TELLS_TIME";

#[test]
#[expect(clippy::disallowed_methods, reason = "the child is this test again")]
fn the_zone_of_the_machine_is_what_tz_says() {
    if std::env::var_os(CHILD).is_some() {
        let here = local_text(NOON, &Zone::local());
        writeln!(std::io::stdout(), "it is {here} here").unwrap();
        return;
    }
    let cases = [
        // TZ, expected
        ("Europe/Berlin", "2026-06-15 14:00:00"),
        (":Europe/Berlin", "2026-06-15 14:00:00"),
        ("/usr/share/zoneinfo/Europe/Berlin", "2026-06-15 14:00:00"),
        ("CET-01CEST-02,M3.5.0,M10.5.0", "2026-06-15 14:00:00"),
        ("EST5", "2026-06-15 07:00:00"),
        ("UTC", "2026-06-15 12:00:00"),
        ("", "2026-06-15 12:00:00"),
        ("Europe/Atlantis", "2026-06-15 12:00:00"),
    ];
    for (tz, expected) in cases {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = "the_zone_of_the_machine_is_what_tz_says";
        child
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .env("TZ", tz);
        let output = child.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let told = format!("it is {expected} here");
        assert!(text.contains(&told), "TZ={tz}: {text}");
    }
}
