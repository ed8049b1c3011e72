//! STUB
use super::failure::{Exit, Failure};
use super::output::Output;
/// STUB
pub fn clean(_global: &super::args::Global, _args: &super::args::CleanArgs, _out: &Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
