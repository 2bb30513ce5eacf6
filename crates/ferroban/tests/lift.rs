//! Stock actions whose commands are done in process, beside the same ones that are run: what
//! they leave in the kernel is the same at every step.
//!
//! Debian's own files are run, in a world of their own (`support/world.rs`); that needs root
//! and the packages, or the tests say so and pass, except where the variable `CI` is set.

#[cfg(test)]
#[expect(dead_code, reason = "most of it is for the end-to-end tests")]
mod support;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use serde_json::Value;

    use crate::support::child::{command, must, run};
    use crate::support::guard::{FERROBAN, OURS, SOCKET, Setup, client};
    use crate::support::logging::empty_log;
    use crate::support::wait::{SOON, until};
    use crate::support::world::{World, in_world};

    const ACTIONS: [&str; 4] = [
        "iptables-multiport[name=rules, port=\"22,80\", protocol=tcp, LIFT]",
        "nftables[name=plain, port=22, protocol=tcp, LIFT]",
        "nftables-allports[name=wide, LIFT]",
        "iptables-ipset-proto6[name=sets, port=22, protocol=tcp, LIFT]",
    ];

    /// What is in the kernel, without what no two runs have in common.
    fn kernel() -> String {
        let mut all = String::new();
        for program in [
            "nft list ruleset",
            "ipset save",
            "iptables-save",
            "ip6tables-save",
        ] {
            let mut words = program.split(' ');
            let shown = must(command(words.next().unwrap()).args(words));
            let lines = shown.lines().filter(|line| !line.starts_with('#'));
            // A set has no order, and its seed is new each time.
            let lines = lines.map(|line| match line.split_once(" initval ") {
                Some((before, _)) => before,
                None => line,
            });
            let mut lines: Vec<&str> = lines.collect();
            if program == "ipset save" {
                lines.sort_unstable();
            }
            all.push_str(&lines.join("\n"));
            all.push('\n');
        }
        all
    }

    /// What is in the kernel after bans, after some were lifted, after a restart, and after
    /// the stop; and how many commands were done in process.
    fn steps(world: &World, lift: &str) -> (Vec<String>, usize) {
        let folder = world.path(&format!("lift-{lift}"));
        for name in ["filter.d", "action.d"] {
            fs::create_dir_all(&folder).unwrap();
            symlink(format!("/etc/fail2ban/{name}"), folder.join(name)).unwrap();
        }
        let actions = ACTIONS.map(|action| action.replace("LIFT", &format!("lift={lift}")));
        let jail = format!(
            "[sshd]\nenabled = true\nbackend = polling\nfilter = sshd\nlogpath = {}\naction = {}\n",
            empty_log(world),
            actions.join("\n         ")
        );
        fs::write(folder.join("jail.conf"), jail).unwrap();
        let main = fs::read_to_string("/etc/fail2ban/fail2ban.conf").unwrap();
        fs::write(folder.join("fail2ban.conf"), main).unwrap();
        let database = world.path(&format!("{lift}.sqlite3"));
        let guard = Setup::new().config(&folder).database(database).start(world);
        let mut addresses: Vec<String> = (1..=40).map(|n| format!("198.51.100.{n}")).collect();
        addresses.extend((1..=10).map(|n| format!("2001:db8:1::{n:x}")));
        let told = |verb: &str, ids: &[String]| {
            let mut words = vec!["set", "sshd", verb];
            words.extend(ids.iter().map(String::as_str));
            assert_eq!(client(OURS, &words).code, Some(0));
        };
        let mut seen = Vec::new();
        told("banip", &addresses);
        // The answer comes when the ban is decided; commands follow.
        let held = |count: usize| {
            let shown = kernel();
            shown.matches("198.51.100.").count() == 5 * count && shown.contains("2001:db8:1::a")
        };
        until(SOON, "all are banned", || held(40));
        seen.push(kernel());
        told("unbanip", addresses.get(..20).unwrap());
        until(SOON, "half of them is lifted", || held(20));
        seen.push(kernel());
        let view = run(command(FERROBAN).args(["status", "sshd", "--json", "-s", SOCKET]));
        let view: Value = serde_json::from_str(&view.stdout).unwrap();
        let lifted = view["lifted"].as_array().unwrap();
        let commands = lifted
            .iter()
            .flat_map(|lift| lift["commands"].as_array().unwrap());
        let count = commands.count();
        let setup = guard.kill();
        must(command("nft").args(["flush", "ruleset"]));
        for set in ["f2b-sets", "f2b-sets6"] {
            must(command("ipset").args(["destroy", set]));
        }
        let guard = setup.start(world);
        until(SOON, "all are restored", || held(20));
        seen.push(kernel());
        assert_eq!(guard.terminate().code, Some(0));
        seen.push(kernel());
        (seen, count)
    }

    #[test]
    fn lifted_commands_leave_in_the_kernel_what_the_commands_leave() {
        in_world(|world| {
            let (run, none) = steps(world, "off");
            must(command("nft").args(["flush", "ruleset"]));
            let (lifted, count) = steps(world, "on");
            // Two families to ban in, and one to unban in; with nft, the rules of iptables show twice.
            assert_eq!((none, count), (0, 12), "{count}");
            for (step, (run, lifted)) in run.iter().zip(&lifted).enumerate() {
                assert_eq!(run, lifted, "after step {step}");
            }
            assert!(run[0].contains("198.51.100.40") && !run[3].contains("198.51.100.40"));
        });
    }
}
