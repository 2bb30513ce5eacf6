//! Clients of all kinds at a hall whose answers are made up.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

use super::*;
use crate::clock;
use crate::log::{Level, Target};
use crate::wire::frame::{CLOSE, END, Frame, Frames};
use crate::wire::{Value, loads};

/// Nothing here takes so long, on a busy machine either.
const SOON: Duration = Duration::from_secs(20);

/// A hall, its address, and what is asked of it.
struct House {
    control: Option<Control>,
    folder: tempfile::TempDir,
    log: Log,
}

impl House {
    /// The answer to `echo` is itself; what begins with `hold` is answered when the sender that comes out
    /// of the channel says so; `big` is long; `later` takes its
    /// time; `stream` goes on.
    fn open(limits: Limits) -> (Self, Receiver<SyncSender<()>>) {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let (held, holds) = sync_channel(100);
        let streams = Mutex::new(Vec::new());
        let respond: Respond = Arc::new(move |request, caller| {
            let own = i32::try_from(std::process::id()).unwrap();
            assert_eq!(caller.peer.unwrap().pid, own, "the caller is us");
            if request == b"stream" {
                let (sender, replies) = sync_channel(8);
                sender.send(b"first".to_vec()).unwrap();
                streams.lock().unwrap().push(sender);
                return Response::Stream(replies);
            }
            if request.starts_with(b"hold") {
                let (go, went) = sync_channel(1);
                held.send(go).unwrap();
                went.recv().ok();
            }
            if request == b"later" {
                return Response::Later(Duration::from_millis(50), b"now".to_vec());
            }
            Response::One(match request {
                b"big" => vec![b'x'; BIG],
                _ if request.len() > 1000 => b"large".to_vec(),
                _ => request.to_vec(),
            })
        });
        let door = Door {
            listener: &listener,
            access: Access::Everything,
        };
        let hall = open(&door, limits, log.clone(), &respond).unwrap();
        let control = Some(Control { halls: vec![hall] });
        let house = Self {
            control,
            folder,
            log,
        };
        (house, holds)
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(self.folder.path().join("s")).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        client.set_write_timeout(Some(SOON)).unwrap();
        client
    }

    fn told(&self) -> String {
        self.log.flush();
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.control.take().unwrap().stop();
    }
}

const BIG: usize = 4 << 20;

fn limits() -> Limits {
    Limits::of(Access::Everything, Some(1024))
}

fn patient(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = limits();
    change(&mut limits);
    limits
}

fn say(client: &mut UnixStream, request: &[u8]) {
    client.write_all(&[request, END].concat()).unwrap();
}

fn hear(client: &mut UnixStream) -> Vec<u8> {
    match Frames::new(BIG).read(client).unwrap() {
        Some(Frame::Message(reply)) => reply,
        other => panic!("no reply: {other:?}"),
    }
}

