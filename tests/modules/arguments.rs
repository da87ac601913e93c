//! `parse_args`.

use crate::whole::program::{Program, Seen};

const SCRIPT: &str = r#"
    let o = parse_args(#{
        url: #{value: "", position: 1, required: true, help: "where to begin"},
        more: #{value: [], position: 2},
        threads: #{value: 4, help: "how many at once", short: "t"},
        deep_down: #{value: 3, short: "d"},
        verbose: #{value: false, short: "v"},
        color: true,
        rate: 1.5,
        mode: #{value: "fast", choices: ["fast", "safe"]},
        header: [],
        size: [1],
        dbfile: (),
    });
    print(json::stringify(o));
"#;

fn with(args: &[&str]) -> Seen {
    args.iter().fold(Program::script(SCRIPT), |program, word| program.arg(word)).run()
}

#[test]
fn what_is_typed_is_what_the_script_gets() {
    let all = |typed: &[&str]| {
        let seen = with(typed);
        assert!(seen.status == 0 && seen.stderr.is_empty(), "{typed:?}: {}", seen.for_people());
        serde_json::from_str::<serde_json::Value>(&seen.stdout).unwrap()
    };
    let usual = all(&["x"]);
    let wanted = r#"{"color":true,"dbfile":null,"deep_down":3,"header":[],"mode":"fast","more":[],"rate":1.5,"size":[1],
        "threads":4,"url":"x","verbose":false}"#;
    assert_eq!(usual, serde_json::from_str::<serde_json::Value>(wanted).unwrap());
    let typed = [
        "--",
        "x",
        "-vt8",
        "--deep-down=-3",
        "--no-color",
        "--rate",
        "2",
        "--mode",
        "safe",
        "--header",
        "a",
        "--header=b=c",
        "--size",
        "7",
        "--dbfile",
        "-",
        "y",
        "--",
        "--z",
    ];
    let wanted = r#"{"color":false,"dbfile":"-","deep_down":-3,"header":["a","b=c"],"mode":"safe","more":["y","--z"],"rate":2.0,
        "size":[7],"threads":8,"url":"x","verbose":true}"#;
    assert_eq!(all(&typed), serde_json::from_str::<serde_json::Value>(wanted).unwrap());
    let again = all(&["-5", "-d", "-1", "-d2", "--verbose=no", "--deep_down", "9"]);
    assert_eq!((&again["url"], &again["deep_down"]), (&"-5".into(), &9.into()));
}

#[test]
fn what_makes_no_sense_is_told_with_status_2() {
    for (typed, said) in [
        (&[][..], "URL is needed"),
        (&["x", "--thread", "3"], "there is no option --thread; did you mean --threads?"),
        (&["x", "--zzzzzz"], "there is no option --zzzzzz"),
        (&["x", "-z"], "there is no option -z"),
        (&["x", "--threads", "a"], "--threads takes an int, not \"a\""),
        (&["x", "-t1.5"], "--threads takes an int, not \"1.5\""),
        (&["x", "--size", "a"], "--size takes an int, not \"a\""),
        (&["x", "--threads"], "--threads needs a value"),
        (&["x", "--mode", "fats"], "--mode must be one of fast, safe, not \"fats\"; did you mean \"fast\"?"),
        (&["x", "--verbose=maybe"], "--verbose takes true or false, not \"maybe\""),
        (&["x", "--no-threads"], "there is no option --no-threads; did you mean --threads?"),
    ] {
        let usage = "usage: script.rhai [OPTIONS] URL [MORE...]\nTry --help.\n";
        with(typed).is(2, "", &format!("error: {said}\n{usage}"));
    }
}

#[test]
fn help_goes_to_the_standard_output() {
    for typed in [&["--help"][..], &["x", "-vh"], &["--threads", "a", "--help"][2..]] {
        let seen = with(typed);
        assert!(seen.status == 0 && seen.stderr.is_empty(), "{}", seen.for_people());
        for wanted in [
            "usage: script.rhai [OPTIONS] URL [MORE...]\n",
            "  URL   where to begin (needed)\n",
            "  -h, --help              show this and end\n",
            "  -t, --threads INT       how many at once (otherwise 4)\n",
            "      --no-color\n",
            "      --mode {fast,safe}  (otherwise fast)\n",
            "      --header TEXT       (may be given several times)\n",
        ] {
            assert!(seen.stdout.contains(wanted), "{wanted:?} is not in\n{}", seen.stdout);
        }
    }
}

#[test]
fn options_that_make_no_sense_are_errors_of_the_script() {
    let script = super::asking(
        r#"
        ? parse_args(#{a: #{value: 1, hlep: "x"}})
        ? parse_args(#{a: #{value: 1, short: "ab"}})
        ? parse_args(#{a: #{value: 1, short: "x"}, b: #{value: 1, short: "x"}})
        ? parse_args(#{help: 1})
        ? parse_args(#{a: Queue()})
        ? parse_args(#{a: #{value: true, position: 1}})
        ? parse_args(1)
        "#,
    );
    let wanted = [
        "ValueError: parse_args() has no option \"hlep\"; did you mean \"help\"?",
        "ValueError: parse_args(): short of a must be one letter, not \"ab\"",
        "ValueError: parse_args(): b has the letter or position of another",
        "ValueError: parse_args(): no option can be called \"help\"",
        "TypeError: parse_args(): the value of a must be a string, a number, a bool, () or an array of those, not a Queue",
        "ValueError: parse_args(): a is a bool and can have no position",
        "TypeError: parse_args(): options must be a map, not an int",
    ];
    super::answered(Program::script(&script).run(), &wanted);
}
