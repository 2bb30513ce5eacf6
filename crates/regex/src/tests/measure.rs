//! Measurements, run by hand: `cargo test --release -p ferroban-regex -- --ignored --nocapture`.

use super::hostile::{Filter, median, worst_lines};
use super::sets::{self, different};
use crate::Regex;
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
    let time = shortest(10, || drop(compile()));
    println!("{} patterns compiled in {time:?}", patterns.len());
    let all = compile();
    let linear = all
        .iter()
        .filter(|regex| regex.inner.program.linear)
        .count();
    println!("{linear} linear");
    for regex in &all {
        let p = &regex.inner.program;
        if !p.linear {
            println!("not linear: memo {} {}", p.memoizable, regex.as_str());
        }
    }
    let mut rows: Vec<usize> = all.iter().map(|regex| regex.inner.program.rows).collect();
    rows.sort_unstable();
    println!(
        "rows: median {} max {}",
        rows[rows.len() / 2],
        rows[rows.len() - 1]
    );
    let mut insts: Vec<usize> = all
        .iter()
        .map(|regex| regex.inner.program.insts.len())
        .collect();
    insts.sort_unstable();
    println!(
        "insts: median {} max {} sum {}",
        insts[insts.len() / 2],
        insts[insts.len() - 1],
        insts.iter().sum::<usize>()
    );
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
    let regexes: Vec<Regex> = sshd.patterns.iter().skip(1).map(sets::regex).collect();
    let mut total = [(0, 0.0); 2];
    for regex in &regexes {
        let mut cells = Vec::new();
        for line in AUTH {
            let matches = regex.search(line).unwrap().is_some();
            let rounds = 2000;
            let time = shortest(10, || {
                for _ in 0..rounds {
                    std::hint::black_box(regex.search(std::hint::black_box(line)).is_ok());
                }
            });
            let each = time.as_secs_f64() * 1e9 / f64::from(rounds);
            total[usize::from(matches)].0 += 1;
            total[usize::from(matches)].1 += each;
            cells.push(format!("{each:.0}{}", if matches { "*" } else { "" }));
        }
        let start: String = regex.as_str().chars().take(60).collect();
        println!("{:>40}  {start}", cells.join(" "));
    }
    for (name, (count, time)) in ["not matching", "matching"].iter().zip(total) {
        println!(
            "{name}: {:.1} ns per search ({count})",
            time / f64::from(count)
        );
    }
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
    for worst in worst_lines(&filters, 60) {
        let filter = &filters[worst.filter];
        let text = worst.text(&filters, 32 << 10);
        let time = filter.time(&text, &text, picoseconds(1));
        let times = time as f64 / ordinary[worst.filter].unwrap_or(usual) as f64;
        let text: String = text.chars().take(40).collect();
        let pattern: String = filter.regexes[worst.pattern]
            .as_str()
            .chars()
            .take(60)
            .collect();
        rows.push((
            times,
            format!(
                "{times:.1} times, {:.1} ns a byte, {} steps a byte: {} {pattern:?} {text:?}",
                time as f64 / 1000.,
                worst.steps / 1024,
                filter.name,
            ),
        ));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{} patterns", rows.len());
    for (_, row) in rows.iter().take(30) {
        println!("{row}");
    }
}
