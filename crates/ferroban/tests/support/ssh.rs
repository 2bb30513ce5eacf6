//! A real sshd, a real ssh that does not know the password, and a knock at the door.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, thread};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::child::{Running, command, must};
use super::wait::{SOON, until};
use super::world::{SERVER4, World};

/// How long a knock waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of a new connection to port 22.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// sshd greeted us.
    Open,
    /// Turned away at once.
    Refused,
    /// No answer, or another one.
    Silent,
}

/// Starts sshd on port 22 of the server. It logs through `/dev/log`.
pub(crate) fn sshd(world: &World, use_pam: bool) -> Running {
    sshd_with(world, use_pam, "")
}

/// The same with settings that come before others.
pub(crate) fn sshd_with(world: &World, use_pam: bool, settings: &str) -> Running {
    let key = world.path("host_key");
    if !key.exists() {
        must(
            command("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&key),
        );
    }
    let mut settings = format!(
        "{settings}HostKey {}\nPidFile none\nUsePAM {}\nPasswordAuthentication yes\n\
         KbdInteractiveAuthentication no\nMaxStartups 100\nUseDNS no\n",
        key.display(),
        if use_pam { "yes" } else { "no" },
    );
    let file = world.write("sshd.conf", &settings);
    // OpenSSH 9.8 shuts out by itself who fails too often. That is not what is tested here.
    if must(command("/usr/sbin/sshd").arg("-T").arg("-f").arg(&file)).contains("persourcepenalties")
    {
        settings.push_str("PerSourcePenalties no\n");
    }
    let file = world.write("sshd.conf", &settings);
    let running = Running::start(command("/usr/sbin/sshd").arg("-D").arg("-f").arg(file));
    let (from, to) = ("192.0.2.40", SERVER4);
    until(SOON, "sshd greets", || knock(from, to) == Door::Open);
    running
}

/// Starts one login of `user` at `to` from the client's address `from` that gives
/// `attempts` wrong passwords.
///
/// The name stands in a file because ssh refuses odd names on its command line.
pub(crate) fn login(world: &World, user: &[u8], from: &str, to: &str, attempts: u8) -> Running {
    let ask = world.write("ask", "#!/bin/sh\necho wrong\n");
    fs::set_permissions(&ask, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let mut file = b"User \"".to_vec();
    for &byte in user {
        if matches!(byte, b'"' | b'\\') {
            file.push(b'\\');
        }
        file.push(byte);
    }
    file.extend_from_slice(b"\"\n");
    // Logins run side by side, each with a file of its own.
    static LOGINS: AtomicUsize = AtomicUsize::new(0);
    let number = LOGINS.fetch_add(1, Ordering::Relaxed);
    let file = world.write(&format!("ssh-{number}.conf"), file);
    let mut ssh = world.at_client("ssh");
    ssh.arg("-F")
        .arg(file)
        .args(["-b", from, "-o", "StrictHostKeyChecking=no"]);
    ssh.args([
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "PreferredAuthentications=password",
    ]);
    ssh.args([
        "-o",
        &format!("NumberOfPasswordPrompts={attempts}"),
        to,
        "true",
    ]);
    Running::start(
        ssh.env("SSH_ASKPASS", ask)
            .env("SSH_ASKPASS_REQUIRE", "force"),
    )
}

/// Waits for logins that run side by side. None may get in.
pub(crate) fn must_be_denied(logins: Vec<Running>) {
    for login in logins {
        let done = login.finish(SOON);
        assert_eq!(done.code, Some(255), "{done:?}");
    }
}

/// Opens a new connection from the client's address `from` to port 22 of `to`.
pub(crate) fn knock(from: &str, to: &str) -> Door {
    let [from, to] =
        [from, to].map(|text| text.parse::<IpAddr>().expect("a test writes addresses"));
    // A thread may go into another network by itself. It does not come back: it ends there.
    let answer = thread::scope(|scope| scope.spawn(|| greeting(from, to)).join());
    match answer.expect("knocking does not panic") {
        Ok(text) if text.starts_with(b"SSH-2.0-") => Door::Open,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Door::Refused,
        Ok(_) | Err(_) => Door::Silent,
    }
}

fn greeting(from: IpAddr, to: IpAddr) -> io::Result<[u8; 8]> {
    let client = fs::File::open(Path::new("/run/netns/client"))?;
    move_into_link_name_space(client.as_fd(), Some(LinkNameSpaceType::Network))?;
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket(family, SocketType::STREAM, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    connect(&socket, &SocketAddr::new(to, 22))?;
    let mut start = [0; 8];
    TcpStream::from(socket).read_exact(&mut start)?;
    Ok(start)
}
