//! The client that the official conformance suite of MCP starts: `mcp_conformance URL`, with the
//! name of the scenario in `MCP_CONFORMANCE_SCENARIO` and what it gives the client in
//! `MCP_CONFORMANCE_CONTEXT`. It connects as a worker does, lists the tools and calls each with
//! arguments that fit its schema. Where a worker says that a person has to log in, it does what the
//! worker says: the login is the product's, and only the person is a program that follows the link.
//! `scripts/conformance-mcp` runs the suite.

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tenure_agents::ToolSecrets;
use tenure_agents::mcp::{Call, Credentials, Login, Logins, Reach, Servers};
use tenure_sdk::{Failure, Publisher};
use tenure_spec::{McpTools, Tool, parse};

/// The document of our client that the suite expects where servers read such documents.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = std::env::args().nth(1).context("the address of the server is missing")?;
    let person = Person::new(&url)?;
    let spec = parse(&format!(
        "{{name: conformance, model: {{provider: openai, name: none}},
        tools: [{{mcp: {{name: suite, url: '{url}', timeout: 20s, elicitation: defaults{}}}}}]}}",
        person.auth(),
    ))?;
    let Some(Tool::Mcp(server)) = spec.tools.first() else { anyhow::bail!("no server") };
    let folder = tempfile::tempdir()?;
    let credentials = Credentials::new(folder.path());
    let logins = Logins { credentials: Some(credentials.clone()), private: false };
    let servers = Servers::new(Reach { secrets: person.secrets()?, logins, ..Reach::default() })?;
    // A worker fails the run, and a person who has logged in starts it again. It ends by itself: what
    // was consented to already is not asked for again.
    while let Err(failure) = work(&servers, server).await {
        anyhow::ensure!(
            failure.code == "mcp_consent_missing",
            "{}: {}",
            failure.code,
            failure.message
        );
        println!("{}", failure.message);
        person.log_in(&failure, &credentials).await?;
    }
    Ok(())
}

/// Lists the tools, and calls each.
async fn work(servers: &Servers, server: &McpTools) -> Result<(), Failure> {
    for tool in servers.list("default", server).await?.tools {
        let call = Call {
            tool: &tool.name,
            arguments: &arguments(&tool.parameters),
            idempotency_key: "conformance",
            effect: tool.effect,
            publisher: &Publisher::silent(),
        };
        let result = servers.call("default", server, call).await?;
        println!("{}: {result}", tool.name);
    }
    Ok(())
}

/// Something for each required field.
fn arguments(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let value = |name: &str| match schema["properties"][name]["type"].as_str() {
        Some("number" | "integer") => json!(2),
        Some("boolean") => json!(true),
        _ => json!("text"),
    };
    required.map(|name| (name.to_owned(), value(name))).collect()
}

/// Who reads what a worker says, and what was agreed with the server's operator before.
struct Person {
    url: String,
    scenario: String,
    agreed: Value,
}

impl Person {
    fn new(url: &str) -> anyhow::Result<Self> {
        let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
        let agreed = std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or("null".into());
        Ok(Self { url: url.to_owned(), scenario, agreed: serde_json::from_str(&agreed)? })
    }

    /// What a specification would say of the login.
    fn auth(&self) -> String {
        let machine = |more: &str| {
            let id = self.agreed["client_id"].as_str().unwrap_or_default();
            format!(", auth: {{grant: client_credentials, client_id: '{id}', {more}: 'env://KEY'}}")
        };
        match self.scenario.as_str() {
            "auth/cross-app-access-complete-flow" => {
                let word = |name: &str| self.agreed[name].as_str().unwrap_or_default();
                format!(
                    ", auth: {{grant: cross_app, client_id: '{}', client_secret: 'env://KEY',
                    identity: {{token: 'env://IDENTITY', token_endpoint: '{}', client_id: '{}'}}}}",
                    word("client_id"),
                    word("idp_token_endpoint"),
                    word("idp_client_id"),
                )
            }
            "auth/client-credentials-jwt" => machine("private_key"),
            "auth/client-credentials-basic" => machine("client_secret"),
            scenario if scenario.starts_with("auth/") => {
                ", auth: {grant: authorization_code}".into()
            }
            _ => String::new(),
        }
    }

    /// What the worker's operator would grant.
    fn secrets(&self) -> anyhow::Result<ToolSecrets> {
        let mut secrets = ToolSecrets::default();
        let known =
            [("client_secret", "KEY"), ("private_key_pem", "KEY"), ("idp_id_token", "IDENTITY")];
        for (name, variable) in known {
            if let Some(value) = self.agreed[name].as_str() {
                secrets.grant(variable, Some("localhost"), value).map_err(anyhow::Error::msg)?;
            }
        }
        Ok(secrets)
    }

    /// Runs the command that the failure names, and opens the link.
    async fn log_in(&self, failure: &Failure, credentials: &Credentials) -> anyhow::Result<()> {
        let command = failure.message.split('`').rev().nth(1).context("no command")?;
        let words: Vec<&str> = command.split(' ').collect();
        let scopes = words.windows(2).filter(|pair| pair[0] == "--scope");
        let known = self.agreed["client_id"].as_str().map(str::to_owned);
        let document = (self.scenario == "auth/basic-cimd").then(|| DOCUMENT.to_owned());
        let login = Login {
            url: self.url.clone(),
            tenant: "default".into(),
            scopes: scopes.map(|pair| pair[1].to_owned()).collect(),
            client_id: known.or(document),
            client_secret: self.agreed["client_secret"].as_str().map(str::to_owned),
            port: 0,
            private: false,
        };
        let granted = login.run(credentials, |link| {
            tokio::spawn(reqwest::get(link.to_owned()));
        });
        let granted = granted.await.map_err(|failure| anyhow::anyhow!(failure.message))?;
        println!("logged in for `{}`", granted.join(" "));
        Ok(())
    }
}
