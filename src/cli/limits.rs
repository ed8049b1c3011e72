use super::build_args::BuildArgs;
use super::failure::Failure;
use crate::engine::StepLimits;
use crate::plan::StepKind;

/// Returns how many draws of a model may be open, and so in memory, before its next part is begun: enough that requests are
/// in flight all the time, and to share a durable write among many. Answers that are computed here take no time to wait for,
/// so that only the writes count.
pub fn most_open(in_flight: usize) -> usize {
    if in_flight == 0 { 16_384 } else { (2 * in_flight + 1_024).max(2_048) }
}

/// Reads the flags that say which steps may run.
pub fn step_limits(args: &BuildArgs) -> Result<StepLimits, Failure> {
    let step = |name: &Option<String>| -> Result<Option<StepKind>, Failure> {
        let Some(name) = name else { return Ok(None) };
        // The predecessor's phases: what they did is done by these steps.
        let kind = match name.as_str() {
            "submit" | "poll" => Some(StepKind::Infer),
            other => StepKind::parse(other),
        };
        kind.map(Some).ok_or_else(|| {
            let known: Vec<&str> = StepKind::ALL.iter().map(|kind| kind.as_str()).collect();
            Failure::usage(format!("there is no step `{name}`; the steps are {}", known.join(", ")))
        })
    };
    let only = step(&args.only_step)?;
    let first = only.or(step(&args.from_step)?).unwrap_or(StepKind::Fetch);
    let last = only.or(step(&args.to_step)?).unwrap_or(StepKind::Aggregate);
    if first > last {
        return Err(Failure::usage(format!("`{first}` comes after `{last}`: no step would run")));
    }
    // A trial's last steps and the run's report belong together: `--only-step report` writes both reports.
    let last = if last == StepKind::Report { StepKind::Aggregate } else { last };
    let mut limits = StepLimits::between(first, last);
    if args.skip_prepare {
        limits = limits.without(StepKind::Fetch).without(StepKind::Prepare);
    }
    if args.skip_build {
        limits = limits.without(StepKind::Build);
    }
    Ok(limits)
}
