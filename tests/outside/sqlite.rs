//! `sqlite::` with real files: many threads, transactions, what is refused, and programs that end in the midst of it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::whole::family::eventually;
use crate::whole::program::{Program, finish};
use crate::{signal, start};

/// What a query finds in a file, after a look whether the file is whole.
pub fn look<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    let connection = Connection::open(path).unwrap();
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn eight_threads_write_and_read_and_nothing_is_locked_or_lost() {
    let text = r#"
        let db = sqlite::open("all.db");
        db.execute("CREATE TABLE t (who INT, n INT)");
        let same = sqlite::open("all.db");
        let threads = [];
        for who in 0..8 {
            threads.push(spawn_thread(|| {
                for n in 0..40 {
                    let handle = if n % 2 == 0 { db } else { same };
                    if n % 10 == 9 {
                        handle.transaction(|db| {
                            db.execute("INSERT INTO t VALUES (?, ?)", [who, n]);
                            assert(db.query("SELECT count(*) AS c FROM t WHERE who = ?", [who]).next().c == n + 1);
                        });
                    } else {
                        handle.execute("INSERT INTO t VALUES (?, ?)", [who, n]);
                    }
                    assert(db.query("SELECT count(*) AS c FROM t WHERE who = ?", [who]).next().c == n + 1);
                }
            }));
        }
        for t in threads { t.join(); }
        print(db.query("SELECT count(*) AS c, sum(n) AS s, count(DISTINCT who) AS w FROM t").to_array());
    "#;
    Program::script(text).run().prints("[#{\"c\": 320, \"s\": 6240, \"w\": 8}]\n");
}

#[test]
fn what_is_stored_comes_back_and_transactions_are_done_or_not() {
    let text = r#"
        let db = sqlite::open(":memory:");
        db.execute("CREATE TABLE t (a, b, c, d, e, f, g)");
        db.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", [-5, 2.5, "ä\u0000b", blob(2, 255), true, (), 'x']);
        print(db.query("SELECT * FROM t").next());
        print(db.query("SELECT typeof(a) || typeof(b) || typeof(c) || typeof(d) || typeof(e) || typeof(f) AS types FROM t").next().types);
        print(db.execute("UPDATE t SET a = 1; UPDATE t SET b = 2; CREATE TABLE u (n UNIQUE)"));
        print(db.execute("DELETE FROM t WHERE a = 7"));
        print(db.query("INSERT INTO u VALUES (1), (2) RETURNING n * 10 AS n").to_array());
        fn count(db) { db.query("SELECT count(*) AS c FROM u").next().c }
        print(db.transaction(|db| { db.execute("INSERT INTO u VALUES (3)"); count(db) }));
        try { db.transaction(|db| { db.execute("INSERT INTO u VALUES (4)"); throw "no"; }); } catch (e) { print(`${e} ${count(db)}`); }
        db.transaction(|db| {
            db.execute("INSERT INTO u VALUES (5)");
            try { db.transaction(|db| { db.execute("DELETE FROM u"); throw "inner"; }); } catch (e) { print(`${e} ${count(db)}`); }
            db.transaction(|| ());
        });
        print(count(db));
        for row in db.query("SELECT n FROM u ORDER BY n") { db.execute("INSERT INTO u VALUES (?)", [row.n + 100]); }
        print(count(db));
        // Cancelled within a transaction: nothing of it is left, and the next one is not in it.
        let file = sqlite::open("file.db");
        file.execute("CREATE TABLE u (n)");
        let entered = Event();
        let t = spawn_thread(|| file.transaction(|db| { db.execute("INSERT INTO u VALUES (1)"); entered.set(); sleep(60); }));
        entered.wait();
        print(count(file));
        t.cancel();
        try { t.join(); } catch (e) { print(`${e.kind} ${count(file)}`); }
        let t = spawn_thread(|| file.transaction(|db| {
            db.execute("INSERT INTO u VALUES (1)");
            entered.clear();
            try {
                entered.set();
                db.execute("INSERT INTO u WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c");
            } catch (e) { print(e.kind); }
            db.execute("INSERT INTO u VALUES (2)");
        }));
        entered.wait();
        // It is at work once more was written than is kept in memory.
        while fs::stat("file.db-wal").size < 1_000_000 { sleep(0.01); }
        t.cancel();
        try { t.join(); } catch (e) { print(`${e.message.contains("rolled back")} ${count(file)}`); }
        with file as f { f.execute("INSERT INTO u VALUES (9)"); print(count(f)); }
        try { count(file); } catch (e) { print(e.kind); }
    "#;
    Program::script(text).run().prints(concat!(
        "#{\"a\": -5, \"b\": 2.5, \"c\": \"ä\\0b\", \"d\": [ffff], \"e\": 1, \"f\": (), \"g\": \"x\"}\n",
        "integerrealtextblobintegernull\n2\n0\n[#{\"n\": 10}, #{\"n\": 20}]\n3\nno 3\ninner 4\n4\n8\n",
        "0\nCancelled 0\nCancelled\ntrue 0\n1\nClosed\n",
    ));
}

