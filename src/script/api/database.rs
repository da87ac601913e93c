//! `Database`, and what its faults are for scripts.

use rhai::plugin::*;
use rhai::{Array, Blob, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::io::sqlite::cell::{Arguments, Cell};
use crate::io::sqlite::fault::SqlFault;
use crate::script::arguments::{called, list, wrong_type};
use crate::script::function::Callable;
use crate::script::handles::Database;
use crate::script::iterate::{Place, Stream};
use crate::script::throw::{IntoThrown, Outcome, Problem, Thrown, call, throw};

impl IntoThrown for SqlFault {
    fn into_thrown(self, ctx: &NativeCallContext, limit: Option<std::time::Duration>) -> Thrown {
        let message = format!("{}(): {self}", called(ctx));
        let (kind, said) = match self {
            SqlFault::Stopped(stop) => return stop.into_thrown(ctx, limit),
            SqlFault::Line(fault) => return fault.into_thrown(ctx, limit),
            SqlFault::Closed(_) => return Problem::new(ctx, "Closed", message).thrown(),
            SqlFault::NotFound(_) => return Problem::new(ctx, "NotFound", message).thrown(),
            SqlFault::Refused(said) => ("ValueError", said),
            SqlFault::Failed(said) => ("IoError", said),
        };
        let code = said.code.map_or(Dynamic::UNIT, |code| Dynamic::from(i64::from(code)));
        Problem::new(ctx, kind, message).with("sql", said.sql).with("code", code).thrown()
    }
}

/// What SQLite can store of a value.
fn cell(ctx: &NativeCallContext, name: &str, value: &Dynamic) -> Outcome<Cell> {
    let value = value.flatten_clone();
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Cell::Text(text.to_string()));
    }
    if let Some(bytes) = value.read_lock::<Blob>() {
        return Ok(Cell::Blob(bytes.clone()));
    }
    match (value.as_int(), value.as_float(), value.as_bool(), value.as_char()) {
        (Ok(number), ..) => Ok(Cell::Int(number)),
        (_, Ok(number), ..) => Ok(Cell::Float(number)),
        (_, _, Ok(yes), _) => Ok(Cell::Int(i64::from(yes))),
        (.., Ok(letter)) => Ok(Cell::Text(letter.to_string())),
        _ if value.is_unit() => Ok(Cell::Null),
        _ => {
            let wanted = "an int, a float, a string, a blob, a bool or ()";
            throw(ctx, "TypeError", wrong_type(ctx, name, wanted, value.type_name()))
        }
    }
}

/// The arguments of a statement: a list, or a map of names.
fn arguments(ctx: &NativeCallContext, args: Dynamic) -> Outcome<Arguments> {
    if let Some(named) = args.read_lock::<Map>() {
        let cells = named
            .iter()
            .map(|(name, value)| cell(ctx, &format!("args.{name}"), value).map(|cell| (name.to_string(), cell)));
        return cells.collect::<Outcome<_>>().map(Arguments::Named);
    }
    let values = list(ctx, "args", args)?;
    let cells = values.iter().enumerate().map(|(i, value)| cell(ctx, &format!("args[{i}]"), value));
    cells.collect::<Outcome<_>>().map(Arguments::InOrder)
}

fn value(cell: Cell) -> Dynamic {
    match cell {
        Cell::Null => Dynamic::UNIT,
        Cell::Int(number) => number.into(),
        Cell::Float(number) => number.into(),
        Cell::Text(text) => text.into(),
        Cell::Blob(bytes) => Dynamic::from_blob(bytes),
    }
}

fn execute(ctx: &NativeCallContext, database: &Database, sql: &str, arguments: Arguments) -> Outcome<i64> {
    let changed = call(ctx, || database.execute(sql, arguments))?;
    Ok(i64::try_from(changed).unwrap_or(i64::MAX))
}

fn query(ctx: &NativeCallContext, database: &Database, sql: &str, arguments: Arguments) -> Outcome<Stream> {
    let mut rows = call(ctx, || database.query(sql, arguments))?;
    let place = Place::of(ctx, "query");
    let names: Vec<rhai::Identifier> = rows.columns().iter().map(|name| name.as_str().into()).collect();
    Ok(Stream::new(move || match rows.take() {
        Ok(row) => row.map(|cells| {
            let fields: Map = names.iter().cloned().zip(cells.into_iter().map(value)).collect();
            Ok(Dynamic::from_map(fields))
        }),
        Err(error) => {
            let message = format!("query(): cannot read the rows back: {error}");
            Some(place.call(|ctx| throw(ctx, "IoError", message)))
        }
    }))
}

#[export_module]
pub mod functions {
    /// Runs one statement, or several with `;` between them, and returns how many rows they have changed. A statement by itself
    /// is done as a whole or not at all; of several, those before the one that fails are done, unless it is within a
    /// `transaction`. It waits for its turn when another thread writes.
    ///
    /// # Errors
    /// `ValueError` when SQLite refuses it: an unknown table, a value that has to be unique and is not, a mistake in the text;
    /// the error has `sql`, and as `code` SQLite's number (2067 for a value that is there already). `IoError` when it cannot be
    /// stored, say on a full disk, or another program keeps the file locked for a minute. `Closed`; `DeadlockError`,
    /// `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let db = sqlite::open(":memory:");
    /// db.execute("CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2)");
    /// assert(db.execute("UPDATE t SET n = n + 1") == 2);
    /// ```
    #[rhai_fn(name = "execute", return_raw, pure)]
    pub fn execute_plain(ctx: NativeCallContext, database: &mut Database, sql: ImmutableString) -> Outcome<i64> {
        execute(&ctx, database, &sql, Arguments::None)
    }