/// Reads until the other side has hung up; whether it hung up in the middle of something
/// we sent does not matter.
fn rest(client: &mut UnixStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut portion = [0; 1000];
    loop {
        match client.read(&mut portion) {
            Ok(0) => return rest,
            Ok(count) => rest.extend_from_slice(&portion[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return rest,
            Err(error) => panic!("not hung up: {error}"),
        }
    }
}

fn complaint(reply: &[u8]) -> String {
    let reply = reply.strip_suffix(END).unwrap();
    let value = loads(reply).unwrap();
    value.as_str().unwrap().to_owned()
}

fn ask(client: &mut UnixStream, request: &[u8]) -> Vec<u8> {
    say(client, request);
    hear(client)
}

#[test]
fn requests_in_any_portions_are_answered_in_order() {
    let (house, _holds) = House::open(limits());
    let mut client = house.client();
    for byte in [&b"slow"[..], END].concat() {
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!(hear(&mut client), b"slow");
    let pipelined: Vec<u8> = (0..2000)
        .flat_map(|n| format!("{n}{}", "<F2B_END_COMMAND>").into_bytes())
        .collect();
    client.write_all(&pipelined).unwrap();
    let mut frames = Frames::default();
    for number in 0..2000 {
        let reply = frames.read(&mut client).unwrap();
        assert_eq!(reply, Some(Frame::Message(number.to_string().into_bytes())));
    }
    say(&mut client, b"last");
    say(&mut client, CLOSE);
    assert_eq!(rest(&mut client), [b"last", END].concat());
}

#[test]
fn a_marker_inside_gets_two_answers_and_the_connection_stays() {
    let (house, _holds) = House::open(limits());
    let mut client = house.client();
    say(&mut client, b"a<F2B_END_COMMAND>b");
    let mut frames = Frames::default();
    for expected in [b"a", b"b"] {
        let reply = frames.read(&mut client).unwrap();
        assert_eq!(reply, Some(Frame::Message(expected.to_vec())));
    }
    assert_eq!(ask(&mut client, b"c"), b"c");
}

#[test]
fn whoever_hangs_up_early_has_ordered_all_the_same() {
    let (house, holds) = House::open(limits());
    let mut client = house.client();
    say(&mut client, b"hold");
    say(&mut client, b"hold");
    drop(client);
    for _ in 0..2 {
        holds.recv_timeout(SOON).unwrap().send(()).unwrap();
    }
    // Half a hang-up: it says no more, and listens.
    let mut client = house.client();
    say(&mut client, b"bye");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), [b"bye", END].concat());
}

#[test]
fn a_slow_request_holds_up_nobody_else() {
    let (house, holds) = House::open(limits());
    let mut slow = house.client();
    say(&mut slow, b"hold");
    let go = holds.recv_timeout(SOON).unwrap();
    assert_eq!(ask(&mut house.client(), b"quick"), b"quick");
    go.send(()).unwrap();
    assert_eq!(hear(&mut slow), b"hold");
}

#[test]
fn a_reply_that_is_to_wait_takes_no_thread() {
    let (house, _holds) = House::open(patient(|limits| limits.workers = 1));
    let mut resting: Vec<UnixStream> = (0..50).map(|_| house.client()).collect();
    let begun = clock::tick();
    for client in &mut resting {
        say(client, b"later");
        say(client, b"next");
    }
    for client in &mut resting {
        let mut frames = Frames::default();
        for expected in [&b"now"[..], b"next"] {
            let reply = frames.read(client).unwrap();
            assert_eq!(reply, Some(Frame::Message(expected.to_vec())));
        }
        assert!(since(begun) >= Duration::from_millis(50));
    }
    assert!(
        since(begun) < Duration::from_millis(50 * 50),
        "one after the other"
    );
}

#[test]
fn what_is_too_long_is_refused_with_a_line() {
    let (house, _holds) = House::open(patient(|limits| limits.longest = 100_000));
    let mut client = house.client();
    // It is hung up on before all of it is sent.
    drop(client.write_all(&[b'x'; 1 << 20]));
    let expected = "ERROR: message is longer than 100000 bytes";
    assert_eq!(complaint(&rest(&mut client)), expected);
    let told = house.told();
    assert!(
        told.contains("PROTO-error: connection of process") && told.contains("longer than 100000"),
        "{told}"
    );
}

#[test]
fn long_requests_get_through_though_others_stall_or_never_end() {
    let (house, _holds) = House::open(patient(|limits| {
        limits.turns = 2;
        limits.medium = 1 << 20;
    }));
    let mut stalling: Vec<UnixStream> = (0..10).map(|_| house.client()).collect();
    for client in &mut stalling {
        client.write_all(&[b'x'; 50_000]).unwrap();
    }
    let large = vec![b'y'; 600_000];
    let mut honest = house.client();
    assert_eq!(ask(&mut honest, &large), b"large");
    assert_eq!(ask(&mut honest, b"small"), b"small");
    let text = "ERROR: the rest of the request did not come in time";
    assert_eq!(complaint(&rest(&mut stalling[0])), text);

    let longest = vec![b'z'; 8 << 20];
    assert_eq!(
        ask(&mut honest, &longest),
        b"large",
        "nobody waits any more"
    );
    thread::scope(|scope| {
        for _ in 0..30 {
            let mut endless = house.client();
            scope.spawn(move || while endless.write_all(&[b'x'; 50_000]).is_ok() {});
        }
        assert_eq!(ask(&mut honest, &large), b"large");
        assert_eq!(ask(&mut honest, &large), b"large", "again and again");
    });
}

#[test]
fn long_requests_are_carried_out_one_by_one() {
    let (house, holds) = House::open(patient(|limits| limits.small = 40));
    let long = format!("hold{:60}", "").into_bytes();
    let mut clients: Vec<UnixStream> = (0..3).map(|_| house.client()).collect();
    for client in &mut clients {
        say(client, &long);
    }
    let mut small = house.client();
    assert_eq!(ask(&mut small, b"abc"), b"abc", "others need not wait");
    for _ in 0..3 {
        let go = holds.recv_timeout(SOON).unwrap();
        assert_eq!(ask(&mut small, b"abc"), b"abc");
        assert!(holds.try_recv().is_err(), "two at once");
        go.send(()).unwrap();
    }
    for client in &mut clients {
        assert_eq!(hear(client), long);
    }
}

#[test]
fn requests_that_do_not_arrive_end() {
    let (house, _holds) = House::open(patient(|limits| {
        limits.patience.arrival = Duration::from_millis(50);
        limits.patience.silence = Duration::from_millis(200);
    }));
    let mut half = house.client();
    half.write_all(b"hal").unwrap();
    let text = "ERROR: the rest of the request did not come in time";
    assert_eq!(complaint(&rest(&mut half)), text);
    assert_eq!(rest(&mut house.client()), b"", "silence is no error");
}

#[test]
fn a_full_hall_is_cleared_for_those_who_wait() {
    let (house, holds) = House::open(patient(|limits| {
        limits.clients = 3;
        limits.patience.place = Duration::from_millis(50);
    }));
    let mut busy = house.client();
    say(&mut busy, b"hold");
    let go = holds.recv_timeout(SOON).unwrap();
    let mut silent: Vec<UnixStream> = (0..6).map(|_| house.client()).collect();
    for number in 0..4 {
        let request = format!("{number}");
        let mut client = house.client();
        assert_eq!(ask(&mut client, request.as_bytes()), request.as_bytes());
    }
    let text = "ERROR: others wait for the place";
    assert_eq!(complaint(&rest(&mut silent[0])), text);
    go.send(()).unwrap();
    assert_eq!(hear(&mut busy), b"hold", "its request was at work");
}

#[test]
fn replies_that_nobody_takes_are_bounded() {
    let (house, _holds) = House::open(patient(|limits| {
        limits.workers = 2;
        limits.replies = BIG;
    }));
    let mut deaf: Vec<UnixStream> = (0..12).map(|_| house.client()).collect();
    for client in &mut deaf {
        say(client, b"big");
    }
    // Two replies at once are too much. They come before anybody else comes in, who
    // might else be served first, and these as soon as we look after them below.
    for client in deaf.iter().take(2) {
        let (begun, _) = recv(client, &mut [0; 1], RecvFlags::PEEK).unwrap();
        assert_eq!(begun, 1);
    }
    let mut honest = house.client();
    assert_eq!(ask(&mut honest, b"big").len(), BIG);
    let cut = deaf.iter_mut().filter_map(|client| {
        let reply = rest_until(client, BIG + END.len());
        (reply < BIG).then_some(())
    });
    assert!(cut.count() > 0, "nobody who took nothing was sent away");
    assert!(house.told().contains("did not take its reply"));
}

/// How much comes before it is `enough`, or the other side hangs up.
fn rest_until(client: &mut UnixStream, enough: usize) -> usize {
    let mut portion = vec![0; 1 << 16];
    let mut count = 0;
    while count < enough {
        match client.read(&mut portion) {
            Ok(0) | Err(_) => break,
            Ok(read) => count += read,
        }
    }
    count
}

#[test]
fn a_listener_gets_what_there_is_to_tell_and_costs_no_place_afterwards() {
    let (house, _holds) = House::open(patient(|limits| {
        limits.streams = 1;
        limits.patience.look = Duration::from_millis(20);
    }));
    let mut listener = house.client();
    assert_eq!(ask(&mut listener, b"stream"), b"first");
    let mut second = house.client();
    say(&mut second, b"stream");
    let text = "ERROR: 1 clients listen already";
    assert_eq!(complaint(&rest(&mut second)), text);
    drop(listener);
    let start = clock::tick();
    while start.elapsed() < SOON {
        let mut third = house.client();
        say(&mut third, b"stream");
        if hear(&mut third) == b"first" {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("the place was not given back");
}

#[test]
fn the_end_lets_answers_out_and_waits_for_nobody_else() {
    let (mut house, holds) = House::open(limits());
    let mut silent = house.client();
    let mut owed = house.client();
    say(&mut owed, b"hold");
    let go = holds.recv_timeout(SOON).unwrap();
    let mut stuck = house.client();
    say(&mut stuck, b"hold");
    let _never = holds.recv_timeout(SOON).unwrap();
    let control = house.control.take().unwrap();
    let begun = clock::tick();
    go.send(()).unwrap();
    control.stop();
    assert!(since(begun) < Duration::from_secs(10), "{:?}", since(begun));
    assert_eq!(rest(&mut owed), [b"hold", END].concat());
    assert_eq!(rest(&mut silent), b"");
    assert_eq!(rest(&mut stuck), b"");
    house.control = Some(Control { halls: Vec::new() });
}

fn since(begun: Instant) -> Duration {
    clock::tick().saturating_duration_since(begun)
}

#[test]
fn an_answer_with_the_marker_inside_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let respond: Respond = Arc::new(|_, _| Response::One([b"a", END, b"b"].concat()));
    let door = Door {
        listener: &listener,
        access: Access::Harmless,
    };
    let control = Control::start(&[door], &log, &respond).unwrap();
    let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
    let reply = loads(&ask(&mut client, b"x")).unwrap();
    let text = "ERROR: message contains the end marker";
    assert_eq!(reply, Value::from(text));
    control.stop();
}
