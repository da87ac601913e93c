//! Databases: one handle on an SQLite file, for all threads of a program.
//!
//! One connection writes, and whoever wants to stands in one line for it ([`line`]); others read beside it, as many as there
//! are queries at once, since the file keeps a log (WAL). So no thread of the program is told that the database is locked.
//!
//! Invariants: a connection is used by one call at a time (it lies behind a mutex, or was taken out of the list); the task
//! that is in the line is the only one to change `depth`; between two turns in the line no transaction is open. A call that
//! was given up may still be on its way out of a connection: whoever comes next waits for it at the mutex.

pub mod cell;
mod connection;
pub mod fault;
mod line;
pub mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};

use self::cell::Arguments;
use self::fault::{Place, Said, SqlFault};
use self::line::{Line, Turn};
use self::rows::Rows;
use crate::io::blocking;
use crate::kernel::{ObjectCore, Waitable, door};

/// How many connections that read are kept open.
const KEPT_READERS: usize = 8;

/// See the module.
pub struct Database {
    core: Arc<ObjectCore>,
    line: Arc<Line>,
    shared: Arc<Shared>,
    /// How many transactions are open, one within the other.
    depth: AtomicUsize,
}

/// What calls beside the tasks use.
struct Shared {
    /// The file, as it was named.
    shown: PathBuf,
    /// The same from the root: the script may change its folder.
    path: PathBuf,
    /// It has one connection, since another one would be another database.
    in_memory: bool,
    label: String,
    closed: AtomicBool,
    writer: Mutex<Option<Connection>>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    /// Opens a file, and makes it where there is none; `":memory:"` is no file.
    ///
    /// # Errors
    /// [`SqlFault`].
    pub fn open(path: &str) -> Result<Arc<Database>, SqlFault> {
        let shown = PathBuf::from(path);
        let place = Place::new(&shown, "");
        if path.is_empty() {
            return Err(SqlFault::Refused(Said {
                message: "the path is empty".into(),
                sql: String::new(),
                code: None,
            }));
        }
        let in_memory = path == ":memory:";
        let full = match in_memory {
            true => shown.clone(),
            false => std::path::absolute(&shown).map_err(|error| place.system("cannot open the database", &error))?,
        };
        let core = ObjectCore::new("Database");
        core.set_name(path);
        let opened = full.clone();
        let writer = blocking::run(&core, "open", None, move || connection::open(&opened));
        let writer =
            writer.map_err(|fault| place.not_made(fault))?.map_err(|error| not_opened(&place, &full, &error))?;
        let line = Line::of(&full, path);
        let shared = Shared {
            shown,
            path: full,
            in_memory,
            label: core.label(),
            closed: AtomicBool::new(false),
            writer: Mutex::new(Some(writer)),
            readers: Mutex::default(),
        };
        Ok(Arc::new(Database { core, line, shared: Arc::new(shared), depth: AtomicUsize::new(0) }))
    }

    /// Runs statements that change something: how many rows they have changed.
    ///
    /// # Errors
    /// [`SqlFault`].
    pub fn execute(&self, sql: &str, arguments: Arguments) -> Result<u64, SqlFault> {
        self.in_line(sql, "execute", move |connection, place| connection::execute(connection, place, &arguments))
    }

