//! Many calls of one function, one after the other in one task: what Rhai makes anew for each call from outside is made once.
//!
//! A call from outside copies the surroundings of the function, looks the function up and begins without anything known. Here
//! all calls of a series have one copy, and the statements of the function are run in it as Rhai itself would run them. Only
//! calls that are sure to be of one function of one script go that way; the others are made one by one.

use std::sync::Arc;

use rhai::{
    ASTNode, Array, Caches, Dynamic, EvalAltResult, EvalContext, Expr, GlobalRuntimeState, ImmutableString, Scope,
    ScriptFuncDef, StmtBlock,
};

use super::calls::Calls;
use super::capture::body_of;
use super::function::Callable;
use super::handler::settled;
use super::host::{Host, host};
use super::throw::{Outcome, Thrown};

/// From so many calls on it pays to copy the statements of the function.
const MANY: usize = 16;

/// See the module.
pub struct Series<'a> {
    callable: &'a Callable,
    /// `None` where the calls are made one by one.
    shared: Option<Shared>,
}

/// What the calls share.
struct Shared {
    host: Arc<Host>,
    global: GlobalRuntimeState,
    caches: Caches,
    scope: Scope<'static>,
    definition: Arc<ScriptFuncDef>,
    body: Expr,
}

impl<'a> Series<'a> {
    /// These calls of a function that was made over to the current task.
    pub fn of(callable: &'a Callable, calls: &Calls) -> Series<'a> {
        let many = calls.first_count().filter(|_| calls.len() >= MANY);
        let definition = many.and_then(|count| definition(callable, count));
        Series { callable, shared: definition.map(|definition| Shared::new(callable, definition)) }
    }

    /// All of them, in order: the results.
    ///
    /// # Errors
    /// Those of the function, the first of which ends it.
    pub fn call_all(&mut self, calls: Calls) -> Outcome<Array> {
        let mut results = Array::with_capacity(calls.len());
        match calls {
            Calls::Ones(args) => {
                for arg in args {
                    results.push(self.call([arg])?);
                }
            }
            Calls::Lists(lists) => {
                for args in lists {
                    results.push(self.call(args)?);
                }
            }
        }
        Ok(results)
    }

    /// The next call.
    fn call(
        &mut self,
        args: impl AsMut<[Dynamic]> + AsRef<[Dynamic]> + IntoIterator<Item = Dynamic>,
    ) -> Outcome<Dynamic> {
        let captured = self.callable.pointer().curry();
        match &mut self.shared {
            Some(shared) if shared.definition.params.len() == captured.len() + args.as_ref().len() => {
                shared.call(captured, args).map_err(|error| settled(shared.told(error, self.callable)))
            }
            _ => self.callable.call(args),
        }
    }
}

impl Shared {
    fn new(callable: &Callable, definition: Arc<ScriptFuncDef>) -> Shared {
        let mut statements = Vec::new();
        body_of(&definition).walk(&mut |path: &[ASTNode]| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        let (start, end) = (definition.body.start_position(), definition.body.end_position());
        let mut global = callable.global().clone();
        global.level += 1;
        Shared {
            host: host(),
            global,
            caches: Caches::new(),
            scope: Scope::new(),
            body: Expr::Stmt(StmtBlock::new(statements, start, end).into()),
            definition,
        }
    }

    /// Runs the statements, with the parameters as their variables.
    fn call(&mut self, captured: &[Dynamic], args: impl IntoIterator<Item = Dynamic>) -> Outcome<Dynamic> {
        let Shared { host, global, caches, scope, definition, body } = self;
        let params = &definition.params;
        set(scope, params, captured.iter().cloned().chain(args));
        let mut context = EvalContext::new(host.engine(), global, caches, scope, None);
        #[expect(deprecated, reason = "Rhai marks it as volatile; the version is pinned")]
        let result = context.eval_expression_tree_raw(&(&*body).into(), true);
        // Nothing is held that no call has.
        set(scope, params, params.iter().map(|_| Dynamic::UNIT));
        result.or_else(|error| match *error {
            EvalAltResult::Return(value, _) => Ok(value),
            error => Err(error.into()),
        })
    }

    /// An error of the function, as its caller hears of it.
    fn told(&self, mut error: Thrown, callable: &Callable) -> Thrown {
        if error.is_system_exception() || matches!(*error, EvalAltResult::Exit(..)) {
            error.set_position(callable.position());
            return error;
        }
        let (name, source) = (self.definition.name.to_string(), callable.source().unwrap_or_default().to_string());
        EvalAltResult::ErrorInFunctionCall(name, source, error, callable.position()).into()
    }
}

/// Gives the variables of these names, which are all there are in the scope or not there yet, their values. Their names are
/// put there once.
fn set(scope: &mut Scope, names: &[ImmutableString], values: impl Iterator<Item = Dynamic>) {
    for (name, value) in names.iter().zip(values) {
        let value = if value.is_read_only() { value.clone() } else { value };
        match scope.get_mut(name) {
            Some(variable) => *variable = value,
            None => _ = scope.push_dynamic(name.clone(), value),
        }
    }
}

/// What is called with so many arguments, if that is a function of the one script around it.
fn definition(callable: &Callable, args: usize) -> Option<Arc<ScriptFuncDef>> {
    let [library] = callable.global().lib.as_slice() else {
        return None;
    };
    if library.id() != callable.source() {
        return None;
    }
    let pointer = callable.pointer();
    let count = pointer.curry().len() + args;
    library.iter_script_fn_info().find_map(|(_, _, name, params, definition)| {
        let is_it = name == pointer.fn_name() && params == count && definition.this_type.is_none();
        is_it.then(|| definition.clone())
    })
}
