//! Closures that would lose what they write.
//!
//! A closure that runs in another task has copies of the variables it captured. If it assigns to one of them, or calls a
//! method that changes one in place, that change would vanish. So the closure is looked at when it is handed over, and
//! refused with `CaptureError`, which names the variable and the line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{AST, ASTNode, Array, Dynamic, Expr, FnPtr, Map, Module, NativeCallContext, Position, ScriptFuncDef, Stmt};

use super::handles::is_handle;
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

/// How a captured variable is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    /// `v = …`, `v += …`: lost whatever `v` is.
    Whole,
    /// `v.k = …`, `v[i] = …`, `v.push(…)`: lost unless `v` is a handle.
    Inside,
}

struct Finding {
    write: Write,
    position: Position,
}

/// What a function writes, by variable: the first place of each.
type Findings = BTreeMap<String, Finding>;

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
        let Some(finding) = findings.get(name.as_str()) else {
            continue;
        };
        if finding.write == Write::Whole || !is_handle(value) {
            return Err(refusal(ctx, name, value, finding));
        }
    }
    Ok(())
}

fn refusal(ctx: &NativeCallContext, name: &str, value: &Dynamic, finding: &Finding) -> super::throw::Thrown {
    let line = finding.position.line().unwrap_or(0);
    let what = match finding.write {
        Write::Whole => "assigns to",
        Write::Inside => "changes",
    };
    let value = value.flatten_clone();
    let instead = if is_handle(&value) {
        format!("it is shared as it is: change what it holds, as with {name}.value = …, or wrap it: Value({name})")
    } else if finding.write == Write::Inside && value.is_array() {
        format!("share it, before the closure: let {name} = SharedList({name})")
    } else if finding.write == Write::Inside && value.is_map() {
        format!("share it, before the closure: let {name} = SharedMap({name})")
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
    static KNOWN: Mutex<BTreeMap<usize, (Arc<ScriptFuncDef>, Arc<Findings>)>> = Mutex::new(BTreeMap::new());
    // The definition is kept with what was found, so its address stays its own.
    let key = Arc::as_ptr(definition) as usize;
    if let Some((_, findings)) = KNOWN.lock().get(&key) {
        return findings.clone();
    }
    let findings = Arc::new(search(ctx, definition, 0));
    KNOWN.lock().insert(key, (definition.clone(), findings.clone()));
    findings
}

/// Closures nest only as deep as their author wrote them.
const DEEPEST: usize = 20;

fn search(ctx: &NativeCallContext, definition: &Arc<ScriptFuncDef>, depth: usize) -> Findings {
    let mut findings = Findings::new();
    let mut local = BTreeSet::new();
    let mut inner = Vec::new();
    body_of(definition).walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Stmt(statement)) => note_statement(statement, &mut findings, &mut local),
            Some(ASTNode::Expr(expression)) => note_expression(expression, &mut findings, &mut inner),
            _ => {}
        }
        true
    });
    if depth < DEEPEST {
        for definition in inner.iter().filter_map(|name| self::definition(ctx, name)) {
            // A closure in the closure captures under the same names.
            for (name, finding) in search(ctx, &definition, depth + 1) {
                findings.entry(name).or_insert(finding);
            }
        }
    }
    findings.retain(|name, _| !local.contains(name) && definition.params.iter().any(|p| p == name));
    findings
}

/// Rhai shows the statements of a function only as part of a script: so this makes one of it alone.
fn body_of(definition: &Arc<ScriptFuncDef>) -> AST {
    let mut module = Module::new();
    module.set_script_fn(definition.clone());
    AST::new_from_module(module)
}

fn note_statement(statement: &Stmt, findings: &mut Findings, local: &mut BTreeSet<String>) {
    match statement {
        // A variable of its own with this name: it is taken to be the one that is written.
        Stmt::Var(definition, ..) => drop(local.insert(definition.0.name.to_string())),
        Stmt::Assignment(assignment) => note(&assignment.1.lhs, false, findings),
        _ => {}
    }
}

fn note_expression(expression: &Expr, findings: &mut Findings, inner: &mut Vec<String>) {
    match expression {
        Expr::DynamicConstant(value, _) => {
            if let Some(function) = value.read_lock::<FnPtr>()
                && function.is_anonymous()
            {
                inner.push(function.fn_name().to_string());
            }
        }
        Expr::Dot(chain, ..) if ends_in_change(&chain.rhs) => note(expression, true, findings),
        Expr::Index(chain, ..) if ends_in_change(&chain.rhs) => note(expression, true, findings),
        _ => {}
    }
}

fn ends_in_change(mut expression: &Expr) -> bool {
    loop {
        match expression {
            Expr::Dot(chain, ..) | Expr::Index(chain, ..) => expression = &chain.rhs,
            Expr::MethodCall(call, _) => return CHANGING.contains(&call.name.as_str()),
            _ => return false,
        }
    }
}

/// The variable at the root of what is written.
fn note(target: &Expr, inside: bool, findings: &mut Findings) {
    let (root, inside) = match target {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => (&chain.lhs, true),
        other => (other, inside),
    };
    if let Expr::Variable(variable, _, position) = root {
        let write = if inside { Write::Inside } else { Write::Whole };
        findings.entry(variable.1.to_string()).or_insert(Finding { write, position: *position });
    }
}
