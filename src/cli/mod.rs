//! The command line: what was typed, one file per command, and what is printed. Nobody imports it.

mod again;
mod archive;
mod args;
mod arms_drawn;
mod asked_part;
mod audit;
mod audit_args;
mod build;
mod build_args;
mod clean;
mod compare;
mod completions;
mod consent;
mod doctor;
mod doctor_check;
mod doctor_models;
mod doctor_place;
mod drift;
mod drift_ask;
mod drift_print;
mod drift_sample;
mod drift_score;
mod environment;
mod estimate;
mod estimator;
mod export;
mod export_args;
mod export_run;
mod external;
mod failure;
mod fetch;
mod finish;
mod forget;
mod gates;
mod gc;
mod gc_args;
mod guess;
mod heartbeat;
mod history;
mod import;
mod import_log;
mod ingest;
mod init;
mod jobs;
mod keys;
mod limits;
mod list;
mod online;
mod origins;
mod output;
mod p_value;
mod pair_verdicts;
mod pilot;
mod pin;
mod plan;
mod plan_inputs;
mod planning;
mod predecessor;
mod premises;
mod preview;
mod prices;
mod problem;
mod program;
mod progress;
mod project;
mod reasons;
mod records;
mod redraw;
mod repair;
mod report;
mod requests;
mod run_life;
mod run_page;
mod score;
mod seal;
mod sealed;
mod show;
mod show_args;
mod show_items;
mod show_verdicts;
mod sign;
mod signals;
mod spending;
mod stated;
mod status;
mod stop;
mod text_table;
mod threads;
mod trial_items;
mod unaskable;
mod up_to_date;
mod verify;
mod verify_args;
mod wanted_draws;
mod who;
mod whose;
mod why;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Command};
use failure::{Exit, Failure};
use output::Output;

use crate::flow::Clock;

/// Runs the program with the arguments of the process, and says how it ended.
pub fn run() -> ExitCode {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let cli = match Cli::try_parse_from(args::one_spelling(args)) {
        Ok(cli) => cli,
        Err(error) => {
            // Asking for help or the version is no error.
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            drop(error.print());
            return ExitCode::from(if help { Exit::Done as u8 } else { Exit::Usage as u8 });
        }
    };
    let out = Output::new(&cli.global);
    let result = dispatch(cli, &out);
    out.tell_notices();
    match result {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            out.progress("");
            Output::error(&failure.render());
            out.document(&serde_json::json!({"error": failure.message, "exit": failure.exit as u8}));
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Makes the clock of the real world.
fn clock() -> Clock {
    let started = Instant::now();
    let now = || jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    Clock::new(now, move || started.elapsed())
}

fn dispatch(cli: Cli, out: &Output) -> Result<Exit, Failure> {
    if let Some(dir) = &cli.global.directory {
        std::env::set_current_dir(dir)
            .map_err(|error| Failure::usage(format!("-C: cannot work in `{dir}`: {error}")))?;
    }
    let clock = clock();
    signals::outlive_size_limit()?;
    let global = &cli.global;
    match cli.command {
        Command::Init(args) => init::init(&args, out),
        Command::Plan(args) => plan::plan(global, &args, out, &clock),
        Command::Build(args) => {
            let mut project = project::Project::load(global, out)?;
            if !args.redraw_status.is_empty() {
                project = redraw::redraw(global, project, &args, out)?;
            }
            let kept_by = if args.fresh { Some(redraw::fresh(&mut project, &args)?) } else { None };
            if args.dry_run {
                return plan::plan_build(&project, &args, out, &clock);
            }
            let exit = match args.pilot {
                Some(items) => pilot::pilot(&project, &args, items, &build::budget(&project, &args), out, &clock)?,
                None => build::build(&project, &args, &build::Mode::default(), out, &clock)?,
            };
            if let Some(line) = kept_by {
                let config = &project.config_label;
                out.note(&format!(
                    "a build without --fresh uses the earlier answers; to keep these, write into {config}:"
                ));
                out.note(&line);
            }
            Ok(exit)
        }
        Command::Status(args) => status::status(global, &args, out),
        Command::Why(args) => why::why(global, &args, out),
        Command::List(_) => list::list(global, out),
        Command::Show(args) => show::show(global, &args, out),
        Command::Report(args) => report::report(global, &args, out),
        Command::Compare(args) => compare::compare(global, &args, out),
        Command::Audit(args) => audit::audit(global, &args, out),
        Command::Doctor(args) => doctor::doctor(global, &args, out, &clock),
        Command::Drift(args) => drift::drift(global, &args, out, &clock),
        Command::Score(args) => score::score(global, &args, out, &clock),
        Command::Export(args) => export::export(global, &args, out),
        Command::Requests(args) => requests::requests(global, &args, out),
        Command::Ingest(args) => ingest::ingest(global, &args, out, &clock),
        Command::Archive(args) => archive::archive(global, &args, out),
        Command::Sign(args) => sign::sign(global, &args, out),
        Command::Import(args) => import::import(global, &args, out, &clock),
        Command::Clean(args) => clean::clean(global, &args, out),
        Command::Verify(args) => verify::verify(global, &args, out, &clock),
        Command::Gc(args) => gc::gc(global, &args, out, &clock),
        Command::Forget(args) => forget::forget(global, &args, out),
        Command::Pin(args) => pin::pin(global, &args, true, out),
        Command::Unpin(args) => pin::pin(global, &args, false, out),
        Command::Stop(args) => stop::stop(global, &args, out),
        Command::Jobs(args) => jobs::jobs(global, &args, out, &clock),
        Command::Seal(args) => seal::seal(global, &args, out, &clock),
        Command::Schema => {
            let schema = crate::config::json_schema();
            Output::exact(&serde_json::to_string_pretty(&schema).unwrap_or_default());
            Ok(Exit::Done)
        }
        Command::Completions(args) => Ok(completions::completions(&args)),
    }
}
