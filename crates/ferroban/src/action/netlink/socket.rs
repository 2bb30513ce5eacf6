//! A socket on which the kernel is asked and answers.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    self, AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt,
};

/// An answer quotes the refused message, which may be 64 KiB long.
const BUFFER: usize = 128 << 10;
/// The kernel answers at once; this only keeps a fault from hanging a jail.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that speaks with one part of the kernel and with nobody else.
#[derive(Debug)]
pub(in crate::action) struct Socket {
    pub(in crate::action) fd: OwnedFd,
    seq: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens and binds it. Needs no right yet: the first question does.
    pub(in crate::action) fn open(protocol: Protocol) -> Result<Self, Errno> {
        let fd = bound(protocol, 0)?;
        // Connected to the kernel, it takes no message from other processes.
        net::connect(&fd, &netlink::SocketAddrNetlink::new(0, 0))?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self {
            fd,
            seq: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// The number for the next message.
    pub(in crate::action) fn next(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    /// All numbers up to this one are taken.
    pub(in crate::action) fn go_on_after(&mut self, seq: u32) {
        self.seq = seq;
    }

    /// Sends all of it.
    pub(in crate::action) fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let sent = retry_on_intr(|| net::send(&self.fd, bytes, SendFlags::empty()))?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(Errno::MSGSIZE)
        }
    }

    /// What came, waited for a while; nothing came if it is `TIMEDOUT`.
    pub(in crate::action) fn wait(&mut self) -> Result<&[u8], Errno> {
        self.receive(RecvFlags::empty())?.ok_or(Errno::TIMEDOUT)
    }

    /// What lies ready; `None` if there is nothing (more) to read.
    pub(in crate::action) fn poll(&mut self) -> Result<Option<&[u8]>, Errno> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<Option<&[u8]>, Errno> {
        match retry_on_intr(|| net::recv(&self.fd, &mut self.buffer[..], flags)) {
            Ok((count, _)) => Ok(self.buffer.get(..count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// A socket that hears these groups of a part of the kernel.
pub(in crate::action) fn bound(protocol: Protocol, groups: u32) -> Result<OwnedFd, Errno> {
    let fd = net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(protocol),
    )?;
    net::bind(&fd, &netlink::SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}
