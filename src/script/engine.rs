//! The engine: Rhai with orch's vocabulary.
//!
//! This is the one seam to the evaluator. orch uses Rhai's tree walker; ARCHITECTURE.md says why not its `grain` VM.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rhai::packages::{
    BasicArrayPackage, BasicBlobPackage, BasicMapPackage, BasicMathPackage, BitFieldPackage, CorePackage, LogicPackage,
    MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, EvalContext, Module, Shared, Token};

use super::handler;
use super::throw::Ending;
use super::{api, command, far, handles, iterate, local, modules, process_pools, statements};
use crate::kernel::task::{Task, TaskId, alert, current_alerts, try_current};

/// How deep script functions may call each other. Measured to fit [`crate::kernel::threads::STACK_SIZE`] with room for
/// nested expressions in each.
pub const MAX_CALLS: usize = 800;

/// How deep expressions may nest.
const MAX_EXPRESSION: usize = 128;

/// A loop that does not listen to a cancellation is ended after so many operations.
const PATIENCE: u64 = 50_000;

/// The seed of Rhai's hashes. Fixed, so that a closure has the same name in every process.
const HASHING_SEED: [u64; 4] = [0x6f72_6368, 0x5268_6169, 0x7365_6564, 0x6669_7865];

/// A new engine. In a worker it also knows what stands in for objects of other processes.
pub fn assemble(in_worker: bool) -> Engine {
    // The first engine of the process sets it for all; that it is set already is no matter.
    let _already_set = rhai::config::hashing::set_hashing_seed(Some(HASHING_SEED));
    let mut engine = Engine::new_raw();
    register_packages(&mut engine);
    // One lock for all threads otherwise.
    engine.set_max_strings_interned(0);
    engine.set_max_call_levels(MAX_CALLS).set_max_expr_depths(MAX_EXPRESSION, MAX_EXPRESSION);
    engine.set_fast_operators(true);
    engine.on_progress(|_| look_up());
    resolve_handles(&mut engine);
    engine.set_module_resolver(modules::Resolver::default());
    statements::register(&mut engine);
    handles::name_types(&mut engine);
    engine.register_global_module(vocabulary());
    for (name, module) in modules() {
        engine.register_static_module(name, module.clone());
    }
    if in_worker {
        far::register(&mut engine, &vocabulary());
    }
    engine
}

/// orch's functions, made once for all engines of the process.
fn vocabulary() -> Shared<Module> {
    static MADE: OnceLock<Shared<Module>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let mut module = Module::new();
        module.set_id("orch");
        handles::register(&mut module);
        module.set_custom_type::<iterate::Stream>("Iterator");
        module.set_custom_type::<command::Command>("Command");
        module.set_custom_type::<command::Completed>("Completed");
        module.set_custom_type::<local::Local>("Local");
        module.set_custom_type::<api::pool::Request>("Request");
        iterate::register(&mut module);
        api::register(&mut module);
        process_pools::register(&mut module);
        module.into()
    });
    made.clone()
}

/// The modules that every script has, made once for all engines of the process.
fn modules() -> &'static BTreeMap<&'static str, Shared<Module>> {
    static MADE: OnceLock<BTreeMap<&'static str, Shared<Module>>> = OnceLock::new();
    MADE.get_or_init(api::modules)
}

/// Rhai's standard packages but for its clock, which does not know simulated time.
pub(super) fn register_packages(engine: &mut Engine) {
    for package in [
        CorePackage::new().as_shared_module(),
        BitFieldPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicBlobPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(package);
    }
}

/// A captured variable that holds a handle: its method must not run under the guard of Rhai's shared cell, or a callback
/// that looks at the same variable would fail (`rhai-notes` 3 and 4). So its value is taken out first.
fn resolve_handles(engine: &mut Engine) {
    #[expect(deprecated, reason = "Rhai marks it as volatile; the version is pinned")]
    engine.on_var(|name, index, context| Ok(captured_handle(name, index, &context)));
    #[expect(deprecated, reason = "Rhai marks it as volatile; the version is pinned")]
    engine.on_parse_token(|token, _, _| {
        if matches!(token, Token::Pipe | Token::Or) {
            CLOSURES.store(true, Ordering::Relaxed);
        }
        token
    });
}

/// Some script of this process has the bar that a closure begins with: only closures put variables into shared cells.
static CLOSURES: AtomicBool = AtomicBool::new(false);

fn captured_handle(name: &str, index: usize, context: &EvalContext) -> Option<Dynamic> {
    if !CLOSURES.load(Ordering::Relaxed) {
        return None;
    }
    let scope = context.scope();
    // Offsets count from the end, and so does the iterator.
    let value = match index.checked_sub(1) {
        Some(at) => scope.iter_raw().nth(at).map(|(_, _, value)| value),
        None => scope.get(name),
    }?;
    if !value.is_shared() {
        return None;
    }
    let value = value.flatten_clone();
    handles::is_handle(&value).then_some(value)
}

/// Called at each operation of a script. Blocking calls hear alerts by themselves; this is for loops that make none.
fn look_up() -> Option<Dynamic> {
    if current_alerts() & alert::WHILE_RUNNING == 0 {
        return None;
    }
    let task = try_current()?;
    if task.alerts() & alert::ENDED != 0 {
        return Some(Dynamic::from(Ending::Over));
    }
    if task.alerts() & alert::HANDLE != 0
        && let Err(error) = task.kernel().handling().run(&task)
    {
        task.kernel().handling().hold(&task, error.clone());
        return Some(Dynamic::from(handler::Token(error)));
    }
    if task.alerts() & alert::STOPPING == 0 || patience_left(&task) {
        return None;
    }
    if let Some(signal) = task.take_interrupt() {
        return Some(Dynamic::from(Ending::Interrupted(signal)));
    }
    task.take_cancel().then(|| Dynamic::from(Ending::Cancelled))
}

thread_local! {
    /// For which alert operations are counted, and how many there were.
    static RESTLESS: Cell<((TaskId, u64), u64)> = const { Cell::new(((TaskId(0), 0), 0)) };
}

/// A task may do some more until it comes to a blocking call, where it can catch what it hears.
fn patience_left(task: &Task) -> bool {
    let now = (task.id(), task.heard());
    let (before, count) = RESTLESS.get();
    let count = if before == now { count + 1 } else { 1 };
    RESTLESS.set((now, count));
    count < PATIENCE
}
