//! What a worker is told by its command line and its environment. Nothing else reads either.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tenure_agents::mcp::{Credentials, Logins};
use tenure_agents::model::pools::SharedLimits;
use tenure_agents::tools::command::Variables;
use tenure_agents::{
    DefaultModel, Hook, ModelConfig, Policy, Prices, Secret, ToolSecrets, read_policy, read_script,
};
use tenure_sdk::Name;
use tenure_telemetry::LogFormat;

use crate::backends::{self, Backends};

/// Executes the runs of agents that are specifications.
///
/// Keys of model providers come from the environment: OPENAI_API_KEY, ANTHROPIC_API_KEY,
/// GEMINI_API_KEY; the address of an Ollama server from OLLAMA_HOST.
#[derive(Clone, Debug, Parser)]
#[command(name = "tenure-worker", version)]
pub struct Config {
    /// Address of the control plane.
    #[arg(long, env = "TENURE_URL", default_value = "http://127.0.0.1:7700")]
    pub url: String,
    /// Tenant whose runs are executed; may be given several times, or as a list with commas.
    // Its id is that of the option of the `tenure` command, which is the same one there.
    #[arg(
        id = "tenant",
        long = "tenant",
        value_name = "TENANT",
        env = "TENURE_TENANT",
        default_value = "default",
        value_delimiter = ','
    )]
    pub tenants: Vec<Name>,
    /// Pool to serve; may be given several times.
    #[arg(long = "pool", value_name = "POOL", default_value = "default")]
    pub pools: Vec<Name>,
    /// Runs to execute at a time.
    #[arg(long, default_value = "16", value_parser = capacity)]
    pub capacity: usize,
    /// Folder that agents may read; they see nothing outside it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub files: PathBuf,
    /// Let agents write in that folder: with the tools `write_file` and `edit_file`, and by the
    /// programs that they may start.
    #[arg(long, env = "TENURE_FILES_WRITE")]
    pub files_write: bool,
    /// Host, beside the providers' own, that keys may be sent to when a specification names it in
    /// `base_url`; may be given several times.
    #[arg(
        long = "model-host",
        value_name = "HOST",
        env = "TENURE_MODEL_HOSTS",
        value_delimiter = ','
    )]
    pub model_hosts: Vec<String>,
    /// Model that graphs ask where they name none, as PROVIDER/NAME. As scripted/FILE none is asked: a
    /// script is played (YAML, as `model.script` in a specification).
    #[arg(long = "model", value_name = "PROVIDER/NAME", env = "TENURE_MODEL", value_parser = default_model)]
    pub model: Option<DefaultModel>,
    /// File with the backends of models and their pools (TOML; see docs/models.md), which
    /// specifications name as `model: {pool: NAME}`.
    #[arg(id = "backends", long = "models", value_name = "FILE", env = "TENURE_MODELS")]
    pub backends: Option<PathBuf>,
    /// Redis by which workers share the limits of backends: `redis://…`, `rediss://…` for TLS, or
    /// `unix:///PATH`. Without it, and while it is away, each worker counts by itself.
    #[arg(long, env = "TENURE_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// What the names of keys in that Redis begin with; another one for each installation that
    /// shares it.
    #[arg(long, env = "TENURE_REDIS_PREFIX", default_value = "tenure")]
    pub redis_prefix: String,
    /// File with what calls of models cost, instead of the table that the worker comes with; see
    /// docs/models.md.
    #[arg(long = "prices", value_name = "FILE", env = "TENURE_PRICES")]
    pub prices: Option<PathBuf>,
    /// File with the hooks that graphs may call: a JSON list of `{name, endpointUrl, method,
    /// timeoutMs}`.
    #[arg(long = "hooks", value_name = "FILE", env = "TENURE_HOOKS")]
    pub hooks: Option<PathBuf>,
    /// Program that tools of agents may start on this machine, by the name or path that a
    /// specification gives; may be given several times. Without it they start none.
    #[arg(
        id = "program",
        long = "allow-program",
        value_name = "PROGRAM",
        env = "TENURE_ALLOW_PROGRAMS",
        value_delimiter = ','
    )]
    pub programs: Vec<String>,
    /// Variable of this process that tools of agents may use as `env://NAME`, as NAME or NAME@HOST,
    /// which lets it go to that host only; may be given several times.
    #[arg(
        id = "tool_secret",
        long = "tool-secret",
        value_name = "NAME[@HOST]",
        env = "TENURE_TOOL_SECRETS",
        value_delimiter = ','
    )]
    pub tool_secrets: Vec<String>,
    /// File whose content tools of agents may use as `env://NAME`, in requests to that host only; may
    /// be given several times. It is read whenever it is needed, so it may be renewed meanwhile, as
    /// identity tokens of platforms are.
    #[arg(
        id = "tool_secret_file",
        long = "tool-secret-file",
        value_name = "NAME@HOST=FILE",
        env = "TENURE_TOOL_SECRET_FILES",
        value_delimiter = ','
    )]
    pub tool_secret_files: Vec<String>,
    /// Variable of this process that such programs may see, if a specification asks for it; may be
    /// given several times. They see no other but PATH.
    #[arg(
        id = "variable",
        long = "allow-env",
        value_name = "NAME",
        env = "TENURE_ALLOW_ENV",
        value_delimiter = ','
    )]
    pub variables: Vec<String>,
    /// Folder that such programs may read and execute, such as that of a compiler in a home
    /// directory; may be given several times. They can read their own and the system's.
    #[arg(
        id = "readable",
        long = "allow-read",
        value_name = "DIR",
        env = "TENURE_ALLOW_READ",
        value_delimiter = ','
    )]
    pub readable: Vec<PathBuf>,
    /// File with a policy for the tools of all agents on this worker (YAML, as `policy` in a
    /// specification): what an agent's own policy allows, this one may still refuse.
    #[arg(long, value_name = "FILE", env = "TENURE_POLICY")]
    pub policy: Option<PathBuf>,
    /// How the log is written, on standard error. RUST_LOG chooses what is.
    #[arg(long, env = "TENURE_LOG", default_value = "text")]
    pub log: LogFormat,
    /// Write one line to standard output for each step that is really executed:
    /// `executing RUN KEY epoch=E`.
    #[arg(long)]
    pub announce_steps: bool,
    /// Execute this many steps and no more, and wait for ever instead of executing the next. It
    /// lets a demonstration or a test kill the worker exactly between two steps.
    #[arg(long, hide = true, value_name = "STEPS")]
    pub hold_after: Option<usize>,
    /// Folder with the logins of people at MCP servers (`mcp-login`), which its owner alone may read.
    /// Without it agents act for nobody there.
    #[arg(long, value_name = "DIR", env = "TENURE_MCP_CREDENTIALS")]
    pub mcp_credentials: Option<PathBuf>,
    /// Let MCP servers name authorization servers with private addresses.
    #[arg(long, env = "TENURE_MCP_AUTH_PRIVATE")]
    pub mcp_auth_private: bool,
    /// How models are reached.
    #[arg(skip)]
    pub models: ModelConfig,
    /// What to do instead of working.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What a worker can do beside working.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Ask each backend of models once what models it has, and show how it is. The status is 1 if
    /// one of them is down.
    Backends(Backends),
    /// Log in to an MCP server, for the agents of this worker's tenant.
    ///
    /// Prints a link to open in a browser of this machine, waits at most 10 minutes for the answer,
    /// and keeps the tokens in the folder of `--mcp-credentials`, which stands before `mcp-login`, as
    /// `--tenant` does. Agents whose specifications say `auth: {grant: authorization_code}` for this
    /// server then act for whoever has logged in.
    McpLogin(McpLogin),
}

