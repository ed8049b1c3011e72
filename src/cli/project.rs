use camino::{Utf8Path, Utf8PathBuf};

use super::args::Global;
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::config::{self, Config, ConfigFile, Disk, Severity};
use crate::digest::BlobId;
use crate::store::{Access, Store};

/// Is the config that is read when none is named.
const DEFAULT_CONFIG: &str = "config/eval_config.yaml";

/// Says where a project is: enough for commands that read what was built.
pub struct Place {
    /// The config's path.
    pub config_path: Utf8PathBuf,
    /// The directory that relative paths start from.
    pub root: Utf8PathBuf,
    store: Option<Utf8PathBuf>,
    experiments: Option<Utf8PathBuf>,
}

/// Is a project with its config read and checked.
pub struct Project {
    /// Where it is.
    pub place: Place,
    /// What it says.
    pub config: Config,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The config's path as it is to be shown.
    pub config_label: String,
    /// Where runs are shown.
    pub experiments: Utf8PathBuf,
    /// Where everything is kept.
    pub store_dir: Utf8PathBuf,
}

impl Place {
    /// Finds the config: the one named, else `config/eval_config.yaml` here or in a directory above.
    pub fn find(global: &Global) -> Result<Self, Failure> {
        let here = current_dir()?;
        let config_path = match &global.config {
            Some(path) => here.join(path),
            None => here
                .ancestors()
                .map(|dir| dir.join(DEFAULT_CONFIG))
                .find(|path| path.is_file())
                .unwrap_or_else(|| here.join(DEFAULT_CONFIG)),
        };
        let root = config::project_root(&config_path);
        let absolute = |dir: &Utf8PathBuf| here.join(dir);
        Ok(Self {
            root,
            config_path,
            store: global.store.as_ref().map(absolute),
            experiments: global.experiments_dir.as_ref().map(absolute),
        })
    }

    fn label(&self) -> String {
        self.config_path.strip_prefix(&self.root).unwrap_or(&self.config_path).to_string()
    }
}

fn current_dir() -> Result<Utf8PathBuf, Failure> {
    let dir = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Environment, format!("cannot tell the current directory: {error}")))?;
    Utf8PathBuf::from_path_buf(dir)
        .map_err(|dir| Failure::new(Exit::Environment, format!("the path `{}` is not UTF-8", dir.display())))
}

impl Project {
    /// Reads and checks the config; every error in it is in the failure.
    pub fn load(global: &Global, out: &Output) -> Result<Self, Failure> {
        let place = Place::find(global)?;
        let label = place.label();
        let bytes = std::fs::read(&place.config_path).map_err(|error| {
            Failure::usage(format!("cannot read the config `{}`: {error}", place.config_path)).hint(
                "`exp init` makes a project here; `--config FILE` or `-C DIR` names another",
            )
        })?;
        let file = ConfigFile {
            path: Utf8Path::new(&label),
            bytes: &bytes,
            root: &place.root,
            env: &|name| std::env::var(name).ok(),
        };
        let loaded = config::load(&file, &Disk);
        let errors = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        let Some(config) = loaded.config.as_ref().filter(|_| errors == 0) else {
            let mut text = loaded.render(false);
            let plural = if errors == 1 { "error" } else { "errors" };
            text.push_str(&format!("\n\n{errors} {plural} in {label}; nothing ran"));
            return Err(Failure::rendered(Exit::Usage, text));
        };
        for found in &loaded.diagnostics {
            if found.severity == Severity::Warning || out.is_verbose() {
                out.note(&config::render(found, &loaded.source, false));
            }
        }
        let config = config.clone();
        Ok(Self {
            experiments: place.experiments.clone().unwrap_or_else(|| config.experiments_dir.clone()),
            store_dir: place.store.clone().unwrap_or_else(|| config.store_dir.clone()),
            config_label: label,
            config_bytes: bytes,
            config,
            place,
        })
    }

    /// Opens the project's store.
    pub fn open_store(&self, access: Access) -> Result<Store, Failure> {
        Ok(Store::open(&self.store_dir, access)?)
    }

    /// Returns the name of the config's bytes.
    pub fn config_blob(&self) -> BlobId {
        BlobId::of(&self.config_bytes)
    }
}
