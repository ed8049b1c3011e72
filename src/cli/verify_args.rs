use clap::Args;

use super::build_args::amount;
use crate::flow::Money;

/// Says what to do about damage.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Set damaged files aside, and make again what costs nothing
    #[arg(long)]
    pub repair: bool,
    /// Ask again for answers that are damaged: they are paid for once more
    #[arg(long)]
    pub spend: bool,
    /// Spend no more than this, in US dollars
    #[arg(long, value_name = "USD", env = "EXP_MAX_COST", value_parser = amount)]
    pub max_cost: Option<Money>,
    /// Spend what it costs, without being asked
    #[arg(long, short = 'y')]
    pub yes: bool,
}
