//! STUB
use super::failure::{Exit, Failure};
use super::output::Output;
/// STUB
pub fn archive(_global: &super::args::Global, _args: &super::args::ArchiveArgs, _out: &Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
/// STUB
pub fn write(_p: &super::project::Project, _s: &crate::store::Store, _r: &str, _n: Option<&str>, _o: &Output) -> Result<(), Failure> { Ok(()) }
