//! Entries, what is left of them, and how they are typed.

use super::screen::{Screen, repl};
use super::whole::program::orch;
use super::whole::pty::CTRL_C;

#[test]
fn entries_go_on_where_those_before_have_ended() {
    let mut screen = repl();
    screen.enters("let x = 40");
    screen.enters("fn add(n) { n + 2 }");
    screen.enters("add(x)");
    screen.shows("\n42\n");
    screen.enters("let y = 1; x.nothing()");
    screen.shows("error: ErrorFunctionNotFound: there is no function \"nothing\"");
    screen.shows("--> repl:4:1:14\n  |\n1 | let y = 1; x.nothing()\n  |              ^");
    screen.enters("x + y");
    screen.shows("\n41\n");
    screen.enters("_ * 2");
    screen.shows("\n82\n");
    screen.enters("fn add(n) { n + 3 }");
    screen.enters("[add(x), `text`, #{a: 1.5}]");
    screen.shows("\n[43, \"text\", #{a: 1.5}]\n");
    screen.enters("let q = Queue(2)");
    screen.enters("spawn_thread(|| q.put(add(1))).join()");
    screen.enters("q.get()");
    screen.shows("\n4\n");
    // Of what was deep in an older entry the place is still known.
    screen.enters("fn deep() { missing }");
    screen.enters("deep()");
    screen.shows("--> repl:12:1:13");
    screen.shows("in deep(), called at repl:13:1");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn a_line_goes_on_as_long_as_something_is_open() {
    let mut screen = repl();
    screen.types("fn f(a) {\r");
    screen.until("the next line", |screen| screen.line() == "  ...");
    screen.types("a + `\r");
    screen.until("the next line", |screen| screen.text().ends_with("  ... a + `\n  ..."));
    screen.types("${a}`\r");
    screen.until("the next line", |screen| screen.line() == "  ..." && screen.text().contains("${a}`"));
    screen.enters("}");
    screen.enters("f(1)");
    screen.shows("\n\"11\"\n");
    // What only stops too early is told after an empty line; a mistake is told at once.
    screen.types("let z =\r");
    screen.until("the next line", |screen| screen.line() == "  ...");
    screen.enters("");
    screen.shows("error:");
    screen.enters("let 5 = {");
    screen.shows("--> repl:4:1:5");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn values_are_cut_to_the_window_and_say_so() {
    let mut screen = Screen::start(&[], &[("NO_COLOR", "1")], (24, 40), tempfile::tempdir().unwrap());
    screen.enters("let a = []; for i in 0..1000000 { a.push(i); } a");
    screen.shows("more items\n]");
    let rows = screen.text();
    assert!(rows.contains("  3,") && rows.lines().count() <= 24, "{rows}");
    screen.enters("let s = \"0123456789\"; s.pad(3000000, \"x\"); s");
    screen.shows("(3,000,000 characters)");
    screen.enters("blob(5000000, 7)");
    screen.shows("blob(5,000,000 bytes: 07 07");
    screen.enters("#{name: \"a long enough text\", list: [1, 2, 3, 4], more: ()}");
    screen.shows("#{\n  list: [1, 2, 3, 4],\n  more: (),\n  name: \"a long enough text\",\n}");
    // Narrower still, while a line that wraps is being typed.
    screen.types("let wide = [11, 22, 33, 44, 55, 66, 77, 88]");
    screen.resize(24, 30);
    screen.types("; wide.len()");
    screen.until("the end of the line", |screen| screen.text().replace('\n', "").ends_with("wide.len()"));
    screen.enters("");
    screen.shows("\n8\n");
    let is_colour = |code: &str| {
        code.split_once('m').is_some_and(|(number, _)| !number.trim_start_matches('0').is_empty())
            && code.chars().take_while(|c| *c != 'm').all(|c| c.is_ascii_digit() || c == ';')
    };
    assert!(!screen.written.split("\x1b[").any(is_colour), "{:?}", screen.written);
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn a_paste_is_one_entry_however_long() {
    let mut screen = repl();
    let lines: String = (0..1000).map(|i| format!("let v{i} = {i}; // line {i}\n")).collect();
    screen.types(&format!("\x1b[200~{lines}v0 + v999\x1b[201~"));
    screen.until("the end of the paste", |screen| screen.line().ends_with("v0 + v999"));
    screen.enters("");
    screen.shows("\n999\n");
    screen.enters("v500 + 1");
    screen.shows("\n501\n");
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn colours_are_there_unless_they_are_not_wanted() {
    let mut screen = repl();
    screen.enters("let text = \"green\"; // grey");
    assert!(
        screen.written.contains("\x1b[35mlet") && screen.written.contains("\x1b[32m\"green\""),
        "{:?}",
        screen.written
    );
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn what_was_typed_is_remembered_by_all() {
    let mut one = repl();
    one.enters("let first = 11");
    one.types("fn two(a) {\r");
    one.until("the next line", |screen| screen.line() == "  ...");
    one.enters("a }");
    let folder = one.leaves().1;
    // Two at once, each of which writes; none is lost.
    let shared = folder.path().join("history").to_str().unwrap().to_string();
    let mut two = Screen::start(&[], &[], (24, 80), folder);
    let other = tempfile::tempdir().unwrap();
    let mut three = Screen::start(&[], &[("ORCH_HISTORY", &shared)], (24, 80), other);
    for i in 0..5 {
        two.enters(&format!("\"by two {i}\""));
        three.enters(&format!("\"by three {i}\""));
    }
    two.enters(" \"not kept\"");
    three.leaves();
    two.types("\x1b[A");
    two.until("the last line", |screen| screen.line().contains("by "));
    two.types(CTRL_C);
    two.at_prompt();
    two.types("\x12first");
    two.until("what was searched for", |screen| screen.line().contains("let first = 11"));
    two.types(CTRL_C);
    two.at_prompt();
    let folder = two.leaves().1;
    let kept = std::fs::read_to_string(folder.path().join("history")).unwrap();
    let lines: Vec<&str> = kept.lines().collect();
    let mut wanted: Vec<String> =
        (0..5).flat_map(|i| [format!("\"by two {i}\""), format!("\"by three {i}\"")]).collect();
    wanted.insert(0, "let first = 11".into());
    wanted.insert(1, "fn two(a) {<\\n>a }".into());
    assert_eq!(lines, wanted);
}

#[test]
fn commands_and_help_say_what_is_to_be_said() {
    let mut screen = repl();
    std::fs::write(
        screen.folder().join("lib.rhai"),
        "/// Doubles a number.\nfn double(n) { n * 2 }\nlet loaded = 5;\n",
    )
    .unwrap();
    screen.enters(":load lib.rhai");
    screen.enters("double(loaded)");
    screen.shows("\n10\n");
    screen.enters("help double");
    screen.shows("double(n)\n\nDoubles a number.");
    screen.enters(":type [1]");
    screen.shows("\narray\n");
    screen.enters(":type Queue()");
    screen.shows("\nQueue\n");
    screen.enters(":time 6 * 7");
    screen.shows("\n42\n0.");
    screen.enters("let t = spawn_thread(|| sleep(1000))");
    // It may not sleep at once.
    screen.enters("while !t.is_alive() { sleep(0.01); }");
    screen.enters(":tasks");
    while !screen.text().contains("\"Thread-1\": waits in sleep()") {
        assert!(screen.text().contains("\"Thread-1\": "), "{}", screen.text());
        screen.enters(":tasks");
    }
    screen.enters("t.cancel()");
    screen.enters(":vars");
    screen.shows("loaded: int");
    screen.enters(":tims 1");
    screen.shows("error: there is no command :tims; did you mean :time?");
    screen.enters("help Queue.putt");
    screen.shows("error: there is nothing called \"Queue.putt\"");
    screen.enters("help pritn");
    screen.shows("did you mean \"print\"?");
    screen.enters("help Lock.locked");
    screen.shows("### `lock.locked()`");
    screen.enters("import \"lib\" as lib");
    screen.enters("help lib");
    screen.shows("\n  lib::double(n)  Doubles a number.\n");
    screen.enters("help lib::double");
    screen.shows("\nlib::double(n)\n\nDoubles a number.\n");
    screen.enters("help");
    screen.shows("  hash: md5, sha256\n");
    screen.shows(":time EXPR      run it, and say how long it took");
    screen.enters(":load nothing.rhai");
    screen.shows("error: cannot read nothing.rhai: No such file");
    screen.types(":quit\r");
    assert_eq!(screen.end().0.status, 0);
}

#[test]
fn tab_completes_what_can_be_meant() {
    let mut screen = Screen::start(&[], &[], (24, 100), tempfile::tempdir().unwrap());
    std::fs::write(screen.folder().join("a long name.txt"), "").unwrap();
    std::fs::write(screen.folder().join("lib.rhai"), "/// Halves.\nfn half(n) { n / 2 }\n").unwrap();
    screen.enters("let numbers = #{alpha: #{beta_key: 1}, gamma: 2}");
    screen.enters("let queue = Queue()");
    screen.enters("fn my_function(a) { a }");
    screen.enters("import \"lib\" as lib");
    let cases = [
        ("numb", "orch> numbers"),
        ("my_f", "orch> my_function"),
        ("let c = Barr", "orch> let c = Barrier"),
        ("numbers.alp", "orch> numbers.alpha"),
        ("numbers.alpha.be", "orch> numbers.alpha.beta_key"),
        ("queue.task_", "orch> queue.task_done"),
        ("lib::ha", "orch> lib::half"),
        ("let f = \"a lo", "orch> let f = \"a long name.txt"),
        (":lo", "orch> :load"),
        ("help Bounded", "orch> help BoundedSemaphore"),
    ];
    for (typed, wanted) in cases {
        screen.types(typed);
        screen.types("\t");
        screen.until(wanted, |screen| screen.line() == wanted);
        screen.types(CTRL_C);
        screen.at_prompt();
    }
    // Of several there is a menu, with what is said of each.
    screen.types("queue.\t");
    screen.shows("\ntask_done  ()  One of the items");
    screen.types(CTRL_C);
    screen.at_prompt();
    assert_eq!(screen.leaves().0.status, 0);
}

#[test]
fn without_a_terminal_entries_go_in_and_results_come_out() {
    let entries: String = (0..1000).map(|i| format!("let v{i} = {i}\n")).collect();
    orch(["repl"]).stdin(entries + "v0 + v999\nfn f() {\n  7\n}\nf()\n").is(0, "999\n7\n", "");
    let seen =
        orch(["repl"]).stdin("let a = 1\na.b.c\nlet l = Lock(); l.acquire(); l.acquire();\na + 1\n:typo\n").run();
    assert!(seen.status == 3 && seen.stdout == "2\n", "{}", seen.for_people());
    orch(["repl"]).stdin("1 +\n\n2").is(
        1,
        "2\n",
        "error: Script is incomplete\n  --> repl:1:1:4\n  |\n1 | 1 +\n  |    ^\n",
    );
    orch(["repl"]).stdin("exit(7)\nprint(1)\n").is(7, "", "");
    orch(["repl"]).stdin("sh(\"read line; echo $line\").read()\nfor the command\n`last`").is(
        0,
        "\"for the command\"\n\"last\"\n",
        "",
    );
    orch(["repl", "--sim", "--seed", "3"])
        .stdin("let t = monotonic(); sleep(1000); monotonic() - t\n")
        .is(0, "1000.0\n", "");
}
