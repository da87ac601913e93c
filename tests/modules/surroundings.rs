//! `env::`: the environment, and where the script is.

use std::os::unix::ffi::OsStrExt;

use super::{answered, answers, asking};
use crate::whole::program::{Program, finish};

#[test]
fn what_is_set_is_what_commands_and_processes_get() {
    let script = r#"
        env::set("COLOUR", "red");
        env::set("GIVEN", "changed");
        ? [env::get("COLOUR"), env::vars().COLOUR, sh("echo $COLOUR").read()]
        ? [sh("echo $GIVEN").env("GIVEN", "own").read(), sh("echo $GIVEN").pipe(cmd("cat")).read()]
        ? spawn_process(|| env::get("COLOUR") + sh("echo $COLOUR").read()).join()
        ? spawn_process(|| { env::set("COLOUR", "blue"); env::get("COLOUR") }).join()
        ? env::get("COLOUR")
        env::unset("GIVEN");
        ? [env::get("GIVEN"), env::get("GIVEN", "none"), sh("echo [$GIVEN]").read(), "GIVEN" in env::vars()]
        ? sh("echo [$COLOUR]").env_clear().read()
        env::set("PATH", "/nowhere");
        ? cmd("ls").read()
        ? which("ls")
    "#;
    let seen = Program::script(&asking(script)).env("GIVEN", "from outside").run();
    answered(
        seen,
        &[
            r#"["red", "red", "red"]"#,
            r#"["own", "changed"]"#,
            "redred",
            "blue",
            "red",
            r#"[(), "none", "[]", false]"#,
            "[]",
            "NotFound: there is no program \"ls\"; PATH is /nowhere",
            "",
        ],
    );
}

#[test]
fn names_and_values_that_no_environment_can_hold_are_refused() {
    let script = r#"
        ? env::set("A=B", "x")
        ? env::set("", "x")
        ? env::set("A", "x\x00")
        ? env::unset("A\x00")
        ? env::set("A", 1)
        ? env::get("A")
        ? env::chdir("/no such folder")
        ? env::chdir("script.rhai")
        ? env::chdir("")
        ? env::chdir("a\x00b")
        ? env::unset("")
        ? [env::get(""), env::get("A=B"), env::get("A\x00", "none")]
        ? env::get(1)
        ? env::vars(1)
    "#;
    let why = "a name is not empty and has no \"=\", and neither name nor value a NUL byte";
    let refused = |name: &str| format!("ValueError: env::set(): no environment can hold {name} so: {why}");
    answers(
        script,
        &[
            &refused("\"A=B\""),
            &refused("\"\""),
            &refused("\"A\""),
            &refused("\"A\\0\"").replace("set", "unset"),
            "TypeError: env::set(): value must be a string, not an int",
            "",
            "NotFound: env::chdir(): cannot go to \"/no such folder\": No such file or directory (os error 2)",
            "IoError: env::chdir(): cannot go to \"script.rhai\": Not a directory (os error 20)",
            "NotFound: env::chdir(): cannot go to \"\": No such file or directory (os error 2)",
            "ValueError: env::chdir(): no path can hold a NUL byte: \"a\\0b\"",
            &refused("\"\"").replace("set", "unset"),
            r#"[(), (), "none"]"#,
            "TypeError: env::get(): name must be a string, not an int",
            "TypeError: env::vars() takes 0 arguments, not 1",
        ],
    );
}

/// The script is started by a shell that gives it a value which is no text.
#[test]
fn surroundings_that_are_no_text_or_are_gone_are_told() {
    let script = r#"
        ? env::get("BAD")
        ? env::get("BAD", "x")
        ? env::vars().BAD
        env::set("HOME", "");
        ? env::home().starts_with("/")
        fs::mkdir("gone");
        env::chdir("gone");
        fs::remove("../gone");
        ? env::cwd()
        ? path::absolute("x")
        ? path::relative("x")
        ? fs::list(".")
        ? fs::write("x", "")
    "#;
    let program = Program::script(&asking(script));
    let mut command = program.command();
    command.env("BAD", std::ffi::OsStr::from_bytes(b"x\xff"));
    let seen = finish(command.spawn().unwrap(), "surroundings".into());
    let gone = |function: &str| {
        format!("IoError: {function}(): the current folder cannot be told: No such file or directory (os error 2)")
    };
    answered(
        seen,
        &[
            "ValueError: env::get(): the variable \"BAD\" is not valid UTF-8: x\u{fffd}",
            "ValueError: env::get(): the variable \"BAD\" is not valid UTF-8: x\u{fffd}",
            "x\u{fffd}",
            "true",
            &gone("env::cwd"),
            &gone("path::absolute"),
            &gone("path::relative"),
            "[]",
            "NotFound: fs::write(): cannot write \"x\": No such file or directory (os error 2)",
        ],
    );
}

#[test]
fn the_folder_and_the_script_are_known_wherever_one_goes() {
    let script = r#"
        let top = env::cwd();
        ? path::parent(env::script()) == top && path::name(env::script()) == "script.rhai"
        env::chdir("/");
        ? [env::cwd(), path::absolute("x"), sh("pwd").read(), spawn_process(|| env::cwd()).join()]
        ? path::parent(env::script()) == top && spawn_process(|| env::script()).join() == env::script()
        env::set("HOME", "/my/home");
        ? env::home()
        env::unset("HOME");
        ? env::home().starts_with("/")
        import "beside" as beside;
        ? beside::it()
    "#;
    let program = Program::script(&asking(script));
    let seen = program.file("beside.rhai", b"fn it() { \"found\" }").run();
    answered(seen, &["true", r#"["/", "/x", "/", "/"]"#, "true", "/my/home", "true", "found"]);
}
