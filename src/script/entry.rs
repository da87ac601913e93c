//! Pieces of a script that are typed one after the other: each runs in the variables, functions and imports that those
//! before it have left, whether they came to their end or failed.
//!
//! Each is a source of its own, `repl:1`, `repl:2` …, and so are its functions a library of their own: reports name the
//! line as it was typed, and a process that is given one of the functions finds it where it finds those of a script.

use std::collections::BTreeSet;
use std::sync::Arc;

use rhai::{Caches, Dynamic, GlobalRuntimeState, ImmutableString, Module, Position, Scope, Shared};

use super::constants::Constants;
use super::handler::{Raised, settled};
use super::host::Host;
use super::report;
use super::run::{self, Script};
use super::source::{LAST, TYPED};
use super::statements::kind_of;
use super::throw::{Ending, Thrown};
use super::tokens::tokens;
use crate::kernel::current;
use crate::kernel::handling::HandlerError;

const INT: u32 = libc::SIGINT.unsigned_abs();

/// See the module.
pub struct Session {
    /// The variables, but for those that a later one of the same name has taken the place of.
    scope: Scope<'static>,
    /// Where functions come from: of two of the same name and number of parameters the later one counts.
    libraries: Vec<Shared<Module>>,
    imports: Vec<(ImmutableString, Shared<Module>)>,
    constants: Option<Constants>,
    count: usize,
    /// A terminal shows `^C` where the cursor is when an entry is interrupted.
    shows_ctrl_c: bool,
}

/// What became of an entry.
pub enum Ran {
    /// It came to its end with this value.
    Value(Dynamic),
    /// It failed, and the person at the terminal was told.
    Failed,
    /// The program is over, with this status.
    Over(i32),
}

impl Default for Session {
    fn default() -> Self {
        let mut scope = Scope::new();
        scope.push_dynamic(LAST, Dynamic::UNIT);
        Session { scope, libraries: Vec::new(), imports: Vec::new(), constants: None, count: 0, shows_ctrl_c: false }
    }
}

impl Session {
    /// Runs what was typed, in the current task.
    pub fn run(&mut self, host: &Arc<Host>, text: &str) -> Ran {
        self.count += 1;
        let name = format!("{TYPED}{}", self.count);
        self.run_as(host, name, text)
    }

    /// Runs the text of a file, in the current task.
    pub fn run_as(&mut self, host: &Arc<Host>, name: String, text: &str) -> Ran {
        let script = Script { name, text: text.to_string() };
        let ast = match run::parse(host, &script) {
            Ok(ast) => ast,
            Err(said) => {
                host.say(&said);
                host.note_status(1);
                return Ran::Failed;
            }
        };
        if !ast.shared_lib().is_empty() {
            self.libraries.retain(|library| library.id() != Some(&script.name));
            self.libraries.push(ast.shared_lib().clone());
        }
        let mut global = self.surroundings(host, &script.name);
        let engine = host.engine();
        #[expect(deprecated, reason = "Rhai marks it as volatile; the version is pinned")]
        let result = engine.eval_statements_raw(&mut global, &mut Caches::new(), &mut self.scope, ast.statements());
        self.keep(global);
        match result.map_err(settled) {
            Ok(value) => Ran::Value(value.flatten()),
            Err(error) => self.failed(host, &script.name, error),
        }
    }

    fn surroundings(&self, host: &Host, source: &str) -> GlobalRuntimeState {
        let mut global = host.engine().new_global_runtime_state();
        global.source = Some(source.into());
        self.libraries.iter().for_each(|library| global.lib.push(library.clone()));
        self.imports.iter().for_each(|(name, module)| global.push_import(name.clone(), module.clone()));
        global.constants.clone_from(&self.constants);
        global
    }

    fn keep(&mut self, global: GlobalRuntimeState) {
        self.imports.clear();
        for (name, module) in global.scan_imports_raw() {
            self.imports.retain(|(known, _)| known != name);
            self.imports.push((name.clone(), module.clone()));
        }
        self.constants = global.constants;
        self.forget_hidden();
    }

