//! The names that the system knows.

use std::fs;
use std::io;
use std::net::IpAddr;

use dns_lookup::{AddrFamily, AddrInfoHints, LookupError, SockType, getaddrinfo, lookup_addr};

use super::Lookup;

/// Where the kernel lists the IPv6 addresses of its interfaces. Absent or empty where
/// IPv6 is off.
const IPV6: &str = "/proc/self/net/if_inet6";

/// `getaddrinfo`, `getnameinfo` and the kernel.
pub(super) struct System;

impl Lookup for System {
    fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, String> {
        let hints = AddrInfoHints {
            address: if ipv6 { 0 } else { AddrFamily::Inet.into() },
            // Each address would come once for each type otherwise.
            socktype: SockType::Stream.into(),
            ..AddrInfoHints::default()
        };
        let found = getaddrinfo(Some(name), None, Some(hints)).map_err(python)?;
        let found = found.map(|info| info.map(|info| info.sockaddr.ip()));
        // One that cannot be read is none of those that were asked for.
        Ok(found.filter_map(io::Result::ok).collect())
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        lookup_addr(&address).ok()
    }

    fn ipv6(&self) -> bool {
        fs::read_to_string(IPV6).is_ok_and(|text| !text.trim().is_empty())
    }

    fn own_name(&self) -> String {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    }
}

/// An error as Python writes it: `[Errno -2] Name or service not known`.
fn python(error: LookupError) -> String {
    let number = error.error_num();
    let error = io::Error::from(error);
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match text.strip_prefix("failed to lookup address information: ") {
        Some(text) => format!("[Errno {number}] {text}"),
        // The system failed rather than the question.
        None => match error.raw_os_error() {
            Some(number) => format!("[Errno {number}] {text}"),
            None => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_written_as_python_writes_them() {
        let of_system = LookupError::from(io::Error::from_raw_os_error(24));
        let cases = [
            (LookupError::new(-2), "[Errno -2] Name or service not known"),
            (
                LookupError::new(-3),
                "[Errno -3] Temporary failure in name resolution",
            ),
            (of_system, "[Errno 24] Too many open files"),
            (io::Error::other("odd").into(), "odd"),
        ];
        for (error, expected) in cases {
            assert_eq!(python(error), expected);
        }
    }
}
