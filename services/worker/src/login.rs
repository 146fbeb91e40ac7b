//! `mcp-login`: how a person lets agents act for them at an MCP server.

use std::env;
use std::io::{self, Write as _};

use anyhow::Context as _;
use tenure_agents::mcp::{Credentials, Login};

use crate::config::{Config, McpLogin};

/// Logs in, and keeps the tokens.
pub(crate) async fn run(config: &Config, command: &McpLogin) -> anyhow::Result<()> {
    let folder = config.mcp_credentials.as_ref();
    let folder =
        folder.context("say where logins are kept: `--mcp-credentials DIR mcp-login …`")?;
    let [tenant] = &config.tenants[..] else {
        anyhow::bail!("a login is for one tenant: `--tenant TENANT mcp-login …`");
    };
    let login = Login {
        url: command.server.clone(),
        tenant: tenant.to_string(),
        scopes: command.scopes.clone(),
        client_id: command.client_id.clone(),
        client_secret: secret(command)?,
        port: command.port,
        private: config.mcp_auth_private,
    };
    let credentials = Credentials::new(folder);
    let granted = login.run(&credentials, |link| {
        say(&format!("Open this link in a browser of this machine:\n\n{link}\n"));
    });
    let granted = granted.await.map_err(|failure| anyhow::anyhow!(failure.message))?;
    let scopes =
        if granted.is_empty() { String::new() } else { format!(" ({})", granted.join(" ")) };
    say(&format!("Agents of `{tenant}` may now act for you at {}{scopes}.", command.server));
    Ok(())
}

fn secret(command: &McpLogin) -> anyhow::Result<Option<String>> {
    let Some(name) = &command.client_secret_env else { return Ok(None) };
    let secret = env::var(name).with_context(|| format!("--client-secret-env {name}"))?;
    Ok(Some(secret.trim().to_owned()))
}

fn say(text: &str) {
    // Whoever does not read it cannot open the link, and the login ends by itself.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
