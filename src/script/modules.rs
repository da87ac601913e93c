//! `import`: modules beside the script that imports them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared};

use super::host::host;
use super::report;
use super::source::Source;
use super::throw::{Outcome, Problem};
use crate::kernel::object::held_outside;

/// Finds modules beside the script; each is loaded once.
#[derive(Default)]
pub struct Resolver {
    loaded: Mutex<BTreeMap<PathBuf, Option<Shared<Module>>>>,
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
        let path = beside(from.as_deref(), name);
        match self.loaded.lock().get(&path) {
            Some(Some(module)) => return Ok(module.clone()),
            Some(None) => {
                return Err(problem(
                    "ValueError",
                    format!("module {name:?} imports itself, directly or through others"),
                ));
            }
            None => {}
        }
        let text = match host().given(&path.display().to_string()) {
            Some(source) => source.original().to_string(),
            None => std::fs::read_to_string(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    problem("NotFound", format!("there is no module {name:?}: looked for {}", path.display()))
                }
                _ => problem("IoError", format!("cannot read module {}: {error}", path.display())),
            })?,
        };
        self.loaded.lock().insert(path.clone(), None);
        let module = compile(engine, global, scope, &path, &text, position);
        match &module {
            Ok(module) => drop(self.loaded.lock().insert(path, Some(module.clone()))),
            Err(_) => drop(self.loaded.lock().remove(&path)),
        }
        module
    }
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

fn beside(script: Option<&str>, name: &str) -> PathBuf {
    let mut path = Path::new(script.unwrap_or("")).parent().unwrap_or(Path::new("")).join(name);
    if path.extension().is_none() {
        path.set_extension("rhai");
    }
    path
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
