use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::failure::{Exit, Failure};
use crate::flow::StopFlag;

/// Is the exit code of a second interrupt.
const INTERRUPTED: i32 = 130;

/// Lets a file that grows beyond the limit of the process (`ulimit -f`) be an error like that of a full disk, and not the end of
/// the process: with a handler, the write that the signal is about fails.
pub fn outlive_size_limit() -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::new(Exit::Environment, format!("cannot listen for signals: {error}"));
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop).map_err(fail)
}

/// Makes the flag that the first Ctrl-C raises; the second ends the process at once.
pub fn stop_flag() -> Result<StopFlag, Failure> {
    let raised = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let fail =
            |error: std::io::Error| Failure::new(Exit::Environment, format!("cannot listen for signals: {error}"));
        // In this order: the first signal finds the flag down and only raises it.
        flag::register_conditional_shutdown(signal, INTERRUPTED, raised.clone()).map_err(fail)?;
        flag::register(signal, raised.clone()).map_err(fail)?;
    }
    Ok(StopFlag::from_atomic(raised))
}
