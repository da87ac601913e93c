//! Closures that would lose what they write.
//!
//! A closure that runs in another task has copies of the variables it captured. If it assigns to one of them, or calls a
//! method that changes one in place, that change would vanish. So the closure is looked at when it is handed over, and
//! refused with `CaptureError`, which names the variable and the line.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{
    AST, ASTFlags, ASTNode, Array, Dynamic, Expr, FnCallExpr, FnPtr, Map, Module, NativeCallContext, Position,
    ScriptFuncDef, Stmt,
};

use super::handles::is_handle;
use super::local::Local;
use super::throw::{Outcome, Problem};

/// Methods of Rhai's own types that change the value they are called on (arrays, blobs, maps, strings).
const CHANGING: &[&str] = &[
    "append",
    "chop",
    "clear",
    "crop",
    "dedup",
    "drain",
    "extract_mut",
    "fill_with",
    "insert",
    "make_lower",
    "make_upper",
    "mixin",
    "pad",
    "pop",
    "push",
    "remove",
    "replace",
    "retain",
    "reverse",
    "set",
    "set_bit",
    "set_bits",
    "set_tag",
    "shift",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "trim",
    "truncate",
    "write_be",
    "write_le",
    "write_utf8",
    "write_ascii",
];

/// Functions that change their first argument only if that is an array or a blob.
const CHANGING_LISTS: &[&str] = &["split"];

/// One step from a variable towards what is written inside.
#[derive(Clone)]
enum Step {
    /// `.name`
    Field(String),
    /// `[3]`
    At(i64),
    /// `[…]`: which item is known only when it runs.
    Item,
}

/// How a captured variable is written.
enum Write {
    /// `v = …`, `v += …`: lost whatever `v` is.
    Whole,
    /// `v.k = …`, `v[i] = …`, `v.push(…)`: lost unless `v`, or something on the way from it, is a handle.
    Inside {
        /// The way to what is changed.
        steps: Vec<Step>,
        /// True when strings do not mind.
        lists_only: bool,
    },
}

struct Finding {
    name: String,
    write: Write,
    position: Position,
    /// The statements and expressions around it.
    around: Vec<usize>,
}

/// What a function writes.
type Findings = Vec<Finding>;

/// What was found in which function, by the address of its definition, which is kept too.
type Known = BTreeMap<usize, (Arc<ScriptFuncDef>, Arc<Findings>)>;

/// Refuses closures in `value` (also within arrays, maps and other closures) that write what they captured.
///
/// # Errors
/// `CaptureError`.
pub fn check(ctx: &NativeCallContext, value: &Dynamic) -> Outcome<()> {
    if let Some(function) = value.read_lock::<FnPtr>() {
        if function.is_curried() && function.is_anonymous() {
            check_closure(ctx, &function)?;
        }
        return function.iter_curry().try_for_each(|captured| check(ctx, captured));
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().try_for_each(|item| check(ctx, item));
    }
    if let Some(fields) = value.read_lock::<Map>() {
        return fields.values().try_for_each(|field| check(ctx, field));
    }
    Ok(())
}

fn check_closure(ctx: &NativeCallContext, function: &FnPtr) -> Outcome<()> {
    let Some(definition) = definition(ctx, function.fn_name()) else {
        return Ok(());
    };
    let findings = findings(ctx, &definition);
    for (name, value) in definition.params.iter().zip(function.curry()) {
        if let Some(finding) = findings.iter().find(|f| f.name == name.as_str() && f.is_lost(value)) {
            return Err(refusal(ctx, name, value, finding));
        }
    }
    Ok(())
}

impl Finding {
    /// True when a write to a captured variable that has this value now is lost.
    fn is_lost(&self, value: &Dynamic) -> bool {
        match &self.write {
            Write::Whole => true,
            Write::Inside { lists_only: true, .. } if value.is_string() => false,
            Write::Inside { steps, .. } => !leads_to_handle(value, steps),
        }
    }
}

