use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::failure::Exit;
use super::output::Output;

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "exp", &mut script);
    Output::exact(&String::from_utf8_lossy(&script));
    Exit::Done
}
