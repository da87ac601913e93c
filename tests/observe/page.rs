//! The page of `--report`, and the table of `--stats`.

use super::whole::program::Program;

const SCRIPT: &str = "let l = Lock();\n\
    fn works(l) { with l { sleep(0.5); } }\n\
    let ts = []; for i in 0..3 { ts.push(spawn_thread(works, [l])); }\n\
    mock_cmd(\"make*\", #{seconds: 4, code: 2});\n\
    cmd(\"make\", \"</script>\").unchecked().run();\n\
    for t in ts { t.join(); }\n";

fn page(script: &str) -> String {
    let program = Program::script_with(&["run", "--sim", "--report", "r.html"], script);
    let path = program.own_folder().join("r.html");
    let output = program.command().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(path).unwrap()
}

/// The cells of the rows of the table with this heading.
#[track_caller]
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let part = page.split(&format!("<h2>{heading}")).nth(1).unwrap_or_else(|| panic!("no table {heading}"));
    let part = part.split("</section>").next().unwrap();
    let cells = |row: &str| {
        let ends = row.split("</td>").filter(|cell| cell.contains("<td"));
        ends.filter_map(|cell| cell.rsplit_once('>').map(|(_, text)| text.to_string())).collect()
    };
    part.split("<tr>").skip(2).map(cells).collect()
}

#[test]
fn the_tables_say_who_waits_for_what_and_why_it_took_so_long() {
    let page = page(SCRIPT);
    assert!(page.contains("4.00 s · 5 tasks"), "{page}");
    let waits = table(&page, "Waits, by what was waited for");
    let lock = waits.iter().find(|row| row[0].starts_with("acquire Lock(")).unwrap();
    assert_eq!((lock[1].as_str(), lock[2].as_str(), lock[3].as_str()), ("2", "1.50 s", "1.00 s"));
    assert!(lock[4].starts_with("Thread-1"), "{lock:?}");
    let locks = table(&page, "Most contended locks");
    assert_eq!(locks[0][1..], ["2", "1.50 s", "3", "1.50 s", "500.0 ms"]);
    assert_eq!(table(&page, "Slowest commands")[0][..3], ["4.00 s", "make '&lt;/script&gt;'", "2"]);
    let path = table(&page, "Critical path");
    assert_eq!(path[0][0], "thread command", "{path:?}");
    assert_eq!(path[0][2..4], ["4.00 s", "100 %"]);
    let longest = table(&page, "Longest waits");
    assert!(longest.iter().any(|row| row[5].starts_with("held by Thread-1 since script.rhai:2")), "{longest:?}");
    assert!(table(&page, "Tasks").iter().any(|row| row[0] == "thread Thread-1" && row[4] == "works"));
}

#[test]
fn the_page_stands_alone_and_no_text_breaks_out_of_it() {
    let page = page(SCRIPT);
    // Nothing is fetched.
    for word in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("<noscript>"));
    // Its data and its script: the text of the command ended neither.
    assert_eq!(page.matches("</script>").count(), 2);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["tasks"].as_array().unwrap().len(), 5);
    let text = data["commands"][0][3].as_u64().unwrap() as usize;
    assert_eq!(data["texts"][text], "make '</script>'");
}

#[test]
fn the_table_of_a_simulated_run_is_repeatable() {
    let run = || Program::script_with(&["run", "--sim", "--stats"], SCRIPT).run();
    let seen = run();
    assert_eq!((seen.status, seen.stdout.as_str()), (0, ""));
    for line in [
        "--- 4.000 s, simulated\n",
        "tasks      5, processes 0, at most 5 at once\n",
        "commands   1, 1 failed, 4.000 s; slowest",
    ] {
        assert!(seen.stderr.contains(line), "{line}: {}", seen.stderr);
    }
    assert!(
        seen.stderr.lines().any(|l| l.trim_start().starts_with("acquire Lock(") && l.ends_with("1.500 s      1.000 s"))
    );
    assert_eq!(run().stderr, seen.stderr);
    let real = Program::script_with(&["run", "--stats"], "sh(\"exit 1\").unchecked().run();\n").run();
    assert!(
        real.stderr.contains("; on processors ") && real.stderr.contains("commands   1, 1 failed"),
        "{}",
        real.stderr
    );
}
