//! `json::`, `regex::`, `hash::`, `path::`.

use super::answers;

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
    "#;
    answers(script, &["TypeError: hash::md5(): data must be a string or a blob, not an int"]);
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
}
