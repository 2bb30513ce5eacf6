//! Places taken, given back, and found taken.

use std::os::unix::net::UnixStream;

use super::*;
use crate::log::{Level, Target};

fn log(folder: &Path) -> Log {
    Log::open(&Target::File(folder.join("log")), Level::Debug).unwrap()
}

fn take(socket: &Path, pidfile: &Path, folder: &Path) -> Result<Claim, PlaceError> {
    Claim::take(socket, pidfile, Manner::Guard, &log(folder))
}

#[test]
fn a_place_is_taken_once_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, pidfile) = (folder.path().join("run/s"), folder.path().join("run/p"));
    let claim = take(&socket, &pidfile, folder.path()).unwrap();
    assert_eq!(
        fs::read_to_string(&pidfile).unwrap(),
        format!("{}\n", std::process::id())
    );
    let second = take(&socket, &pidfile, folder.path());
    assert!(
        matches!(second, Err(PlaceError::Taken { pid: Some(_), .. })),
        "{second:?}"
    );
    let elsewhere = take(&socket, &folder.path().join("other"), folder.path());
    assert!(
        matches!(elsewhere, Err(PlaceError::Taken { pid: None, .. })),
        "{elsewhere:?}"
    );
    let traces = claim.traces();
    let paths: Vec<_> = traces.iter().filter_map(Weak::upgrade).collect();
    assert_eq!(paths, [Arc::from(&*socket), Arc::from(&*pidfile)]);
    drop((paths, claim));
    assert!(!socket.exists() && !pidfile.exists());
    let given_back = traces.iter().all(|trace| trace.upgrade().is_none());
    assert!(given_back, "what may be somebody else's now");
}

#[test]
fn what_a_dead_server_left_is_removed_with_a_line_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, pidfile) = (folder.path().join("s"), folder.path().join("p"));
    drop(UnixListener::bind(&socket).unwrap());
    fs::write(&pidfile, "999999\n").unwrap();
    let log = log(folder.path());
    let claim = Claim::take(&socket, &pidfile, Manner::Guard, &log).unwrap();
    log.flush();
    let told = fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(
        told.lines()
            .filter(|line| line.contains("left behind"))
            .count(),
        2,
        "{told}"
    );
    drop(claim);
}

#[test]
fn what_is_no_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, pidfile) = (folder.path().join("s"), folder.path().join("p"));
    fs::write(&socket, "precious").unwrap();
    let claim = take(&socket, &pidfile, folder.path());
    assert!(matches!(claim, Err(PlaceError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

/// What a take in the manner of `fail2ban-server` comes to, and what it logs.
fn server(
    folder: &Path,
    (socket, pidfile): (&str, &str),
    force: bool,
) -> (Result<Claim, String>, Vec<String>) {
    let path = folder.join("log");
    drop(fs::remove_file(&path));
    let log = log(folder);
    let (socket, pidfile) = (folder.join(socket), folder.join(pidfile));
    let claim = Claim::take(&socket, &pidfile, Manner::Server { force }, &log);
    log.flush();
    let told = fs::read_to_string(path).unwrap();
    let root = folder.display().to_string();
    let text = |line: &str| {
        let (_, text) = line.split_once("]: ").unwrap();
        text.replace(&root, "")
    };
    let claim = claim.map_err(|error| error.to_string().replace(&root, ""));
    (claim, told.lines().map(text).collect())
}

const RUNNING: &str = "ERROR   Fail2ban seems to be already running";
const FORCING: &str = "WARNING Forcing execution of the server";

#[test]
fn a_server_refuses_a_socket_that_is_there_unless_it_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = ("s", "p");
    let refused = |force| {
        let (claim, told) = server(folder, places, force);
        assert_eq!(claim.unwrap_err(), "Server already running");
        assert_eq!(told, [RUNNING]);
    };

    let (claim, told) = server(folder, places, false);
    assert!(claim.is_ok() && told.is_empty(), "{told:?}");
    refused(false);
    refused(true);
    drop(claim);
    assert!(!folder.join("s").exists() && !folder.join("p").exists());

    // Alive, without a lock, and too busy to let anybody in.
    let alive = UnixListener::bind(folder.join("s")).unwrap();
    rustix::net::listen(&alive, 0).unwrap();
    let _waits = UnixStream::connect(folder.join("s")).unwrap();
    refused(false);
    refused(true);
    assert!(!folder.join("p").exists(), "what was not taken is not kept");
    drop(alive);

    // As a crash leaves it: a socket without anybody behind it.
    let (claim, told) = server(folder, places, false);
    assert_eq!(
        told,
        ["WARNING /s: socket left behind by a server that died; removed"]
    );
    drop(claim.unwrap());
    drop(UnixListener::bind(folder.join("s")).unwrap());
    let (claim, told) = server(folder, places, true);
    assert_eq!(told, [RUNNING, FORCING]);
    drop(claim.unwrap());

    fs::write(folder.join("s"), "precious").unwrap();
    refused(false);
    let (claim, _) = server(folder, places, true);
    assert!(claim.unwrap_err().starts_with("/s: this is no socket"));
    assert_eq!(fs::read_to_string(folder.join("s")).unwrap(), "precious");
}

#[test]
fn a_server_makes_one_folder_and_goes_without_a_pid_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (claim, told) = server(folder, ("a/s", "b/p"), false);
    assert!(claim.is_ok() && told.is_empty(), "{told:?}");
    drop(claim);
    let (claim, told) = server(folder, ("a/s", "x/y/p"), false);
    assert!(claim.is_ok());
    assert_eq!(
        told,
        ["ERROR   Unable to create PID file: [Errno 2] No such file or directory: '/x/y'"]
    );
    drop(claim);
    let (claim, told) = server(folder, ("x/y/s", "b/p"), false);
    assert_eq!(
        claim.unwrap_err(),
        "[Errno 2] No such file or directory: '/x/y'"
    );
    assert!(told.is_empty() && !folder.join("b/p").exists(), "{told:?}");
    let long = "s".repeat(120);
    let (claim, told) = server(folder, (&long, "b/p"), false);
    assert!(told[0].starts_with("ERROR   /sss"), "{told:?}");
    assert_eq!(claim.unwrap_err(), format!("Unable to bind socket /{long}"));
    assert!(!folder.join("b/p").exists());
}