/// Which server, and as whom.
#[derive(Args, Clone, Debug)]
pub struct McpLogin {
    /// Address of the server, as specifications have it.
    pub server: String,
    /// What to ask for; may be given several times. Without it what the server says it needs.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// What the authorization server knows this client by: an id that it has given out, or the https
    /// address of the client's metadata document. Without it the client registers itself.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Variable of this process with the client's secret, if it has one.
    #[arg(long, value_name = "NAME", requires = "client_id")]
    pub client_secret_env: Option<String>,
    /// Port of this machine that the browser brings the answer to; any, unless the client was
    /// registered with one.
    #[arg(long, default_value = "0")]
    pub port: u16,
}

impl Config {
    /// The configuration of this process. Ends the process if the command line is wrong, or asks
    /// for help.
    pub fn of_process() -> Self {
        Self::parse().with_keys()
    }

    /// The same with the keys of model providers that the environment has.
    #[must_use]
    pub fn with_keys(self) -> Self {
        let models = models(self.model_hosts.clone(), |name| env::var(name).ok());
        let models = ModelConfig { default: self.model.clone(), ..models };
        Self { models, ..self }
    }

    /// The secrets that tools may use.
    pub(crate) fn secrets(&self) -> anyhow::Result<ToolSecrets> {
        let mut secrets = secrets(&self.tool_secrets, |name| env::var(name).ok())?;
        grant_files(&mut secrets, &self.tool_secret_files)?;
        Ok(secrets)
    }

