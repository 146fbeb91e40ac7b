//! The queue: priorities, caps, and tenants that share workers.

use std::time::Duration;

use insta::assert_snapshot;
use tenure_sdk::v1;

use crate::{Hand, end, said, steering, succeed};

impl Hand {
    pub(crate) async fn cap_agent(
        &self,
        max_running: Option<i32>,
    ) -> Result<v1::Agent, tonic::Status> {
        let request =
            v1::SetAgentCapRequest { tenant: "default".into(), agent: "hello".into(), max_running };
        Ok(self.app.client.agents().set_agent_cap(request).await?.into_inner())
    }

    pub(crate) async fn cap_tenant(
        &self,
        max_running: Option<i32>,
    ) -> Result<v1::Tenant, tonic::Status> {
        let request = v1::SetTenantCapRequest { tenant: "default".into(), max_running };
        Ok(self.app.client.tenants().set_tenant_cap(request).await?.into_inner())
    }

    /// Leases up to `capacity` runs of these tenants' pools `hello`.
    async fn poll_many(&self, tenants: &[&str], capacity: u32) -> Vec<v1::LeasedRun> {
        let request = v1::PollRequest {
            tenants: tenants.iter().map(ToString::to_string).collect(),
            worker: self.worker.clone(),
            pools: vec!["hello".into()],
            capacity,
            wait: Some(Duration::from_secs(5).into()),
        };
        let polled = self.app.client.workers().poll(request).await.unwrap().into_inner();
        match polled.result {
            Some(v1::poll_response::Result::Dispatched(dispatched)) => dispatched.runs,
            other => panic!("{other:?}"),
        }
    }

    /// A tenant with an agent `hello` and so many runs of it.
    async fn tenant(&self, tenant: &str, runs: usize) {
        let create = v1::CreateTenantRequest { name: tenant.into() };
        self.app.client.tenants().create_tenant(create).await.unwrap();
        let publish = v1::PublishVersionRequest {
            tenant: tenant.into(),
            document: "{name: hello, kind: external, pool: hello}".into(),
        };
        self.app.client.agents().publish_version(publish).await.unwrap();
        for _ in 0..runs {
            self.create(|request| request.tenant = tenant.into()).await;
        }
    }
}

#[tokio::test]
async fn higher_priorities_come_first() {
    let hand = Hand::start().await;
    let mut runs = Vec::new();
    for priority in [0, -3, 9, 0] {
        runs.push(hand.create(|request| request.priority = priority).await);
    }
    let request = v1::PrioritizeRunRequest {
        tenant: "default".into(),
        run: runs[3].clone(),
        priority: 5,
        steering: Some(steering("ann", "a customer waits")),
    };
    let moved = hand.app.client.runs().prioritize_run(request).await.unwrap().into_inner();
    assert_eq!((moved.priority, moved.entries), (5, 1));
    for expected in [2, 3, 0, 1] {
        assert_eq!(hand.leased().await.run, runs[expected]);
    }
    let refused = hand.try_create(|request| request.priority = 10).await.unwrap_err();
    assert_snapshot!(said(&refused), @"InvalidArgument: there is no priority 10: use -9 to 9");
}

#[tokio::test]
async fn an_agent_has_no_more_runs_leased_than_its_cap() {
    let hand = Hand::start().await;
    hand.cap_agent(Some(2)).await.unwrap();
    for _ in 0..5 {
        hand.create(|_| ()).await;
    }
    let first = hand.poll_many(&["default"], 5).await;
    assert_eq!(first.len(), 2);
    assert!(hand.poll(0).await.is_none());
    hand.commit(end(&first[0], 1, succeed())).await.unwrap();
    hand.leased().await;
    assert!(hand.poll(0).await.is_none());
    hand.suspend(&first[1], 1, &[]).await;
    hand.leased().await;
    // The cap is lifted: those that queued under it are found.
    hand.cap_agent(None).await.unwrap();
    hand.leased().await;
    assert!(hand.poll(0).await.is_none(), "that were all");
}

#[tokio::test]
async fn a_tenant_has_no_more_runs_leased_than_its_cap() {
    let hand = Hand::start().await;
    for _ in 0..3 {
        hand.create(|_| ()).await;
    }
    assert_eq!(hand.cap_tenant(Some(1)).await.unwrap().max_running, Some(1));
    let first = hand.poll_many(&["default"], 3).await;
    assert_eq!(first.len(), 1);
    assert!(hand.poll(0).await.is_none());
    hand.cap_tenant(Some(3)).await.unwrap();
    assert_eq!(hand.poll_many(&["default"], 3).await.len(), 2);
}

#[tokio::test]
async fn caps_of_zero_and_less_are_refused() {
    let hand = Hand::start().await;
    for max_running in [0, -1, i32::MIN] {
        let agent = hand.cap_agent(Some(max_running)).await.unwrap_err();
        let tenant = hand.cap_tenant(Some(max_running)).await.unwrap_err();
        let message = format!(
            "InvalidArgument: max_running is {max_running}: use 1 or more, or leave it out for no cap"
        );
        assert_eq!([said(&agent), said(&tenant)], [message.clone(), message]);
    }
}

#[tokio::test]
async fn a_crowd_of_one_tenant_does_not_delay_the_first_of_another() {
    let hand = Hand::start().await;
    hand.tenant("crowd", 50).await;
    hand.tenant("single", 1).await;
    let leased = hand.poll_many(&["crowd", "single"], 4).await;
    let mut tenants: Vec<&str> = leased.iter().map(|run| &*run.tenant).collect();
    tenants.sort_unstable();
    assert_eq!(tenants, ["crowd", "crowd", "crowd", "single"]);
    // One by one, too: tenants take turns.
    hand.tenant("third", 3).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(hand.poll_many(&["crowd", "third"], 1).await.remove(0).tenant);
    }
    assert_eq!(seen.iter().filter(|tenant| *tenant == "third").count(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_poll_names_its_tenants() {
    let hand = Hand::start().await;
    let poll = async |tenants: Vec<String>| {
        let request = v1::PollRequest {
            tenants,
            worker: hand.worker.clone(),
            pools: vec!["hello".into()],
            capacity: 1,
            wait: None,
        };
        said(&hand.app.client.workers().poll(request).await.unwrap_err())
    };
    assert_snapshot!(poll(Vec::new()).await, @"InvalidArgument: tenants is empty: name at least one");
    assert_snapshot!(poll(vec!["nobody".into()]).await, @"NotFound: there is no tenant `nobody`");
    let many = (0..65).map(|number| format!("t{number}")).collect();
    assert_snapshot!(poll(many).await, @"OutOfRange: the number of tenants in one poll is 65; the limit is 64");
}
