//! Measurements of the stock patterns of the installed fail2ban, run by hand:
//! `cargo test --release -p ferroban-regex --lib -- --ignored --nocapture --test-threads 1`.

use super::hostile::{Filter, median, worst_lines};
use super::sets::{self, different};
use crate::{Regex, Slots};
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The shortest time of several rounds, which is the one least disturbed.
fn shortest(rounds: usize, mut work: impl FnMut()) -> Duration {
    (0..rounds)
        .map(|_| timed(&mut work).1)
        .min()
        .unwrap_or_default()
}

#[test]
#[ignore = "a measurement"]
fn compiling_all_stock_patterns() {
    let patterns = different();
    let compile = || -> Vec<Regex> { patterns.iter().map(sets::regex).collect() };
    let before = resident();
    let all = compile();
    let memory = resident().saturating_sub(before);
    let time = shortest(10, || drop(compile()));
    println!(
        "{} patterns compiled in {time:?}, {memory} KiB",
        patterns.len()
    );
    let linear = all.iter().filter(|regex| regex.is_linear()).count();
    let insts = all.iter().map(|regex| regex.inner.program.insts.len());
    println!("{linear} linear, {} instructions", insts.sum::<usize>());
}

/// The memory of this process that is in use, in KiB; 0 where nobody says.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Lines of an ordinary auth.log after the date, the host and the daemon's name.
const AUTH: [&str; 8] = [
    "Failed password for root from 192.0.2.7 port 52722 ssh2\n",
    "Failed password for invalid user admin from 192.0.2.7 port 52722 ssh2\n",
    "Invalid user admin from 192.0.2.7 port 52722\n",
    "Accepted publickey for alice from 198.51.100.4 port 50022 ssh2: ED25519 SHA256:abcdef\n",
    "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)\n",
    "Received disconnect from 192.0.2.7 port 52722:11: Bye Bye [preauth]\n",
    "Connection closed by authenticating user root 192.0.2.7 port 52722 [preauth]\n",
    "Server listening on 0.0.0.0 port 22.\n",
];

#[test]
#[ignore = "a measurement"]
fn searching_ordinary_lines() {
    let sets = sets::sets().unwrap_or_default();
    let sshd = sets
        .iter()
        .find(|set| set.filter == "sshd" && set.options == r#"{"mode":"aggressive"}"#)
        .unwrap();
    let regexes: Vec<Regex> = sshd.patterns.iter().map(sets::regex).collect();
    let mut total = [(0, 0.0); 2];
    for (number, regex) in regexes.iter().enumerate() {
        let mut cells = Vec::new();
        for line in AUTH {
            let (line, kind) = match number {
                0 => (format!(" web1 sshd[10886]: {line}"), None),
                _ => (line.to_owned(), Some(&mut total)),
            };
            let matches = regex.search(&line).unwrap().is_some();
            let each = nanoseconds(|| {
                std::hint::black_box(regex.search(std::hint::black_box(&line)).is_ok());
            });
            if let Some(total) = kind {
                total[usize::from(matches)].0 += 1;
                total[usize::from(matches)].1 += each;
            }
            let mut slots = Slots::default();
            regex.search_into(&line, 0, &mut slots).unwrap();
            cells.push(match matches {
                true => format!("{each:.0}*/{}", slots.steps()),
                false => format!("{each:.0}"),
            });
        }
        let start: String = regex.as_str().chars().take(60).collect();
        println!("{:>64}  {start}", cells.join(" "));
    }
    for (name, (count, time)) in ["not matching", "matching"].iter().zip(total) {
        println!(
            "{name}: {:.1} ns per search ({count})",
            time / f64::from(count)
        );
    }
}

/// The nanoseconds something takes when it is done again and again.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let rounds = 1000;
    let time = shortest(20, || (0..rounds).for_each(|_| work()));
    time.as_secs_f64() * 1e9 / f64::from(rounds)
}

#[test]
#[ignore = "a measurement"]
fn searching_hostile_lines() {
    let picoseconds = |rounds: u32| {
        move |work: &mut dyn FnMut()| {
            let time = shortest(5, || (0..rounds).for_each(|_| work()));
            u64::try_from(time.as_nanos()).unwrap() * 1000 / u64::from(rounds)
        }
    };
    let filters = Filter::all();
    let ordinary: Vec<Option<u64>> = filters
        .iter()
        .map(|filter| filter.ordinary_time(picoseconds(50)))
        .collect();
    let usual = median(ordinary.iter().flatten().copied().collect()).unwrap();
    println!("an ordinary line: {:.1} ns a byte", usual as f64 / 1000.);
    let mut rows = Vec::new();
    for worst in worst_lines(&filters, 200) {
        let filter = &filters[worst.filter];
        let regex = &filter.regexes[worst.pattern];
        let text = worst.text(&filters, worst.length);
        let rounds = u32::try_from((64 << 10) / worst.length).unwrap();
        let time = filter.time(&text, &text, picoseconds(rounds));
        let times = time as f64 / ordinary[worst.filter].unwrap_or(usual) as f64;
        rows.push((times, time, regex.is_linear(), worst));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let above = rows.iter().filter(|row| row.0 > 20. && row.2).count();
    println!("{} lines, {above} linear ones above 20 times", rows.len());
    for (times, time, linear, worst) in rows.iter().take(40) {
        let filter = &filters[worst.filter];
        let long = worst.text(&filters, 1 << 20);
        let long_time = filter.time(&long, &long, picoseconds(1));
        println!(
            "{times:.1} times (steps: {:.1}), {:.0} ns a byte at {} (1 MiB: {:.0}), {} steps a byte, linear {linear}: {} {:.60?} {:.40?}",
            worst.times,
            *time as f64 / 1000.,
            worst.length,
            long_time as f64 / 1000.,
            worst.steps / 1024,
            filter.name,
            filter.regexes[worst.pattern].as_str(),
            worst.text(&filters, worst.length),
        );
    }
}
