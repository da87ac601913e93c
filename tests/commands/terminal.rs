//! Commands at a real terminal: who has it, what Ctrl-C and Ctrl-Z do to whom, that it comes back as it was; and commands in
//! a terminal of their own.

use std::path::PathBuf;

use crate::whole;
use crate::whole::family::Family;
use crate::whole::program::Program;
use crate::whole::pty::{CTRL_C, CTRL_D, CTRL_Z, Pty};

const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// A script at a terminal.
struct Session {
    terminal: Pty,
    _program: Program,
}

fn at_terminal(script: &str) -> Session {
    let program = Program::script(script);
    Session { terminal: Pty::start(&[ORCH, "run", "script.rhai"], &program.own_folder()), _program: program }
}

// Commands here say that they wait once they have the terminal: until then it is orch that Ctrl-C and Ctrl-Z go to. And they
// start nothing afterwards: a shell that is stopped while it starts a program is not seen to be stopped (it waits in vfork).

/// A shell with job control at a terminal; it has `orch` as `$ORCH`.
fn in_a_shell(script: &str) -> Session {
    let program = Program::script(script);
    let words = ["env", &format!("ORCH={ORCH}"), "bash", "--norc", "--noprofile", "--noediting", "-i"];
    let mut terminal = Pty::start(&words, &program.own_folder());
    terminal.shows("prompt> ");
    Session { terminal, _program: program }
}

fn has(program: &str) -> bool {
    let there =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder: PathBuf| folder.join(program).exists());
    if !there {
        println!("not tried: {program} is not installed");
    }
    there
}

#[test]
fn a_command_reads_what_is_typed() {
    let Session { mut terminal, _program } = at_terminal(
        "print(\"ready\"); cmd(\"cat\").run(); print(\"and \" + cmd(\"head\", \"-1\").read());\n\
         for l in sh(\"read a; echo $a; read b; echo $b\").lines() { print(\"<\" + l + \">\"); }\n\
         print(cmd(\"cat\").pipe(cmd(\"tr\", \"a-z\", \"A-Z\")).capture().stdout);\n\
         print(cmd(\"cat\").stdin_null().read() + \"end\");",
    );
    terminal.shows("ready");
    terminal.types("typed\n");
    terminal.shows("typed\r\ntyped\r\n");
    terminal.types(CTRL_D);
    terminal.types("read\n");
    terminal.shows("and read\r\n");
    terminal.types("one\n");
    terminal.shows("<one>");
    terminal.types("two\n");
    terminal.shows("<two>");
    terminal.types("loud\n");
    terminal.shows("loud\r\n");
    terminal.types(CTRL_D);
    terminal.shows("LOUD\r\n");
    terminal.shows("end");
    assert_eq!(terminal.end().status, 0);
}

#[test]
fn ctrl_c_ends_the_command_and_orch() {
    for how in ["run()", "capture()", "read()", "pipe(cmd(\"cat\")).run()"] {
        let mut family = Family::new();
        let number = family.sleep().split(' ').next_back().unwrap().to_string();
        let Session { mut terminal, _program } =
            at_terminal(&format!("print(\"ready\"); cmd(\"sleep\", \"{number}\").{how}; print(\"ne\" + \"ver\");"));
        terminal.shows("ready");
        family.wait_for(1);
        // It has the terminal by then, or is about to: both are ended either way.
        std::thread::sleep(std::time::Duration::from_millis(300));
        terminal.types(CTRL_C);
        let seen = terminal.end();
        let one = seen.stdout.matches("error: Interrupted: interrupted by INT").count() == 1
            && seen.stdout.matches("error:").count() == 1;
        assert!(seen.status == 130 && one && !seen.stdout.contains("never"), "{how}: {}", seen.for_people());
        family.is_gone();
    }
}

