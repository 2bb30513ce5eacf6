//! The SQLite file: fail2ban's own, at its place, with its schema.
//!
//! Other programs read the file while we run, and one may switch back to
//! fail2ban, so nothing of theirs is changed; facts of our own would go into
//! tables called `ferroban_*`. While we run, memory is the truth and this is its
//! mirror: it is written, and read at the start and for actions that tell of earlier bans.

mod data;
mod schema;

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferroban_engine::{Ban, BanTime, FailId, JailName, LogPosition, Match, Save, Timestamp};
#[cfg(test)]
use rusqlite::OptionalExtension;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

/// How long a write waits for another program that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// The same where others wait for us: while the daemon starts, when opening waits
/// twice and no jail is at work before it is done, and when the file is closed.
const BUSY_BRIEFLY: Duration = Duration::from_millis(250);

/// How many matched lines of a ban are stored (`dbmaxmatches`), unless something else
/// is said.
const MAX_MATCHES: usize = 10;

/// Why the file could not be used.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// Its folder cannot be made.
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    /// SQLite's own complaint.
    Sqlite {
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// It was written by a later fail2ban.
    FromTheFuture { path: PathBuf, version: i64 },
    /// It could not be moved out of the way or copied.
    SetAside {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => {
                write!(
                    f,
                    "{}: the folder cannot be made; give another place with --database",
                    path.display()
                )
            }
            Self::Sqlite { path, .. } => {
                write!(f, "{}: the database cannot be used", path.display())
            }
            Self::FromTheFuture { path, version } => {
                write!(
                    f,
                    "{}: the database has version {version}, which a later fail2ban wrote; move it away or give another with --database",
                    path.display()
                )
            }
            Self::SetAside { path, .. } => {
                write!(
                    f,
                    "{}: the database cannot be moved or copied; make room in its folder, or remove it by hand",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } | Self::SetAside { source, .. } => Some(source),
            Self::Sqlite { source, .. } => Some(source),
            Self::FromTheFuture { .. } => None,
        }
    }
}

/// How opening went, for the log.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Opened {
    Existing,
    Created,
    /// It had an older version; its copy from before lies under this name.
    Upgraded {
        version: i64,
        backup: PathBuf,
    },
    /// The old file was no database; it now lies under this name.
    Replaced(PathBuf),
}

/// What a failed write says about the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// A row is refused, and will be again; the others need not be.
    Row,
    /// The same write may succeed later.
    Passing,
    /// What lies there is no whole database.
    Damage,
    /// The open file is of no use; opening it again may help.
    Handle,
}

/// Sorts SQLite's complaints.
pub(crate) fn trouble(error: &rusqlite::Error) -> Trouble {
    use ErrorCode::{
        ConstraintViolation, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
        OutOfMemory, TooBig, TypeMismatch,
    };
    match error.sqlite_error_code() {
        Some(ConstraintViolation | TooBig | TypeMismatch) => Trouble::Row,
        Some(DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory) => Trouble::Passing,
        Some(NotADatabase | DatabaseCorrupt) => Trouble::Damage,
        _ => Trouble::Handle,
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    /// Device and inode of the open file, where they are known.
    file: Option<(u64, u64)>,
    /// How many matched lines of a ban are stored.
    max_matches: usize,
}

/// The bans of a jail that were stored.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) bans: Vec<Ban>,
    /// How many rows hold what no ban can be made of.
    odd: usize,
}

impl Stored {
    /// What is to be told of rows that are no bans.
    pub(crate) fn complaint(&self, path: &Path, jail: &JailName) -> Option<String> {
        (self.odd > 0).then(|| {
            format!(
                "{}: {} row(s) of jail '{jail}' in table bips are no bans and are left alone",
                path.display(),
                self.odd
            )
        })
    }
}

/// How many bans of one id are looked at.
const MOST_PAST: u32 = 1000;

/// What the bans of an id come to that were made until now.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// All failures.
    pub(crate) failures: u64,
    /// The last lines.
    pub(crate) matches: Vec<Match>,
}