/// What lies behind a handle is shared, so nothing that happens there is lost.
fn leads_to_handle(value: &Dynamic, steps: &[Step]) -> bool {
    if is_shared_by_tasks(value) {
        return true;
    }
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    if let Some(fields) = value.read_lock::<Map>() {
        return match step {
            Step::Field(name) => fields.get(name.as_str()).is_some_and(|field| leads_to_handle(field, rest)),
            Step::At(_) | Step::Item => fields.values().any(|field| leads_to_handle(field, rest)),
        };
    }
    let Some(items) = value.read_lock::<Array>() else {
        return false;
    };
    match step {
        Step::At(at) if *at >= 0 => {
            usize::try_from(*at).ok().and_then(|at| items.get(at)).is_some_and(|item| leads_to_handle(item, rest))
        }
        _ => items.iter().any(|item| leads_to_handle(item, rest)),
    }
}

/// A handle, or a `Local`, of which every copy means the same too.
fn is_shared_by_tasks(value: &Dynamic) -> bool {
    is_handle(value) || value.is::<Local>()
}

fn refusal(ctx: &NativeCallContext, name: &str, value: &Dynamic, finding: &Finding) -> super::throw::Thrown {
    let line = finding.position.line().unwrap_or(0);
    let what = match finding.write {
        Write::Whole => "assigns to",
        Write::Inside { .. } => "changes",
    };
    let value = value.flatten_clone();
    let inside = matches!(finding.write, Write::Inside { .. });
    let instead = if is_handle(&value) {
        format!("it is shared as it is: change what it holds, as with {name}.value = …, or wrap it: Value({name})")
    } else if inside && value.is_array() {
        format!("share it, before the closure: let {name} = SharedList({name}), or Value({name})")
    } else if inside && value.is_map() {
        format!("share it, before the closure: let {name} = SharedMap({name}), or Value({name})")
    } else {
        format!("share it, before the closure: let {name} = Value({name}), and use {name}.value")
    };
    let message = format!(
        "this closure {what} {name:?} (line {line}), which it captured: it will run with a copy, and the change would \
         be lost; {instead}"
    );
    Problem::new(ctx, "CaptureError", message)
        .with("variable", name.to_string())
        .with("assigned_at", i64::try_from(line).unwrap_or(0))
        .thrown()
}

fn definition(ctx: &NativeCallContext, name: &str) -> Option<Arc<ScriptFuncDef>> {
    ctx.iter_namespaces().find_map(|module| {
        module.iter_script_fn_info().find(|(_, _, n, _, _)| *n == name).map(|(_, _, _, _, def)| def.clone())
    })
}

fn findings(ctx: &NativeCallContext, definition: &Arc<ScriptFuncDef>) -> Arc<Findings> {
    static KNOWN: Mutex<Known> = Mutex::new(Known::new());
    // The definition is kept with what was found, so its address stays its own.
    let key = Arc::as_ptr(definition) as usize;
    if let Some((_, findings)) = KNOWN.lock().get(&key) {
        return findings.clone();
    }
    let findings = Arc::new(search(ctx, definition, &mut Vec::new()));
    KNOWN.lock().insert(key, (definition.clone(), findings.clone()));
    findings
}

/// Closures and calls of methods nest only as deep as their author wrote them.
const DEEPEST: usize = 20;

/// The name under which a method writes the value it is called on.
const THIS: &str = "this";

/// What a function writes; `through` are the functions that led here.
fn search(ctx: &NativeCallContext, definition: &Arc<ScriptFuncDef>, through: &mut Vec<usize>) -> Findings {
    let key = Arc::as_ptr(definition) as usize;
    if through.len() > DEEPEST || through.contains(&key) {
        return Findings::new();
    }
    through.push(key);
    let mut found = Found::default();
    body_of(definition).walk(&mut |path: &[ASTNode]| {
        let around: Vec<usize> = path.iter().rev().skip(1).map(address).collect();
        match path.last() {
            // The script's own function of this name is given copies.
            Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)))
                if methods_named(ctx, &call.name, call.args.len()).is_empty() =>
            {
                found.note_call(call, around);
            }
            Some(ASTNode::Stmt(statement)) => found.note_statement(statement, around),
            Some(ASTNode::Expr(Expr::Dot(..) | Expr::Index(..))) if goes_on(path) => {}
            Some(ASTNode::Expr(expression)) => found.note_expression(expression, around),
            _ => {}
        }
        true
    });
    let Found { mut findings, locals, inner, methods } = found;
    for (name, around) in inner {
        if let Some(definition) = self::definition(ctx, &name) {
            // A closure in the closure captures under the same names, but for its own `this`.
            let inside = search(ctx, &definition, through).into_iter().filter(|f| f.name != THIS);
            findings.extend(inside.map(|f| Finding { around: around.clone(), ..f }));
        }
    }
    for call in methods {
        for method in methods_named(ctx, &call.method, call.arguments) {
            let written = search(ctx, &method, through).into_iter().filter(|f| f.name == THIS);
            findings.extend(written.map(|f| call.finding(f.write)));
        }
    }
    through.pop();
    let known = |name: &str| name == THIS || definition.params.iter().any(|p| p == name);
    findings.retain(|f| known(&f.name) && !locals.iter().any(|local| local.is_written_by(f)));
    findings
}