#[test]
fn a_command_that_hears_ctrl_c_goes_on_and_so_does_orch() {
    let Session { mut terminal, _program } = at_terminal(
        "print(sh(\"trap 'echo caught; n=1' INT; until test $(ps -o tpgid= -p $$) -eq $$; do sleep 0.01; done; echo waits; while test -z $n; do sleep 0.05; done; exit 3\").unchecked().run().code);\n\
         print(\"on\"); cmd(\"sleep\", 1000).run();",
    );
    terminal.shows("waits");
    terminal.types(CTRL_C);
    terminal.shows("caught");
    terminal.shows("3\r\non\r\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.types(CTRL_C);
    assert_eq!(terminal.end().status, 130);
}

#[test]
fn ctrl_c_while_no_command_has_the_terminal() {
    let mut family = Family::new();
    let Session { mut terminal, _program } =
        at_terminal(&format!("let c = sh(`{}`).start(); print(\"ready\"); c.wait();", family.everyone()));
    terminal.shows("ready");
    family.wait_for(whole::family::EVERYONE);
    terminal.types(CTRL_C);
    let seen = terminal.end();
    assert!(seen.status == 130 && seen.stdout.matches("error:").count() == 1, "{}", seen.for_people());
    family.is_gone();
}

#[test]
fn ctrl_z_stops_orch_with_the_command_and_fg_lets_both_go_on() {
    let Session { mut terminal, _program } = in_a_shell(
        "sh(\"until test $(ps -o tpgid= -p $$) -eq $$; do sleep 0.01; done; echo waits; read line; echo got $line\").run(); print(\"over\");",
    );
    for _ in 0..2 {
        terminal.types("$ORCH run script.rhai\n");
        terminal.shows("waits");
        for _ in 0..2 {
            terminal.types(CTRL_Z);
            terminal.shows("Stopped");
            terminal.shows("prompt> ");
            terminal.types("echo here $((40 + 2))\n");
            terminal.shows("here 42");
            terminal.shows("prompt> ");
            terminal.types("fg\n");
            terminal.shows("script.rhai\r\n");
            // Until the command goes on, a key is lost that would stop it.
            terminal.is_lent_to("echo waits");
        }
        terminal.types("words\n");
        terminal.shows("got words");
        terminal.shows("over");
        terminal.shows("prompt> ");
    }
    terminal.types("exit 5\n");
    assert_eq!(terminal.end().status, 5);
}

/// What runs beside orch, in groups and a session of its own, is stopped too; and no clock counts that time.
#[test]
fn ctrl_z_stops_all_commands_and_the_clock() {
    let Session { mut terminal, _program } = in_a_shell(
        "let all = [cmd(\"sleep\", 1000).start(), cmd(\"sleep\", 1000).pty().start()];\n\
         let wall = time(); let clock = monotonic();\n\
         print(`pids ${all.map(|child| child.pid)}`);\n\
         while !fs::exists(\"go\") { sleep(0.01); }\n\
         print(`stood for ${((time() - wall) - (monotonic() - clock)).to_int()} s`);",
    );
    terminal.types("$ORCH run script.rhai\n");
    let said = terminal.shows("]\r\n");
    let pids = said[said.find("pids [").unwrap() + 6..].trim().trim_end_matches(']').to_string();
    let all_are = |wanted: fn(char) -> bool| {
        let state = |pid: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().rsplit(") ").next().unwrap().chars().next()
        };
        pids.split(", ").all(|pid| state(pid).is_some_and(wanted))
    };
    terminal.types(CTRL_Z);
    terminal.shows("Stopped");
    terminal.shows("prompt> ");
    // They were sent the signal before orch stopped.
    let stopped = (0..6000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        all_are(|state| state == 'T')
    });
    assert!(stopped, "{pids} are not stopped");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    terminal.types("touch go; fg\n");
    let said = terminal.shows(" s\r\n");
    let stood: u64 = said[said.find("stood for ").unwrap() + 10..].trim_end().trim_end_matches(" s").parse().unwrap();
    assert!(stood >= 2, "{said}");
    terminal.shows("prompt> ");
    terminal.types("exit\n");
    terminal.end();
}

/// Stopped in the background it goes on there with `bg`, and can be ended.
#[test]
fn a_stopped_orch_is_ended_with_its_command() {
    let mut family = Family::new();
    let Session { mut terminal, _program } = in_a_shell(&format!(
        "sh(`until test $(ps -o tpgid= -p $$) -eq $$; do sleep 0.01; done; echo waits; exec {}`).run();",
        family.sleep()
    ));
    terminal.types("$ORCH run script.rhai\n");
    terminal.shows("waits");
    terminal.types(CTRL_Z);
    terminal.shows("Stopped");
    terminal.shows("prompt> ");
    terminal.types("bg\n");
    terminal.shows("prompt> ");
    terminal.types("kill -TERM %1; wait %1; echo status $?\n");
    terminal.shows("status 143");
    family.is_gone();
    terminal.types("exit\n");
    terminal.end();
}

