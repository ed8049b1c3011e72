//! The `exp` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    exp::cli::run()
}