    /// The same for one statement with arguments: a list for its `?`, or a map for its `:name`. They can be ints, floats,
    /// strings, blobs, bools (stored as 0 and 1) and `()` (NULL).
    ///
    /// # Errors
    /// `TypeError` when an argument cannot be stored, `ValueError` when there are too many or too few; else as `execute(sql)`.
    ///
    /// ```rhai
    /// let db = sqlite::open(":memory:");
    /// db.execute("CREATE TABLE t (name TEXT UNIQUE, n INT)");
    /// assert(db.execute("INSERT INTO t VALUES (?, ?)", ["a", 1]) == 1);
    /// db.execute("UPDATE t SET n = :n WHERE name = :name", #{n: 5, name: "a"});
    /// try { db.execute("INSERT INTO t VALUES (?, ?)", ["a", 2]); } catch (e) { assert(e.kind == "ValueError" && e.code == 2067); }
    /// ```
    #[rhai_fn(name = "execute", return_raw, pure)]
    pub fn execute_with(
        ctx: NativeCallContext,
        database: &mut Database,
        sql: ImmutableString,
        args: Dynamic,
    ) -> Outcome<i64> {
        let arguments = arguments(&ctx, args)?;
        execute(&ctx, database, &sql, arguments)
    }

    /// An iterator over the rows that a statement finds, each a map of its columns. It is what was there at the moment of the
    /// call: what is written while a loop runs over it does not change it, and nobody waits for the loop. Of many rows only the
    /// first ones are kept in memory.
    ///
    /// # Errors
    /// As `execute(sql)`.
    ///
    /// ```rhai
    /// let db = sqlite::open(":memory:");
    /// for row in db.query("SELECT 1 AS n, 'x' AS name") { assert(row == #{n: 1, name: "x"}); }
    /// assert(db.query("SELECT count(*) AS n FROM sqlite_master").next().n == 0);
    /// ```
    #[rhai_fn(name = "query", return_raw, pure)]
    pub fn query_plain(ctx: NativeCallContext, database: &mut Database, sql: ImmutableString) -> Outcome<Stream> {
        query(&ctx, database, &sql, Arguments::InOrder(Vec::new()))
    }

    /// The same with arguments, as `execute(sql, args)` takes them.
    ///
    /// # Errors
    /// As `execute(sql, args)`.
    ///
    /// ```rhai
    /// let db = sqlite::open(":memory:");
    /// assert(db.query("SELECT ? + ? AS sum", [1, 2]).to_array() == [#{sum: 3}]);
    /// assert(db.query("SELECT :a AS x", #{a: ()}).next().x == ());
    /// ```
    #[rhai_fn(name = "query", return_raw, pure)]
    pub fn query_with(
        ctx: NativeCallContext,
        database: &mut Database,
        sql: ImmutableString,
        args: Dynamic,
    ) -> Outcome<Stream> {
        let arguments = arguments(&ctx, args)?;
        query(&ctx, database, &sql, arguments)
    }

    /// Runs `f(db)` as a transaction and returns what it returns: all that this thread does with the database in it is done, or,
    /// if `f` fails or is cancelled, nothing, and its error is thrown. Others who want to write wait until it is over. One within
    /// another can fail by itself without undoing the outer one.
    ///
    /// # Errors
    /// Whatever `f` throws; else as `execute(sql)`.
    ///
    /// ```rhai
    /// let db = sqlite::open(":memory:");
    /// db.execute("CREATE TABLE accounts (name TEXT, amount INT); INSERT INTO accounts VALUES ('a', 10), ('b', 0)");
    /// try {
    ///     db.transaction(|db| {
    ///         db.execute("UPDATE accounts SET amount = amount - 20 WHERE name = 'a'");
    ///         if db.query("SELECT min(amount) AS least FROM accounts").next().least < 0 { throw "not enough"; }
    ///         db.execute("UPDATE accounts SET amount = amount + 20 WHERE name = 'b'");
    ///     });
    /// } catch (e) {
    ///     print(e);
    /// }
    /// assert(db.query("SELECT sum(amount) AS sum FROM accounts").next().sum == 10);
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn transaction(ctx: NativeCallContext, database: &mut Database, f: Dynamic) -> Outcome<Dynamic> {
        let function = Callable::here(&ctx, "f", f)?;
        let transaction = call(&ctx, || database.begin())?;
        let takes_nothing = function.arities(&ctx).is_some_and(|arities| !arities.contains(&1) && arities.contains(&0));
        let arguments: Array = if takes_nothing { vec![] } else { vec![Dynamic::from(database.clone())] };
        // Dropped on an error, it is rolled back.
        let result = function.call(arguments)?;
        call(&ctx, || transaction.commit())?;
        Ok(result)
    }

    /// Closes the database; again does nothing. Calls of other threads that are under way are done first; a transaction
    /// that is open is rolled back.
    ///
    /// ```rhai
    /// let db = sqlite::open(":memory:");
    /// db.close();
    /// try { db.execute("VACUUM"); } catch (e) { assert(e.kind == "Closed"); }
    /// ```
    #[rhai_fn(pure)]
    pub fn close(database: &mut Database) {
        database.close();
    }
}