#[test]
fn the_terminal_comes_back_as_it_was() {
    let Session { mut terminal, _program } = at_terminal(
        "sh(\"stty -echo raw; kill -9 $$\").unchecked().run(); print(\"one\"); cmd(\"head\", \"-1\").run();\n\
         sh(\"stty -echo raw; echo spoilt; sleep 1000\").run();",
    );
    terminal.shows("one\r\n");
    assert!(terminal.is_cooked());
    terminal.types("line\n");
    terminal.shows("line\r\nline\r\n");
    terminal.shows("spoilt");
    assert!(!terminal.is_cooked());
    // The terminal does not make a signal of it in this mode.
    terminal.types("x");
    let pid = whole::family::processes().into_iter().find(|(_, line)| line.contains("echo spoilt")).map(|(pid, _)| pid);
    let killed = std::process::Command::new("kill").args(["-KILL", &pid.unwrap().to_string()]).status();
    assert!(killed.unwrap().success());
    let seen = {
        terminal.shows("error: CommandError");
        assert!(terminal.is_cooked());
        terminal.end()
    };
    assert_eq!(seen.status, 1, "{}", seen.for_people());
}

#[test]
fn one_has_the_terminal_and_others_run() {
    let Session { mut terminal, _program } = at_terminal(
        "let t = spawn_thread(|| { cmd(\"cat\").run(); }); sleep(0.3);\n\
         for i in 0..20 { if sh(\"echo $1\").arg(i).capture().stdout != i + \"\\n\" { print(\"wrong\"); } }\n\
         print(\"captured\"); t.join(); print(\"joined\"); cmd(\"head\", \"-1\").run(); print(\"over\");",
    );
    terminal.shows("captured");
    terminal.types("typed\n");
    terminal.shows("typed\r\ntyped\r\n");
    terminal.types(CTRL_D);
    terminal.shows("joined");
    terminal.types("again\n");
    terminal.shows("again\r\nagain\r\nover");
    assert_eq!(terminal.end().status, 0);
}

/// One at a time: a second one that would read has nothing to read.
#[test]
fn two_want_to_read() {
    let Session { mut terminal, _program } = at_terminal(
        "let first = sh(\"until test $(ps -o tpgid= -p $$) -eq $$; do sleep 0.01; done; touch reads; exec head -1\");\n\
         let t = spawn_thread(|| { first.run(); print(\"first over\"); }); while !fs::exists(\"reads\") { sleep(0.01); }\n\
         cmd(\"head\", \"-1\").run(); print(\"second over\");\n\
         t.join(); print(\"end\"); cmd(\"head\", \"-1\").run(); print(\"third over\");",
    );
    terminal.shows("second over");
    terminal.types("one\n");
    terminal.shows("first over");
    terminal.shows("end");
    terminal.types("three\n");
    terminal.shows("three\r\nthree\r\nthird over");
    assert_eq!(terminal.end().status, 0);
}

/// Stopped, let go on in the background, and brought back: it reads then.
#[test]
fn bg_and_fg() {
    let Session { mut terminal, _program } = in_a_shell(
        "sh(\"until test $(ps -o tpgid= -p $$) -eq $$; do sleep 0.01; done; echo waits; read line; echo got $line\").run(); print(\"over\");",
    );
    terminal.types("$ORCH run script.rhai\n");
    terminal.shows("waits");
    terminal.types(CTRL_Z);
    terminal.shows("Stopped");
    terminal.shows("prompt> ");
    terminal.types("bg\n");
    terminal.shows("prompt> ");
    // In the background it may not read: it is stopped again, which the shell tells when it is asked.
    loop {
        terminal.types("jobs\n");
        if terminal.shows("prompt> ").contains("Stopped") {
            break;
        }
    }
    terminal.types("fg\n");
    terminal.shows("script.rhai\r\n");
    terminal.types("words\n");
    terminal.shows("got words");
    terminal.shows("over");
    terminal.shows("prompt> ");
    terminal.types("exit\n");
    terminal.end();
}

