//! STUB
use super::failure::{Exit, Failure};
use super::output::Output;
/// STUB
pub fn why(_global: &super::args::Global, _args: &super::args::WhyArgs, _out: &Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