/// The script's functions that this call of a method may mean.
fn methods_named(ctx: &NativeCallContext, name: &str, arguments: usize) -> Vec<Arc<ScriptFuncDef>> {
    let all = ctx.iter_namespaces().flat_map(|module| module.iter_script_fn_info());
    all.filter(|(_, _, n, count, _)| *n == name && *count == arguments).map(|(.., def)| def.clone()).collect()
}

/// A call of a method that a script may define, and there write to `this`.
struct MethodCall {
    root: String,
    steps: Vec<Step>,
    method: String,
    arguments: usize,
    position: Position,
    around: Vec<usize>,
}

impl MethodCall {
    /// What a write to `this` means for the variable the method is called on.
    fn finding(&self, write: Write) -> Finding {
        let mut steps = self.steps.clone();
        let write = match write {
            Write::Inside { steps: further, lists_only } => {
                steps.extend(further);
                Write::Inside { steps, lists_only }
            }
            Write::Whole if steps.pop().is_none() => Write::Whole,
            Write::Whole => Write::Inside { steps, lists_only: false },
        };
        Finding { name: self.root.clone(), write, position: self.position, around: self.around.clone() }
    }
}

fn address(node: &ASTNode) -> usize {
    match node {
        ASTNode::Stmt(statement) => std::ptr::from_ref(*statement) as usize,
        ASTNode::Expr(expression) => std::ptr::from_ref(*expression) as usize,
        _ => 0,
    }
}

/// Rhai shows the statements of a function only as part of a script: so this makes one of it alone.
pub(super) fn body_of(definition: &Arc<ScriptFuncDef>) -> AST {
    let mut module = Module::new();
    module.set_script_fn(definition.clone());
    AST::new_from_module(module)
}

/// A variable of the function's own.
struct Own {
    name: String,
    position: Position,
    /// The block in which it is known, `None` for the whole function.
    block: Option<usize>,
}

impl Own {
    /// True when this variable, not a captured one of the same name, is what is written.
    fn is_written_by(&self, finding: &Finding) -> bool {
        let order = |p: Position| (p.line(), p.position());
        self.name == finding.name
            && order(self.position) <= order(finding.position)
            && self.block.is_none_or(|block| finding.around.contains(&block))
    }
}

/// What a walk through a function finds.
#[derive(Default)]
struct Found {
    findings: Findings,
    locals: Vec<Own>,
    /// The closures made in it.
    inner: Vec<(String, Vec<usize>)>,
    methods: Vec<MethodCall>,
}

impl Found {
    fn note_statement(&mut self, statement: &Stmt, around: Vec<usize>) {
        let here = std::ptr::from_ref(statement) as usize;
        let mut own = |name: &str, position, block| self.locals.push(Own { name: name.to_string(), position, block });
        match statement {
            Stmt::Var(definition, _, position) => own(&definition.0.name, *position, around.first().copied()),
            Stmt::For(parts, position) => {
                own(&parts.0.name, *position, Some(here));
                if let Some(counter) = &parts.1 {
                    own(&counter.name, *position, Some(here));
                }
            }
            Stmt::Assignment(assignment) => self.note_assignment(&assignment.1.lhs, around),
            _ => {}
        }
    }

    fn note_expression(&mut self, expression: &Expr, around: Vec<usize>) {
        match expression {
            Expr::DynamicConstant(value, _) => {
                if let Some(function) = value.read_lock::<FnPtr>()
                    && function.is_anonymous()
                {
                    self.inner.push((function.fn_name().to_string(), around));
                }
            }
            Expr::Dot(..) | Expr::Index(..) => self.note_method(expression, around),
            _ => {}
        }
    }

