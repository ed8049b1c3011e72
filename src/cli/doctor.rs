use super::args::{DoctorArgs, Global};
use super::build_args::SelectArgs;
use super::doctor_check::{Check, Level};
use super::doctor_models;
use super::doctor_place;
use super::environment::{self, Variables};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::project::{Home, Project};
use crate::flow::Clock;

/// Checks all that a build depends on outside of the experiment itself. Nothing is written.
///
/// Exit 2 where something would stop a build.
pub fn doctor(global: &Global, args: &DoctorArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    match Project::load(global, out) {
        Ok(project) => {
            checks.push(of_config(&project));
            checks.extend(doctor_place::checks(&project.home, clock, out));
            match Variables::read(&project.config_path()) {
                Ok(variables) => {
                    let proxies = environment::proxies();
                    checks.extend(doctor_models::checks(&project, &variables, &proxies, args.offline, clock, out));
                }
                Err(failure) => checks.push(of_failure(".env", &failure)),
            }
        }
        Err(failure) => {
            checks.push(of_failure("config", &failure));
            checks.extend(doctor_place::checks(&Home::find(global)?, clock, out));
        }
    }
    let worst = checks.iter().map(|check| check.level).max().unwrap_or(Level::Ok);
    let width = checks.iter().map(|check| check.subject.chars().count()).max().unwrap_or(0);
    for check in &checks {
        out.line(&check.render(width));
    }
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let (warnings, failures) = (count(Level::Warn), count(Level::Fail));
    out.line(&match (failures, warnings) {
        (0, 0) => "nothing stands in the way of a build".to_owned(),
        (0, warnings) => format!("nothing stands in the way of a build; {warnings} to know of"),
        (failures, warnings) => format!("{failures} would stop a build; {warnings} more to know of"),
    });
    out.document(&serde_json::json!({
        "checks": checks, "ok": count(Level::Ok), "warnings": warnings, "failures": failures,
    }));
    Ok(if worst == Level::Fail { Exit::Usage } else { Exit::Done })
}

/// Makes a check of an error: its words, and its hints as the remedy.
pub(super) fn of_failure(subject: &str, failure: &Failure) -> Check {
    let words: Vec<&str> =
        std::iter::once(failure.message.as_str()).chain(failure.causes.iter().map(String::as_str)).collect();
    let remedy = match failure.hints.as_slice() {
        [] => "mend what is named".to_owned(),
        hints => hints.join("; "),
    };
    Check::fail(subject, words.join(": "), remedy)
}

fn of_config(project: &Project) -> Check {
    let config = &project.config;
    match PlanInputs::check(project, &SelectArgs::default()) {
        Ok(()) => Check::ok(
            "config",
            format!(
                "{}: {} providers, {} models, {} datasets, {} trials",
                project.config_label,
                config.providers.len(),
                config.models.len(),
                config.datasets.len(),
                config.trials.len()
            ),
        ),
        Err(failure) => of_failure("config", &failure),
    }
}