/// Looks up all bans of an id, in one jail or in all, and keeps `most` of their lines.
/// Nothing if there is none. Reads beside whoever writes, with a handle of its own.
pub(crate) fn past(
    path: &Path,
    id: &FailId,
    jail: Option<&JailName>,
    most: usize,
) -> rusqlite::Result<Option<Past>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY_BRIEFLY)?;
    let mut statement = connection.prepare(
        "SELECT data FROM bans WHERE ip = ?1 AND (?2 IS NULL OR jail = ?2) \
         ORDER BY timeofban DESC, rowid DESC LIMIT ?3",
    )?;
    let jail = jail.map(JailName::as_str);
    let mut rows = statement.query(params![id.to_string(), jail, MOST_PAST])?;
    let mut past = None;
    while let Some(row) = rows.next()? {
        let ticket = data::read(row.get_ref(0)?.as_bytes_or_null()?.unwrap_or_default());
        let past = past.get_or_insert_with(Past::default);
        past.failures += u64::from(ticket.failures);
        // From the last line to the first.
        let room = most.saturating_sub(past.matches.len());
        past.matches
            .extend(ticket.matches.into_iter().rev().take(room));
    }
    if let Some(past) = &mut past {
        past.matches.reverse();
    }
    Ok(past)
}

impl Store {
    /// Opens the file, or makes it. One of an older fail2ban is brought up to date,
    /// after a copy of it was made. One that is no database is moved aside, so that
    /// a damaged file cannot keep the daemon from starting.
    pub(crate) fn open(path: &Path, now: Timestamp) -> Result<(Self, Opened), StoreError> {
        Self::open_within(path, now, BUSY)
    }

    /// The same, but hardly waits for another program that holds the file. It goes
    /// on like this until [`wait_as_usual`](Self::wait_as_usual).
    pub(crate) fn open_quickly(path: &Path, now: Timestamp) -> Result<(Self, Opened), StoreError> {
        Self::open_within(path, now, BUSY_BRIEFLY)
    }