    /// What a later variable of the same name hides is gone: nobody can come to it any more, and what it holds must not
    /// look as if somebody could.
    fn forget_hidden(&mut self) {
        let mut seen = BTreeSet::new();
        if self.scope.iter_raw().all(|(name, ..)| seen.insert(name)) {
            return;
        }
        drop(seen);
        let mut entries: Vec<_> = std::mem::take(&mut self.scope).into_iter().collect();
        let mut seen = BTreeSet::new();
        // The last ones count.
        entries.reverse();
        entries.retain(|(name, ..)| seen.insert(name.clone()));
        entries.into_iter().rev().for_each(|(name, value, _)| _ = self.scope.push_dynamic(name, value));
    }

    /// Says that entries are interrupted by a key on the terminal where the reports are read.
    pub fn is_at_terminal(&mut self) {
        self.shows_ctrl_c = true;
    }

    fn failed(&self, host: &Host, source: &str, error: Thrown) -> Ran {
        let ending = Ending::of(&error);
        let is_interrupted = matches!(ending, Some(Ending::Over | Ending::Interrupted(_)))
            || kind_of(&error).as_deref() == Some("Interrupted");
        if self.shows_ctrl_c && is_interrupted && !host.kernel().is_over() {
            host.say("\n");
        }
        if matches!(ending, Some(Ending::Over)) && !host.kernel().is_over() {
            // It did not listen when it was asked to stop.
            run::tell_interrupted(host, Some(source), error, INT);
            return Ran::Failed;
        }
        match run::failed(host, Some(source), error) {
            Some(status) => Ran::Over(status),
            None => Ran::Failed,
        }
    }

    /// From now on this is the last value.
    pub fn set_last(&mut self, value: Dynamic) {
        match self.scope.get_mut(LAST) {
            Some(last) => *last = value,
            None => _ = self.scope.push_dynamic(LAST, value),
        }
    }

    /// The variables by name, the latest last.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Dynamic)> {
        self.scope.iter_raw().map(|(name, _, value)| (name, value)).filter(|(name, _)| *name != LAST)
    }

    /// A variable.
    pub fn variable(&self, name: &str) -> Option<&Dynamic> {
        self.scope.get(if name == "_" { LAST } else { name })
    }

    /// The imported modules, by the names that they were given.
    pub fn imports(&self) -> &[(ImmutableString, Shared<Module>)] {
        &self.imports
    }

    /// The functions that were defined: name, parameters and comments; the latest first.
    pub fn functions(&self) -> Vec<(String, Vec<String>, String)> {
        functions_of(self.libraries.iter().rev().map(AsRef::as_ref))
    }
}

/// The functions of modules: name, parameters and comments.
pub fn functions_of<'a>(modules: impl Iterator<Item = &'a Module>) -> Vec<(String, Vec<String>, String)> {
    let mut found = Vec::new();
    for module in modules {
        for (_, _, name, _, definition) in module.iter_script_fn_info().filter(|(_, _, name, ..)| !name.contains('$')) {
            let parameters = definition.params.iter().map(ToString::to_string).collect();
            let comments: Vec<&str> = definition.comments.iter().map(AsRef::as_ref).collect();
            found.push((name.to_string(), parameters, comments.join("\n")));
        }
    }
    found
}

/// Whether an entry keeps its value to itself: it ends with a semicolon.
pub fn is_quiet(text: &str) -> bool {
    let lexed = tokens(text);
    lexed.list.len().checked_sub(1).is_some_and(|last| lexed.is(last, ";"))
}

/// What an entry did not hear while it ran must not hit the next one.
pub fn forget_interrupts() {
    let me = current();
    me.clear_alert(crate::kernel::task::alert::ENDED);
    let _unheard = me.take_interrupt();
}

/// The report of what the handler of a signal failed with while nothing ran that could fail with it.
pub fn tell_handler(host: &Host, error: &HandlerError) {
    tell(host, Raised::of_stop(error).thrown(Position::NONE));
}

/// The report of an error that was thrown outside of an entry.
pub fn tell(host: &Host, error: Thrown) {
    let map = super::caught::crossing_map(host, error, None);
    host.note_status(report::status_of(&map));
    host.say(&report::uncaught(host, &map));
}
