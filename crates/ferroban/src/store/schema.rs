//! The tables of fail2ban's database, version 4.
//!
//! `sqlite_master` keeps these texts, and other programs compare them, so they
//! are what fail2ban writes.

use rusqlite::{Connection, OptionalExtension, Transaction};

/// The version we read and write.
pub(super) const VERSION: i64 = 4;

const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS fail2banDb(version INTEGER)",
    "CREATE TABLE IF NOT EXISTS jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1)",
    "CREATE INDEX IF NOT EXISTS jails_name ON jails(name)",
    "CREATE TABLE IF NOT EXISTS logs(jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, \
     lastfilepos INTEGER DEFAULT 0, FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE, \
     UNIQUE(jail, path),UNIQUE(jail, path, firstlinemd5))",
    "CREATE INDEX IF NOT EXISTS logs_path ON logs(path)",
    "CREATE INDEX IF NOT EXISTS logs_jail_path ON logs(jail, path)",
    "CREATE TABLE IF NOT EXISTS bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, \
     bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON, \
     FOREIGN KEY(jail) REFERENCES jails(name) )",
    "CREATE INDEX IF NOT EXISTS bans_jail_timeofban_ip ON bans(jail, timeofban)",
    "CREATE INDEX IF NOT EXISTS bans_jail_ip ON bans(jail, ip)",
    "CREATE INDEX IF NOT EXISTS bans_ip ON bans(ip)",
    "CREATE TABLE IF NOT EXISTS bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, \
     bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON, \
     PRIMARY KEY(ip, jail), FOREIGN KEY(jail) REFERENCES jails(name) )",
    "CREATE INDEX IF NOT EXISTS bips_timeofban ON bips(timeofban)",
    "CREATE INDEX IF NOT EXISTS bips_ip ON bips(ip)",
];

/// The version a file says it has; `None` where nothing is written yet.
pub(super) fn version(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let known = "SELECT 1 FROM sqlite_master WHERE name = 'fail2banDb'";
    if db.query_row(known, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    db.query_row("SELECT version FROM fail2banDb LIMIT 1", [], |row| {
        row.get(0)
    })
    .optional()
}

/// Makes what is missing.
pub(super) fn create(db: &Transaction<'_>) -> rusqlite::Result<()> {
    for table in TABLES {
        db.execute(table, [])?;
    }
    let empty = db.query_row("SELECT count(*) FROM fail2banDb", [], |row| {
        row.get::<_, i64>(0)
    })? == 0;
    if empty {
        db.execute("INSERT INTO fail2banDb(version) VALUES(?1)", [VERSION])?;
    }
    Ok(())
}

/// Brings a file of an older version up to date, as fail2ban does: the time a
/// ban lasted is unknown there (`-2`), and read positions are not worth keeping.
pub(super) fn upgrade(db: &Transaction<'_>, version: i64) -> rusqlite::Result<()> {
    if version < 2 {
        db.execute("DROP TABLE IF EXISTS logs", [])?;
    }
    if version < 3 {
        db.execute("ALTER TABLE bans RENAME TO old_bans", [])?;
        drop_indexes(db, "old_bans")?;
        create(db)?;
        db.execute(
            "INSERT INTO bans(jail, ip, timeofban, bantime, bancount, data) \
             SELECT jail, ip, timeofban, -2, 1, data FROM old_bans",
            [],
        )?;
        db.execute("DROP TABLE old_bans", [])?;
    } else {
        create(db)?;
    }
    db.execute(
        "INSERT OR REPLACE INTO bips(ip, jail, timeofban, bantime, bancount, data) \
         SELECT ip, jail, timeofban, bantime, bancount, data FROM bans ORDER BY timeofban",
        [],
    )?;
    db.execute("UPDATE fail2banDb SET version = ?1", [VERSION])?;
    Ok(())
}

/// Indexes keep their names when their table is renamed, and would be in the way.
fn drop_indexes(db: &Transaction<'_>, table: &str) -> rusqlite::Result<()> {
    let named =
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
    let names: Vec<String> = db
        .prepare(named)?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in names {
        db.execute(&format!("DROP INDEX \"{name}\""), [])?;
    }
    Ok(())
}