    /// How MCP servers are logged in to. Agents must not read what they are logged in with.
    pub(crate) fn logins(&self) -> anyhow::Result<Logins> {
        let folder = self.mcp_credentials.as_deref().map(real);
        let seen = |dir: &&PathBuf| folder.as_ref().is_some_and(|f| f.starts_with(real(dir)));
        if let Some(dir) = [&self.files].into_iter().chain(&self.readable).find(seen) {
            let dir = dir.display();
            anyhow::bail!(
                "--mcp-credentials lies in `{dir}`, which agents read: keep it elsewhere"
            );
        }
        let credentials = self.mcp_credentials.as_ref().map(Credentials::new);
        Ok(Logins { credentials, private: self.mcp_auth_private })
    }

    /// The variables that programs may see, as far as this process has them, and where programs are.
    pub(crate) fn environment(&self) -> Variables {
        let names = self.variables.iter().map(String::as_str).chain(["PATH"]);
        names.filter_map(|name| Some((name.to_owned(), env::var(name).ok()?))).collect()
    }

    /// The policy of the file.
    pub(crate) fn policy(&self) -> anyhow::Result<Option<Policy>> {
        let Some(path) = &self.policy else { return Ok(None) };
        let text =
            fs::read_to_string(path).with_context(|| format!("--policy {}", path.display()))?;
        let policy = read_policy(&text);
        policy.map(Some).map_err(|why| anyhow::anyhow!("the policy {}: {why}", path.display()))
    }

    /// How models are reached, with the prices and backends of the files.
    pub(crate) fn models(&self) -> anyhow::Result<ModelConfig> {
        let mut models = self.models.clone();
        if let Some(path) = &self.prices {
            let text =
                fs::read_to_string(path).with_context(|| format!("--prices {}", path.display()))?;
            models.prices = Prices::read(&text)
                .map_err(|why| anyhow::anyhow!("the prices of {}: {why}", path.display()))?;
        }
        if let Some(path) = &self.backends {
            models.backends = backends::read(path)?;
            models.backends.limits = self.limits()?;
        }
        Ok(models)
    }

    /// Where workers share the limits of backends.
    fn limits(&self) -> anyhow::Result<Option<SharedLimits>> {
        let limits = |url: &String| SharedLimits::new(url, &self.redis_prefix);
        let limits = self.redis_url.as_ref().map(limits).transpose();
        limits.map_err(|why| anyhow::anyhow!("--redis-url: {why}"))
    }

    /// The hooks of the file.
    pub(crate) fn hooks(&self) -> anyhow::Result<Vec<Hook>> {
        let Some(path) = &self.hooks else { return Ok(Vec::new()) };
        let text = fs::read(path).with_context(|| format!("--hooks {}", path.display()))?;
        let hooks = Hook::list(&text);
        hooks.map_err(|why| anyhow::anyhow!("the hooks of {}: {why}", path.display()))
    }
}

/// Where a path really leads, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let parts = whole.ancestors().map(|there| (there.canonicalize(), whole.strip_prefix(there)));
    let mut real = parts.filter_map(|(there, rest)| Some(there.ok()?.join(rest.ok()?)));
    real.next().unwrap_or(whole.clone())
}