    /// From now on waits as long as is right once the daemon is at work.
    pub(crate) fn wait_as_usual(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)
    }

    fn open_within(
        path: &Path,
        now: Timestamp,
        busy: Duration,
    ) -> Result<(Self, Opened), StoreError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| StoreError::Folder {
                path: folder.into(),
                source,
            })?;
        }
        match Self::try_open(path, now, busy) {
            Err(StoreError::Sqlite { source, .. }) if trouble(&source) == Trouble::Damage => {
                let aside = set_aside(path, now)?;
                let (store, _) = Self::try_open(path, now, busy)?;
                Ok((store, Opened::Replaced(aside)))
            }
            other => other,
        }
    }

    /// Opens a new file in place of one that opens and yet turned out damaged.
    pub(crate) fn replace(path: &Path, now: Timestamp) -> Result<(Self, Opened), StoreError> {
        let aside = set_aside(path, now)?;
        let (store, _) = Self::open(path, now)?;
        Ok((store, Opened::Replaced(aside)))
    }

    fn try_open(path: &Path, now: Timestamp, busy: Duration) -> Result<(Self, Opened), StoreError> {
        let wrap = |source| StoreError::Sqlite {
            path: path.into(),
            source,
        };
        let connection = Connection::open(path).map_err(wrap)?;
        let mut store = Self {
            connection,
            path: path.into(),
            file: identity(path),
            max_matches: MAX_MATCHES,
        };
        let opened = match store.set_up(busy).map_err(wrap)? {
            None => Opened::Created,
            Some(version) if version > schema::VERSION => {
                return Err(StoreError::FromTheFuture {
                    path: path.into(),
                    version,
                });
            }
            Some(version) if version < schema::VERSION => {
                let backup = aside_name(path, now);
                fs::copy(path, &backup).map_err(|source| StoreError::SetAside {
                    path: path.into(),
                    source,
                })?;
                Opened::Upgraded { version, backup }
            }
            Some(_) => Opened::Existing,
        };
        store.create(&opened).map_err(wrap)?;
        Ok((store, opened))
    }

    /// Sets the connection up, and returns the version of a file that was there.
    fn set_up(&self, busy: Duration) -> rusqlite::Result<Option<i64>> {
        self.connection.busy_timeout(busy)?;
        // A rollback journal, as fail2ban uses, so that either program can open
        // what the other left; unlike it we wait for the disk. PERSIST spares the
        // disk the most work of the modes that are safe: bench/README.md.
        self.connection
            .pragma_update(None, "journal_mode", "PERSIST")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "foreign_keys", "ON")?;
        schema::version(&self.connection)
    }

    fn create(&mut self, opened: &Opened) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        if let Opened::Upgraded { version, .. } = opened {
            schema::upgrade(&transaction, *version)?;
        }
        schema::create(&transaction)?;
        transaction.commit()
    }

    /// Removes what is older than `age` seconds: history, current bans that ended
    /// three times their length ago, and jails that nothing is left of.
    pub(crate) fn purge(&mut self, now: Timestamp, age: i64) -> rusqlite::Result<()> {
        let limit = now.secs() - age;
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM bans WHERE timeofban < ?1", [limit])?;
        transaction.execute(
            "DELETE FROM bips WHERE timeofban < ?1 AND bantime <> -1 \
             AND timeofban + 3 * bantime < ?1",
            [limit],
        )?;
        transaction.execute(
            "DELETE FROM jails WHERE enabled = 0 \
             AND NOT EXISTS (SELECT 1 FROM bans WHERE bans.jail = jails.name) \
             AND NOT EXISTS (SELECT 1 FROM bips WHERE bips.jail = jails.name)",
            [],
        )?;
        transaction.commit()
    }

    /// The file's path.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the open file is still the one at its path. Nobody else would ever
    /// read what is written to one that was moved or deleted.
    pub(crate) fn is_in_place(&self) -> bool {
        self.file.is_none() || self.file == identity(&self.path)
    }

    /// Marks every jail as not at work; the running ones are marked again.
    pub(crate) fn disable_all_jails(&self) -> rusqlite::Result<()> {
        self.connection
            .execute("UPDATE jails SET enabled = 0", [])
            .map(drop)
    }

    /// The bans of a jail that still run at `now`, by id. One that would last
    /// longer than `bantime` is shortened to it, as fail2ban does.
    pub(crate) fn bans(
        &self,
        jail: &JailName,
        bantime: BanTime,
        now: Timestamp,
    ) -> rusqlite::Result<Stored> {
        let mut statement = self.connection.prepare(
            "SELECT ip, timeofban, bantime, bancount, data FROM bips \
             WHERE jail = ?1 AND (timeofban + bantime > ?2 OR bantime <= -1) \
             AND (?3 < 0 OR timeofban > ?2 - ?3) ORDER BY ip",
        )?;
        let rows =
            statement.query_map(params![jail.as_str(), now.secs(), bantime.secs()], |row| {
                let time = Timestamp::from_secs(seconds(row, 1)?);
                Ok(Ban {
                    id: FailId::parse(&row.get::<_, String>(0)?),
                    time,
                    bantime: limited(seconds(row, 2)?, bantime),
                    count: row
                        .get::<_, i64>(3)
                        .map(|count| u32::try_from(count).unwrap_or(u32::MAX))?,
                    ticket: data::read(row.get_ref(4)?.as_bytes_or_null()?.unwrap_or_default()),
                    restored: true,
                })
            })?;
        let running = |ban: &Ban| ban.end() > now;
        let mut stored = Stored::default();
        for row in rows {
            match row {
                Ok(ban) => stored.bans.extend(Some(ban).filter(running)),
                // A row that somebody filled oddly keeps no other from being a ban.
                Err(error) if error.sqlite_error_code().is_none() => stored.odd += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(stored)
    }

    /// Stores no more than so many matched lines with a ban.
    pub(crate) fn limit_matches(&mut self, most: usize) {
        self.max_matches = most;
    }

    /// How far a jail has read its logs.
    pub(crate) fn positions(&self, jail: &JailName) -> rusqlite::Result<Vec<LogPosition>> {
        let sql = "SELECT path, firstlinemd5, lastfilepos FROM logs WHERE jail = ?1";
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(LogPosition {
                log: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                mark: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                offset: seconds(row, 2)?,
            })
        };
        statement.query_map([jail.as_str()], read)?.collect()
    }

    /// How far a jail has read a log.
    #[cfg(test)]
    pub(crate) fn position(
        &self,
        jail: &JailName,
        log: &str,
    ) -> rusqlite::Result<Option<LogPosition>> {
        let sql = "SELECT firstlinemd5, lastfilepos FROM logs WHERE jail = ?1 AND path = ?2";
        let read = |row: &rusqlite::Row<'_>| {
            let mark = row.get::<_, Option<String>>(0)?.unwrap_or_default();
            Ok(LogPosition {
                log: log.to_owned(),
                mark,
                offset: seconds(row, 1)?,
            })
        };
        self.connection
            .query_row(sql, params![jail.as_str(), log], read)
            .optional()
    }

    /// Writes all of it, or nothing.
    pub(crate) fn commit<'a>(
        &mut self,
        saves: impl IntoIterator<Item = &'a Save>,
    ) -> rusqlite::Result<()> {
        let most = self.max_matches;
        let transaction = self.connection.transaction()?;
        // Nobody else writes meanwhile.
        let mut known = None;
        for save in saves {
            if let Save::Ban { jail, .. } | Save::Position { jail, .. } = save
                && known != Some(jail)
            {
                know(&transaction, jail)?;
                known = Some(jail);
            }
            write(&transaction, save, most)?;
        }
        transaction.commit()
    }

    /// Writes what can be written, in one transaction, and returns the rest: rows
    /// that the file refuses, and why.
    pub(crate) fn commit_each<'a>(
        &mut self,
        saves: impl IntoIterator<Item = &'a Save>,
    ) -> rusqlite::Result<Vec<(&'a Save, rusqlite::Error)>> {
        let most = self.max_matches;
        let mut transaction = self.connection.transaction()?;
        let mut refused = Vec::new();
        for save in saves {
            let savepoint = transaction.savepoint()?;
            let known = match save {
                Save::Ban { jail, .. } | Save::Position { jail, .. } => know(&savepoint, jail),
                _ => Ok(()),
            };
            match known.and_then(|()| write(&savepoint, save, most)) {
                Ok(()) => savepoint.commit()?,
                // Dropping the savepoint takes back what was written since it.
                Err(error) if trouble(&error) == Trouble::Row => refused.push((save, error)),
                Err(error) => return Err(error),
            }
        }
        transaction.commit()?;
        Ok(refused)
    }
}

