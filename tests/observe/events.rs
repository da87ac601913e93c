//! A trace, as those see it who read the format and nothing else: whether it is a good one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// All events of a trace whose program came to its end.
#[track_caller]
pub fn whole(text: &str) -> Vec<Value> {
    let events: Vec<Value> = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text:.300}"));
    check(&events, true);
    events
}

/// All events of a trace whose program was killed: no bracket at the end.
#[track_caller]
pub fn cut(text: &str) -> Vec<Value> {
    assert!(!text.trim_end().ends_with(']'), "it came to its end");
    let text = format!("{}]", text.trim_end().trim_end_matches(','));
    let events: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:.300}"));
    check(&events, false);
    events
}

/// The value of a number of an event.
pub fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {event}"))
}

/// Those whose name contains this.
pub fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["name"].as_str().is_some_and(|n| n.contains(name))).collect()
}

/// What is wrong with a trace, as a panic: slices that do not nest, times that go back, arrows without an end, holds that end
/// without a beginning. `is_whole`: every slice of the process that ended has its end too.
#[track_caller]
pub fn check(events: &[Value], is_whole: bool) {
    let mut tracks: BTreeMap<(u64, u64), Vec<&Value>> = BTreeMap::new();
    let mut arrows: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for event in events {
        let phase = event["ph"].as_str().unwrap();
        let track = (number(event, "pid") as u64, number(event, "tid") as u64);
        if phase != "M" {
            number(event, "ts");
            tracks.entry(track).or_default().push(event);
        }
        if phase != "E" && phase != "e" {
            assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
        }
        if let "s" | "f" = phase {
            arrows.entry(event["id"].as_str().unwrap()).or_default().push((phase, number(event, "ts")));
        }
    }
    for (id, ends) in &arrows {
        let ends: BTreeMap<&str, f64> = ends.iter().copied().collect();
        assert!(ends.len() == 2 && ends["s"] <= ends["f"], "arrow {id}: {ends:?}");
    }
    let killed: BTreeSet<u64> = events
        .iter()
        .filter(|event| event["args"]["exit_code"].as_i64().is_some_and(|code| code < 0))
        .map(|event| event["args"]["pid"].as_u64().unwrap())
        .collect();
    for ((pid, tid), track) in tracks {
        let written: Vec<f64> = track
            .iter()
            .filter(|e| ["B", "E", "X", "i"].contains(&e["ph"].as_str().unwrap()))
            .map(|e| number(e, "ts"))
            .collect();
        assert!(written.is_sorted(), "the time of track {pid}/{tid} goes back");
        // Arrows are written when both ends are known; who reads the file puts them in their place, as here.
        let mut sorted = track.clone();
        sorted.sort_by(|one, other| number(one, "ts").total_cmp(&number(other, "ts")));
        let (mut open, mut held) = (0, BTreeSet::new());
        for event in sorted {
            match event["ph"].as_str().unwrap() {
                "B" => open += 1,
                "E" => {
                    assert!(open > 0, "an end without a beginning on {pid}/{tid}: {event}");
                    open -= 1;
                }
                "s" | "f" | "X" => assert!(open > 0, "in no slice of {pid}/{tid}: {event}"),
                "b" => assert!(held.insert(event["id2"]["local"].as_str()), "held twice: {event}"),
                "e" => assert!(held.remove(&event["id2"]["local"].as_str()), "given back and not held: {event}"),
                _ => {}
            }
        }
        assert!(open == 0 || !is_whole || killed.contains(&pid), "{open} slices of {pid}/{tid} have no end");
    }
}
