//! One connection to a database file: opening it, running a statement on it.
//!
//! Everything here runs beside the task ([`blocking`]) and may block. What takes long asks every now and then whether
//! anybody still waits for it.

use std::path::Path;
use std::time::Duration;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, ErrorCode, OpenFlags, Statement};

use super::cell::{Arguments, Cell};
use super::fault::{Place, SqlFault};
use super::rows::{Gathered, Rows};
use crate::io::blocking;

/// How many steps of a statement are done between two looks whether anybody still waits.
const STEPS: i32 = 4_000;

/// How long to wait between two looks whether another program still writes, and how often to look: a minute in all.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: i32 = 6_000;

/// How many prepared statements a connection keeps.
const KEPT: usize = 64;

/// Opens `path`, and makes the file where there is none.
///
/// # Errors
/// SQLite's.
pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(|looks: i32| looks < LOOKS && blocking::pause(LOOK)))?;
    connection.progress_handler(STEPS, Some(blocking::has_given_up))?;
    connection.set_prepared_statement_cache_capacity(KEPT);
    keep_a_log(&connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Readers do not wait for writers then, nor they for them. Where the file or its folder may not be written to, it stays as
/// it is, if it can be read at all.
fn keep_a_log(connection: &Connection) -> rusqlite::Result<()> {
    // Who changes the mode at the same time as somebody else is refused at once, without a call of the handler.
    let mut looks = 0;
    loop {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && looks < LOOKS => {
                looks += 1;
                if !blocking::pause(LOOK) {
                    return Err(error);
                }
            }
            Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) => {
                return connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
            }
            mode => return mode.map(drop),
        }
    }
}

/// Another connection to the same file, which only reads.
///
/// # Errors
/// SQLite's.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Runs statements and says how many rows they have changed.
///
/// # Errors
/// [`SqlFault`].
pub fn execute(connection: &Connection, place: &Place, arguments: &Arguments) -> Result<u64, SqlFault> {
    let said = |error: rusqlite::Error| place.fault(&error);
    if !matches!(arguments, Arguments::None) {
        let mut statement = prepare(connection, place)?;
        bind(&mut statement, place, arguments)?;
        return run(connection, &mut statement).map_err(said);
    }
    let mut changed = 0;
    let mut batch = Batch::new(connection, &place.sql);
    while let Some(mut statement) = batch.next().map_err(said)? {
        bind(&mut statement, place, arguments)?;
        changed += run(connection, &mut statement).map_err(said)?;
    }
    Ok(changed)
}

/// Runs one statement to its end, whatever rows it gives.
fn run(connection: &Connection, statement: &mut Statement) -> rusqlite::Result<u64> {
    let before = connection.total_changes();
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    drop(rows);
    // The number of the last change stays when a statement changes nothing.
    Ok(if connection.total_changes() == before { 0 } else { connection.changes() })
}

fn prepare<'c>(connection: &'c Connection, place: &Place) -> Result<rusqlite::CachedStatement<'c>, SqlFault> {
    connection.prepare_cached(&place.sql).map_err(|error| place.fault(&error))
}

/// All that a statement finds. `None` when it is not one that only reads, and `reads_only` was wanted.
///
/// # Errors
/// [`SqlFault`].
pub fn query(
    connection: &Connection,
    place: &Place,
    arguments: &Arguments,
    reads_only: bool,
) -> Result<Option<Rows>, SqlFault> {
    let said = |error: rusqlite::Error| place.fault(&error);
    let mut statement = match prepare(connection, place) {
        // It may be about something that only the connection that writes has, such as a temporary table.
        Err(SqlFault::Refused(_)) if reads_only => return Ok(None),
        prepared => prepared?,
    };
    if reads_only && !statement.readonly() {
        return Ok(None);
    }
    bind(&mut statement, place, arguments)?;
    let columns: Vec<String> = statement.column_names().map(str::to_string).collect();
    let width = columns.len();
    let mut gathered = Gathered::new(columns);
    let kept = |error: std::io::Error| place.failed(&error.to_string());
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(said)? {
        let cells = (0..width).map(|i| row.get_ref(i).map(Cell::read)).collect::<rusqlite::Result<_>>();
        gathered.push(cells.map_err(said)?).map_err(kept)?;
    }
    gathered.finish().map(Some).map_err(kept)
}

fn bind(statement: &mut Statement, place: &Place, arguments: &Arguments) -> Result<(), SqlFault> {
    let said = |error: rusqlite::Error| place.fault(&error);
    let wanted = statement.parameter_count();
    match arguments {
        Arguments::Named(named) => {
            for (name, cell) in named {
                let index = parameter(statement, name).map_err(said)?;
                let index = index.ok_or_else(|| place.refused(&format!("it has no parameter :{name}")))?;
                statement.raw_bind_parameter(index, cell).map_err(said)?;
            }
            for index in 1..=wanted {
                let name = statement.parameter_name(index).map(|name| name[1..].to_string());
                match name {
                    Some(name) if named.iter().any(|(given, _)| *given == name) => {}
                    Some(name) => return Err(place.refused(&format!("nothing is given for its parameter :{name}"))),
                    None => return Err(place.refused("it has a parameter without a name")),
                }
            }
        }
        Arguments::InOrder(cells) if cells.len() == wanted => {
            for (i, cell) in cells.iter().enumerate() {
                statement.raw_bind_parameter(i + 1, cell).map_err(said)?;
            }
        }
        arguments => {
            let given = if let Arguments::InOrder(cells) = arguments { cells.len() } else { 0 };
            if given != wanted {
                let them = if wanted == 1 { "argument" } else { "arguments" };
                return Err(place.refused(&format!("it takes {wanted} {them}, {given} given")));
            }
        }
    }
    Ok(())
}

/// The place of a parameter that the script calls `name`.
fn parameter(statement: &Statement, name: &str) -> rusqlite::Result<Option<usize>> {
    for mark in [":", "@", "$"] {
        if let Some(index) = statement.parameter_index(&format!("{mark}{name}"))? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}