/// Leaves only the file itself behind, as fail2ban does.
impl Drop for Store {
    fn drop(&mut self) {
        // The journal at the path belongs to the file at the path.
        if !self.is_in_place() {
            return;
        }
        // If another program is just writing, it removes the journal file itself.
        drop(self.connection.busy_timeout(BUSY_BRIEFLY));
        drop(
            self.connection
                .pragma_update(None, "journal_mode", "DELETE"),
        );
    }
}

fn write(db: &Connection, save: &Save, max_matches: usize) -> rusqlite::Result<()> {
    match save {
        Save::Jail { jail, enabled } => {
            let sql = "INSERT INTO jails(name, enabled) VALUES(?1, ?2) \
                       ON CONFLICT(name) DO UPDATE SET enabled = excluded.enabled";
            db.prepare_cached(sql)?
                .execute(params![jail.as_str(), enabled])?;
        }
        Save::Ban { jail, ban } => write_ban(db, jail, ban, max_matches)?,
        Save::Prolong { jail, ban } => prolong(db, jail, ban)?,
        Save::Forget { jail, id } => {
            for table in ["bips", "bans"] {
                let sql = format!("DELETE FROM {table} WHERE jail = ?1 AND ip = ?2");
                db.prepare_cached(&sql)?
                    .execute(params![jail.as_str(), id.to_string()])?;
            }
        }
        Save::ForgetAll { jail } => {
            for table in ["bips", "bans"] {
                let sql = format!("DELETE FROM {table} WHERE jail = ?1");
                db.prepare_cached(&sql)?.execute(params![jail.as_str()])?;
            }
        }
        Save::Position { jail, position } => {
            let sql = "INSERT INTO logs(jail, path, firstlinemd5, lastfilepos) VALUES(?1, ?2, ?3, ?4) \
                       ON CONFLICT(jail, path) DO UPDATE SET \
                       firstlinemd5 = excluded.firstlinemd5, lastfilepos = excluded.lastfilepos";
            db.prepare_cached(sql)?.execute(params![
                jail.as_str(),
                position.log,
                position.mark,
                position.offset
            ])?;
        }
    }
    Ok(())
}

