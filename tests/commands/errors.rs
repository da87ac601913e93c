//! What keeps a command from running: one kind and one sentence for each, with what a script needs to know in fields.
//! Nothing runs then, nothing is left, and the next command runs.

use crate::whole::program::{Program, Seen};

/// Prints the kind, the message, and the fields that errors of commands have.
const TELL: &str = "fn tell(f) { try { print(f.call()); } catch (e) { \
    print(e.kind + \": \" + e.message); \
    let more = []; \
    if \"program\" in e { more.push(\"program=\" + e.program); } \
    if \"path\" in e { more.push(\"path=\" + e.path); } \
    if more.len > 0 { print(\"  \" + more); } } }\n\
    fn times(text, n) { let all = \"\"; all.pad(n, text); all }\n";

fn run(script: &str) -> Seen {
    Program::script(&format!("{TELL}{script}")).run()
}

#[track_caller]
fn prints(script: &str, wanted: &str) {
    run(script).prints(wanted);
}

#[test]
fn programs_that_are_not_there() {
    prints(
        r#"
        tell(|| cmd("nope").env("PATH", "/usr/bin:/bin").run());
        tell(|| cmd("nope").env("PATH", "/usr/bin:/bin").start());
        tell(|| cmd("nope").env("PATH", "/usr/bin:/bin").lines());
        tell(|| cmd("nope").env("PATH", "/usr/bin:/bin").unchecked().read());
        tell(|| cmd("nope").env_clear().run());
        tell(|| cmd("nope").env("PATH", "").run());
        tell(|| cmd("/no/such/program").run());
        tell(|| cmd("./nope").run());
        tell(|| cmd("echo hi").env("PATH", "/usr/bin:/bin").run());
        tell(|| cmd("echo", "hi").pipe(cmd("nope").env("PATH", "/bin")).run());
        print(sh("nope 2>/dev/null").unchecked().run().code);
        "#,
        "NotFound: there is no program \"nope\"; PATH is /usr/bin:/bin\n  [\"program=nope\", \"path=/usr/bin:/bin\"]\n\
         NotFound: there is no program \"nope\"; PATH is /usr/bin:/bin\n  [\"program=nope\", \"path=/usr/bin:/bin\"]\n\
         NotFound: there is no program \"nope\"; PATH is /usr/bin:/bin\n  [\"program=nope\", \"path=/usr/bin:/bin\"]\n\
         NotFound: there is no program \"nope\"; PATH is /usr/bin:/bin\n  [\"program=nope\", \"path=/usr/bin:/bin\"]\n\
         NotFound: there is no program \"nope\"; PATH is /bin:/usr/bin\n  [\"program=nope\", \"path=/bin:/usr/bin\"]\n\
         NotFound: there is no program \"nope\"; PATH is empty\n  [\"program=nope\", \"path=\"]\n\
         NotFound: there is no program \"/no/such/program\"\n  [\"program=/no/such/program\", \"path=\"]\n\
         NotFound: there is no program \"./nope\"\n  [\"program=./nope\", \"path=\"]\n\
         NotFound: there is no program \"echo hi\"; PATH is /usr/bin:/bin; give the arguments one by one, or use sh() for a line of shell\n  \
         [\"program=echo hi\", \"path=/usr/bin:/bin\"]\n\
         NotFound: there is no program \"nope\"; PATH is /bin\n  [\"program=nope\", \"path=/bin\"]\n\
         127\n",
    );
}

