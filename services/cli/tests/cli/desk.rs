//! A worker in this process whose agents ask, fail and call on command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_sdk::{Approval, Client, Context, Decision, Failure, Payload, Stop, Worker};
use tokio_util::sync::CancellationToken;

use crate::tenure::{Dev, Process};

/// The agent `refunds` and, in another pool, newer code of it that looks orders up in another way.
pub(crate) struct Desk {
    /// Whether payments work.
    pub(crate) bank: Arc<AtomicBool>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Desk {
    pub(crate) fn open(dev: &Dev) -> Self {
        let (bank, stop) = (Arc::new(AtomicBool::new(true)), CancellationToken::new());
        let newer = dev.file("newer.yaml", "{name: refunds, kind: external, pool: newer}");
        let older = dev.file("older.yaml", "{name: refunds, kind: external, pool: refunds}");
        let paints = dev.file("paint.yaml", "{name: paint, kind: external, pool: paint}");
        // The worker publishes its agents when it starts, which changes nothing then.
        dev.json(&["apply", "-f", &older, &newer, &paints]);
        let client = || {
            let url = dev.url.clone();
            move || Client::connect(&url, "default".parse().unwrap()).unwrap()
        };
        let (older, newer, open) = (client(), client(), bank.clone());
        let threads = vec![
            spawn(stop.clone(), move || {
                let refund = move |ctx, order| refund(ctx, order, "order", open.clone());
                Worker::new(older()).handle("refunds", refund).handle("paint", paint)
            }),
            spawn(stop.clone(), move || {
                Worker::new(newer()).pool("newer".parse().unwrap()).interpreter(newer_refund)
            }),
        ];
        Self { bank, stop, threads }
    }

    /// Starts a run and waits until it asks; its id.
    pub(crate) fn asking(dev: &Dev, args: &[&str]) -> String {
        let args = [&["run"], args, &["--follow", "--output", "json"]].concat();
        let mut follow = Process::start(dev.command(&args));
        let waiting = follow.until(|event| event["run"]["state"] == "RUN_STATE_WAITING");
        follow.child.kill().unwrap();
        follow.child.wait().unwrap();
        waiting["run"]["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

fn spawn(
    stop: CancellationToken,
    worker: impl FnOnce() -> Worker + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { worker().drain_grace(Duration::ZERO).run(stop).await.unwrap() });
    })
}

/// Looks an order up, asks whether to refund it, and pays.
async fn refund(ctx: Context, order: u64, by: &str, bank: Arc<AtomicBool>) -> Result<Value, Stop> {
    let look_up = ctx.step("look-up").input(&json!({ by: order }));
    let found: Value =
        look_up.run(|_| async move { Ok(json!({"order": order, "dollars": 120})) }).await?;
    let asked = ctx
        .interrupt("refund")
        .title(format!("Refund order {order}?"))
        .payload(&found)
        .assignee("finance")
        .timeout(Duration::from_hours(1))
        .default_to(Decision::Reject);
    let payment: Value = match asked.approval().await? {
        Approval::Approved(payment) => payment,
        Approval::Rejected { reason, .. } => return Ok(json!({ "refused": reason })),
        Approval::Responded(value) => return Ok(value),
    };
    let paid = ctx.step("pay").run(|_| async {
        if !bank.load(Ordering::SeqCst) {
            return Err(Failure::permanent("bank_closed", "the bank is closed"));
        }
        Ok(payment.clone())
    });
    Ok(json!({ "paid": paid.await?["dollars"] }))
}

async fn newer_refund(ctx: Context, order: Payload) -> Result<Payload, Stop> {
    let order = serde_json::from_slice(&order.data)?;
    let paid = refund(ctx, order, "number", Arc::new(AtomicBool::new(true))).await?;
    Ok(Payload::json(paid.to_string()))
}

/// Asks for a colour.
async fn paint(ctx: Context, _what: Value) -> Result<Value, Stop> {
    let colour = ctx.interrupt("colour").title("Which colour?").choices(&["blue", "red"]);
    Ok(colour.ask::<Value>().await?.value.unwrap_or_default())
}
