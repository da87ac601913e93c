//! Many commands: `run_all`.

use std::any::TypeId;

use rhai::plugin::*;
use rhai::{Array, Dynamic, FuncRegistration, Module, NativeCallContext, Shared};

use crate::script::batch::Batch;
use crate::script::throw::Outcome;

/// How many lists `run_all()` takes, with the template and the options.
const MOST_ARGUMENTS: usize = 10;

/// A template with several lists: `run_all("convert {1} -resize {2} out/{1/.}-{2}.png", files, sizes)`.
pub fn register(module: &mut Module) {
    for n in 4..=MOST_ARGUMENTS {
        let types = vec![TypeId::of::<Dynamic>(); n];
        let function = |ctx: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let ctx = ctx.expect("invariant: it is registered as wanting a context");
            let values: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
            Batch::new(&ctx, values)?.run(&ctx).map(Dynamic::from)
        };
        let function =
            RhaiFunc::Pure { func: Shared::new(function), has_context: true, is_pure: true, is_volatile: true };
        FuncRegistration::new("run_all").in_global_namespace().set_into_module_raw(module, types, function);
    }
}

#[export_module]
pub mod functions {
    /// Runs many commands, as many at once as there are processors, and returns what became of each: a `Completed` in the
    /// order of the list, its output filled in. Each is a command, or a text for the shell. Their input is empty where
    /// they do not say otherwise. A failed command throws nothing: look at `ok`; the failures are told at the end on standard
    /// error.
    ///
    /// # Errors
    /// `TypeError` for what is no command; `Cancelled`, `Interrupted`: these end all that run.
    ///
    /// ```rhai
    /// let done = run_all([cmd("echo", "one"), sh("echo two; echo three")]);
    /// assert(done[0].stdout == "one\n");
    /// assert(done.all(|d| d.ok));
    /// ```
    #[rhai_fn(name = "run_all", return_raw)]
    pub fn run_all(ctx: NativeCallContext, commands: Dynamic) -> Outcome<Array> {
        Batch::new(&ctx, vec![commands])?.run(&ctx)
    }

    /// The same with options; or a template with a list, as GNU parallel has it: the template is shell text, in which `{}`
    /// stands for an item of the list, quoted for the place where it stands (also within quotes); `{.}` without its
    /// extension, `{/}` its last name, `{//}` its folder, `{/.}` its last name without extension, `{#}` the number of the
    /// job, `{%}` the number of its slot, 1 to `jobs`. Without any of these, ` {}` is added. The template `"{}"` runs the
    /// items themselves.
    ///
    /// Options:
    /// - `jobs`: so many at once; 0: all;
    /// - `order`: how outputs are printed: `"group"` (whole, as jobs finish), `"line"` (whole lines, as they come), `"input"`
    ///   (whole, in the order of the list), `"none"` (not at all);
    /// - `tag`: each line begins with the job's arguments and a tab;
    /// - `timeout`: seconds that each may take;
    /// - `retries`, `retry_delay`: more tries for those that fail; the delay before each doubles;
    /// - `halt`, `halt_after`: `"never"`; `"soon"`: start no more after so many failures (1); `"now"`: end the running ones too;
    /// - `check`: throw at the end if any failed;
    /// - `joblog`: a file with one line for each finished job, in GNU parallel's columns;
    /// - `resume`: skip what the job log calls done; the text of the command decides, with its folder and environment;
    /// - `results`: a folder: outputs in `results/NUMBER/stdout` and `stderr`;
    /// - `progress`: the label of a progress bar, on a terminal;
    /// - `dry_run`: only say on standard error what would be run;
    /// - `load`, `memfree`: start none while the load average is this or more, or less memory is free (bytes, or `"2G"`);
    /// - `on_done`: is called with the `Completed` of each job that is over; an error in it ends all.
    ///
    /// `()` stands for jobs that were not started, or that `resume` skips.
    ///
    /// # Errors
    /// `CommandError` with `check`, with the fields of the first failure's `Completed`; `IoError` or `NotFound` with `path`
    /// for the job log and the results, which ends no job that runs; `ValueError`, `TypeError`; `Cancelled`, `Interrupted`.
    ///
    /// ```rhai
    /// let done = run_all("wc -c < {}", ["/etc/passwd", "/etc/group"], #{ tag: true, order: "input" });
    /// assert(done.all(|d| d.ok));
    /// ```
    #[rhai_fn(name = "run_all", return_raw)]
    pub fn run_all_with(ctx: NativeCallContext, commands: Dynamic, options: Dynamic) -> Outcome<Array> {
        Batch::new(&ctx, vec![commands, options])?.run(&ctx)
    }

    /// A template with a list and options, or with several lists (up to eight, and options): all their combinations, the last
    /// list changing fastest. `{1}`, `{2}` are the items of the first and second list, `{-1}` of the last, `{1.}` and the
    /// like as above; `{}` is all of them. A number for which there is no list is a `ValueError`.
    ///
    /// # Errors
    /// As `run_all(commands, options)`.
    ///
    /// ```rhai
    /// let done = run_all("echo {1}-{2}", ["a", "b"], [1, 2], #{ order: "none", jobs: 4 });
    /// assert(done.map(|d| d.stdout) == ["a-1\n", "a-2\n", "b-1\n", "b-2\n"]);
    /// ```
    #[rhai_fn(name = "run_all", return_raw)]
    pub fn run_all_of(ctx: NativeCallContext, template: Dynamic, list: Dynamic, more: Dynamic) -> Outcome<Array> {
        Batch::new(&ctx, vec![template, list, more])?.run(&ctx)
    }
}
