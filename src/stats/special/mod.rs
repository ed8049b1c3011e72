//! Special functions in forms that stay accurate in the far tails.
//!
//! Every function is built on `libm` and on IEEE basic arithmetic, so that a
//! result has the same bits on every platform. Tails are carried as logarithms
//! and turned into probabilities last: a p-value of 1e-300 keeps its digits.

mod beta;
mod fisher_f;
mod gamma;
mod normal;
mod root;
mod saddle;
mod student;

pub use beta::{BetaTails, beta_cdf, beta_quantile, beta_tails};
pub use fisher_f::f_sf;
pub use gamma::{chi_squared_quantile, chi_squared_sf, gamma_ratio_ln};
pub use normal::{normal_cdf, normal_ln_sf, normal_quantile, normal_sf};
pub use saddle::{binomial_ln_mass, stirling_error};
pub use student::{student_quantile, student_sf, student_two_sided};

pub(crate) use root::increasing_root;
