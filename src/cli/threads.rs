use super::failure::{Exit, Failure};

/// Returns how many threads this machine runs at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Starts threads to compute with.
pub fn pool(count: usize) -> Result<rayon::ThreadPool, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|error| Failure::new(Exit::Environment, format!("cannot start threads: {error}")))
}
