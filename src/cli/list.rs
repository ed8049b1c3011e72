//! STUB
use super::failure::{Exit, Failure};
use super::output::Output;
/// STUB
pub fn list(_global: &super::args::Global, _out: &Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
