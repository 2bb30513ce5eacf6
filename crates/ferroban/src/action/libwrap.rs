//! Whether `/etc/hosts.deny` means anything to this host's sshd.
//!
//! sshd reads it by a library, libwrap, which OpenSSH has not offered since 2014. Debian still
//! builds it in, most others do not: there the action `hostsdeny` writes lines that nobody reads.

use std::fs;
use std::path::Path;

use super::Options;

/// Where programs like sshd are.
const PLACES: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];

/// The file that libwrap reads.
const FILE: &str = "/etc/hosts.deny";

/// Why bans by an action with these properties keep nobody from sshd; none if they do, if it
/// does not write that file, or if there is no sshd.
pub(crate) fn without_effect(options: &Options) -> Option<String> {
    without_effect_at(options, &PLACES.map(Path::new))
}

fn without_effect_at(options: &Options, places: &[&Path]) -> Option<String> {
    let is_meant = |text: &String| text.contains(FILE);
    let writes = |name: &str| options.get(name).is_some_and(is_meant);
    if !writes("file") && !writes("actionban") {
        return None;
    }
    let place = places.iter().find(|place| place.is_file())?;
    let program = fs::read(place).ok()?;
    let reads = memchr::memmem::find(&program, b"libwrap").is_some();
    (!reads).then(|| {
        format!(
            "without effect: {} is built without libwrap and does not read {FILE}; take an action that uses the firewall, such as ferroban",
            place.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_deny_means_nothing_to_an_sshd_without_libwrap() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let with = program("with", b"\x7fELF\0libwrap.so.0\0");
        let without = program("without", b"\x7fELF\0libc.so.6\0");
        let missing = folder.path().join("missing");
        let stock = ("file", FILE);
        let cases = [
            (stock, &without, true),
            (
                ("actionban", "echo <ip> >> /etc/hosts.deny"),
                &without,
                true,
            ),
            (stock, &with, false),
            (stock, &missing, false),
            (("file", "/run/other"), &without, false),
            (("actionban", "iptables <ip>"), &without, false),
        ];
        for ((name, value), sshd, told) in cases {
            let options = Options::from([(name.to_owned(), value.to_owned())]);
            let found = without_effect_at(&options, &[&missing, sshd]);
            assert_eq!(found.is_some(), told, "{name} = {value}, {sshd:?}");
        }
    }
}