    /// All that a statement finds.
    ///
    /// # Errors
    /// [`SqlFault`].
    pub fn query(&self, sql: &str, arguments: Arguments) -> Result<Rows, SqlFault> {
        self.must_be_open()?;
        let in_transaction = self.line.is_mine() && self.depth() > 0;
        // What a PRAGMA tells is about the connection that writes, which is the one that they are set for.
        let is_pragma = sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("pragma"));
        if !self.shared.in_memory && !in_transaction && !is_pragma {
            let (shared, place, given) = (self.shared.clone(), self.place(sql), arguments.clone());
            let read = blocking::run(&self.core, "query", None, move || shared.read(&place, &given));
            if let Some(rows) = read.map_err(|fault| self.place(sql).not_made(fault))?? {
                return Ok(rows);
            }
        }
        self.in_line(sql, "query", move |connection, place| {
            let rows = connection::query(connection, place, &arguments, false)?;
            Ok(rows.expect("invariant: only those who want to read only are refused"))
        })
    }

    /// Begins a transaction, or one within the one that the task has begun already.
    ///
    /// # Errors
    /// [`SqlFault`].
    pub fn begin(self: &Arc<Self>) -> Result<Transaction, SqlFault> {
        self.must_be_open()?;
        let turn = self.line.enter()?;
        self.must_be_its_transaction("")?;
        let level = self.depth();
        let sql = if level == 0 { "BEGIN IMMEDIATE".to_string() } else { format!("SAVEPOINT orch_{level}") };
        // From here on it is rolled back when this fails.
        let transaction = Transaction { database: self.clone(), level, is_over: false, _turn: turn };
        self.in_line(&sql, "transaction", |connection, place| {
            connection::execute(connection, place, &Arguments::None)
        })?;
        self.depth.store(level + 1, Ordering::Relaxed);
        self.line.set_transaction_of(self.core.id().0);
        Ok(transaction)
    }

    /// Closes it. Who is in the midst of a call ends it first; a transaction that is open is rolled back.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.readers.lock().clear();
        if self.depth() == 0 {
            self.shared.settle();
        }
    }

    /// True when it was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Runs `body` with the connection that writes, when it is the task's turn.
    fn in_line<T: Send + 'static>(
        &self,
        sql: &str,
        verb: &'static str,
        body: impl FnOnce(&Connection, &Place) -> Result<T, SqlFault> + Send + 'static,
    ) -> Result<T, SqlFault> {
        self.must_be_open()?;
        let _turn = self.line.enter()?;
        self.must_be_its_transaction(sql)?;
        let (shared, place, depth) = (self.shared.clone(), self.place(sql), self.depth());
        let began = verb == "transaction";
        let work = move || shared.write(&place, depth, began, |connection| body(connection, &place));
        blocking::run(&self.core, verb, None, work).map_err(|fault| self.place(sql).not_made(fault))?
    }

    fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    fn place(&self, sql: &str) -> Place {
        Place::new(&self.shared.shown, sql)
    }

    fn must_be_open(&self) -> Result<(), SqlFault> {
        if self.is_closed() { Err(SqlFault::Closed(self.core.label())) } else { Ok(()) }
    }

    /// Two handles of one file in one thread would wait for each other.
    fn must_be_its_transaction(&self, sql: &str) -> Result<(), SqlFault> {
        let other = self.line.transaction_of();
        if other != 0 && other != self.core.id().0 {
            return Err(self
                .place(sql)
                .refused("this thread is in a transaction of another handle of the same file: use that one"));
        }
        Ok(())
    }
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Runs `body` with the connection that writes, at this depth of transactions.
    fn write<T>(
        &self,
        place: &Place,
        depth: usize,
        begins: bool,
        body: impl FnOnce(&Connection) -> Result<T, SqlFault>,
    ) -> Result<T, SqlFault> {
        let mut writer = self.writer.lock();
        let Some(connection) = writer.as_ref().filter(|_| !blocking::has_given_up()) else {
            return Err(SqlFault::Closed(self.label.clone()));
        };
        if depth > 0 && connection.is_autocommit() {
            return Err(place.refused("the transaction was rolled back by an error before"));
        }
        let mut result = body(connection);
        if depth == 0 && !begins && !connection.is_autocommit() {
            let rolled_back = connection.execute_batch("ROLLBACK").map_err(|error| place.fault(&error));
            let why = "a transaction is begun with transaction(|db| …), so that it is sure to end";
            result = result.and_then(|_| rolled_back.and(Err(place.refused(why))));
        }
        if depth == 0 && !begins && self.is_closed() {
            *writer = None;
        }
        result
    }

    /// Reads beside whoever writes. `None` when the statement does more than reading.
    fn read(&self, place: &Place, arguments: &Arguments) -> Result<Option<Rows>, SqlFault> {
        let kept = self.readers.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => connection::open_to_read(&self.path).map_err(|error| not_opened(place, &self.path, &error))?,
        };
        let rows = connection::query(&connection, place, arguments, true);
        let mut readers = self.readers.lock();
        if !self.is_closed() && readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        rows
    }

    /// Closes the connection that writes, if nobody uses it just now; whoever does, does it then.
    fn settle(&self) {
        if let Some(mut writer) = self.writer.try_lock() {
            *writer = None;
        }
    }
}

/// Why a file could not be opened.
fn not_opened(place: &Place, path: &Path, error: &rusqlite::Error) -> SqlFault {
    if error.sqlite_error_code() != Some(ErrorCode::CannotOpen) {
        return place.fault(error);
    }
    let folder = path.parent().unwrap_or(path);
    if !folder.exists() {
        return SqlFault::NotFound(format!(
            "cannot open the database {}: there is no folder {}",
            place.path,
            folder.display()
        ));
    }
    let why = match path.is_dir() {
        true => "it is a folder".to_string(),
        // SQLite does not say; the system does.
        false => match std::fs::OpenOptions::new().read(true).append(true).create(true).open(path) {
            Err(error) => error.to_string(),
            Ok(_) => error.to_string(),
        },
    };
    place.failed(&format!("cannot open the database: {why}"))
}

impl Waitable for Database {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn state(&self) -> String {
        if self.is_closed() { "closed".into() } else { String::new() }
    }
}

/// A transaction of the current task. It is rolled back unless it is committed.
pub struct Transaction {
    database: Arc<Database>,
    level: usize,
    is_over: bool,
    _turn: Option<Turn>,
}

impl Transaction {
    /// Makes what was done in it last. It is done by the task itself: it is done or not, whatever comes meanwhile.
    ///
    /// # Errors
    /// [`SqlFault`]; it is rolled back then.
    pub fn commit(mut self) -> Result<(), SqlFault> {
        door::enter()?;
        let database = &self.database;
        database.must_be_open()?;
        let sql = if self.level == 0 { "COMMIT".to_string() } else { format!("RELEASE orch_{}", self.level) };
        let place = database.place(&sql);
        let committed = match database.shared.writer.lock().as_ref() {
            None => Err(SqlFault::Closed(database.core.label())),
            Some(connection) if connection.is_autocommit() => {
                Err(place.refused("the transaction was rolled back by an error before"))
            }
            Some(connection) => connection.execute_batch(&sql).map_err(|error| place.fault(&error)),
        };
        if committed.is_ok() {
            self.end();
        }
        committed
    }

    fn end(&mut self) {
        self.is_over = true;
        let database = &self.database;
        database.depth.store(self.level, Ordering::Relaxed);
        if self.level == 0 {
            database.line.set_transaction_of(0);
            if database.is_closed() {
                database.shared.settle();
            }
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let sql = match self.level {
            0 => "ROLLBACK".to_string(),
            level => format!("ROLLBACK TO orch_{level}; RELEASE orch_{level}"),
        };
        if let Some(connection) = self.database.shared.writer.lock().as_ref()
            && !connection.is_autocommit()
        {
            // It fails where the transaction never began, and where it is gone already.
            let _gone_either_way = connection.execute_batch(&sql);
        }
        self.end();
    }
}
