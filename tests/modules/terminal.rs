//! `term::`: at a terminal and without one.

use super::answered;
use crate::whole::program::Program;
use crate::whole::pty::{CTRL_C, CTRL_D, Pty};

const ORCH: &str = env!("CARGO_BIN_EXE_orch");

#[test]
fn questions_are_answered_at_the_terminal() {
    let script = "print(term::style(\"red\", \"bold red\"));\n\
                  print(term::width());\n\
                  print(\"<\" + term::ask(\"Name?\") + \">\");\n\
                  print(term::confirm(\"Sure?\"));\n\
                  try { term::ask(\"End?\"); } catch (e) { print(e.kind); }\n\
                  let t = spawn_thread(|| term::ask(\"Never?\")); sleep(0.1); t.cancel();\n\
                  try { t.join(); } catch (e) { print(e.kind); }\n\
                  term::ask(\"Last?\");\n";
    let program = Program::script(script);
    let mut terminal =
        Pty::start(&["env", "-u", "NO_COLOR", "-u", "COLUMNS", ORCH, "run", "script.rhai"], &program.own_folder());
    terminal.shows("\x1b[1;31mred\x1b[0m\r\n77\r\nName? ");
    terminal.types("Ann\n");
    terminal.shows("<Ann>\r\nSure? [y/N] ");
    terminal.types("perhaps\n");
    terminal.shows("Please answer y or n.\r\nSure? [y/N] ");
    terminal.types("Yes\n");
    terminal.shows("true\r\nEnd? ");
    terminal.types(CTRL_D);
    terminal.shows("EndOfFile\r\n");
    terminal.shows("Never? ");
    terminal.shows("Cancelled\r\n");
    terminal.shows("Last? ");
    terminal.types(CTRL_C);
    terminal.shows("Interrupted");
    assert_eq!(terminal.end().status, 130);
}

#[test]
fn without_a_terminal_lines_are_read_and_nothing_is_coloured() {
    let script = super::asking(
        r#"
        ? term::style("plain", "bold red")
        ? term::style("x", "bold rde")
        ? [term::ask("a"), term::confirm("b"), term::ask("")]
        ? sh("read line; echo $line").read()
        ? spawn_process(|| term::ask("c")).join()
        ? [term::ask("d"), term::ask("e")]
        ? term::ask("f")
        env::set("COLUMNS", "40");
        ? term::width()
        "#,
    );
    let seen = Program::script(&script).stdin("one\r\ny\n\nfor a command\nfour\n\u{e4}").run();
    let told = "a b [y/N] c d e f ";
    assert_eq!(seen.stderr, told, "{}", seen.for_people());
    let quiet = crate::whole::program::Seen { stderr: String::new(), ..seen };
    answered(
        quiet,
        &[
            "plain",
            "ValueError: term::style(): \"rde\" is no style; did you mean \"red\"?",
            r#"["one", true, ""]"#,
            "for a command",
            "EndOfFile: term::ask(): the standard input has ended",
            r#"["four", "ä"]"#,
            "EndOfFile: term::ask(): the standard input has ended",
            "40",
        ],
    );
}

#[test]
fn tables_stand_in_columns() {
    let script = super::asking(
        r#"
        ? term::table([#{b: "日本", a: 1}, #{a: 10, c: ()}])
        ? term::table([["x", 1.5], ["long", 2]], #{columns: ["name", "n"]})
        ? term::table([#{a: 1, b: 2}], #{columns: ["b"]})
        ? term::table([]) + "."
        ? term::table([1])
        ? term::table([[1]], #{header: 1})
        "#,
    );
    let told = Program::script(&script).run();
    answered(
        told,
        &[
            " a  b     c",
            "--  ----  -",
            " 1  日本",
            "10",
            "name    n",
            "----  ---",
            "x     1.5",
            "long    2",
            "b",
            "-",
            "2",
            ".",
            "TypeError: term::table(): each row must be a map or an array, not an int",
            "ValueError: term::table() has no option \"header\"; it knows: columns",
        ],
    );
}

#[test]
fn what_makes_no_sense_to_a_person_is_refused() {
    let script = super::asking(
        r#"
        ? term::status(1)
        ? term::status("two\nlines\r\x1b[31m")
        ? term::ask(1)
        ? term::confirm(())
        ? term::confirm("Sure?")
        ? term::confirm("Really?")
        ? term::style("x", 1)
        ? term::style("x", "") + term::style("", "red")
        ? term::table([#{a: 1}, [1]])
        ? term::table([[1, 2], [1]])
        ? term::table([#{a: "x\ny"}])
        ? term::table([[1]], #{columns: [1]})
        for columns in ["-5", "0", "wide", "99999999999999999999"] { env::set("COLUMNS", columns); print(term::width()); }
        "#,
    );
    let seen = Program::script(&script).stdin("perhaps\nyes\nperhaps").run();
    let answer = "Please answer y or n.\n";
    assert_eq!(seen.stderr, format!("Sure? [y/N] {answer}Sure? [y/N] Really? [y/N] {answer}Really? [y/N] "));
    let quiet = crate::whole::program::Seen { stderr: String::new(), ..seen };
    answered(
        quiet,
        &[
            "TypeError: term::status(): text must be a string, not an int",
            "",
            "TypeError: term::ask(): question must be a string, not an int",
            "TypeError: term::confirm(): question must be a string, not ()",
            "true",
            "EndOfFile: term::confirm(): the standard input has ended",
            "TypeError: term::style(): style must be a string, not an int",
            "x",
            "a",
            "-",
            "1",
            "1",
            "1  2",
            "1",
            "a",
            "---",
            "x y",
            "TypeError: term::table(): each of option columns must be a string, not an int",
            "80",
            "80",
            "80",
            "80",
        ],
    );
}
