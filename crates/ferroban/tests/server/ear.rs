//! A socket to which a server speaks.

use std::os::unix::net::UnixDatagram;

use crate::home::Home;
use crate::support::wait::SOON;

/// Receives datagrams until one ends as `last` does; all of them.
pub(crate) fn datagrams(socket: &UnixDatagram, last: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut portion = [0; 4096];
        let count = socket
            .recv(&mut portion)
            .unwrap_or_else(|error| panic!("{error}: no {last:?} behind {:#?}", shown(&all)));
        let datagram = portion[..count].to_vec();
        all.push(datagram.clone());
        if datagram.ends_with(last) {
            return all;
        }
    }
}

pub(crate) fn shown(datagrams: &[Vec<u8>]) -> Vec<String> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    datagrams.iter().map(text).collect()
}

/// A datagram socket in a home, to which a server may speak.
pub(crate) fn ear(home: &Home, name: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(home.path(name)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}
