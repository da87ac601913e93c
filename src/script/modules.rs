//! `import`: modules beside the script that imports them, and in the folders of the search path.
//!
//! A module is loaded once in a program, by the task that imports it first; others that want it meanwhile wait for that.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{
    Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, NativeCallContext, Position, Scope, Shared,
};

use super::host::{host, mark};
use super::report;
use super::source::Source;
use super::throw::{Outcome, Problem, Thrown, call};
use crate::kernel::object::held_outside;
use crate::kernel::task::TaskId;
use crate::kernel::{Waitable, current};
use crate::sync::Lock;

/// See the module.
#[derive(Default)]
pub struct Resolver {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: BTreeMap<PathBuf, Shared<Module>>,
    /// In the order in which they began.
    loading: Vec<Loading>,
}

/// A module that is being loaded.
struct Loading {
    path: PathBuf,
    name: String,
    by: TaskId,
    /// Held until it is loaded.
    lock: Arc<Lock>,
}

/// What is to be done about a module.
enum Step {
    Loaded(Shared<Module>),
    Circle(String),
    WaitFor(Arc<Lock>),
    Load,
}

/// What became of the wait for it.
enum Begun {
    Loaded(Shared<Module>),
    Circle(String),
    Load(Arc<Lock>),
}

impl State {
    fn step(&self, path: &Path, name: &str, me: TaskId) -> Step {
        if let Some(module) = self.loaded.get(path) {
            return Step::Loaded(module.clone());
        }
        match self.loading.iter().position(|loading| loading.path == path) {
            None => Step::Load,
            Some(at) if self.loading[at].by == me => {
                let mine = self.loading[at..].iter().filter(|loading| loading.by == me);
                let chain: Vec<&str> = mine.map(|loading| loading.name.as_str()).chain([name]).collect();
                Step::Circle(chain.join(" imports "))
            }
            Some(at) => Step::WaitFor(self.loading[at].lock.clone()),
        }
    }
}

impl Resolver {
    fn load(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        scope: &mut Scope,
        name: &str,
        position: Position,
    ) -> Outcome<Shared<Module>> {
        let from = global.source.clone();
        let problem = |kind: &str, message: String| Problem::at(from.as_deref(), position, kind, message).thrown();
        let (path, text) = find(from.as_deref(), name, &problem)?;
        let lock = {
            let ctx = NativeCallContext::new_with_all_fields(engine, "import", from.as_deref(), global, position);
            mark(&ctx);
            match self.begin(&ctx, &path, name)? {
                Begun::Loaded(module) => return Ok(module),
                Begun::Load(lock) => lock,
                Begun::Circle(chain) => {
                    return Err(problem("ValueError", format!("module {name:?} imports itself: {chain}")));
                }
            }
        };
        let module = compile(engine, global, scope, &path, &text, position);
        let mut state = self.state.lock();
        state.loading.retain(|loading| !Arc::ptr_eq(&loading.lock, &lock));
        if let Ok(module) = &module {
            state.loaded.insert(path, module.clone());
        }
        drop(state);
        // It was taken by this task, and is known to nobody who could have given it back.
        let _released = lock.release();
        module
    }

    /// Waits until nobody else loads it. Who is to load it holds the lock.
    fn begin(&self, ctx: &NativeCallContext, path: &Path, name: &str) -> Outcome<Begun> {
        let me = current().id();
        loop {
            let step = self.state.lock().step(path, name, me);
            match step {
                Step::Loaded(module) => return Ok(Begun::Loaded(module)),
                Step::Circle(chain) => return Ok(Begun::Circle(chain)),
                Step::WaitFor(lock) => {
                    call(ctx, || lock.acquire(None))?;
                    call(ctx, || lock.release())?;
                }
                Step::Load => {
                    let lock = Lock::new();
                    lock.core().set_name(&format!("import of {name}"));
                    call(ctx, || lock.try_acquire())?;
                    let mut state = self.state.lock();
                    if let Step::Load = state.step(path, name, me) {
                        let loading = Loading { path: path.into(), name: name.into(), by: me, lock: lock.clone() };
                        state.loading.push(loading);
                        return Ok(Begun::Load(lock));
                    }
                    // Somebody else has begun meanwhile.
                    drop(state);
                    call(ctx, || lock.release())?;
                }
            }
        }
    }
}

/// The file of a module, and its text.
fn find(from: Option<&str>, name: &str, problem: &impl Fn(&str, String) -> Thrown) -> Outcome<(PathBuf, String)> {
    let candidates = candidates(from, name, &host().origin().path);
    for path in &candidates {
        if let Some(source) = host().given(&path.display().to_string()) {
            return Ok((path.clone(), source.original().to_string()));
        }
        let refused = match std::fs::read(Path::new(&host().origin().folder).join(path)).map(String::from_utf8) {
            Ok(Ok(text)) => return Ok((path.clone(), text)),
            Ok(Err(error)) => {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                problem("ValueError", format!("module {} is not valid UTF-8 (line {line})", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => problem("IoError", format!("cannot read module {}: {error}", path.display())),
        };
        return Err(refused);
    }
    let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    Err(problem("NotFound", format!("there is no module {name:?}: looked for {}", looked.join(", "))))
}

/// Where a module may lie: beside the script that imports it; then, unless its name says from where it goes, in the
/// folders of the search path.
fn candidates(script: Option<&str>, name: &str, path: &[String]) -> Vec<PathBuf> {
    let file = |folder: &Path| {
        let parts = folder.join(name);
        let mut file: PathBuf = parts.components().filter(|part| *part != Component::CurDir).collect();
        if file.extension().is_none() {
            file.set_extension("rhai");
        }
        file
    };
    let beside = Path::new(script.unwrap_or("")).parent().unwrap_or(Path::new(""));
    let says_where = ["/", "./", "../"].iter().any(|begin| name.starts_with(begin));
    let folders = path.iter().filter(|_| !says_where).map(|folder| file(Path::new(folder)));
    std::iter::once(file(beside)).chain(folders).collect()
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Outcome<Shared<Module>> {
        let mut global = engine.new_global_runtime_state();
        global.source = source.map(Into::into);
        self.load(engine, &mut global, &mut Scope::new(), path, position)
    }

    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        scope: &mut Scope,
        path: &str,
        position: Position,
    ) -> Outcome<Shared<Module>> {
        self.load(engine, global, scope, path, position)
    }
}

fn compile(
    engine: &Engine,
    global: &mut GlobalRuntimeState,
    scope: &mut Scope,
    path: &Path,
    text: &str,
    position: Position,
) -> Outcome<Shared<Module>> {
    let name = path.display().to_string();
    let source = Arc::new(Source::prepare(text));
    host().add_source(&name, source.clone());
    let in_module = |error: Box<EvalAltResult>| -> Box<EvalAltResult> {
        EvalAltResult::ErrorInModule(name.clone(), error, position).into()
    };
    let mut ast = engine.compile(source.rewritten()).map_err(|error| {
        let place = error.position();
        in_module(Problem::at(Some(&name), place, "ErrorParsing", report::complaint(&source, &error).message).thrown())
    })?;
    ast.set_source(&name);
    host().add_functions(&ast);
    let mut inner = Scope::new();
    std::mem::swap(scope, &mut inner);
    // What a module defines is reached by all who import it, and by their threads.
    let module = held_outside(|| Module::eval_ast_as_new_raw(engine, scope, global, &ast));
    std::mem::swap(scope, &mut inner);
    module.map(Into::into).map_err(in_module)
}
