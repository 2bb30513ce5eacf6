//! Debian's fail2ban server in a folder of its own, for our client to talk to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::child::{Done, Running, command, run};
use super::guard::{DEBIANS, OURS, client_on};
use super::wait::{SOON, until};
use super::world::{DIR, World};

/// Its socket.
pub(crate) const SOCKET: &str = "/run/e2e/original.sock";

/// A configuration of one jail that reads one file and does nothing.
const FILES: [(&str, &str); 4] = [
    (
        "fail2ban.conf",
        "[Definition]\nloglevel = INFO\nlogtarget = /run/e2e/original.log\nsyslogsocket = auto\n\
         socket = /run/e2e/original.sock\npidfile = /run/e2e/original.pid\ndbfile = @DATABASE@\n\
         dbpurgeage = 1d\n",
    ),
    (
        "jail.conf",
        "[sshd]\nenabled = true\nbackend = polling\nlogpath = /run/e2e/auth.log\n\
         filter = wrong\naction = nothing\nmaxretry = 5\nfindtime = 10m\nbantime = 10m\n",
    ),
    (
        "filter.d/wrong.conf",
        "[Definition]\nfailregex = Failed password for \\S+ from <HOST> port\n",
    ),
    (
        "action.d/nothing.conf",
        "[Definition]\nactionban = true\nactionunban = true\n",
    ),
];

/// Starts it without a database and returns when it answers.
pub(crate) fn server(world: &World) -> Running {
    server_on(world, Path::new("None"))
}

/// The same on a database, which may be one of ours.
pub(crate) fn server_on(world: &World, database: &Path) -> Running {
    let running = Running::start(
        command("/usr/bin/fail2ban-server")
            .arg("-f")
            .arg("-c")
            .arg(folder(world, database))
            .arg("start"),
    );
    until(SOON, "Debian's server is ready", || {
        client_on(DEBIANS, SOCKET, &["status", "sshd"]).code == Some(0)
    });
    running
}

/// Its configuration.
fn folder(world: &World, database: &Path) -> PathBuf {
    let database = database.display().to_string();
    let folder = world.path("original");
    for (name, content) in FILES {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(Path::new(DIR));
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, content.replace("@DATABASE@", &database)))
            .expect("it is in memory");
    }
    folder
}

/// Our client in a folder beside Debian's server, which is what it starts.
pub(crate) struct Mixed {
    client: PathBuf,
    configuration: PathBuf,
}

impl Mixed {
    pub(crate) fn new(world: &World) -> Self {
        let programs = world.path("mixed");
        let client = programs.join("fail2ban-client");
        // A link would lead to our own server.
        fs::create_dir_all(&programs)
            .and_then(|()| fs::copy(OURS, &client))
            .and_then(|_| symlink("/usr/bin/fail2ban-server", programs.join("fail2ban-server")))
            .expect("it is in memory");
        Self {
            client,
            configuration: folder(world, Path::new("None")),
        }
    }

    /// Writes a file of the configuration.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.configuration.join(name), content).expect("it is in memory");
    }

    pub(crate) fn client(&self, words: &[&str]) -> Done {
        let client = self.client.display().to_string();
        run(command(&client)
            .arg("-c")
            .arg(&self.configuration)
            .args(words))
    }
}
