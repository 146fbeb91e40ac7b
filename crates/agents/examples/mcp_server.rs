//! An MCP server for the tests of this crate: `mcp_server FOLDER` speaks over standard input and
//! output, `mcp_server FOLDER http` over HTTP and says its address in a line.
//!
//! The folder is its memory: `calls` has a line `TOOL KEY` for each call, `many` says how many tools
//! there are to list beside the ordinary ones, `died` is there when it has died once.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio};
use rmcp::{ServerHandler, ServiceExt as _};
use serde_json::{Map, Value, json};

/// Tools of one page of the list.
const PAGE: usize = 100;

#[derive(Clone)]
struct Server {
    folder: PathBuf,
}

impl Server {
    /// Those that each list has.
    fn ordinary() -> Vec<Tool> {
        let read = || ToolAnnotations::new().read_only(true);
        let numbers = json!({
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        });
        vec![
            tool("add", "Adds two\u{200b} numbers.", numbers).annotate(read()),
            tool("note", "Writes a note.", json!({"type": "object"})),
            tool("put", "Puts it there.", json!({"type": "object"}))
                .annotate(ToolAnnotations::new().idempotent(true)),
            tool("fail", "Fails.", json!({"type": "object"})),
            tool("picture", "Shows a picture.", json!({"type": "object"})),
            tool("secret", "Says its secret.", json!({"type": "object"})).annotate(read()),
            tool("die", "Ends the server.", json!({"type": "object"})),
            tool("die.read", "Ends the server.", json!({"type": "object"})).annotate(read()),
            tool("silent", "Never answers.", json!({"type": "object"})).annotate(read()),
            tool("slow", "Tells its progress.", json!({"type": "object"})).annotate(read()),
            tool("odd", "Cannot be called.", json!({"type": "array"})),
        ]
    }

    /// The tools of a page, and how many there are in all.
    fn page(&self, start: usize) -> (Vec<Tool>, usize) {
        let ordinary = Self::ordinary();
        let many = fs::read_to_string(self.folder.join("many")).unwrap_or_default();
        let all = ordinary.len() + many.trim().parse::<usize>().unwrap_or(0);
        let nth = |place: usize| match place.checked_sub(ordinary.len()) {
            None => ordinary[place].clone(),
            Some(n) => tool(&format!("extra{n}"), "One more.", json!({"type": "object"})),
        };
        ((start..all.min(start + PAGE)).map(nth).collect(), all)
    }

    fn say(&self, line: &str) {
        let file = self.folder.join("calls");
        if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(file) {
            // In one piece: calls at the same time must not be written into each other.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Ends the process, the first time that it is asked to.
    fn die(&self) -> CallToolResult {
        let died = self.folder.join("died");
        if !died.exists() {
            let _ = fs::write(died, "");
            eprintln!("I was told to die");
            std::process::exit(3);
        }
        text("back again")
    }

    async fn slow(&self, context: &RequestContext<RoleServer>) -> CallToolResult {
        for number in 0..20_u8 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Some(token) = context.meta.get_progress_token() {
                let progress = ProgressNotificationParam::new(token, f64::from(number));
                let _ = context.peer.notify_progress(progress).await;
            }
        }
        text("done")
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let start = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let (tools, all) = self.page(start);
        let next_cursor = (all > start + PAGE).then(|| (start + PAGE).to_string());
        Ok(ListToolsResult { tools, next_cursor, ..ListToolsResult::default() })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let key = context.meta.0.0.get("tenure/idempotency-key").and_then(Value::as_str);
        self.say(&format!("{} {}", request.name, key.unwrap_or("no key")));
        let arguments = request.arguments.unwrap_or_default();
        let number = |name: &str| arguments.get(name).and_then(Value::as_f64).unwrap_or_default();
        Ok(CallToolResponse::Complete(match request.name.as_ref() {
            "add" => CallToolResult::structured(json!({"sum": number("a") + number("b")})),
            "note" | "put" => text("noted"),
            "fail" => CallToolResult::error(vec![ContentBlock::text("no paper")]),
            "picture" => CallToolResult::success(vec![
                ContentBlock::text("a dot"),
                ContentBlock::image("QUJD", "image/png"),
            ]),
            "secret" => text(&std::env::var("CANARY").unwrap_or_default()),
            "die" | "die.read" => self.die(),
            "slow" => self.slow(&context).await,
            "silent" => {
                context.ct.cancelled().await;
                self.say("cancelled silent");
                text("never")
            }
            other => return Err(ErrorData::invalid_params(format!("no tool {other}"), None)),
        }))
    }
}

fn tool(name: &str, description: &str, schema: Value) -> Tool {
    let schema: Map<String, Value> = serde_json::from_value(schema).unwrap_or_default();
    Tool::new(name.to_owned(), description.to_owned(), schema)
}

fn text(text: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let server = Server { folder: args.next().unwrap_or_default().into() };
    if args.next().is_none() {
        server.serve(stdio()).await?.waiting().await?;
        return Ok(());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default(),
    );
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
