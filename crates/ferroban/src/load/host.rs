//! What this host tells about itself: where its sshd listens and what it logs.
//!
//! A ban on port 22 is worthless where sshd listens on 2222, and where sshd logs
//! errors only, nobody but PAM tells of wrong passwords.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// sshd's own configuration.
const SSHD: &str = "/etc/ssh/sshd_config";

/// A configuration file with what was found out; empty if nothing was.
pub(super) fn jails() -> String {
    jails_of(&sshd_texts())
}

fn jails_of(texts: &[String]) -> String {
    let mut options = Vec::new();
    let ports: Vec<String> = sshd_ports(texts).iter().map(u16::to_string).collect();
    if !ports.is_empty() {
        options.push(format!("port = ssh,{}\n", ports.join(",")));
    }
    if sshd_is_quiet(texts) {
        options.push("filter = sshd[attempts=pam]\n".to_owned());
    }
    if options.is_empty() {
        String::new()
    } else {
        format!("[sshd]\n{}", options.concat())
    }
}

/// The text of sshd's configuration and of the files beside it.
fn sshd_texts() -> Vec<String> {
    let mut paths = vec![PathBuf::from(SSHD)];
    if let Ok(folder) = fs::read_dir(Path::new(SSHD).with_extension("d")) {
        paths.extend(folder.flatten().map(|entry| entry.path()));
    }
    paths
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect()
}

/// The ports that these texts name, without 22.
fn sshd_ports(texts: &[String]) -> BTreeSet<u16> {
    let port = |line: &str| -> Option<u16> {
        let (keyword, value) = setting(line)?;
        match keyword.as_str() {
            "port" => value.parse().ok(),
            // `host:port` or `[address]:port`; a bare IPv6 address has colons too.
            "listenaddress" => {
                let (host, port) = value.rsplit_once(':')?;
                let bare = host.contains(':') && !host.ends_with(']');
                (!bare).then(|| port.parse().ok()).flatten()
            }
            _ => None,
        }
    };
    texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(port)
        .filter(|port| *port != 22)
        .collect()
}

/// Whether sshd keeps quiet about wrong passwords.
fn sshd_is_quiet(texts: &[String]) -> bool {
    let level = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(setting)
        .find(|(keyword, _)| keyword == "loglevel");
    level.is_some_and(|(_, level)| {
        ["QUIET", "FATAL", "ERROR"].contains(&level.to_ascii_uppercase().as_str())
    })
}

/// The keyword, in lower case, and the first value of a line.
fn setting(line: &str) -> Option<(String, &str)> {
    let line = line.split('#').next()?;
    let mut words = line
        .split(|c: char| c.is_whitespace() || c == '=')
        .filter(|word| !word.is_empty());
    Some((words.next()?.to_ascii_lowercase(), words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_however_sshd_accepts_them() {
        let cases = [
            ("Port 2222\n", vec![2222]),
            ("  port = 2222\nPort 22\n", vec![2222]),
            ("#Port 2222\n", vec![]),
            (
                "ListenAddress 192.0.2.1:2022\nListenAddress [2001:db8::1]:2023\n",
                vec![2022, 2023],
            ),
            (
                "ListenAddress 2001:db8::22\nListenAddress 0.0.0.0\n",
                vec![],
            ),
            ("PortForwarding 5\nGatewayPorts no\n", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Vec::from_iter(sshd_ports(&[text.to_owned()])),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_was_found_out_is_a_configuration() {
        let cases = [
            ("", ""),
            ("Port 2222\n", "[sshd]\nport = ssh,2222\n"),
            ("loglevel error\n", "[sshd]\nfilter = sshd[attempts=pam]\n"),
            ("LogLevel VERBOSE\nLogLevel QUIET\n", ""),
            (
                "LogLevel QUIET\nPort 2222\n",
                "[sshd]\nport = ssh,2222\nfilter = sshd[attempts=pam]\n",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(jails_of(&[text.to_owned()]), expected, "{text}");
        }
    }
}
