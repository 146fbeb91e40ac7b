//! The smallest worker: `cargo run -p tenure-sdk --example hello`, beside a running `tenure dev`,
//! then `tenure run hello --input '"world"' --follow`.

use tenure_sdk::{Client, Context, Stop, Worker, shutdown_signal};

async fn hello(ctx: Context, name: String) -> Result<String, Stop> {
    let greeting = ctx.step("greet").run(|_| async { Ok(format!("hello, {name}")) }).await?;
    Ok(greeting.to_uppercase())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::connect("http://127.0.0.1:7700", "default".parse()?)?;
    Worker::new(client).handle("hello", hello).run(shutdown_signal()).await?;
    Ok(())
}