#[test]
fn pagers_and_editors() {
    if has("less") {
        let Session { mut terminal, _program } = at_terminal(
            "cmd(\"seq\", 500).stdout_file(\"numbers\").run(); cmd(\"less\", \"numbers\").run(); print(\"after less\");\n\
             cmd(\"seq\", 500).pipe(cmd(\"less\")).run(); print(\"after the pipe\");",
        );
        terminal.shows("30");
        terminal.types("G");
        terminal.shows("500");
        terminal.types("q");
        terminal.shows("after less");
        terminal.shows("30");
        terminal.types("G");
        terminal.shows("500");
        terminal.types("q");
        terminal.shows("after the pipe");
        assert_eq!(terminal.end().status, 0);
    }
    if has("vi") {
        let Session { mut terminal, _program } = at_terminal(
            "cmd(\"vi\", \"-u\", \"NONE\", \"new\").run(); print(\"read \" + cmd(\"cat\", \"new\").read());",
        );
        terminal.shows("new");
        terminal.types("ihello from vi\x1b:wq\r");
        terminal.shows("read hello from vi");
        assert_eq!(terminal.end().status, 0);
    }
}

// ---- a terminal of their own

#[test]
fn a_command_in_a_terminal_of_its_own() {
    let script = "print(cmd(\"tty\").pty().read().starts_with(\"/dev/pts/\"));\n\
        print(sh(\"test -t 0 && test -t 1 && test -t 2 && echo all\").pty().read());\n\
        print(cmd(\"ls\", \"--color=auto\", \"-d\", \"/tmp\").env(\"TERM\", \"xterm\").pty().read().contains(\"\\x1b[\"));\n\
        print(cmd(\"ls\", \"--color=auto\", \"-d\", \"/tmp\").env(\"TERM\", \"xterm\").read().contains(\"\\x1b[\"));\n\
        print([sh(\"echo out; echo err >&2\").pty().capture().stdout]);\n\
        print(sh(\"exit 7\").pty().unchecked().run().code);\n\
        print(sh(\"kill -9 $$\").pty().unchecked().run().signal);\n\
        let cat = cmd(\"cat\").pty().start();\n\
        cat.write(\"hello\\n\");\n\
        print([cat.read_line(), cat.read_line()]);\n\
        cat.write(\"\\x04\");\n\
        print(cat.wait().ok);\n\
        let deaf = cmd(\"cat\").pty().unchecked().start();\n\
        deaf.write(\"x\\n\");\n\
        deaf.read_line(); deaf.read_line();\n\
        deaf.write(\"\\x03\");\n\
        print(deaf.wait().signal);\n\
        let long = sh(\"setsid sleep 1000 & sleep 1000\").pty().timeout(0.3);\n\
        try { long.run(); } catch (e) { print(e.kind); }\n\
        try { cmd(\"nope\").pty().run(); } catch (e) { print(e.kind); }\n\
        sh(\"printf '#!/no/such/sh\\\\n' > lost; chmod +x lost\").run();\n\
        for name in [\"./lost\"] { try { cmd(name).pty().capture(); } catch (e) { print(e.code + \" \" + e.stdout.split(\"\\r\")[0]); } }\n\
        print(cmd(\"pwd\").dir(\"/\").pty().read());\n\
        print(sh(\"echo $A $0\").env(\"A\", 1).pty().read());\n\
        print(cmd(\"seq\", 100000).pty().capture().stdout.len);\n\
        print(sh(\"echo $ORCH_TREE\").env_clear().pty().read().len > 0);\n";
    Program::script(script).run().prints(
        "true\nall\ntrue\nfalse\n[\"out\\r\\nerr\\r\\n\"]\n7\nKILL\n[\"hello\", \"hello\"]\ntrue\nINT\nTimeoutError\nNotFound\n\
         127 orch: cannot start it in a terminal: No such file or directory (os error 2)\n\
         /\n1 /bin/sh\n688895\ntrue\n",
    );
}

#[test]
fn its_own_terminal_is_as_large_as_that_of_orch() {
    let Session { mut terminal, _program } =
        at_terminal("print(sh(\"stty size\").pty().read()); sh(\"stty size; tty\").pty().run(); print(\"end\");");
    terminal.shows("33 77\r\n33 77\r\n");
    terminal.shows("/dev/pts/");
    terminal.shows("end");
    assert_eq!(terminal.end().status, 0);
}
