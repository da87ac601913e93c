//! Many calls of one function, one after the other in one task: what Rhai makes anew for each call from outside is made once.
//!
//! A call from outside copies the surroundings of the function, looks the function up and begins without anything known. Here
//! all calls of a series have one copy, and the statements of the function are run in it as Rhai itself would run them. Only
//! calls that are sure to be of one function of one script go that way; the others are made one by one.

use std::sync::Arc;

use rhai::{
    ASTNode, Caches, Dynamic, EvalAltResult, EvalContext, Expr, GlobalRuntimeState, Scope, ScriptFuncDef, StmtBlock,
};

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
    pub fn of(callable: &'a Callable, calls: &[Vec<Dynamic>]) -> Series<'a> {
        let many = calls.first().filter(|_| calls.len() >= MANY);
        let definition = many.and_then(|args| definition(callable, args.len()));
        Series { callable, shared: definition.map(|definition| Shared::new(callable, definition)) }
    }

    /// The next call.
    ///
    /// # Errors
    /// Those of the function.
    pub fn call(&mut self, args: Vec<Dynamic>) -> Outcome<Dynamic> {
        let captured = self.callable.pointer().curry();
        match &mut self.shared {
            Some(shared) if shared.definition.params.len() == captured.len() + args.len() => {
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
    fn call(&mut self, captured: &[Dynamic], args: Vec<Dynamic>) -> Outcome<Dynamic> {
        let Shared { host, global, caches, scope, definition, body } = self;
        scope.rewind(0);
        scope.extend(definition.params.iter().cloned().zip(captured.iter().cloned().chain(args)));
        let mut context = EvalContext::new(host.engine(), global, caches, scope, None);
        #[expect(deprecated, reason = "Rhai marks it as volatile; the version is pinned")]
        let result = context.eval_expression_tree_raw(&(&*body).into(), true);
        scope.rewind(0);
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
