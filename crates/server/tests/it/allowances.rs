//! What a tenant or agent may use together, over the wire.

use tenure_sdk::v1;

use crate::{Hand, said};

fn tokens(tokens: u64) -> v1::Budget {
    v1::Budget { tokens: Some(tokens), ..v1::Budget::default() }
}

fn of(agent: &str, period: v1::Period, budget: Option<v1::Budget>) -> v1::SetAllowanceRequest {
    v1::SetAllowanceRequest {
        tenant: "default".into(),
        agent: agent.into(),
        period: period.into(),
        budget,
    }
}

impl Hand {
    async fn allow(
        &self,
        request: v1::SetAllowanceRequest,
    ) -> Result<Option<v1::Allowance>, tonic::Status> {
        Ok(self.app.client.tenants().set_allowance(request).await?.into_inner().allowance)
    }

    async fn allowances(&self) -> Vec<v1::Allowance> {
        let request = v1::ListAllowancesRequest { tenant: "default".into() };
        let listed = self.app.client.tenants().list_allowances(request).await.unwrap();
        listed.into_inner().allowances
    }

    async fn is_metered(&self) -> bool {
        let request = v1::GetTenantRequest { name: "default".into() };
        self.app.client.tenants().get_tenant(request).await.unwrap().into_inner().metered
    }

    /// What is said to a reservation of so many tokens.
    async fn reserve(
        &self,
        run: &v1::LeasedRun,
        key: &str,
        tokens: u64,
    ) -> Result<Option<v1::Spent>, tonic::Status> {
        let request = v1::ReserveRequest {
            tenant: "default".into(),
            run: run.run.clone(),
            lease: run.lease.clone(),
            key: key.into(),
            cost_micros: None,
            tokens,
        };
        Ok(self.app.client.workers().reserve(request).await?.into_inner().spent)
    }
}

#[tokio::test]
async fn an_allowance_is_set_listed_and_removed() {
    let hand = Hand::start().await;
    assert!(!hand.is_metered().await);
    let set = hand.allow(of("hello", v1::Period::Day, Some(tokens(9)))).await.unwrap().unwrap();
    assert_eq!(
        (&*set.agent, set.period(), set.budget),
        ("hello", v1::Period::Day, Some(tokens(9)))
    );
    assert!(set.renews_at.is_some() && hand.is_metered().await);
    hand.allow(of("", v1::Period::Month, Some(tokens(99)))).await.unwrap();
    let agents: Vec<String> = hand.allowances().await.into_iter().map(|it| it.agent).collect();
    assert_eq!(agents, ["", "hello"]);
    assert_eq!(hand.allow(of("hello", v1::Period::Day, None)).await.unwrap(), None);
    let nothing = Some(v1::Budget::default());
    assert_eq!(hand.allow(of("", v1::Period::Month, nothing)).await.unwrap(), None);
    assert!(hand.allowances().await.is_empty() && !hand.is_metered().await);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let hand = Hand::start().await;
    let period = hand.allow(of("", v1::Period::Unspecified, Some(tokens(9)))).await.unwrap_err();
    assert_eq!(said(&period), "InvalidArgument: period is missing: use day or month");
    let agent = hand.allow(of("nobody", v1::Period::Day, Some(tokens(9)))).await.unwrap_err();
    assert_eq!(said(&agent), "NotFound: there is no agent `nobody`");
}

#[tokio::test]
async fn what_is_reserved_is_given_back_with_the_result() {
    let hand = Hand::start().await;
    hand.allow(of("", v1::Period::Day, Some(tokens(100)))).await.unwrap();
    hand.create(|_| {}).await;
    let run = hand.leased().await;
    assert_eq!(hand.reserve(&run, "turn/0/model", 60).await.unwrap(), None);
    let spent = hand.reserve(&run, "other", 41).await.unwrap().unwrap();
    let told = "the tenant may use 100 tokens in a day: 0 tokens used, 60 tokens reserved, 41 tokens \
                more for this call; the next day begins on ";
    assert!(spent.message.starts_with(told) && !spent.unpriced, "{spent:?}");
    assert_eq!(hand.reserve(&run, "other", 40).await.unwrap(), None);

    let usage = v1::Usage { model: "m".into(), input_tokens: 10, ..v1::Usage::default() };
    let done = v1::Record {
        key: "turn/0/model".into(),
        kind: v1::EntryKind::Model.into(),
        attempt: 1,
        usage: Some(usage),
        status: Some(v1::record::Status::Succeeded(v1::Payload::default())),
        ..v1::Record::default()
    };
    let commit = v1::CommitRequest {
        tenant: "default".into(),
        run: run.run.clone(),
        lease: run.lease.clone(),
        expected_seq: 1,
        records: vec![done],
        outcome: None,
    };
    hand.commit(commit).await.unwrap();
    let stands = hand.allowances().await.remove(0);
    assert_eq!(stands.spent.unwrap().input_tokens, 10);
    assert_eq!(stands.held.unwrap().tokens, Some(40));
}

#[tokio::test]
async fn only_the_owner_of_a_run_reserves_for_it() {
    let hand = Hand::start().await;
    hand.allow(of("", v1::Period::Day, Some(tokens(100)))).await.unwrap();
    hand.create(|_| {}).await;
    let run = hand.leased().await;
    let other = v1::LeasedRun { lease: "lse_01h455vb4pex5vsknk084sn02q".into(), ..run.clone() };
    let refused = hand.reserve(&other, "turn/0/model", 1).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Aborted, "{refused}");
    let nobody = v1::LeasedRun { run: "run_01h455vb4pex5vsknk084sn02q".into(), ..run };
    let refused = hand.reserve(&nobody, "turn/0/model", 1).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound, "{refused}");
}
