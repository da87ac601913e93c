//! Pools of processes have types of their own, and every function of the pools of threads: each is a call of that function with
//! a handle to the same object. So a function is written once, for both.

use std::any::TypeId;

use rhai::{
    Dynamic, Engine, FuncRegistration, Module, NativeCallContext, RhaiFunc, Shared, combine_with_exported_module,
};

use super::api::{executor, pool};
use super::handles::{Executor, Pool, ProcessExecutor, ProcessPool};

/// A function of a pool of threads.
struct Known {
    name: String,
    types: Vec<TypeId>,
    /// What its parameters are called.
    parameters: Vec<String>,
}

/// The same pool as one of the types that have the functions.
pub fn as_of_threads(pool: &Dynamic) -> Option<Dynamic> {
    let executor = pool.read_lock::<ProcessExecutor>().map(|pool| Dynamic::from(Executor(pool.0.clone())));
    executor.or_else(|| pool.read_lock::<ProcessPool>().map(|pool| Dynamic::from(Pool(pool.0.clone()))))
}

/// Registers for pools of processes what pools of threads have.
pub fn register(module: &mut Module) {
    for Known { name, mut types, mut parameters } in functions_of_pools() {
        let is_executor = types[0] == TypeId::of::<Executor>();
        let (own, shown) = match is_executor {
            true => (TypeId::of::<ProcessExecutor>(), "pool: &mut ProcessExecutorHandle"),
            false => (TypeId::of::<ProcessPool>(), "pool: &mut ProcessPoolHandle"),
        };
        (types[0], parameters[0]) = (own, shown.into());
        let registration = FuncRegistration::new(name.as_str()).with_params_info(parameters);
        registration.set_into_module_raw(module, types, forwarded(name));
    }
}

fn functions_of_pools() -> Vec<Known> {
    let mut module = Module::new();
    combine_with_exported_module!(&mut module, "pools", pool::functions);
    combine_with_exported_module!(&mut module, "executors", executor::functions);
    executor::register(&mut module);
    let mut engine = Engine::new_raw();
    engine.register_global_module(module.into());
    let pools = [TypeId::of::<Executor>(), TypeId::of::<Pool>()];
    engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            let (name, types) = (f.metadata.name.to_string(), f.metadata.param_types.to_vec());
            let parameters = f.metadata.params_info.iter().take(types.len()).map(ToString::to_string).collect();
            types.first().is_some_and(|first| pools.contains(first)).then_some(Known { name, types, parameters })
        },
        false,
    )
}

fn forwarded(name: String) -> RhaiFunc {
    RhaiFunc::Method {
        func: Shared::new(move |ctx: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let ctx = ctx.expect("invariant: it is registered with a context");
            let (pool, others) = args.split_first_mut().expect("invariant: its first argument is the pool");
            let mut pool = as_of_threads(pool).expect("invariant: it is registered for pools of processes");
            let others = others.iter_mut().map(|other| &mut **other);
            let mut args: Vec<&mut Dynamic> = std::iter::once(&mut pool).chain(others).collect();
            ctx.call_native_fn_raw(&name, true, &mut args)
        }),
        has_context: true,
        is_pure: true,
        is_volatile: true,
    }
}
