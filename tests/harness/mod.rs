//! Runs the text of a script in this process and tells what became of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use orch::kernel::{Kernel, Setup};
use orch::observe::dump;
use orch::script::{Host, Output, run};
use parking_lot::Mutex;

/// No script of the tests takes longer, even on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What became of a script.
#[derive(Debug)]
pub struct Ran {
    /// What it printed.
    pub out: String,
    /// What orch said.
    pub err: String,
    /// The program's exit status.
    pub status: i32,
}

/// The name under which the scripts run, which is where they look for modules.
const NAME: &str = "tests/harness/script.rhai";

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<(String, String)>>);

impl Output for Kept {
    fn print(&self, text: &str) -> io::Result<()> {
        self.0.lock().0.push_str(text);
        Ok(())
    }

    fn say(&self, text: &str) {
        self.0.lock().1.push_str(text);
    }
}

/// Runs a script in a world.
pub fn run_in(setup: Setup, text: &str) -> Ran {
    let kernel = Kernel::new(setup);
    let kept = Kept::default();
    let host = Host::new(kernel.clone(), Box::new(kept.clone()), Vec::new());
    let script = run::Script { name: NAME.into(), text: text.into() };
    let status = match run::parse(&host, &script) {
        Err(report) => {
            host.say(&report);
            1
        }
        Ok(ast) => {
            run::start(&host, ast, false, || {}).expect("a thread can be started");
            kernel.wait_exit(Some(WATCHDOG)).unwrap_or_else(|| {
                panic!("the script hangs:\n{text}\nit printed: {:?}\n{}", kept.0.lock(), dump::text(&kernel))
            })
        }
    };
    let (out, err) = kept.0.lock().clone();
    Ran { out, err: err.replace(NAME, "script"), status }
}

/// Runs a script in simulated time; it must end well and say nothing. What it printed.
pub fn sim(text: &str) -> String {
    let ran = run_in(Setup::Sim { seed: 0 }, text);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "of this script:\n{text}\nwhich printed:\n{}", ran.out);
    ran.out
}
