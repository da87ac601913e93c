//! `json::`, `regex::`, `hash::`, `path::`, and times.

use super::{answers, each_answers};

#[test]
fn json_goes_there_and_back() {
    let script = r#"
        let value = #{a: [1, -2.5, "x\ny\"", true, ()], b: #{c: []}, "": 'z'};
        ? json::stringify(value)
        ? json::stringify(json::parse(json::stringify(value))) == json::stringify(value)
        ? json::stringify_pretty(#{a: [1]})
        ? json::parse(" {\"a\": 1, \"a\": 2, \"e\": \"\\ud83d\\ude00\"} ")
        ? json::parse("[9223372036854775807, 9223372036854775808, 1e2]")
        ? spawn_process(|| json::parse("[1]")).join()
    "#;
    answers(
        script,
        &[
            r#"{"":"z","a":[1,-2.5,"x\ny\"",true,null],"b":{"c":[]}}"#,
            "true",
            "{",
            "  \"a\": [",
            "    1",
            "  ]",
            "}",
            r#"#{"a": 2, "e": "😀"}"#,
            "[9223372036854775807, 9.223372036854776e18, 100.0]",
            "[1]",
        ],
    );
}

#[test]
fn text_that_is_no_json_is_told_with_its_place() {
    let script = r#"
        ? json::parse("")
        ? json::parse("{\n  \"a\": 1,\n}")
        ? json::parse("[1] x")
        ? json::parse("[1e400]")
        ? json::parse("nul")
        ? json::parse(5)
        try { json::parse("[1,\n 2 3]"); } catch (e) { print([e.text_line, e.text_column]); }
        let deep = "";
        for i in 0..128 { deep += "["; }
        ? json::parse(deep)
        ? json::prase("1")
        ? jsn::parse("1")
    "#;
    answers(
        script,
        &[
            "ValueError: json::parse(): the text ends within a value, at line 1, column 0",
            "ValueError: json::parse(): trailing comma, at line 3, column 1",
            "ValueError: json::parse(): trailing characters, at line 1, column 5",
            "ValueError: json::parse(): number out of range, at line 1, column 6",
            "ValueError: json::parse(): the text ends within a value, at line 1, column 3",
            "TypeError: json::parse(): text must be a string, not an int",
            "[2, 4]",
            "ValueError: json::parse(): it nests more than 127 levels deep, at line 1, column 128",
            "ErrorFunctionNotFound: there is no function \"json::prase\"; did you mean \"json::parse\"?",
            "ErrorModuleNotFound: there is no module \"jsn\" here; did you mean \"json\"?",
        ],
    );
    let at = |why: &str, line: u32, column: u32| {
        format!("ValueError: json::parse(): {why}, at line {line}, column {column}")
    };
    each_answers(
        "",
        &[
            (r#"json::parse("\"\\ud800\"")"#, &at("unexpected end of hex escape", 1, 8)),
            (r#"json::parse("\"\\x\"")"#, &at("invalid escape", 1, 3)),
            (
                r#"json::parse("\"a\nb\"")"#,
                &at("control character (\\u0000-\\u001F) found while parsing a string", 2, 0),
            ),
            ("json::parse(`{1: 2}`)", &at("key must be a string", 1, 2)),
            ("json::parse(`[01]`)", &at("invalid number", 1, 3)),
            (r#"json::parse("\"open")"#, &at("the text ends within a string", 1, 5)),
            (r#"json::parse("\ufeff1")"#, &at("expected value", 1, 1)),
            ("json::parse(blob(2))", "TypeError: json::parse(): text must be a string, not a blob"),
        ],
    );
}

#[test]
fn what_json_cannot_say_is_told_with_where_it_sits() {
    let script = r#"
        ? json::stringify(#{jobs: [1, Queue()]})
        ? json::stringify(#{"two words": |x| x})
        ? json::stringify([0.0 / 0.0])
        ? json::stringify(blob(2))
        ? json::stringify(cmd("ls"))
        let deep = [];
        for i in 0..127 { deep = [deep]; }
        try { json::stringify(deep); } catch (e) { print(e.kind); }
    "#;
    answers(
        script,
        &[
            "TypeError: json::stringify(): value.jobs[1] is a Queue, which JSON cannot say",
            "TypeError: json::stringify(): value[\"two words\"] is a function, which JSON cannot say",
            "ValueError: json::stringify(): value[0] is NaN, which JSON cannot say",
            "TypeError: json::stringify(): value is a blob, which JSON cannot say; make it a text or an array first",
            "TypeError: json::stringify(): value is a Command, which JSON cannot say",
            "ValueError",
        ],
    );
    let pretty = "json::stringify_pretty(): value";
    each_answers(
        "",
        &[
            (
                "json::stringify_pretty(#{a: Lock()})",
                &format!("TypeError: {pretty}.a is a Lock, which JSON cannot say"),
            ),
            ("json::stringify_pretty(1.0 / 0.0)", &format!("ValueError: {pretty} is inf, which JSON cannot say")),
        ],
    );
}

#[test]
fn patterns_fit_or_say_what_is_wrong_with_them() {
    let script = r#"
        ? regex::is_match(`^(a+)+$`, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")
        ? regex::captures(`(?<y>\d{4})-(\d\d)?`, "on 2026- day")
        ? regex::captures("x", "y") == ()
        ? regex::find_all("", "ab").len()
        ? regex::replace(`(\w)(\w)`, "${2}$1$$", "abcd")
        ? regex::split(",", "")
        ? regex::find("(", "a")
        ? regex::find(`(\w)\1`, "aa")
        ? regex::split(`a{1000000}`, "a")
        ? regex::find(1, "a")
    "#;
    answers(
        script,
        &[
            "false",
            r#"#{"0": "2026-", "1": "2026", "2": (), "y": "2026"}"#,
            "true",
            "3",
            "ba$dc$",
            r#"[""]"#,
            "ValueError: regex::find(): \"(\" is no regular expression: unclosed group",
            "ValueError: regex::find(): \"(\\\\w)\\\\1\" is no regular expression: backreferences are not supported",
            "ValueError: regex::split(): \"a{1000000}\" is no regular expression: it is too large: it would need more than 10485760 bytes",
            "TypeError: regex::find(): pattern must be a string, not an int",
        ],
    );
}

#[test]
fn every_function_says_what_is_wrong_with_a_pattern() {
    let none = |function: &str, pattern: &str, why: &str| {
        format!("ValueError: regex::{function}(): {pattern:?} is no regular expression: {why}")
    };
    each_answers(
        "",
        &[
            (r#"regex::is_match("[", "a")"#, &none("is_match", "[", "unclosed character class")),
            (r#"regex::find_all("*", "a")"#, &none("find_all", "*", "repetition operator missing expression")),
            (r"regex::find_all(`\p{nope}`, `a`)", &none("find_all", "\\p{nope}", "Unicode property not found")),
            (
                r#"regex::captures("(?<a>x)(?<a>y)", "xy")"#,
                &none("captures", "(?<a>x)(?<a>y)", "duplicate capture group name"),
            ),
            (r#"regex::captures_all("(", "a")"#, &none("captures_all", "(", "unclosed group")),
            (
                r#"regex::captures_all("a", blob(1))"#,
                "TypeError: regex::captures_all(): text must be a string, not a blob",
            ),
            (r#"regex::captures_all("(a)|b", "ab")"#, r##"[#{"0": "a", "1": "a"}, #{"0": "b", "1": ()}]"##),
            (r#"[regex::captures_all("b", "a"), regex::captures_all("", "").len()]"#, "[[], 1]"),
            (
                r#"regex::replace("a{2,1}", "a", "b")"#,
                &none("replace", "a{2,1}", "invalid repetition count range, the start must be <= the end"),
            ),
            (r#"regex::replace("(a)", "a", "$nope-$9-${")"#, "$nope-$9-${"),
            ("regex::split(`a`, ())", "TypeError: regex::split(): text must be a string, not ()"),
            ("regex::escape(1)", "TypeError: regex::escape(): text must be a string, not an int"),
            (r#"regex::escape("") + regex::escape("a.[b]")"#, r"a\.\[b\]"),
            (r#"{ let odd = "(\x00[^$\n"; regex::find_all(regex::escape(odd), odd + odd).len() }"#, "2"),
        ],
    );
}

#[test]
fn sums_are_those_of_their_usual_tools() {
    let script = r#"
        for text in ["", "abc\n"] {
            for tool in ["md5", "sha256"] {
                let theirs = cmd(tool + "sum").stdin(text).read().split(" ")[0];
                let mine = if tool == "md5" { hash::md5(text) } else { hash::sha256(text.to_blob()) };
                if mine != theirs { print(`${tool}: ${mine} is not ${theirs}`); }
            }
        }
        ? hash::md5(1)
        ? hash::sha256(["a"])
    "#;
    let told = "data must be a string or a blob, not";
    answers(
        script,
        &[&format!("TypeError: hash::md5(): {told} an int"), &format!("TypeError: hash::sha256(): {told} an array")],
    );
}

#[test]
fn paths_are_taken_apart_and_put_together() {
    let script = r#"
        ? [path::join("a", ""), path::join(["/", "b"]), path::join("a", "/b"), path::join([])]
        ? ["/a/b.tar.gz", "/", "a/", "", ".x"].map(|p| [path::parent(p), path::name(p), path::stem(p), path::ext(p)])
        ? path::absolute("/../a/./b/..")
        ? path::relative("/a", "/a/b/c")
        ? path::join("a", 1)
        ? path::join([1..2])
    "#;
    answers(
        script,
        &[
            r#"["a/", "/b", "/b", ""]"#,
            r#"[["/a", "b.tar.gz", "b.tar", "gz"], ["", "", "", ""], ["", "a", "a", ""], ["", "", "", ""], ["", ".x", ".x", ""]]"#,
            "/a",
            "../..",
            "TypeError: path::join(): part 2 must be a string, not an int",
            "TypeError: path::join(): part 1 must be a string, not a range",
        ],
    );
    each_answers(
        "",
        &[
            ("path::absolute(\"\") == env::cwd()", "true"),
            ("path::absolute(1)", "TypeError: path::absolute(): path must be a string, not an int"),
            ("path::relative(\"\")", "."),
            ("path::relative(\"a\", 1)", "TypeError: path::relative(): base must be a string, not an int"),
            ("path::parent(1)", "TypeError: path::parent(): path must be a string, not an int"),
            ("path::name(())", "TypeError: path::name(): path must be a string, not ()"),
            ("path::stem([])", "TypeError: path::stem(): path must be a string, not an array"),
            ("path::ext(#{})", "TypeError: path::ext(): path must be a string, not a map"),
            ("path::join()", "TypeError: path::join() takes 1 or 2 or 3 arguments, not 0"),
            (
                r#"["...", "a/..", "//", "\x00"].map(|p| [path::parent(p), path::name(p), path::stem(p), path::ext(p)])"#,
                r#"[["", "...", "..", ""], ["a", "", "", ""], ["", "", "", ""], ["", "\0", "\0", ""]]"#,
            ),
        ],
    );
}

#[test]
fn times_that_make_no_sense_are_refused() {
    each_answers(
        "",
        &[
            ("strftime(1)", "TypeError: strftime(): format must be a string, not an int"),
            (
                "strftime(\"%\")",
                "ValueError: strftime(): strftime formatting failed: invalid format string, expected byte after `%`, \
                 but found end of format string",
            ),
            ("sleep(-1)", "ValueError: sleep(): secs must be a number of seconds, 0 or more, not -1"),
            ("sleep(0.0 / 0.0)", "ValueError: sleep(): secs must be a number of seconds, 0 or more, not NaN"),
            ("sleep(\"x\")", "TypeError: sleep(): secs must be a number of seconds, not a string"),
        ],
    );
}
