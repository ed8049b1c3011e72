use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::Global;
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::config::{self, Config, ConfigFile, Disk, Severity};
use crate::digest::BlobId;
use crate::store::{Access, Opening, Sharing, Store};

/// Is the config that is read when none is named.
const DEFAULT_CONFIG: &str = "config/eval_config.yaml";

/// Says where a project is.
struct Place {
    /// The config's path.
    config_path: Utf8PathBuf,
    /// The directory that relative paths start from.
    root: Utf8PathBuf,
    store: Option<Utf8PathBuf>,
    experiments: Option<Utf8PathBuf>,
}

/// Is a project with its config read and checked.
pub struct Project {
    /// What it says.
    pub config: Config,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The config's path as it is to be shown.
    pub config_label: String,
    /// Where its runs are.
    pub home: Home,
}

impl Place {
    /// Finds the config: the one named, else `config/eval_config.yaml` here or in a directory above.
    fn find(global: &Global) -> Result<Self, Failure> {
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

    /// Reads the config without a word about what is wrong with it.
    fn config(&self) -> Option<Config> {
        let label = self.label();
        let bytes = std::fs::read(&self.config_path).ok()?;
        let env = |name: &str| std::env::var(name).ok();
        let file = ConfigFile { path: Utf8Path::new(&label), bytes: &bytes, root: &self.root, env: &env };
        config::load(&file, &Disk::default()).config
    }

    fn label(&self) -> String {
        self.config_path.strip_prefix(&self.root).unwrap_or(&self.config_path).to_string()
    }
}

/// Returns the directory that paths on the command line start from.
pub fn current_dir() -> Result<Utf8PathBuf, Failure> {
    let dir = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Environment, format!("cannot tell the current directory: {error}")))?;
    Utf8PathBuf::from_path_buf(dir)
        .map_err(|dir| Failure::new(Exit::Environment, format!("the path `{}` is not UTF-8", dir.display())))
}

/// Says where runs are kept and shown: all that a command needs which reads what was built.
pub struct Home {
    /// The directory that relative paths start from.
    pub root: Utf8PathBuf,
    /// Where runs are shown.
    pub experiments: Utf8PathBuf,
    /// Where everything is kept.
    pub store_dir: Utf8PathBuf,
    /// Who may use a store that is made.
    pub sharing: Sharing,
}

impl Home {
    /// Finds the project's directories; a config that cannot be used does not stand in the way.
    pub fn find(global: &Global) -> Result<Self, Failure> {
        let place = Place::find(global)?;
        let config = place.config();
        let sharing = config.as_ref().map_or(Sharing::Owner, sharing_of);
        let (experiments, store) = config
            .map_or((place.root.join("experiments"), place.root.join("store")), |c| (c.experiments_dir, c.store_dir));
        Ok(Self {
            experiments: place.experiments.clone().unwrap_or(experiments),
            store_dir: place.store.clone().unwrap_or(store),
            root: place.root,
            sharing,
        })
    }

    /// Reads the config, if there is one that can be used.
    pub fn config(global: &Global) -> Option<Config> {
        Place::find(global).ok()?.config()
    }

    /// Opens the store.
    pub fn open_store(&self, access: Access, out: &Output) -> Result<Store, Failure> {
        let index_home = index_home();
        let opening = Opening { access, sharing: self.sharing, index_home: index_home.as_deref() };
        let store = Store::open_as(&self.store_dir, &opening)?;
        out.watch(&store);
        Ok(store)
    }

    /// Writes a path as people see it: from the root where it is below.
    pub fn shown<'p>(&self, path: &'p Utf8Path) -> &'p Utf8Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// Finds the directory for what can be made again at any time, where an index may stand: as the XDG base directory specification says.
fn index_home() -> Option<Utf8PathBuf> {
    let dir = |name: &str| Some(Utf8PathBuf::from(std::env::var(name).ok()?)).filter(|dir| dir.is_absolute());
    dir("XDG_CACHE_HOME").or_else(|| Some(dir("HOME")?.join(".cache")))
}

fn sharing_of(config: &Config) -> Sharing {
    if config.is_store_shared { Sharing::Group } else { Sharing::Owner }
}

impl Project {
    /// Reads and checks the config; every error in it is in the failure.
    pub fn load(global: &Global, out: &Output) -> Result<Self, Failure> {
        let place = Place::find(global)?;
        let label = place.label();
        let bytes = std::fs::read(&place.config_path).map_err(|error| {
            let why = format!("cannot read the config `{}`: {error}", place.config_path);
            if config::lies_in_the_machine(&error) {
                return Failure::new(Exit::Environment, why);
            }
            Failure::usage(why).hint("`exp init` makes a project here; `--config FILE` or `-C DIR` names another")
        })?;
        let file = ConfigFile {
            path: Utf8Path::new(&label),
            bytes: &bytes,
            root: &place.root,
            env: &|name| std::env::var(name).ok(),
        };
        let disk = Disk::default();
        let loaded = config::load(&file, &disk);
        let errors = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        let Some(config) = loaded.config.as_ref().filter(|_| errors == 0) else {
            let mut text = loaded.render(false);
            let plural = if errors == 1 { "error" } else { "errors" };
            let _ = write!(text, "\n\n{errors} {plural} in {label}; nothing ran");
            return Err(Failure::rendered(if disk.has_failed() { Exit::Environment } else { Exit::Usage }, text));
        };
        for found in &loaded.diagnostics {
            if found.severity == Severity::Warning || out.is_verbose() {
                out.note(&config::render(found, &loaded.source, false));
            }
        }
        let config = config.clone();
        let home = Home {
            root: place.root.clone(),
            experiments: place.experiments.clone().unwrap_or_else(|| config.experiments_dir.clone()),
            store_dir: place.store.clone().unwrap_or_else(|| config.store_dir.clone()),
            sharing: sharing_of(&config),
        };
        Ok(Self { home, config_label: label, config_bytes: bytes, config })
    }

    /// Returns the config's path.
    pub fn config_path(&self) -> Utf8PathBuf {
        self.home.root.join(&self.config_label)
    }

    /// Returns the name of the config's bytes.
    pub fn config_blob(&self) -> BlobId {
        BlobId::of(&self.config_bytes)
    }
}
