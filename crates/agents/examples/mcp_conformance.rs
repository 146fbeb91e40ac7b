//! The client that the official conformance suite of MCP starts: `mcp_conformance URL`, with the
//! name of the scenario in `MCP_CONFORMANCE_SCENARIO`. It connects as a worker does, lists the tools
//! and calls each with arguments that fit its schema. `scripts/conformance-mcp` runs the suite.

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tenure_agents::mcp::{Call, Reach, Servers};
use tenure_sdk::Publisher;
use tenure_spec::{Tool, parse};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = std::env::args().nth(1).context("the address of the server is missing")?;
    let spec = parse(&format!(
        "{{name: conformance, model: {{provider: openai, name: none}},
        tools: [{{mcp: {{name: suite, url: '{url}', timeout: 20s, elicitation: defaults}}}}]}}"
    ))?;
    let Some(Tool::Mcp(server)) = spec.tools.first() else { anyhow::bail!("no server") };
    let servers = Servers::new(Reach::default())?;
    let failed = |failure: tenure_sdk::Failure| anyhow::anyhow!(failure.message);
    let offer = servers.list("default", server).await.map_err(failed)?;
    for tool in offer.tools {
        let call = Call {
            tool: &tool.name,
            arguments: &arguments(&tool.parameters),
            idempotency_key: "conformance",
            effect: tool.effect,
            publisher: &Publisher::silent(),
        };
        let result = servers.call("default", server, call).await.map_err(failed)?;
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
