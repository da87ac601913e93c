//! Temporary files and folders are gone at the end, however it comes.

use std::fs;
use std::path::Path;

use crate::whole::live::Live;
use crate::whole::program::Program;

const MAKES: &str = r#"
    let top = fs::temp_dir();
    fs::mkdir(path::join(top, "a", "b"), #{parents: true});
    fs::write(path::join(top, "a", "x"), "x");
    let file = fs::temp_file();
    print(top);
    print(file);
"#;

fn gone(printed: &str) -> usize {
    let paths: Vec<&str> = printed.lines().filter(|line| line.starts_with('/')).collect();
    for path in &paths {
        assert!(!Path::new(path).exists(), "{path} was left");
    }
    paths.len()
}

#[test]
fn by_its_last_line_an_error_exit_or_a_process() {
    for (end, status) in [
        ("", 0),
        ("throw \"over\";", 1),
        ("exit(7);", 7),
        ("spawn_thread(|| exit(3)); sleep(30);", 3),
        ("spawn_process(|| { let t = fs::temp_dir(); print(t); }).join();", 0),
        ("env::chdir(\"/\");", 0),
        ("fs::remove(top, #{recursive: true});", 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::script(&format!("{MAKES}{end}"));
        let seen = program.env("TMPDIR", &folder.path().display().to_string()).run();
        assert_eq!(seen.status, status, "{end}: {}", seen.for_people());
        assert!(gone(&seen.stdout) >= 2 && seen.stdout.contains(&folder.path().display().to_string()), "{end}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{end}");
    }
}

#[test]
fn by_a_signal_and_by_a_second_one() {
    for signals in [&["INT"][..], &["TERM"], &["INT", "INT"]] {
        let script = format!(
            "{MAKES}\nprint(\"ready\");\ntry {{ sleep(60); }} catch (e) {{ print(\"caught\"); if {} {{ sleep(60); }} throw; }}",
            signals.len() > 1
        );
        let mut live = Live::ready(&script);
        for signal in signals {
            live.signal(signal);
            // Two that come before the first was taken are one.
            live.says("caught");
        }
        let seen = live.end();
        assert!(seen.status == 130 || seen.status == 143, "{signals:?}: {}", seen.for_people());
        assert_eq!(gone(&seen.stdout), 2, "{signals:?}");
    }
}

#[test]
fn a_folder_for_them_that_is_not_there_is_told() {
    let seen = Program::script("fs::temp_file();").env("TMPDIR", "/no such folder").run();
    let told =
        "NotFound: fs::temp_file(): cannot make a temporary file in \"/no such folder\": No such file or directory";
    assert!(seen.status == 1 && seen.stderr.contains(told), "{}", seen.for_people());
}

/// `kill -9` in the midst of writing: the file has all of one content, and can be written again.
#[test]
fn a_file_is_whole_after_kill() {
    let script = "let a = blob(2000000, 97); let b = blob(2000000, 98);\n\
                  fs::write(\"state\", a); print(\"ready\");\n\
                  loop { fs::write(\"state\", b); fs::write(\"state\", a); }\n";
    for round in 0..10 {
        let program = Program::script(script);
        let path = program.own_folder().join("state");
        let mut live = Live::start(program);
        live.says("ready");
        std::thread::sleep(std::time::Duration::from_millis(round * 3));
        live.signal("KILL");
        let state = wait_and_read(live, &path);
        assert!(state.len() == 2_000_000 && state.iter().all(|byte| *byte == state[0]), "round {round}");
    }
}

/// What is there once nobody writes any more. The folder goes with the program.
fn wait_and_read(live: Live, path: &Path) -> Vec<u8> {
    let proc = format!("/proc/{}/stat", live.pid());
    // Killed, it stays a zombie until it is waited for, which takes the folder away.
    while fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z")) {
        std::thread::yield_now();
    }
    let state = fs::read(path).unwrap();
    live.end();
    state
}
