//! STUB
use super::failure::{Exit, Failure};
use super::output::Output;
/// STUB
pub fn audit(_global: &super::args::Global, _args: &super::args::AuditArgs, _out: &Output, _clock: &crate::flow::Clock) -> Result<Exit, Failure> { Ok(Exit::Done) }
