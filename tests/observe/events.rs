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
/// without a beginning, and whatever Perfetto would count as an error of the trace. `is_whole`: every slice of a process
/// that ended has its end too.
#[track_caller]
pub fn check(events: &[Value], is_whole: bool) {
    let mut written: BTreeMap<Track, f64> = BTreeMap::new();
    let mut arrows: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for event in events {
        let phase = event["ph"].as_str().unwrap();
        if phase != "E" && phase != "e" {
            assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
        }
        match phase {
            "s" | "f" => arrows.entry(event["id"].as_str().unwrap()).or_default().push((phase, number(event, "ts"))),
            "B" | "E" | "X" | "i" => {
                let before = written.insert(Track::of(event), number(event, "ts"));
                assert!(before.is_none_or(|before| before <= number(event, "ts")), "the time goes back: {event}");
            }
            _ => {}
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
    for (track, open) in imported(events) {
        if let Track::Thread(pid, tid) = track {
            assert!(open == 0 || !is_whole || killed.contains(&pid), "{open} slices of {pid}/{tid} have no end");
        }
    }
}

/// A row of slices, as Perfetto makes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    Thread(u64, u64),
    Async(u64, String),
}

impl Track {
    fn of(event: &Value) -> Track {
        let pid = number(event, "pid") as u64;
        match event["id2"]["local"].as_str() {
            Some(local) => Track::Async(pid, format!("{} {local}", event["cat"])),
            None => Track::Thread(pid, number(event, "tid") as u64),
        }
    }
}

/// The slices that a reader has before it, the innermost last: when each begins, and how long it takes when that is known.
type Stack = Vec<(i64, Option<i64>)>;

/// Reads a trace as Perfetto does (`JsonTraceParser`, `SliceTracker` and `FlowTracker` of its trace processor): by time, and at
/// the same nanosecond by place in the file. Panics for what it counts in its statistics of errors; returns how many slices
/// are open at the end of each track.
#[track_caller]
fn imported(events: &[Value]) -> BTreeMap<Track, usize> {
    let mut sorted: Vec<(i64, &Value)> = events
        .iter()
        .filter(|event| event["ph"] != "M")
        .map(|event| ((number(event, "ts") * 1000.0) as i64, event))
        .collect();
    sorted.sort_by_key(|(at, _)| *at);
    let mut stacks: BTreeMap<Track, Stack> = BTreeMap::new();
    let mut flows: BTreeSet<String> = BTreeSet::new();
    for (at, event) in sorted {
        let stack = stacks.entry(Track::of(event)).or_default();
        let flow = || {
            let id = event["id"].as_str().and_then(|id| u64::from_str_radix(id.trim_start_matches("0x"), 16).ok());
            format!("{} {} {}", id.unwrap_or_else(|| panic!("flow_invalid_id: {event}")), event["cat"], event["name"])
        };
        match event["ph"].as_str().unwrap() {
            "B" | "b" => {
                close(stack, at, None, event);
                stack.push((at, None));
            }
            "E" | "e" => {
                close(stack, at, None, event);
                let open = stack.iter().rposition(|(_, lasts)| lasts.is_none());
                let open = open.unwrap_or_else(|| panic!("an end without a beginning: {event}"));
                stack[open].1 = Some(at - stack[open].0);
                if open + 1 == stack.len() {
                    stack.pop();
                }
            }
            "X" => {
                let lasts = (number(event, "dur") * 1000.0) as i64;
                assert!(lasts >= 0, "slice_negative_duration: {event}");
                close(stack, at, Some(lasts), event);
                stack.push((at, Some(lasts)));
            }
            "i" if event["s"] == "t" => {
                close(stack, at, Some(0), event);
                stack.push((at, Some(0)));
            }
            "i" => assert_eq!(event["s"], "p", "{event}"),
            "C" => assert!(event["args"].as_object().unwrap().values().all(Value::is_number), "{event}"),
            "s" => {
                assert!(!stack.is_empty(), "flow_no_enclosing_slice: {event}");
                assert!(flows.insert(flow()), "flow_duplicate_id: {event}");
            }
            "f" => {
                assert_eq!(event["bp"], "e");
                assert!(!stack.is_empty(), "flow_no_enclosing_slice: {event}");
                assert!(flows.contains(&flow()), "flow_end_without_start: {event}");
            }
            other => panic!("Perfetto does not know {other}"),
        }
        assert!(stack.len() < 512, "slice_max_depth_exceeded: {event}");
    }
    stacks
        .into_iter()
        .map(|(track, stack)| (track, stack.iter().filter(|(_, lasts)| lasts.is_none()).count()))
        .collect()
}

/// Takes from a track what has ended before something that begins now.
#[track_caller]
fn close(stack: &mut Stack, now: i64, new: Option<i64>, event: &Value) {
    let mut has_open_inside = false;
    for i in (0..stack.len()).rev() {
        let (began, Some(lasts)) = stack[i] else {
            has_open_inside = true;
            continue;
        };
        let end = began + lasts;
        if has_open_inside {
            assert!(now <= end, "misplaced_end_event: {event}");
        } else if end < now || (end == now && !(lasts == 0 && new == Some(0))) {
            stack.remove(i);
        } else if let Some(new) = new {
            assert!(now >= end || now + new <= end, "slice_drop_overlapping_complete_event: {event}");
        }
    }
}