#[test]
fn programs_that_cannot_be_executed() {
    prints(
        r#"
        sh("printf 'echo hi' > plain; mkdir folder bin; mkdir bin/tool; printf '#!/no/such/sh\\n' > lost; printf 'echo hi\\n' > bare; \
            printf '\\177ELF garbage' > broken; : > empty; chmod +x lost bare broken empty; ln -s loop loop").run();
        tell(|| cmd("./plain").run());
        tell(|| cmd("./folder").run());
        tell(|| cmd("./lost").run());
        tell(|| cmd("./bare").run());
        tell(|| cmd("./broken").run());
        tell(|| cmd("./empty").run());
        tell(|| cmd("./loop").run());
        tell(|| cmd("./plain/x").run());
        tell(|| cmd("tool").env("PATH", "bin").run());
        tell(|| cmd("plain").env("PATH", ".").run());
        print(cmd("echo", "still").read());
        "#,
        "IoError: cannot run \"./plain\": it has no permission to be executed\n  [\"program=./plain\", \"path=./plain\"]\n\
         IoError: cannot run \"./folder\": it is a folder\n  [\"program=./folder\", \"path=./folder\"]\n\
         IoError: cannot run \"./lost\": the interpreter that its first line names is missing\n  [\"program=./lost\", \"path=./lost\"]\n\
         IoError: cannot run \"./bare\": the system does not know its format (does a script lack its #! line?)\n  [\"program=./bare\", \"path=./bare\"]\n\
         IoError: cannot run \"./broken\": the system does not know its format (does a script lack its #! line?)\n  [\"program=./broken\", \"path=./broken\"]\n\
         IoError: cannot run \"./empty\": the system does not know its format (does a script lack its #! line?)\n  [\"program=./empty\", \"path=./empty\"]\n\
         NotFound: there is no program \"./loop\"\n  [\"program=./loop\", \"path=\"]\n\
         NotFound: there is no program \"./plain/x\"\n  [\"program=./plain/x\", \"path=\"]\n\
         IoError: cannot run \"bin/tool\": it is a folder\n  [\"program=bin/tool\", \"path=bin/tool\"]\n\
         IoError: cannot run \"./plain\": it has no permission to be executed\n  [\"program=./plain\", \"path=./plain\"]\n\
         still\n",
    );
}