#[test]
fn what_cannot_be_done_names_the_statement_and_the_file() {
    let text = r#"
        fn tell(f) { try { print(f.call()); } catch (e) { print(`${e.kind}: ${e.message}`); } }
        let db = sqlite::open("a.db");
        db.execute("CREATE TABLE t (n INT UNIQUE)");
        tell(|| db.execute("INSRT INTO t"));
        tell(|| db.query("SELECT * FROM nowhere"));
        tell(|| db.query("SELECT n\n  FROM t WHERE " + "n = 1 OR ".repeat(40) + "missing = 2"));
        tell(|| db.execute("INSERT INTO t VALUES (1), (1)"));
        tell(|| db.execute("INSERT INTO t VALUES (?)", []));
        tell(|| db.execute("INSERT INTO t VALUES (?)", [1, 2]));
        tell(|| db.execute("INSERT INTO t VALUES (?)"));
        tell(|| db.execute("INSERT INTO t VALUES (?)", [#{}]));
        tell(|| db.execute("INSERT INTO t VALUES (:n)", #{m: 1}));
        tell(|| db.execute("INSERT INTO t VALUES (:n)", #{}));
        tell(|| db.execute("INSERT INTO t VALUES (1); SELECT ?", [1]));
        tell(|| db.execute("INSERT INTO t VALUES (1)", 7));
        tell(|| db.execute(7));
        tell(|| db.execute("BEGIN"));
        tell(|| db.transaction(7));
        tell(|| db.transaction(|db| db.execute("ROLLBACK")));
        let same = sqlite::open("a.db");
        tell(|| db.transaction(|db| same.execute("DELETE FROM t")));
        tell(|| { db.execute("PRAGMA max_page_count = 4"); db.execute("CREATE TABLE big AS SELECT zeroblob(100000)") });
        tell(|| spawn_process(|x| x, [#{a: [db]}]).join());
        tell(|| sqlite::open("missing/a.db"));
        tell(|| sqlite::open("."));
        tell(|| sqlite::open("/proc/a.db"));
        tell(|| sqlite::open("script.rhai"));
        tell(|| sqlite::open(""));
        tell(|| sqlite::open(7));
        print(db.query("SELECT count(*) AS c FROM t").next().c);
    "#;
    let text = text.replace("\"n = 1 OR \".repeat(40)", "again(\"n = 1 OR \", 40)");
    let text = format!("fn again(text, times) {{ let all = \"\"; for i in 0..times {{ all += text; }} all }}\n{text}");
    let seen = Program::script(&text).run();
    let long = format!("SELECT n FROM t WHERE {}", "n = 1 OR ".repeat(40));
    let expected = [
        "ValueError: execute(): near \"INSRT\": syntax error, in \"INSRT INTO t\" (a.db)".to_string(),
        "ValueError: query(): no such table: nowhere, in \"SELECT * FROM nowhere\" (a.db)".into(),
        format!("ValueError: query(): no such column: missing, in \"{} …\" (a.db)", &long[..200]),
        "ValueError: execute(): UNIQUE constraint failed: t.n, in \"INSERT INTO t VALUES (1), (1)\" (a.db)".into(),
        "ValueError: execute(): it takes 1 argument, 0 given, in \"INSERT INTO t VALUES (?)\" (a.db)".into(),
        "ValueError: execute(): it takes 1 argument, 2 given, in \"INSERT INTO t VALUES (?)\" (a.db)".into(),
        "ValueError: execute(): it takes 1 argument, 0 given, in \"INSERT INTO t VALUES (?)\" (a.db)".into(),
        "TypeError: execute(): args[0] must be an int, a float, a string, a blob, a bool or (), not a map".into(),
        "ValueError: execute(): it has no parameter :m, in \"INSERT INTO t VALUES (:n)\" (a.db)".into(),
        "ValueError: execute(): nothing is given for its parameter :n, in \"INSERT INTO t VALUES (:n)\" (a.db)".into(),
        "ValueError: execute(): with arguments there can be one statement only, in \"INSERT INTO t VALUES (1); SELECT ?\" (a.db)".into(),
        "TypeError: execute(): args must be a list, not an int".into(),
        "TypeError: execute(): sql must be a string, not an int".into(),
        "ValueError: execute(): a transaction is begun with transaction(|db| …), so that it is sure to end, in \"BEGIN\" (a.db)".into(),
        "TypeError: transaction(): f must be a function, not an int".into(),
        "ValueError: transaction(): the transaction was rolled back by an error before, in \"COMMIT\" (a.db)".into(),
        "ValueError: execute(): this thread is in a transaction of another handle of the same file: use that one, in \"DELETE FROM t\" (a.db)".into(),
        "IoError: execute(): database or disk is full, in \"CREATE TABLE big AS SELECT zeroblob(100000)\" (a.db)".into(),
        "SendError: spawn_process(): args[0].a[0] is a Database, which cannot cross to another process".into(),
        "NotFound: sqlite::open(): cannot open the database missing/a.db: there is no folder FOLDER/missing".into(),
        "IoError: sqlite::open(): cannot open the database: it is a folder (.)".into(),
        "IoError: sqlite::open(): cannot open the database: No such file or directory (os error 2) (/proc/a.db)".into(),
        "IoError: sqlite::open(): file is not a database (script.rhai)".into(),
        "ValueError: sqlite::open(): the path is empty".into(),
        "TypeError: sqlite::open(): path must be a string, not an int".into(),
        "0".into(),
    ];
    let lines: Vec<String> = seen.stdout.lines().map(str::to_string).collect();
    for (i, wanted) in expected.iter().enumerate() {
        let line = lines.get(i).cloned().unwrap_or_default();
        match wanted.split_once("FOLDER") {
            Some((before, after)) => assert!(line.starts_with(before) && line.ends_with(after), "{line}\n{wanted}"),
            None => assert_eq!(line, *wanted, "{}", seen.for_people()),
        }
    }
    assert_eq!((seen.status, lines.len()), (0, expected.len()), "{}", seen.for_people());
}

#[test]
fn many_rows_take_little_memory() {
    let text = r#"
        fn peak() { parse_int(sh("awk '/VmHWM/ {print $2}' /proc/$PPID/status").read()) }
        let db = sqlite::open(":memory:");
        db.query("SELECT 1").next();
        let before = peak();
        let n = 0;
        for row in db.query("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 150000) SELECT n, printf('%0300d', n) AS text FROM c") {
            n += row.n;
            assert(row.text.len() == 300);
        }
        print(n);
        let grown = peak() - before;
        print(if grown < 30_000 { "little" } else { `${grown} KiB` });
    "#;
    Program::script(text).run().prints("11250075000\nlittle\n");
}

#[test]
fn a_deadlock_over_a_transaction_is_told() {
    let text = r#"
        let db = sqlite::open("a.db");
        db.execute("CREATE TABLE t (n)");
        let lock = Lock();
        let t = Thread(|| db.transaction(|db| { db.execute("INSERT INTO t VALUES (1)"); sleep(0.1); with lock { 1 } }), #{name: "writer"});
        with lock {
            t.start();
            sleep(0.05);
            try { db.execute("INSERT INTO t VALUES (2)"); } catch (e) { print(`${e.kind} ${e.message.contains("Database(")}`); }
        }
        try { t.join(); } catch (e) { print(e.kind); }
        print(db.query("SELECT count(*) AS c FROM t").next().c);
    "#;
    let seen = Program::sim(text).run();
    // One of the two is told; the other one goes on.
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert!(lines == ["DeadlockError true", "1"] || lines == ["DeadlockError", "1"], "{}", seen.for_people());
}

#[test]
fn another_program_that_writes_is_waited_for() {
    let program =
        Program::script(r#"let db = sqlite::open("a.db"); db.execute("UPDATE t SET n = n + 1"); print("done");"#);
    let path = program.own_folder().join("a.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1); BEGIN IMMEDIATE; UPDATE t SET n = 10").unwrap();
    let child = start(&program);
    thread::sleep(Duration::from_millis(300));
    other.execute_batch("COMMIT").unwrap();
    finish(child, "writer".into()).prints("done\n");
    assert_eq!(look::<i64>(&path, "SELECT n FROM t"), 11);
}

#[test]
fn a_slow_query_can_be_stopped_and_a_handler_can_write_meanwhile() {
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
    let text = format!(
        r#"
        let db = sqlite::open("a.db");
        db.execute("CREATE TABLE t (n)");
        let t = spawn_thread(|| db.query({endless:?}));
        sleep(0.1);
        t.cancel();
        try {{ t.join(); }} catch (e) {{ print(e.kind); }}
        on_signal("USR1", || {{ db.execute("INSERT INTO t VALUES (1)"); print(db.query("SELECT count(*) AS c FROM t").next().c); }});
        print("begin");
        db.query({endless:?});
        "#
    );
    let program = Program::script(&text);
    let mut child = start(&program);
    let mut said = [0; 16];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(std::str::from_utf8(&said).unwrap(), "Cancelled\nbegin\n");
    thread::sleep(Duration::from_millis(100));
    signal(&child, "USR1");
    let mut said = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(&said, b"1\n");
    signal(&child, "INT");
    let seen = finish(child, "query".into());
    assert_eq!(seen.status, 130, "{}", seen.for_people());
    assert_eq!(look::<i64>(&program.own_folder().join("a.db"), "SELECT count(*) FROM t"), 1);
}

#[test]
fn a_program_that_is_killed_leaves_whole_transactions() {
    let text = r#"
        let db = sqlite::open("a.db");
        db.execute("CREATE TABLE IF NOT EXISTS t (n INT, text TEXT)");
        for who in 0..4 {
            spawn_thread(|| loop {
                db.transaction(|db| {
                    db.execute("INSERT INTO t VALUES (?, hex(randomblob(500)))", [who]);
                    db.execute("INSERT INTO t VALUES (?, hex(randomblob(500)))", [-who]);
                });
            });
        }
        print("writing");
    "#;
    let program = Program::script(text);
    let path = program.own_folder().join("a.db");
    let mut before = 0;
    for round in 0..6_u64 {
        let mut child = start(&program);
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 8]).unwrap();
        thread::sleep(Duration::from_millis(20 + round * 17));
        if round == 5 && before == 0 {
            eventually(|| (look::<i64>(&path, "SELECT count(*) FROM t") > 0).then_some(()), || "nothing comes".into());
        }
        signal(&child, if round % 3 == 2 { "INT" } else { "KILL" });
        finish(child, "writers".into());
        let count = look::<i64>(&path, "SELECT count(*) FROM t");
        assert!(count >= before && count % 2 == 0, "{count} after {before}");
        assert_eq!(look::<i64>(&path, "SELECT coalesce(sum(n), 0) FROM t"), 0);
        before = count;
    }
    assert!(before > 0);
}

/// As a user who may not: root may everything.
#[test]
fn who_may_not_is_told_what_and_where() {
    let top = tempfile::tempdir().unwrap();
    for (name, mode) in [("closed", 0o700), ("read-only", 0o755)] {
        let folder = top.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        Connection::open(folder.join("pages.db")).unwrap().execute_batch("CREATE TABLE t (n)").unwrap();
        std::fs::write(folder.join("text"), "a").unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).unwrap();
    }
    std::fs::set_permissions(top.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let text = r#"
        fn refused(f) { try { f.call(); print("not refused"); } catch (e) { print(`${e.kind}: ${e.message}`); } }
        let top = args()[0];
        refused(|| sqlite::open(`${top}/closed/pages.db`));
        refused(|| sqlite::open(`${top}/read-only/new.db`));
        refused(|| { let db = sqlite::open(`${top}/read-only/pages.db`); db.execute("INSERT INTO t VALUES (1)"); });
        refused(|| fs::read(`${top}/closed/text`));
        refused(|| fs::list(`${top}/closed`));
        refused(|| fs::write(`${top}/read-only/text`, "b"));
        refused(|| fs::append(`${top}/read-only/text`, "b"));
        refused(|| fs::mkdir(`${top}/read-only/new`));
        refused(|| fs::remove(`${top}/read-only/text`));
        refused(|| fs::move(`${top}/read-only/text`, `${top}/elsewhere`));
        refused(|| fs::copy(`${top}/read-only/text`, `${top}/read-only/copy`));
        refused(|| fs::mkfifo(`${top}/read-only/fifo`));
        refused(|| http::get(args()[1], #{ to_file: `${top}/read-only/page` }));
    "#;
    let server = crate::server::serve(|_| crate::server::page("a"));
    let program = Program::script(text).arg(top.path().to_str().unwrap()).arg(&server.url);
    let mut command = program.command();
    if rustix::process::geteuid().is_root() {
        let mut other = Command::new("setpriv");
        other
            .args(["--reuid=54321", "--regid=54321", "--clear-groups"])
            .arg(command.get_program())
            .args(command.get_args());
        std::fs::set_permissions(program.own_folder(), PermissionsExt::from_mode(0o755)).unwrap();
        other.current_dir(program.own_folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command = other;
    }
    let seen = finish(command.spawn().unwrap(), "as another user".into());
    assert!(seen.status == 0 && seen.stderr.is_empty(), "{}", seen.for_people());
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines.len(), 13, "{}", seen.stdout);
    for line in lines {
        let names_it = line.starts_with("IoError: ") && line.contains(top.path().to_str().unwrap());
        let says_why =
            ["Permission denied", "readonly database", "unable to open"].iter().any(|why| line.contains(why));
        assert!(names_it && says_why, "{line}");
    }
}
