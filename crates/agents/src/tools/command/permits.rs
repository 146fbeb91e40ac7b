//! What the operator of a worker lets commands do. A specification can only ask for less.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenure_spec::{CommandTool, Isolation};

use crate::sandbox::{Limits, Request};

/// Where programs are looked for if the worker was not told.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables with their values, which show themselves to nobody but commands. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    /// All of them, for programs that nobody asks which they want.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What commands may do on a worker. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Permits {
    /// The program that is the sandbox; without it nothing is executed.
    pub sandbox: Option<PathBuf>,
    /// Programs, by the name or path that a specification gives.
    pub programs: Arc<[String]>,
    /// Variables that they may see, with their values. `PATH` says where programs are looked for.
    pub environment: Variables,
    /// Folders that they may read, beside the system's and their own.
    pub readable: Arc<[PathBuf]>,
    /// The worker's folder.
    pub files: PathBuf,
    /// Whether they may write there.
    pub write: bool,
}

impl Permits {
    /// The sandbox and the path of a program, if it may be executed.
    pub(super) fn program(&self, name: &str) -> Result<(PathBuf, PathBuf), String> {
        if !self.programs.iter().any(|program| program == name) {
            return Err(format!(
                "this worker does not execute `{name}`; its operator permits it with \
                 `--allow-program {name}`"
            ));
        }
        let Some(sandbox) = &self.sandbox else {
            return Err("this worker has no sandbox to execute programs in".into());
        };
        let found = if name.contains('/') {
            Some(PathBuf::from(name)).filter(|path| path.is_absolute() && path.is_file())
        } else {
            self.path().split(':').find_map(|folder| found(folder, name))
        };
        let missing = || format!("there is no program `{name}` on this worker's machine");
        Ok((sandbox.clone(), found.ok_or_else(missing)?))
    }

    fn path(&self) -> &str {
        self.environment.0.get("PATH").map_or(PATH, String::as_str)
    }

    /// The variables of a command, without those of its own folder.
    pub(super) fn environment(&self, names: &[String]) -> Result<BTreeMap<String, String>, String> {
        let mut environment = BTreeMap::from([("PATH".into(), self.path().into())]);
        for name in names {
            let Some(value) = self.environment.0.get(name) else {
                return Err(format!(
                    "this worker has no variable `{name}` for commands; its operator permits it \
                     with `--allow-env {name}`"
                ));
            };
            environment.insert(name.clone(), value.clone());
        }
        Ok(environment)
    }

    /// The request for a command, without what a call adds.
    pub(super) fn request(
        &self,
        spec: &CommandTool,
        scratch: &Path,
        mut environment: BTreeMap<String, String>,
    ) -> Request {
        let own = scratch.to_string_lossy();
        for name in ["HOME", "TMPDIR"] {
            environment.entry(name.into()).or_insert_with(|| own.to_string());
        }
        environment.entry("LANG".into()).or_insert_with(|| "C.UTF-8".into());
        Request {
            program: PathBuf::new(),
            args: Vec::new(),
            environment,
            stdin: String::new(),
            root: self.files.clone(),
            directory: PathBuf::from(&spec.directory),
            write: self.write,
            scratch: scratch.to_owned(),
            readable: self.readable.to_vec(),
            network: spec.network,
            required: spec.isolation == Isolation::Required,
            limits: Limits {
                time: spec.time.0,
                memory: u64::from(spec.memory) << 20,
                processes: spec.processes.into(),
                output: usize::try_from(spec.output).unwrap_or(usize::MAX),
            },
        }
    }
}

fn found(folder: &str, name: &str) -> Option<PathBuf> {
    let path = Path::new(folder).join(name);
    (path.is_absolute() && path.is_file()).then_some(path)
}
