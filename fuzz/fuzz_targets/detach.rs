//! Values on their way to another task: built from the input, with shared cells and closures in them, also ones that hold
//! themselves. What comes out has no cell of the first task, or it nested too deep.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use orch::kernel::{Holder, Kernel, Setup};
use orch::script::host::run_in;
use orch::script::iterate::Place;
use orch::script::parcel::detach;
use orch::script::{Host, Output};
use rhai::{Array, Dynamic, FnPtr, Map};

struct Nowhere;

impl Output for Nowhere {
    fn print(&self, _text: &str) -> std::io::Result<()> {
        Ok(())
    }

    fn say(&self, _text: &str) {}
}

fn host() -> &'static Arc<Host> {
    static HOST: OnceLock<Arc<Host>> = OnceLock::new();
    HOST.get_or_init(|| Host::new(Kernel::new(Setup::Real), Box::new(Nowhere), Vec::new()))
}

/// A value, by instructions for a stack.
fn build(input: &[u8]) -> Dynamic {
    let mut stack: Vec<Dynamic> = Vec::new();
    // A cell that is there twice is copied twice: so many times doubled is enough.
    let mut doublings = 0;
    for (i, byte) in input.iter().enumerate() {
        let top = |stack: &mut Vec<Dynamic>| stack.pop().unwrap_or_default();
        let made = match byte % 10 {
            0 => Dynamic::from(i as i64),
            1 => Dynamic::from("text"),
            2 => Dynamic::from_blob(vec![*byte; 3]),
            3 => Dynamic::from(Array::from([top(&mut stack)])),
            4 => {
                let (one, other) = (top(&mut stack), top(&mut stack));
                Dynamic::from(Array::from([one, other]))
            }
            5 => Dynamic::from(Map::from([("field".into(), top(&mut stack))])),
            6 => top(&mut stack).into_shared(),
            // The same cell once more.
            7 if doublings < 10 => {
                doublings += 1;
                stack.last().cloned().unwrap_or_default()
            }
            7 => Dynamic::UNIT,
            8 => {
                let mut function = FnPtr::new("f").expect("it is a name");
                function.set_curry([top(&mut stack)]);
                Dynamic::from(function)
            }
            _ => {
                // A cell that holds itself.
                let mut cell = Dynamic::from(Array::new()).into_shared();
                let again = cell.clone();
                if let Some(mut array) = cell.write_lock::<Array>() {
                    array.push(again);
                }
                cell
            }
        };
        stack.push(made);
        if stack.len() > 64 {
            break;
        }
    }
    stack.pop().unwrap_or_default()
}

fn has_a_cell(value: &Dynamic) -> bool {
    if value.is_shared() {
        return true;
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().any(has_a_cell);
    }
    if let Some(fields) = value.read_lock::<Map>() {
        return fields.values().any(has_a_cell);
    }
    value.read_lock::<FnPtr>().is_some_and(|function| function.iter_curry().any(has_a_cell))
}

fuzz_target!(|input: &[u8]| {
    run_in(host(), || {
        let value = build(&input[..input.len().min(400)]);
        let detached = Place::of_loop("detach").call(|ctx| detach(ctx, value, &Holder::Outside));
        if let Ok(detached) = detached {
            assert!(!has_a_cell(&detached));
        }
    });
});
