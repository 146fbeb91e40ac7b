//! The smallest worker. Beside a running `tenure dev`: `cargo run -p tenure-sdk --example hello`,
//! then `tenure run hello --input world --follow`.

use tenure_sdk::{Client, Context, Stop, Worker, shutdown_signal};

async fn hello(ctx: Context, name: String) -> Result<String, Stop> {
    let greeting = ctx.step("greet").run(|_| async { Ok(format!("hello, {name}")) }).await?;
    Ok(greeting.to_uppercase())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::from_env()?;
    Worker::new(client).handle("hello", hello).run(shutdown_signal()).await?;
    Ok(())
}
