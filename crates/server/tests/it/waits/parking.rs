//! When a run is parked, and when it is not.

use tenure_sdk::{Context, Failure, Stop, Worker, join};
use tenure_testkit::proxy::{Flow, Proxy};

use super::*;
use crate::worker::{Working, create};

/// One branch waits for a signal, the other has no reason to wait.
async fn fork(ctx: Context, (): ()) -> Result<(), Stop> {
    let (waiting, working) = (ctx.scope("waiting")?, ctx.scope("working")?);
    let branch = async |waits: bool| {
        if waits {
            return waiting.wait_for(&"go".parse()?).await.map(drop);
        }
        working.step("one").run(|_| async { Ok::<_, Failure>(()) }).await?;
        working.sleep(Duration::ZERO).await?;
        working.step("two").run(|_| async { Ok::<_, Failure>(()) }).await
    };
    join([true, false].map(branch)).await.map(drop)
}

#[tokio::test]
async fn a_run_is_not_parked_while_the_answer_to_a_record_is_on_its_way() {
    let app = App::start().await;
    let proxy = Proxy::start(app.url.trim_start_matches("http://").to_owned()).await;
    // Later than a quiet run is parked.
    let slow = Flow::Slow { delay: Duration::from_millis(150), jitter: Duration::ZERO };
    proxy.flow(Flow::Open, slow);
    let far = client(&format!("http://{}", proxy.address));
    let working = Working::start(Worker::new(far).handle("hello", fork));
    let run = create(&app, "hello", "null").await;
    let parked = app.until(&run, is_parked).await;
    assert_eq!(parked.entries, 3, "its code went on as far as it could");
    proxy.mend();
    signal(&app, &run, "go", "null").await;
    assert_eq!(app.ended(&run).await.state(), v1::RunState::Succeeded);
    working.drain().await;
}

/// Waits for a signal that says what to write, and writes it.
async fn write(ctx: Context, (): ()) -> Result<u64, Stop> {
    let text = ctx.wait_for(&"text".parse()?).await?;
    Ok(ctx.put_artifact("note.txt", "text/plain", text.data).await?.size)
}

#[tokio::test]
async fn one_worker_serves_several_tenants() {
    let app = App::start().await;
    let request = v1::CreateTenantRequest { name: "other".into() };
    app.client.tenants().create_tenant(request).await.unwrap();
    let tenants = ["default", "other"].map(|name| name.parse().unwrap());
    let worker = Worker::new(app.client.clone()).tenants(tenants.clone()).handle("note", write);
    let working = Working::start(worker);
    create(&app, "note", "null").await;
    for tenant in tenants {
        let client = app.client.for_tenant(tenant);
        let tenant = client.tenant().to_string();
        let agent = v1::GetVersionRequest {
            tenant: tenant.clone(),
            agent: "note".into(),
            version: String::new(),
        };
        while client.agents().get_version(agent.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
        let request = v1::CreateRunRequest {
            tenant: tenant.clone(),
            agent: "note".into(),
            ..v1::CreateRunRequest::default()
        };
        let run = client.runs().create_run(request).await.unwrap().into_inner().id;
        let signal = v1::SignalRunRequest {
            tenant: tenant.clone(),
            run: run.clone(),
            name: "text".into(),
            payload: Some(json(&tenant)),
            ..v1::SignalRunRequest::default()
        };
        client.runs().signal_run(signal).await.unwrap();
        let get = v1::GetRunRequest { tenant: tenant.clone(), run: run.clone(), wait: None };
        let ended = loop {
            let run = client.runs().get_run(get.clone()).await.unwrap().into_inner();
            if run.ended_at.is_some() {
                break run;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(output(&ended), tenant.len().to_string());
    }
    working.drain().await;
}