/// The secrets of this list, each NAME or NAME@HOST.
fn secrets(
    list: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<ToolSecrets> {
    let mut secrets = ToolSecrets::default();
    for secret in list {
        let (name, host) = match secret.split_once('@') {
            Some((name, host)) => (name, Some(host)),
            None => (secret.as_str(), None),
        };
        let value = variable(name);
        let value = value.with_context(|| format!("--tool-secret {name}: there is no variable"))?;
        secrets.grant(name, host, &value).map_err(anyhow::Error::msg)?;
    }
    Ok(secrets)
}

/// Adds the secrets of this list, each NAME@HOST=FILE.
fn grant_files(secrets: &mut ToolSecrets, list: &[String]) -> anyhow::Result<()> {
    for secret in list {
        let parts = secret.split_once('=').and_then(|(granted, file)| {
            let (name, host) = granted.split_once('@')?;
            (![name, host, file].contains(&"")).then_some((name, host, file))
        });
        let (name, host, file) = parts
            .with_context(|| format!("--tool-secret-file {secret}: write it as NAME@HOST=FILE"))?;
        secrets.grant_file(name, host, file.into());
    }
    Ok(())
}

/// The providers' keys from variables; an empty variable is an absent one.
fn models(key_hosts: Vec<String>, variable: impl Fn(&str) -> Option<String>) -> ModelConfig {
    let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let key = |name: &str| given(name).map(|value| Secret::new(&value));
    ModelConfig {
        openai_key: key("OPENAI_API_KEY"),
        anthropic_key: key("ANTHROPIC_API_KEY"),
        gemini_key: key("GEMINI_API_KEY"),
        ollama_host: given("OLLAMA_HOST"),
        key_hosts,
        ..ModelConfig::default()
    }
}

fn default_model(text: &str) -> Result<DefaultModel, String> {
    match text.strip_prefix("scripted/") {
        Some(file) => scripted(file).map_err(|why| format!("the script {file}: {why}")),
        None => text.parse(),
    }
}

fn scripted(file: &str) -> Result<DefaultModel, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let script = read_script(&text).map_err(|problems| problems.to_string())?;
    let name = Path::new(file).file_stem().unwrap_or_default();
    Ok(DefaultModel::scripted(&name.to_string_lossy(), script))
}