/// Makes the row that bans and positions refer to, which must be there before them. It was
/// written when the jail began, but others write to the file too.
fn know(db: &Connection, jail: &JailName) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO jails(name, enabled) VALUES(?1, 1)")?
        .execute([jail.as_str()])
        .map(drop)
}

fn write_ban(
    db: &Connection,
    jail: &JailName,
    ban: &Ban,
    max_matches: usize,
) -> rusqlite::Result<()> {
    let (id, time, bantime) = (
        ban.id.to_string(),
        ban.time.secs_rounded(),
        ban.bantime.secs(),
    );
    let data = data::text(&ban.ticket, max_matches).into_bytes();
    let row = params![id, jail.as_str(), time, bantime, ban.count, data];
    db.prepare_cached("INSERT INTO bans(ip, jail, timeofban, bantime, bancount, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(row)?;
    // A replacement would do too, and copies each page it touches before it touches it.
    db.prepare_cached("INSERT INTO bips(ip, jail, timeofban, bantime, bancount, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT(ip, jail) DO UPDATE SET timeofban = excluded.timeofban, bantime = excluded.bantime, \
        bancount = excluded.bancount, data = excluded.data")?
        .execute(row)?;
    Ok(())
}

/// Writes how long a ban lasts now. The history keeps what was decided first, as
/// the original's does.
fn prolong(db: &Connection, jail: &JailName, ban: &Ban) -> rusqlite::Result<()> {
    let sql = "UPDATE bips SET bantime = ?1 WHERE jail = ?2 AND ip = ?3";
    let row = params![ban.bantime.secs(), jail.as_str(), ban.id.to_string()];
    db.prepare_cached(sql)?.execute(row).map(drop)
}

/// A whole number from a column that may hold a fraction: random ban times do.
fn seconds(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<i64> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => number,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float cast saturates, which is right for a time"
        )]
        ValueRef::Real(number) => number as i64,
        _ => 0,
    })
}

/// A stored ban time under the jail's present one: `-2` is unknown, and nothing
/// lasts longer than the jail would ban today.
fn limited(stored: i64, jail: BanTime) -> BanTime {
    match jail {
        BanTime::Forever if stored == -2 => BanTime::Forever,
        BanTime::Forever => BanTime::from_secs(stored),
        BanTime::For(secs) if stored < 0 || stored > i64::from(secs) => jail,
        BanTime::For(_) => BanTime::from_secs(stored),
    }
}

/// Device and inode of what lies at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Moves a file out of the way, and returns its new name.
fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let aside = aside_name(path, now);
    match fs::rename(path, &aside) {
        Ok(()) => Ok(aside),
        Err(source) => Err(StoreError::SetAside {
            path: path.into(),
            source,
        }),
    }
}

/// `fail2ban.sqlite3.20261123-022122`, as fail2ban names its backups, in UTC.
fn aside_name(path: &Path, now: Timestamp) -> PathBuf {
    let stamp = ferroban_date::local_text(now, &ferroban_date::Zone::utc());
    let stamp: String = stamp.replace(['-', ':'], "").replace(' ', "-");
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{stamp}"));
    name.into()
}

#[cfg(test)]
mod tests;
