use clap::Args;

/// Says what may go.
#[derive(Debug, Clone, Args)]
pub struct GcArgs {
    /// Remove it; without this flag nothing is changed
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// What nothing refers to may go, and no run
    #[arg(long)]
    pub unreferenced: bool,
    /// Finished runs may go that are not among the N newest. Of several conditions a run has to meet all
    #[arg(long, value_name = "N", env = "EXP_KEEP_LAST", value_parser = clap::value_parser!(u64).range(1..))]
    pub keep_last: Option<u64>,
    /// Finished runs may go that ended longer ago: 90m, 12h, 30d
    #[arg(long, value_name = "AGE", env = "EXP_OLDER_THAN", value_parser = age)]
    pub older_than: Option<u64>,
    /// Finished runs may go, the oldest first, until the rest takes no more: 500M, 20G
    #[arg(long, value_name = "BYTES", env = "EXP_MAX_SIZE", value_parser = bytes)]
    pub max_size: Option<u64>,
    /// Answers that no run uses may go too; they were paid for
    #[arg(long)]
    pub paid: bool,
    /// Spare what was made or used since the Nth collection before this one (default: 2); 0 spares nothing
    #[arg(long, value_name = "N", env = "EXP_GRACE")]
    pub grace: Option<u64>,
}

/// Says which run.
#[derive(Debug, Clone, Args)]
pub struct PinArgs {
    /// The run: an id, a unique beginning of one, or `latest`
    pub run: String,
}

/// Says what to forget.
#[derive(Debug, Clone, Args)]
pub struct ForgetArgs {
    /// The dataset, by its name in the config
    #[arg(long, value_name = "NAME")]
    pub dataset: String,
    /// The item's id
    #[arg(long, value_name = "ID")]
    pub item: String,
    /// Erase it; without this flag nothing is changed
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// Says what to clean.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// Show what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Also forget prepared datasets and built requests; they are made again when needed
    #[arg(long)]
    pub clean_prepared: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// Reads an age, in seconds: `90m`, `12h`, `30d`.
fn age(text: &str) -> Result<u64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    counted(text, &units).ok_or_else(|| "a number with `s`, `m`, `h` or `d`, such as `30d`".to_owned())
}

/// Reads a size in bytes: `1000`, `500M`, `20G`.
fn bytes(text: &str) -> Result<u64, String> {
    let units = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30), ('T', 1 << 40)];
    let plain = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    plain
        .or_else(|| counted(text, &units))
        .ok_or_else(|| "a number of bytes, or one with `K`, `M`, `G` or `T`, such as `20G`".to_owned())
}

fn counted(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let last = text.chars().last()?;
    let (_, unit) = units.iter().find(|(name, _)| *name == last)?;
    let digits = &text[..text.len() - 1];
    let number: u64 = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.checked_mul(*unit)
}