fn capacity(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(capacity @ 1..=10_000) => Ok(capacity),
        _ => Err("a whole number from 1 to 10000 is needed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Config, clap::Error> {
        Config::try_parse_from(line.split(' '))
    }

    #[test]
    fn everything_has_a_default() {
        let config = parse("tenure-worker").unwrap();
        assert_eq!((config.capacity, config.pools.len()), (16, 1));
        assert_eq!((config.log, config.hold_after), (LogFormat::Text, None));
    }

    #[test]
    fn pools_replace_the_default() {
        let config = parse("tenure-worker --pool a --pool b --model-host x,y").unwrap();
        assert_eq!(config.pools, ["a".parse().unwrap(), "b".parse().unwrap()]);
        assert_eq!(config.model_hosts, ["x", "y"]);
    }

    #[test]
    fn a_worker_serves_as_many_tenants_as_it_is_told() {
        let names = |line| -> Vec<String> {
            parse(line).unwrap().tenants.iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("tenure-worker"), ["default"]);
        assert_eq!(names("tenure-worker --tenant a,b --tenant c"), ["a", "b", "c"]);
    }

    #[test]
    fn mistakes_are_told() {
        for line in ["--pool NO", "--capacity 0", "--log xml", "--tenant a/b", "--hold-after x"] {
            assert!(parse(&format!("tenure-worker {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn backends_are_read_for_work_and_for_a_look() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("models.toml");
        std::fs::write(&file, "[[backend]]\nname = 'a'\nprovider = 'opnai'").unwrap();
        let line = format!("tenure-worker --models {} --redis-url http://x", file.display());
        let config = parse(&line).unwrap();
        let problem = format!("{:#}", config.models().unwrap_err());
        assert!(problem.contains("models.toml:\nbackend[0].provider: unknown"), "{problem}");
        std::fs::write(&file, "[[backend]]\nname = 'a'\nprovider = 'openai'").unwrap();
        let problem = format!("{:#}", config.models().unwrap_err());
        assert!(problem.starts_with("--redis-url: this is not the URL of a Redis"), "{problem}");
        let line = format!("tenure-worker backends --models {} --output json", file.display());
        let Some(Command::Backends(look)) = parse(&line).unwrap().command else { panic!("{line}") };
        assert_eq!((look.models, look.output), (file, crate::Output::Json));
    }

    #[test]
    fn the_model_of_graphs_may_be_a_script() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("talk.yaml");
        let model = || parse(&format!("tenure-worker --model scripted/{}", file.display()));
        assert!(model().unwrap_err().to_string().contains("talk.yaml: No such file"));
        std::fs::write(&file, "turns: []").unwrap();
        assert!(model().unwrap_err().to_string().contains("write at least one turn"));
        std::fs::write(&file, "turns: [{text: hi}]").unwrap();
        let model = model().unwrap().model.unwrap();
        assert_eq!((&*model.name, model.script.unwrap().turns.len()), ("talk", 1));
    }

    #[test]
    fn tool_secrets_are_named_and_must_be_there() {
        let list = parse("tenure-worker --tool-secret A,B@x.example").unwrap().tool_secrets;
        let missing = secrets(&list, |_| None).unwrap_err();
        assert!(missing.to_string().contains("--tool-secret A"));
        let granted = format!("{:?}", secrets(&list, |_| Some("12345678".into())).unwrap());
        assert!(granted.contains("x.example") && !granted.contains("12345678"), "{granted}");
    }

    #[test]
    fn files_of_secrets_say_who_may_be_sent_them() {
        let line = "tenure-worker --tool-secret-file A@x.example=/run/a";
        let list = parse(line).unwrap().tool_secret_files;
        let mut secrets = ToolSecrets::default();
        grant_files(&mut secrets, &list).unwrap();
        assert!(format!("{secrets:?}").contains("/run/a"));
        for wrong in ["A=/run/a", "A@x.example", "@x=/a", "A@x="] {
            let failed = grant_files(&mut secrets, &[wrong.into()]).unwrap_err();
            assert!(failed.to_string().contains("NAME@HOST=FILE"), "{failed}");
        }
    }

    #[test]
    fn a_login_stands_after_the_worker_that_it_is_for() {
        let line = "tenure-worker --tenant a --mcp-credentials /c mcp-login https://x --scope a \
            --scope b --client-id i --client-secret-env S";
        let config = parse(line).unwrap();
        assert_eq!(config.mcp_credentials, Some("/c".into()));
        let Some(Command::McpLogin(login)) = config.command else { panic!("it is a login") };
        assert_eq!((&*login.server, login.scopes.len(), login.port), ("https://x", 2, 0));
        assert!(parse("tenure-worker mcp-login").is_err());
        assert!(parse("tenure-worker mcp-login https://x --client-secret-env S").is_err());
    }

    #[test]
    fn logins_are_kept_where_agents_do_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |place: &str| dir.path().join(place).display().to_string();
        std::fs::create_dir_all(at("files")).unwrap();
        let logins = |folder: &str, more: &str| {
            let (files, folder) = (at("files"), at(folder));
            let line = format!("tenure-worker --files {files} --mcp-credentials {folder}{more}");
            parse(&line).unwrap().logins().map(|logins| logins.credentials.is_some())
        };
        assert!(logins("logins", "").unwrap());
        assert!(logins("files-of-others", "").unwrap());
        for (folder, more) in [
            ("files", String::new()),
            ("files/new/logins", String::new()),
            ("logins", format!(" --allow-read {}", at(""))),
        ] {
            let refused = logins(folder, &more).unwrap_err().to_string();
            assert!(refused.contains("keep it elsewhere"), "{refused}");
        }
    }

    #[test]
    fn nothing_is_permitted_unless_it_is_listed() {
        let config = parse("tenure-worker").unwrap();
        assert!(!config.files_write && config.programs.is_empty() && config.readable.is_empty());
        assert_eq!(format!("{:?}", config.environment()), r#"{"PATH"}"#);
        let line = "tenure-worker --files-write --allow-program cc,make --allow-env HOME,NONE_SUCH \
            --allow-read /srv/rust";
        let config = parse(line).unwrap();
        assert!(config.files_write);
        assert_eq!((config.programs.len(), config.readable.len()), (2, 1));
        let names = format!("{:?}", config.environment());
        assert!(!names.contains("NONE_SUCH") && !names.contains('/'), "{names}");
    }

    #[test]
    fn keys_come_from_variables_and_show_themselves_to_nobody() {
        let variable = |name: &str| match name {
            "OPENAI_API_KEY" => Some("sk-secret".into()),
            "GEMINI_API_KEY" => Some(" ".into()),
            _ => None,
        };
        let models = models(vec![], variable);
        assert!(models.openai_key.is_some() && models.gemini_key.is_none());
        assert!(!format!("{models:?}").contains("sk-secret"));
    }
}