#[test]
fn words_and_variables_that_cannot_be() {
    prints(
        r#"
        tell(|| cmd([]));
        tell(|| cmd(""));
        tell(|| cmd([], []));
        tell(|| cmd(()));
        tell(|| cmd("echo", "a\x00b").run());
        tell(|| cmd("ec\x00ho").run());
        tell(|| sh("echo \x00").run());
        tell(|| cmd("echo").env("A=B", 1).run());
        tell(|| cmd("echo").env("", 1).run());
        tell(|| cmd("echo").env("A\x00", 1).run());
        tell(|| cmd("echo").env("A", "\x00").run());
        tell(|| cmd("echo").env("A", #{}).run());
        tell(|| cmd("echo").env_remove("A=B").run());
        tell(|| cmd("true", times("x", 200000)).run());
        let many = []; for i in 0..60 { many.push(times("y", 100000)); }
        tell(|| cmd("true").args(many).run());
        tell(|| cmd("true").env("BIG", times("z", 200000)).run());
        print(cmd("echo", "still").read());
        "#,
        "ValueError: cmd() needs a program\n\
         ValueError: cmd() needs a program\n\
         ValueError: cmd() needs a program\n\
         TypeError: cmd(): an argument of a command must be a string or a number, not ()\n\
         ValueError: an argument of a command cannot hold a NUL byte: 'a\\0b'\n\
         ValueError: an argument of a command cannot hold a NUL byte: 'ec\\0ho'\n\
         ValueError: an argument of a command cannot hold a NUL byte: 'echo \\0'\n\
         ValueError: the environment cannot hold a variable \"A=B\"\n\
         ValueError: the environment cannot hold a variable \"\"\n\
         ValueError: the environment cannot hold a variable \"A\\0\"\n\
         ValueError: the environment cannot hold a NUL byte, as in \"A\"\n\
         TypeError: env(): an argument of a command must be a string or a number, not a map\n\
         ValueError: the environment cannot hold a variable \"A=B\"\n\
         IoError: cannot start `true xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: Argument list too long (os error 7)\n\
         IoError: cannot start `true yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…`: Argument list too long (os error 7)\n\
         IoError: cannot start `true`: Argument list too long (os error 7)\n\
         still\n",
    );
}

#[test]
fn folders_and_files_that_cannot_be() {
    prints(
        r#"
        tell(|| cmd("true").dir("/no/such/folder").run());
        tell(|| cmd("true").dir("/etc/passwd").run());
        tell(|| cmd("true").dir("").run());
        tell(|| cmd("true").dir(3).run());
        tell(|| cmd("cat").stdin_file("/no/such/file").run());
        tell(|| cmd("cat").stdin_file("").run());
        tell(|| cmd("cat").stdin(7).run());
        tell(|| cmd("true").stdout_file("/no/such/file").run());
        tell(|| cmd("true").stdout_file("/").run());
        tell(|| cmd("true").stderr_file("/no/such/file").run());
        tell(|| cmd("true").stdout_append("/no/such/file").run());
        tell(|| cmd("echo", "x").pipe(cmd("cat")).stdout_file("/no/such/file").run());
        tell(|| cmd("true").dir("/no/such/folder").start());
        tell(|| cmd("/bin/echo", "lots").stdout_file("/dev/full").stderr_null().run());
        "#,
        "NotFound: cannot run in folder \"/no/such/folder\": No such file or directory (os error 2)\n  [\"path=/no/such/folder\"]\n\
         IoError: cannot run in folder \"/etc/passwd\": not a directory\n  [\"path=/etc/passwd\"]\n\
         ValueError: dir(): dir must not be empty\n\
         TypeError: dir(): dir must be a string, not an int\n\
         NotFound: /no/such/file: No such file or directory (os error 2)\n  [\"path=/no/such/file\"]\n\
         ValueError: stdin_file(): file must not be empty\n\
         TypeError: stdin(): input must be a string or a blob, not an int\n\
         NotFound: /no/such/file: No such file or directory (os error 2)\n  [\"path=/no/such/file\"]\n\
         IoError: /: Is a directory (os error 21)\n  [\"path=/\"]\n\
         NotFound: /no/such/file: No such file or directory (os error 2)\n  [\"path=/no/such/file\"]\n\
         NotFound: /no/such/file: No such file or directory (os error 2)\n  [\"path=/no/such/file\"]\n\
         NotFound: /no/such/file: No such file or directory (os error 2)\n  [\"path=/no/such/file\"]\n\
         NotFound: cannot run in folder \"/no/such/folder\": No such file or directory (os error 2)\n  [\"path=/no/such/folder\"]\n\
         CommandError: `/bin/echo lots` failed with exit code 1\n",
    );
}

/// What nobody catches is one report with the place in the script.
#[test]
fn uncaught_it_is_one_report() {
    let seen =
        Program::script("print(\"before\");\nsh(\"echo broken >&2; exit 3\").capture();\nprint(\"never\");\n").run();
    let report = "error: CommandError: `echo broken >&2; exit 3` failed with exit code 3; it said:\n  broken\n";
    assert!(seen.status == 1 && seen.stdout == "before\n" && seen.stderr.starts_with(report), "{}", seen.for_people());
    assert!(seen.stderr.contains("script.rhai:2"), "{}", seen.for_people());
}

/// Later stages that cannot start take with them what had started before.
#[test]
fn a_pipeline_starts_as_a_whole_or_not_at_all() {
    prints(
        r#"
        sh("printf '#!/no/such/sh\\n' > lost; chmod +x lost").run();
        tell(|| sh("echo $$ > pid; exec sleep 600").pipe(cmd("./lost")).run());
        let pid = sh("for i in $(seq 100); do test -s pid && break; sleep 0.02; done; cat pid 2>/dev/null || echo 0").read();
        print(pid == "0" || !pid_alive(parse_int(pid)));
        "#,
        "IoError: cannot run \"./lost\": the interpreter that its first line names is missing\n  [\"program=./lost\", \"path=./lost\"]\n\
         true\n",
    );
}
