//! STUB
use super::failure::{Exit, Failure};
use super::output::Output;
/// STUB
pub fn compare(_global: &super::args::Global, _args: &super::args::CompareArgs, _out: &Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
