//! Steps that must not happen twice.

use std::sync::atomic::{AtomicBool, Ordering};

use tenure_sdk::{Attempt, Context, Failure, IN_DOUBT, Reconciled, Stop, Worker};
use tokio::sync::Notify;

use super::*;
use crate::worker::{Working, create};

/// The outer world: a shop that charges, and may hang after it did.
#[derive(Clone, Default)]
struct Shop {
    log: Log,
    hangs: Arc<AtomicBool>,
    charged: Arc<Notify>,
}

impl Shop {
    fn hanging() -> Self {
        let shop = Self::default();
        shop.hangs.store(true, Ordering::SeqCst);
        shop
    }

    async fn charge(&self, amount: u32, attempt: Attempt) -> Result<u32, Failure> {
        self.log.note(format!("{amount} for {}", attempt.idempotency_key));
        if self.hangs.load(Ordering::SeqCst) {
            self.charged.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(amount)
    }
}

/// Charges; if that is in doubt, the shop can be asked or not.
async fn buy(ctx: Context, shop: Shop, knows: Option<Reconciled<u32>>) -> Result<u32, Stop> {
    ctx.step("before").run(|_| async { Ok(()) }).await?;
    let find_out = |_| std::future::ready(knows.clone().unwrap_or(Reconciled::Unknown));
    let step = ctx.step("charge").input(&10).once();
    let step = if knows.is_some() { step.reconcile(find_out) } else { step };
    step.run(|attempt| shop.charge(10, attempt)).await
}

fn buying(shop: &Shop, knows: Option<Reconciled<u32>>) -> impl FnOnce(Worker) -> Worker + use<> {
    let shop = shop.clone();
    move |worker| worker.handle("hello", move |ctx, (): ()| buy(ctx, shop.clone(), knows.clone()))
}

/// A run whose worker was lost after the charge and before its result.
async fn lost_in_between(app: &App, shop: &Shop) -> String {
    let worker = Doomed::start(app, buying(shop, None));
    let run = create(app, "hello", "null").await;
    shop.charged.notified().await;
    assert_eq!(app.keys(&run).await, ["before", "charge"], "that it began is on record");
    worker.lose(app, &run).await;
    shop.hangs.store(false, Ordering::SeqCst);
    run
}

#[tokio::test]
async fn what_the_outer_world_knows_is_not_done_again() {
    let (app, shop) = (App::start().await, Shop::hanging());
    let run = lost_in_between(&app, &shop).await;
    let knows = Some(Reconciled::Happened(11));
    let working = Working::start(buying(&shop, knows)(Worker::new(app.client.clone())));
    assert_eq!(output(&app.ended(&run).await), "11");
    assert_eq!(shop.log.take(), [format!("10 for {run}/charge")]);
    assert_eq!(app.keys(&run).await, ["before", "charge", "charge"]);
    working.drain().await;
}

#[tokio::test]
async fn what_did_not_happen_is_done() {
    let (app, shop) = (App::start().await, Shop::hanging());
    let run = lost_in_between(&app, &shop).await;
    let knows = Some(Reconciled::DidNot);
    let working = Working::start(buying(&shop, knows)(Worker::new(app.client.clone())));
    assert_eq!(output(&app.ended(&run).await), "10");
    assert_eq!(shop.log.take().len(), 2, "somebody said that it may be done");
    working.drain().await;
}

#[tokio::test]
async fn a_person_settles_what_nobody_else_knows() {
    let (app, shop) = (App::start().await, Shop::hanging());
    let (told, refused) =
        (lost_in_between(&app, &shop).await, lost_in_between(&app, &hanging(&shop)).await);
    shop.log.take();
    let unknown = Some(Reconciled::Unknown);
    let working = Working::start(buying(&shop, unknown)(Worker::new(app.client.clone())));
    let doubt = asked(&app, &told, 1).await.remove(0);
    assert_eq!(doubt.key, "doubt:charge");
    let question = doubt.question.clone().unwrap();
    assert_eq!(question.payload.unwrap().data, "10", "what was about to be done");
    assert!(question.title.contains("charge"), "{}", question.title);
    answer(&app, &doubt, v1::Decision::Respond, Some("12")).await.unwrap();
    assert_eq!(output(&app.ended(&told).await), "12");
    let doubt = asked(&app, &refused, 1).await.remove(0);
    answer(&app, &doubt, v1::Decision::Reject, None).await.unwrap();
    assert_eq!(code(&app.ended(&refused).await), IN_DOUBT);
    assert!(shop.log.take().is_empty(), "it was not done again");
    working.drain().await;
}

/// The same shop, which hangs again.
fn hanging(shop: &Shop) -> Shop {
    shop.hangs.store(true, Ordering::SeqCst);
    shop.clone()
}

#[tokio::test]
async fn each_repetition_needs_a_decision_of_its_own() {
    let (app, shop) = (App::start().await, Shop::hanging());
    let run = lost_in_between(&app, &shop).await;
    shop.hangs.store(true, Ordering::SeqCst);
    let second = Doomed::start(&app, buying(&shop, None));
    let doubt = asked(&app, &run, 1).await.remove(0);
    answer(&app, &doubt, v1::Decision::Approve, None).await.unwrap();
    shop.charged.notified().await;
    second.lose(&app, &run).await;
    shop.hangs.store(false, Ordering::SeqCst);
    let third = Working::start(buying(&shop, None)(Worker::new(app.client.clone())));
    let doubt = asked(&app, &run, 1).await.remove(0);
    assert_eq!(doubt.key, "doubt:doubt:charge");
    assert_eq!(shop.log.take().len(), 2);
    answer(&app, &doubt, v1::Decision::Approve, None).await.unwrap();
    assert_eq!(output(&app.ended(&run).await), "10");
    assert_eq!(shop.log.take().len(), 1);
    third.drain().await;
}

/// Takes too long, and nobody knows whether it happened.
async fn slow(ctx: Context, shop: Shop) -> Result<u32, Stop> {
    let step = ctx.step("charge").once().timeout(Duration::from_millis(1));
    step.run(|attempt| shop.charge(10, attempt)).await
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_in_doubt() {
    let (app, shop) = (App::start().await, Shop::hanging());
    let code = {
        let shop = shop.clone();
        move |ctx, (): ()| slow(ctx, shop.clone())
    };
    let working = Working::start(Worker::new(app.client.clone()).handle("hello", code));
    let run = create(&app, "hello", "null").await;
    let doubt = asked(&app, &run, 1).await.remove(0);
    answer(&app, &doubt, v1::Decision::Respond, Some("10")).await.unwrap();
    assert_eq!(output(&app.ended(&run).await), "10");
    assert_eq!(shop.log.take().len(), 1);
    working.drain().await;
}
