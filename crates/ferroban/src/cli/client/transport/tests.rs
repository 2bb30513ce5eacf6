//! The client's side of a connection, against a listener of our own.

use std::io::Write;
use std::os::unix::net::UnixListener;

use super::*;
use crate::wire::frame::END;

/// Asks a daemon that does `serve` with the one connection it gets.
fn asked(
    patience: Patience,
    serve: impl FnOnce(UnixStream, Frames) + Send,
) -> Result<Value, ContactError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || serve(listener.accept().unwrap().0, Frames::default()));
        ask(&path, &Value::strings(["ping"]), patience)
    })
}

fn text(result: Result<Value, ContactError>) -> String {
    result.unwrap_err().to_string()
}

/// Sends a request and waits for its reply.
fn ask(path: &Path, request: &Value, patience: Patience) -> Result<Value, ContactError> {
    Connection::open(path, patience)?.ask(request)
}

#[test]
fn a_request_is_answered_and_the_goodbye_follows() {
    let reply = Value::Tuple(vec![0.into(), "pong".into()]);
    let sent = reply.clone();
    let got = asked(Patience::Endless, move |mut stream, mut frames| {
        let request = frames.read(&mut stream).unwrap();
        let Some(Frame::Message(request)) = request else {
            panic!("{request:?}");
        };
        assert_eq!(pickle::loads(&request), Ok(Value::strings(["ping"])));
        frame::write(&mut stream, &pickle::dumps(&sent)).unwrap();
        assert_eq!(frames.read(&mut stream).unwrap(), Some(Frame::Close));
        assert_eq!(frames.read(&mut stream).unwrap(), None);
    });
    assert_eq!(got.unwrap(), reply);
}

#[test]
fn a_socket_that_is_not_there_and_one_nobody_listens_on_differ() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let ask = || text(ask(&path, &Value::None, Patience::Endless));
    let shown = path.display();
    assert_eq!(
        ask(),
        format!("Failed to access socket path: {shown}. Is fail2ban running?")
    );
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(ask(), "[Errno 111] Connection refused");
}

#[test]
fn a_daemon_that_hangs_up_or_stays_silent_is_told() {
    let reset = "[Errno 104] Connection reset by peer";
    let silent = asked(Patience::Endless, |mut stream, mut frames| {
        frames.read(&mut stream).unwrap();
    });
    assert_eq!(text(silent), reset);
    let half = asked(Patience::Endless, |mut stream, mut frames| {
        frames.read(&mut stream).unwrap();
        stream.write_all(b"\x80\x04K").unwrap();
    });
    assert_eq!(text(half), reset);
    let late = asked(
        Patience::Limited(Duration::from_millis(20)),
        |mut stream, mut frames| {
            // Waits for the client to give up.
            while let Ok(Some(_)) = frames.read(&mut stream) {}
        },
    );
    assert_eq!(text(late), "timed out");
    let now = asked(Patience::Zero, |_, _| {});
    assert_eq!(text(now), "[Errno 11] Resource temporarily unavailable");
}

#[test]
fn a_reply_that_is_no_pickle_is_told() {
    let rows: [(&[u8], &str); 2] = [
        (b"garbage", "pickle data was truncated"),
        (b"", "Ran out of input"),
    ];
    for (reply, expected) in rows {
        let got = asked(Patience::Endless, |mut stream, mut frames| {
            frames.read(&mut stream).unwrap();
            stream.write_all(&[reply, END].concat()).unwrap();
            drop(frames.read(&mut stream));
        });
        assert_eq!(text(got), expected);
    }
}
