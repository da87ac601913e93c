//! The program `orch`: hands the command line to [`orch::cli`].

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    std::process::exit(orch::cli::main(std::env::args_os()));
}