    /// `target = …`
    fn note_assignment(&mut self, target: &Expr, around: Vec<usize>) {
        let Way { root, mut steps, method: None, .. } = way(target) else {
            return;
        };
        let write = match steps.pop() {
            None => Write::Whole,
            Some(_) => Write::Inside { steps, lists_only: false },
        };
        self.note(root, write, around);
    }

    /// `target.method(…)`
    fn note_method(&mut self, expression: &Expr, around: Vec<usize>) {
        let Way { root, steps, method: Some((method, arguments)) } = way(expression) else {
            return;
        };
        let lists_only = CHANGING_LISTS.contains(&method);
        if lists_only || CHANGING.contains(&method) {
            self.note(root, Write::Inside { steps, lists_only }, around);
        } else if let Some((root, position)) = variable(root) {
            let (root, method) = (root.to_string(), method.to_string());
            self.methods.push(MethodCall { root, steps, method, arguments, position, around });
        }
    }

    /// `function(target, …)`, which changes its first argument as the method does. A function of a module
    /// (`fs::remove(target)`) is another one, which changes nothing.
    fn note_call(&mut self, call: &FnCallExpr, around: Vec<usize>) {
        let name = call.name.as_str();
        let lists_only = CHANGING_LISTS.contains(&name);
        if let Some(root) = call.args.first()
            && !call.is_qualified()
            && (lists_only || CHANGING.contains(&name))
        {
            self.note(root, Write::Inside { steps: Vec::new(), lists_only }, around);
        }
    }

    fn note(&mut self, root: &Expr, write: Write, around: Vec<usize>) {
        if let Some((name, position)) = variable(root) {
            self.findings.push(Finding { name: name.to_string(), write, position, around });
        }
    }
}

/// The name of a variable, `this` among them.
fn variable(expression: &Expr) -> Option<(&str, Position)> {
    match expression {
        Expr::Variable(variable, _, position) => Some((&variable.1, *position)),
        Expr::ThisPtr(position) => Some((THIS, *position)),
        _ => None,
    }
}

/// A chain as far as its first method, which is called on what lies there; what follows works on what it returns.
struct Way<'a> {
    root: &'a Expr,
    steps: Vec<Step>,
    /// Its name and how many arguments it is given.
    method: Option<(&'a str, usize)>,
}

fn way(chain: &Expr) -> Way<'_> {
    let mut way = Way { root: chain, steps: Vec::new(), method: None };
    let mut at = chain;
    let mut by_dot = None;
    // In `a[b.c()]` the chain ends with the index, though what stands there has the shape of `a[b].c()`.
    let mut ended = false;
    loop {
        let (step, rest, dot) = match at {
            Expr::Dot(parts, flags, _) if !ended => (&parts.lhs, Some((&parts.rhs, *flags)), true),
            Expr::Index(parts, flags, _) if !ended => (&parts.lhs, Some((&parts.rhs, *flags)), false),
            last => (last, None, false),
        };
        match (by_dot, step) {
            (None, root) => way.root = root,
            (Some(true), Expr::MethodCall(call, _)) => {
                way.method = Some((&call.name, call.args.len()));
                return way;
            }
            (Some(true), Expr::Property(property, _)) => way.steps.push(Step::Field(property.2.to_string())),
            (_, Expr::StringConstant(name, _)) => way.steps.push(Step::Field(name.to_string())),
            (_, Expr::IntegerConstant(at, _)) => way.steps.push(Step::At(*at)),
            _ => way.steps.push(Step::Item),
        }
        let Some((rest, flags)) = rest else {
            return way;
        };
        (at, by_dot, ended) = (rest, Some(dot), flags.contains(ASTFlags::BREAK));
    }
}

/// True for what goes on with the chain around it: `b.c()` in `a[b].c()`, where `b` is an index.
fn goes_on(path: &[ASTNode]) -> bool {
    let [.., ASTNode::Expr(Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _)), ASTNode::Expr(here)] = path
    else {
        return false;
    };
    !flags.contains(ASTFlags::BREAK) && std::ptr::eq(&raw const parts.rhs, *here)
}
