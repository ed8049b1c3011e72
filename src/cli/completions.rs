use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::failure::{Exit, Failure};
use super::output::Output;

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "exp", &mut script);
    Output::exact(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
