use jiff::Timestamp;

use super::doctor::of_failure;
use super::doctor_check::Check;
use super::failure::Failure;
use super::output::Output;
use super::project::Home;
use super::threads::cores;
use crate::flow::Clock;
use crate::run::Catalog;
use crate::store::{Access, look_at_place, sqlite_version};

/// Is how many bytes a build should find free.
const ROOM: u64 = 1 << 30;

/// Checks the machine and the place of the store.
pub fn checks(home: &Home, clock: &Clock, out: &Output) -> Vec<Check> {
    let mut checks = Vec::new();
    match look_at_place(&home.store_dir) {
        Ok(place) => {
            let shown = home.shown(&place.looked_at);
            let shown =
                if shown.as_str().is_empty() { "the project's directory".to_owned() } else { format!("`{shown}`") };
            let made = if place.exists {
                String::new()
            } else {
                format!("; `{}` is made by the first build", home.shown(&home.store_dir))
            };
            if place.is_writable {
                checks.push(Check::ok("store", format!("{shown} can be written{made}")));
            } else {
                checks.push(Check::fail(
                    "store",
                    format!("{shown} cannot be written"),
                    "make it writable, or name another with `--store`",
                ));
            }
            if let Err(why) = &place.locks {
                let remedy = "builds lock files: use a file system that can, with `--store` or `store:`";
                checks.push(Check::fail("store", format!("no lock can be taken in {shown}: {why}"), remedy));
            }
            checks.push(match place.file_system {
                Some(kind) if kind.is_shared => Check::warn(
                    "file system",
                    format!(
                        "{}: locks and renames are as good as its server; the index is kept in your cache directory, and \
                         one machine works on the store at a time",
                        kind.name
                    ),
                    "keep the store on a disk of this machine (`--store`, `store:`) where you can",
                ),
                Some(kind) if !kind.has_links => Check::warn(
                    "file system",
                    format!("{} has no symbolic links", kind.name),
                    "write `views: copy` into the config",
                ),
                Some(kind) => Check::ok("file system", kind.name),
                None => Check::ok("file system", "of a kind that is not known here"),
            });
            checks.extend(place.free.map(|free| {
                let room = format!("{:.1} GiB are free", free as f64 / f64::from(1_u32 << 30));
                if free < ROOM {
                    Check::warn("disk", room, "free some space: a build that finds none ends, and goes on later")
                } else {
                    Check::ok("disk", room)
                }
            }));
        }
        Err(error) => {
            let remedy = "make it readable, or name another with `--store`";
            checks.push(Check::fail("store", format!("`{}`: {error}", home.store_dir), remedy));
        }
    }
    let newest = match newest(home, out) {
        Ok(newest) => newest,
        Err(failure) => {
            checks.push(of_failure("store", &failure));
            None
        }
    };
    checks.push(of_clock(&clock.now(), newest.as_deref()));
    checks.push(Check::ok("sqlite", sqlite_version()));
    checks.push(Check::ok("processor", format!("{} threads at once", cores())));
    checks
}

/// Returns when the newest run was last written.
fn newest(home: &Home, out: &Output) -> Result<Option<String>, Failure> {
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    Ok(catalog.made_here().map(|entry| entry.record.updated_at.clone()).max())
}

/// Compares the clock with the time at which this program was made, and with the newest run.
fn of_clock(now: &str, newest: Option<&str>) -> Check {
    let remedy = "set the clock: dates of draws and prices go by it, and nothing else does";
    let Ok(time) = now.parse::<Timestamp>() else {
        return Check::warn("clock", format!("it says `{now}`"), remedy);
    };
    if time.as_second() < 1_764_000_000 {
        return Check::warn("clock", format!("it says {now}, which was before this program was written"), remedy);
    }
    match newest.and_then(|newest| newest.parse::<Timestamp>().ok()) {
        Some(newest) if newest.as_second() > time.as_second() + 60 => {
            Check::warn("clock", format!("it says {now}, and the newest run is of {newest}"), remedy)
        }
        _ => Check::ok("clock", now),
    }
}

#[cfg(test)]
mod tests {
    use super::super::doctor_check::Level;
    use super::of_clock;

    #[test]
    fn a_clock_that_is_behind_is_told() {
        let level = |now, newest| of_clock(now, newest).level;
        let now = "2026-11-23T10:00:00.000Z";
        assert_eq!(level(now, None), Level::Ok);
        assert_eq!(level(now, Some("2026-11-23T10:00:30.000Z")), Level::Ok);
        assert_eq!(level(now, Some("2026-11-23T10:02:00.000Z")), Level::Warn);
        assert_eq!(level("1970-01-01T00:00:01.000Z", None), Level::Warn);
    }
}
