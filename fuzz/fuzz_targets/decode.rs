//! Encoded values: whatever comes is a value or an error; a value can be sent on, and is the same then.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use orch::kernel::{Kernel, Setup};
use orch::script::decode::decode;
use orch::script::encode::{Way, encode};
use orch::script::host::run_in;
use orch::script::luggage::Luggage;
use orch::script::{Host, Output};

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

fuzz_target!(|input: &[u8]| {
    run_in(host(), || {
        let Ok(value) = decode(input, &Luggage::default()) else {
            return;
        };
        let Ok(packed) = encode(&value, "it", Way::Inside) else {
            return;
        };
        let again = decode(&packed.bytes, &packed.luggage).expect("what was written can be read");
        assert_eq!(format!("{again:?}"), format!("{value:?}"));
    });
});
