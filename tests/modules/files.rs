//! `fs::` and open files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use super::{answered, answers, asking, each_answers};
use crate::whole::live::Live;
use crate::whole::program::{Program, Seen, finish};

const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// Runs a script by a line of shell, in which `$ORCH` runs it.
fn by_shell(line: &str, program: &Program) -> Seen {
    let mut shell = Command::new("sh");
    shell.args(["-c", &line.replace("$ORCH", "\"$0\" run script.rhai"), ORCH]).current_dir(program.own_folder());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(shell.spawn().unwrap(), line.to_string())
}

#[test]
fn what_cannot_be_read_or_written_is_told_with_its_path() {
    let script = r#"
        fs::write("bytes", blob(3, 0xff));
        fs::write("late", "äöü\nmore\n");
        fs::append("late", blob(1, 0xfe));
        ? fs::read("no")
        ? fs::read(".")
        ? fs::read("")
        ? fs::read("a\x00b")
        ? fs::read("bytes")
        ? fs::read("late")
        ? fs::read(1)
        ? { let f = fs::open("late"); f.read_line(); f.read() }
        ? fs::write("no/x", "")
        ? fs::write(".", "")
        ? fs::write("x/", "")
        ? fs::write("", "")
        ? fs::write("x", 1)
        ? fs::write("x", "", #{durabel: true})
        ? fs::write("/dev/full", "x")
        ? fs::append("/dev/full", "x")
        ? fs::open("/dev/full", "w").write("x")
        ? fs::open("/proc/sys/kernel/version", "w")
        ? fs::open("bytes", "q")
        ? fs::open("bytes", "x")
        ? fs::open(".", "r")
        ? fs::open("late", "w").write(blob(2))
    "#;
    let wanted = [
        "NotFound: fs::read(): cannot read \"no\": No such file or directory (os error 2)",
        "IoError: fs::read(): cannot read \".\": Is a directory (os error 21)",
        "NotFound: fs::read(): cannot read \"\": No such file or directory (os error 2)",
        "ValueError: fs::read(): no path can hold a NUL byte: \"a\\0b\"",
        "ValueError: fs::read(): \"bytes\" is no text in UTF-8: byte 0 shows it; read it as bytes",
        "ValueError: fs::read(): \"late\" is no text in UTF-8: byte 12 shows it; read it as bytes",
        "TypeError: fs::read(): path must be a string, not an int",
        "ValueError: read(): \"late\" is no text in UTF-8: byte 12 shows it; read it as bytes",
        "NotFound: fs::write(): cannot write \"no/x\" by way of a new file beside it: No such file or directory (os error 2)",
        "IoError: fs::write(): cannot write \".\": Is a directory (os error 21)",
        "NotFound: fs::write(): cannot write \"x/\": No such file or directory (os error 2)",
        "NotFound: fs::write(): cannot write \"\": No such file or directory (os error 2)",
        "TypeError: fs::write(): data must be a string or a blob, not an int",
        "ValueError: fs::write() has no option \"durabel\"; did you mean \"durable\"?",
        "IoError: fs::write(): cannot write to \"/dev/full\": No space left on device (os error 28)",
        "IoError: fs::append(): cannot write to \"/dev/full\": No space left on device (os error 28)",
        "IoError: write(): cannot write to \"/dev/full\": No space left on device (os error 28)",
        "IoError: fs::open(): cannot open \"/proc/sys/kernel/version\": Permission denied (os error 13)",
        "ValueError: fs::open(): mode must be \"r\", \"w\", \"a\" or \"x\", each with \"+\" and \"b\" if need be, not \"q\"",
        "IoError: fs::open(): cannot open \"bytes\": File exists (os error 17)",
        "IoError: fs::open(): cannot open \".\": Is a directory (os error 21)",
        "TypeError: write(): data must be a string, not a blob: the file was opened for text (mode \"wb\" is for blobs)",
    ];
    answers(script, &wanted);
}

/// What is beyond the table of [`what_cannot_be_read_or_written_is_told_with_its_path`]: the functions that are not in it, paths
/// that no system takes, and options and numbers that make no sense.
#[test]
fn every_function_refuses_a_path_or_an_option_that_makes_no_sense() {
    let nul = |call: &str| format!("ValueError: fs::{call}(): no path can hold a NUL byte: \"a\\0b\"");
    let none = |what: &str| format!("NotFound: fs::{what}: No such file or directory (os error 2)");
    each_answers(
        "fs::write(\"x\", \"text\"); fs::write(\"bytes\", blob(3, 0xff)); fs::mkdir(\"d\"); let no = \"a\\x00b\";\n\
         let f = fs::open(\"x\");",
        &[
            (r#"fs::read_bytes("bytes")"#, "[ffffff]"),
            (r#"fs::read_bytes("no")"#, &none("read_bytes(): cannot read \"no\"")),
            (r#"fs::read_bytes("")"#, &none("read_bytes(): cannot read \"\"")),
            (r#"fs::read_bytes(".")"#, "IoError: fs::read_bytes(): cannot read \".\": Is a directory (os error 21)"),
            (
                r#"fs::read_bytes("x/y")"#,
                "IoError: fs::read_bytes(): cannot read \"x/y\": Not a directory (os error 20)",
            ),
            ("fs::read_bytes(no)", &nul("read_bytes")),
            ("fs::read_bytes(())", "TypeError: fs::read_bytes(): path must be a string, not ()"),
            ("fs::append(no, \"\")", &nul("append")),
            (r#"fs::append("no/x", "")"#, &none("append(): cannot open \"no/x\"")),
            (r#"fs::append("x", 1)"#, "TypeError: fs::append(): data must be a string or a blob, not an int"),
            ("[fs::exists(no), fs::is_dir(no), fs::is_file(no), fs::is_file(\"x/y\")]", "[false, false, false, false]"),
            ("fs::exists(1)", "TypeError: fs::exists(): path must be a string, not an int"),
            ("fs::glob(no) + fs::glob(\"\")", "[]"),
            ("fs::list(no)", &nul("list")),
            ("fs::walk(no)", &nul("walk")),
            (
                "{ for w in fs::walk(\"x\") { } }",
                "IoError: fs::walk(): cannot list \"x\": Not a directory (os error 20)",
            ),
            ("fs::mkdir(no)", &nul("mkdir")),
            (r#"fs::mkdir("")"#, &none("mkdir(): cannot make the folder \"\"")),
            (
                r#"fs::mkdir("y", #{parent: true})"#,
                "ValueError: fs::mkdir() has no option \"parent\"; did you mean \"parents\"?",
            ),
            (r#"fs::mkdir("y", #{parents: 1})"#, "TypeError: fs::mkdir(): option parents must be a bool, not an int"),
            ("fs::temp_dir(1)", "TypeError: fs::temp_dir() takes 0 arguments, not 1"),
            ("fs::temp_file(1)", "TypeError: fs::temp_file() takes 0 arguments, not 1"),
            ("fs::copy(\"x\", no)", &nul("copy")),
            (r#"fs::copy("", "y")"#, &none("copy(): cannot copy \"\"")),
            (
                r#"fs::copy("x", "y", #{recursiv: true})"#,
                "ValueError: fs::copy() has no option \"recursiv\"; did you mean \"recursive\"?",
            ),
            ("fs::move(no, \"y\")", &nul("move")),
            (r#"fs::move("d", "d/e")"#, "ValueError: fs::move(): \"d/e\" lies within \"d\""),
            (r#"fs::move("x", "")"#, &none("move(): cannot move \"x\" to \"\"")),
            ("fs::remove(no, #{missing_ok: true})", &nul("remove")),
            (r#"fs::remove("")"#, &none("remove(): cannot remove \"\"")),
            (
                r#"fs::remove("x", #{missing: true})"#,
                "ValueError: fs::remove() has no option \"missing\"; did you mean \"missing_ok\"?",
            ),
            ("fs::stat(no)", &nul("stat")),
            (
                r#"fs::stat("x", #{folow: false})"#,
                "ValueError: fs::stat() has no option \"folow\"; did you mean \"follow\"?",
            ),
            ("fs::mkfifo(no)", &nul("mkfifo")),
            (r#"fs::mkfifo("no/f")"#, &none("mkfifo(): cannot make the FIFO \"no/f\"")),
            ("fs::watch(no)", &nul("watch")),
            (
                r#"fs::watch("d", #{timeout: -1})"#,
                "ValueError: fs::watch(): option timeout must be a number of seconds, 0 or more, not -1",
            ),
            (
                r#"fs::watch("d", #{timout: 1})"#,
                "ValueError: fs::watch() has no option \"timout\"; did you mean \"timeout\"?",
            ),
            ("fs::open(no, \"w\")", &nul("open")),
            (r#"fs::open("x", 1)"#, "TypeError: fs::open(): mode must be a string, not an int"),
            ("f.read(-1)", "ValueError: read(): n must be 0 or more, not -1"),
            ("f.read(\"x\")", "TypeError: read(): n must be an int, not a string"),
            ("f.read(9223372036854775807)", "text"),
            ("f.seek(9223372036854775807)", "IoError: seek(): cannot seek in \"x\": Invalid argument (os error 22)"),
            ("f.seek(-9, \"end\")", "IoError: seek(): cannot seek in \"x\": Invalid argument (os error 22)"),
            ("f.tell()", "4"),
            (
                "{ for line in fs::open(\"bytes\") { } }",
                "ValueError: read_line(): \"bytes\" is no text in UTF-8: byte 0 shows it; read it as bytes",
            ),
            ("{ f.close(); f.closed }", "true"),
            ("{ let kind = \"\"; try { f.flush(); } catch (e) { kind = e.kind; } kind }", "Closed"),
            ("{ let kind = \"\"; try { for line in f { } } catch (e) { kind = e.kind; } kind }", "Closed"),
        ],
    );
}

#[test]
fn open_files_read_and_write_as_their_mode_says() {
    let script = r#"
        with fs::open("x", "w") as f { f.write("äb\r\nc\n\nlast"); }
        ? { let l = []; for line in fs::open("x") { l.push(line); } l }
        ? { let l = []; for line in fs::open("x", "rb").lines() { l.push(line.len()); } l }
        let f = fs::open("x");
        ? [f.read(1), f.read(0), f.tell(), f.read_line(), f.read(100), f.read(1), f.read_line()]
        let f = fs::open("n", "w+");
        f.write("0123456789");
        f.seek(2);
        ? f.read(2)
        f.write("XX");
        ? [f.seek(-4, "end"), f.seek(-2, "current"), f.tell()]
        f.seek(0);
        ? f.read()
        ? f.seek(-1)
        ? f.seek(0, "middle")
        ? { let a = fs::open("n", "a"); a.write("!"); a.read() }
        ? fs::open("n").write("x")
        f.close();
        f.close();
        ? [f.closed, f.path]
        ? f.read()
        ? f.write("x")
        ? f.tell()
        ? fs::read("n")
        let kept = ();
        try { with fs::open("n") as g { kept = g; throw "out"; } } catch (e) { }
        ? kept.closed
    "#;
    let closed = |name: &str, call: &str| format!("Closed: {call}(): File(#NUMBER \"{name}\") is closed");
    let wanted = [
        r#"["äb", "c", "", "last"]"#,
        "[4, 1, 0, 4]",
        r#"["ä", "", 2, "b", "c\n\nlast", "", ()]"#,
        "23",
        "[6, 4, 4]",
        "0123XX6789",
        "ValueError: seek(): offset must be 0 or more, not -1",
        "ValueError: seek(): from must be \"start\", \"current\" or \"end\", not \"middle\"",
        "ValueError: read(): File(#NUMBER \"n\") was not opened for reading",
        "ValueError: write(): File(#NUMBER \"n\") was not opened for writing",
        r#"[true, "n"]"#,
        &closed("n", "read"),
        &closed("n", "write"),
        &closed("n", "tell"),
        "0123XX6789!",
        "true",
    ];
    let mut seen = Program::script(&asking(script)).run();
    for number in (0..100).rev() {
        seen.stdout = seen.stdout.replace(&format!("(#{number} "), "(#NUMBER ");
    }
    answered(seen, &wanted);
}

/// However it ends, the old content is there as it was, and nothing else is left.
#[test]
fn a_write_that_fails_leaves_the_old_file() {
    let script = r#"
        ? fs::write("x", blob(100000, 65))
        ? fs::copy("big", "x")
        ? fs::append("y", blob(100000, 65))
        ? fs::read("x") + fs::list(".").len()
        fs::remove("y");
    "#;
    let program = Program::script(&asking(script)).file("x", b"old").file("big", &[b'b'; 100_000]);
    // Four blocks of 512 bytes, and no signal about it: as a full disk, but without the rights that one takes.
    let seen = by_shell("trap '' XFSZ; ulimit -f 4; exec $ORCH", &program);
    let wanted = [
        "IoError: fs::write(): cannot write \"x\": File too large (os error 27)",
        "IoError: fs::copy(): cannot copy \"big\" to \"x\": File too large (os error 27)",
        "IoError: fs::append(): cannot write to \"y\": File too large (os error 27)",
        "old4",
    ];
    answered(seen, &wanted);
}

#[test]
fn a_write_keeps_permissions_and_links() {
    let script = r#"
        fs::write("plain", "new");
        fs::write("link", "through");
        fs::write("dangling", "made");
        ? fs::write("loop", "x")
        fs::copy("plain", "copy");
        fs::write("synced", "x", #{durable: true});
        ? [fs::read("plain"), fs::read("folder/target"), fs::read("missing"), fs::list("folder")]
    "#;
    let program = Program::script(&asking(script)).file("plain", b"old");
    let top = program.own_folder();
    fs::set_permissions(top.join("plain"), PermissionsExt::from_mode(0o751)).unwrap();
    fs::create_dir(top.join("folder")).unwrap();
    fs::write(top.join("folder/target"), "old").unwrap();
    symlink("folder/target", top.join("link")).unwrap();
    symlink("missing", top.join("dangling")).unwrap();
    symlink("loop", top.join("loop")).unwrap();
    let seen = by_shell("umask 027; exec $ORCH", &program);
    let told = "IoError: fs::write(): cannot write \"loop\": Too many levels of symbolic links (os error 40)";
    answered(seen, &[told, r#"["new", "through", "made", ["target"]]"#]);
    let mode = |name: &str| fs::symlink_metadata(top.join(name)).unwrap().mode();
    assert_eq!((mode("plain") & 0o7777, mode("copy") & 0o7777, mode("synced") & 0o7777), (0o751, 0o751, 0o640));
    assert!(fs::symlink_metadata(top.join("link")).unwrap().is_symlink());
}

/// What stands for something else is not replaced.
#[test]
fn devices_are_written_to() {
    let script = "print(1); fs::write(\"/dev/stdout\", \"2\\n\"); fs::write(\"/dev/fd/1\", \"3\\n\"); print(4);\
                  fs::write(\"/dev/null\", \"5\"); fs::write(\"/proc/self/comm\", \"renamed\"); print(fs::read(\"/proc/self/comm\").len());";
    for line in ["exec $ORCH", "$ORCH >>out; cat out", "$ORCH | cat"] {
        answered(by_shell(line, &Program::script(script)), &["1", "2", "3", "4", "8"]);
    }
}

/// Whoever reads meanwhile has all of one content, never a part or a mixture.
#[test]
fn readers_see_all_of_the_old_or_all_of_the_new() {
    let script = r#"
        fs::write("x", "");
        let over = Event();
        let reader = spawn_thread(|| {
            let seen = 0;
            while !over.is_set() {
                let text = fs::read("x");
                let n = text.len();
                if n != 0 && n != 300000 { throw "a part: " + n; }
                if n != 0 && (text.contains("a") && text.contains("b")) { throw "a mixture"; }
                seen += 1;
            }
            seen
        });
        let (a, b) = ("", "");
        a.pad(300000, 'a');
        b.pad(300000, 'b');
        for i in 0..20 { fs::write("x", if i % 2 == 0 { a } else { b }); }
        over.set();
        ? reader.join() > 0
    "#
    .replace("let (a, b) = (\"\", \"\");", "let a = \"\"; let b = \"\";");
    answers(&script, &["true"]);
}

#[test]
fn folders_are_made_listed_copied_moved_and_removed() {
    let script = r#"
        ? fs::mkdir("a/b")
        fs::mkdir("a/b", #{parents: true});
        ? fs::mkdir("a")
        fs::write("a/.hidden", ""); fs::write("a/one.txt", "1"); fs::write("a/b/two.txt", "2");
        ? fs::list("a")
        ? fs::glob("**/*.txt") + fs::glob("a/*") + fs::glob("a/.h*")
        ? fs::glob("a/[!o]*") + fs::glob("a/*/") + fs::glob("./a/o*") + fs::glob("no/*") + fs::glob("a/**")
        ? fs::glob("a/[")
        ? fs::glob("a**b")
        ? { let all = []; for w in fs::walk("a") { all.push([w.dir, w.dirs, w.files]); } all }
        ? { for w in fs::walk("no") { } }
        ? fs::list("no")
        ? fs::list("a/one.txt")
        ? fs::copy("a", "c")
        ? fs::copy("a", "c", #{recursive: true})
        ? fs::copy("a", "a/b", #{recursive: true})
        ? fs::copy("a/one.txt", "a/one.txt")
        ? [fs::copy("a/one.txt", "c"), fs::read("c/one.txt"), fs::read("c/b/two.txt")]
        ? fs::copy("no", "c")
        ? fs::copy("/dev/null", "c/null")
        ? [fs::move("c/one.txt", "c/b"), fs::move("c", "d"), fs::list("d/b")]
        ? fs::move("no", "d")
        ? fs::remove("d")
        ? fs::remove("no")
        ? fs::remove("no", #{missing_ok: true}) == ()
        ? fs::remove("/", #{recursive: true})
        fs::remove("d", #{recursive: true});
        ? [fs::exists("d"), fs::is_dir("a"), fs::is_file("a"), fs::is_file("a/one.txt"), fs::exists("")]
        ? { let s = fs::stat("a/one.txt"); [s.kind, s.size, s.links, fs::stat("a").kind, time() - s.modified < 1000] }
        ? fs::stat("no")
    "#;
    let wanted = [
        "NotFound: fs::mkdir(): cannot make the folder \"a/b\": No such file or directory (os error 2)",
        "IoError: fs::mkdir(): cannot make the folder \"a\": File exists (os error 17)",
        r#"[".hidden", "b", "one.txt"]"#,
        r#"["a/b/two.txt", "a/one.txt", "a/b", "a/one.txt", "a/.hidden"]"#,
        r#"["a/b", "a/b/", "./a/one.txt", "a/b", "a/b/two.txt", "a/one.txt"]"#,
        "ValueError: fs::glob(): \"a/[\" is no pattern: invalid range pattern in \"[\"",
        "ValueError: fs::glob(): \"a**b\" is no pattern: recursive wildcards must form a single path component in \"a**b\"",
        r#"[["a", ["b"], [".hidden", "one.txt"]], ["a/b", [], ["two.txt"]]]"#,
        "NotFound: fs::walk(): cannot list \"no\": No such file or directory (os error 2)",
        "NotFound: fs::list(): cannot list \"no\": No such file or directory (os error 2)",
        "IoError: fs::list(): cannot list \"a/one.txt\": Not a directory (os error 20)",
        "ValueError: fs::copy(): \"a\" is a folder: copy it with #{recursive: true}",
        "c",
        "ValueError: fs::copy(): \"a/b/a\" lies within \"a\"",
        "ValueError: fs::copy(): \"a/one.txt\" and \"a/one.txt\" are the same file",
        r#"["c/one.txt", "1", "2"]"#,
        "NotFound: fs::copy(): cannot copy \"no\": No such file or directory (os error 2)",
        "ValueError: fs::copy(): \"/dev/null\" is no plain file and cannot be copied",
        r#"["c/b/one.txt", "d", ["one.txt", "two.txt"]]"#,
        "NotFound: fs::move(): cannot move \"no\" to \"d/no\": No such file or directory (os error 2)",
        "IoError: fs::remove(): cannot remove \"d\": use #{recursive: true}: Directory not empty (os error 39)",
        "NotFound: fs::remove(): cannot remove \"no\": No such file or directory (os error 2)",
        "true",
        "ValueError: fs::remove(): \"/\" is the root of all files and is not removed",
        "[false, true, false, true, false]",
        r#"["file", 1, 1, "folder", true]"#,
        "NotFound: fs::stat(): cannot look at \"no\": No such file or directory (os error 2)",
    ];
    answers(script, &wanted);
}

/// From the disk to the memory, where there is both.
#[test]
fn moving_over_the_border_of_file_systems_copies_and_removes() {
    let program = Program::script("");
    let there = tempfile::tempdir_in("/dev/shm");
    let Ok(there) = there else {
        println!("not tried: there is no /dev/shm");
        return;
    };
    if fs::metadata(program.own_folder()).unwrap().dev() == fs::metadata(&there).unwrap().dev() {
        println!("not tried: /dev/shm is where temporary files are");
        return;
    }
    let script = format!(
        "fs::mkdir(\"a/b\", #{{parents: true}}); fs::write(\"a/b/x\", \"1\"); cmd(\"ln\", \"-s\", \"x\", \"a/b/l\").run();\n\
         let to = fs::move(\"a\", {:?});\n\
         ? [fs::exists(\"a\"), fs::list(path::join(to, \"b\")), fs::read(path::join(to, \"b/l\")), fs::stat(path::join(to, \"b/l\"), #{{follow: false}}).kind]\n",
        there.path().display().to_string()
    );
    answers(&script, &[r#"[false, ["l", "x"], "1", "link"]"#]);
}

#[test]
fn threads_share_a_file_and_processes_cannot_have_it() {
    let script = r#"
        let f = fs::open("log", "a");
        let threads = [];
        for i in 0..8 { threads.push(spawn_thread(|| { for j in 0..50 { f.write("line " + i + " " + j + "\n"); } })); }
        for t in threads { t.join(); }
        let lines = fs::read("log").split("\n");
        ? [lines.len(), lines.filter(|l| !regex::is_match(`^line \d \d+$`, l))]
        let r = fs::open("log");
        let counts = [0, 1, 2].map(|x| spawn_thread(|| { let n = 0; while r.read_line() != () { n += 1; } n }));
        ? counts.map(|t| t.join()).reduce(|sum, n| sum + n, 0)
        ? spawn_process(|| f.write("x"))
        ? Process(|x| 1, [#{log: [f]}]).start()
        ? { let q = Queue(); q.put(f); q.get().closed }
    "#;
    let wanted = [
        r#"[401, [""]]"#,
        "400",
        "SendError: spawn_process(): f (captured by f) is a File, which cannot cross to another process",
        "SendError: Process(): args[0].log[0] is a File, which cannot cross to another process",
        "false",
    ];
    answers(script, &wanted);
}

#[test]
fn a_folder_or_file_that_is_watched_tells_what_happens() {
    let script = r#"
        fs::mkdir("d");
        let changes = fs::watch("d", #{timeout: 20});
        fs::append("d/x", "1");
        fs::append("d/x", "2");
        fs::move("d/x", "d/y");
        fs::remove("d/y");
        fs::remove("d");
        let seen = [];
        for c in changes { seen.push(c.kind + " " + c.path); }
        ? seen
        fs::write("one", ""); fs::write("two", "");
        let changes = fs::watch("one", #{timeout: 20});
        fs::append("two", "x");
        fs::append("one", "x");
        fs::write("one", "replaced");
        ? { let seen = []; for c in changes { seen.push(c.kind + " " + c.path); if seen.len() == 2 { break; } } seen }
        ? { for c in fs::watch("one", #{timeout: 0.01}) { } }
        ? fs::watch("no")
        let waits = spawn_thread(|| { for c in fs::watch("one") { } });
        waits.cancel();
        ? waits.join()
    "#;
    let wanted = [
        r#"["created d/x", "modified d/x", "removed d/x", "created d/y", "removed d/y", "removed d"]"#,
        r#"["modified one", "created one"]"#,
        "TimeoutError: fs::watch() timed out after 0.01 s",
        "NotFound: fs::watch(): cannot watch \"no\": No such file or directory (os error 2)",
    ];
    let seen = Program::script(&asking(script)).run();
    let mut lines: Vec<&str> = seen.stdout.lines().collect();
    let last = lines.pop().unwrap_or_default();
    assert_eq!(lines, wanted, "{}", seen.for_people());
    assert!(last.starts_with("Cancelled: this thread was cancelled"), "{}", seen.for_people());
}

#[test]
fn a_fifo_is_waited_for_and_the_wait_can_be_ended() {
    let script = r#"
        fs::mkfifo("f");
        ? fs::mkfifo("f")
        ? { let r = spawn_thread(|| { let l = []; for x in fs::open("f") { l.push(x); } l });
            with fs::open("f", "w") as f { f.write("one\n"); f.write("two"); } r.join() }
        ? { let c = cmd("cat", "f").start(); fs::write("f", "to a command"); c.communicate("").stdout }
        let waits = [
            spawn_thread(|| fs::open("f", "w")),
            spawn_thread(|| fs::read("f")),
            spawn_thread(|| fs::open("f").read_line()),
        ];
        // One of them opens it for writing only when another reads it, so it comes through.
        waits[0].wait(20);
        for w in waits { w.cancel(); }
        ? waits.map(|w| w.wait(20))
        let f = fs::open("f");
        let t = spawn_thread(|| f.read());
        sleep(0.05);
        f.close();
        try { t.join(); } catch (e) { print(e.kind); }
        let full = fs::open("f", "r+b");
        let t = spawn_thread(|| full.write(blob(1000000)));
        sleep(0.05);
        t.cancel();
        try { t.join(); } catch (e) { print(e.kind); }
    "#
    .replace("\n            with", " with");
    let wanted = [
        "IoError: fs::mkfifo(): cannot make the FIFO \"f\": File exists (os error 17)",
        r#"["one", "two"]"#,
        "to a command",
        "[true, true, true]",
        "Closed",
        "Cancelled",
    ];
    answers(&script, &wanted);
}

/// A line of many megabytes, and many lines: what was read is not kept.
#[test]
fn lines_take_the_memory_of_one_of_them() {
    let script = r#"
        let line = "";
        line.pad(99, 'x');
        let many = [];
        for i in 0..1000 { many.push(line); }
        let block = "";
        for l in many { block += l + "\n"; }
        with fs::open("big", "w") as f { for i in 0..1000 { f.write(block); } }
        let before = fs::read("/proc/self/status");
        let n = 0;
        for l in fs::open("big") { n += 1; if n == 200000 { break; } }
        let peak = |text| regex::captures(`VmHWM:\s+(\d+)`, text)["1"].parse_int();
        ? [n, peak.call(fs::read("/proc/self/status")) - peak.call(before) < 20000]
    "#;
    answers(script, &["[200000, true]"]);
}

#[test]
fn ctrl_c_ends_a_wait_for_a_file() {
    for call in
        ["fs::read(\"f\")", "fs::open(\"f\", \"w\")", "for c in fs::watch(\"f\") { }", "for l in fs::open(\"f\") { }"]
    {
        let live = Live::ready(&format!("fs::mkfifo(\"f\"); print(\"ready\"); {call};"));
        live.signal("INT");
        let seen = live.end();
        assert!(seen.status == 130 && seen.stderr.contains("interrupted by INT"), "{call}: {}", seen.for_people());
    }
}

#[test]
fn without_descriptors_it_is_told_and_they_come_back() {
    let script = r#"
        let kept = [];
        let told = ();
        try { loop { kept.push(fs::open("/dev/null")); } } catch (e) { told = e; }
        ? told.kind + " " + told.message
        kept.clear();
        ? fs::list(".").len() > 0
    "#;
    let program = Program::script(&asking(script));
    let told = "IoError fs::open(): cannot open \"/dev/null\": Too many open files (os error 24)";
    answered(by_shell("ulimit -n 64; exec $ORCH", &program), &[told, "true"]);
}
