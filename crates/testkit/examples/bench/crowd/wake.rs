//! Waking: how long it takes from the cause to the last lease.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tenure_core::RunId;
use tenure_sdk::{Client, v1};
use tokio::time::Instant;

use crate::crowd::crew::{Arrived, Crew, each};
use crate::crowd::hand::Rest;
use crate::crowd::populate::Parked;
use crate::system::{CROWD, System};
use crate::task::AGENT;
use tenure_testkit::databases::Database;

/// Workers that wait, and how many runs each takes at a time.
const HANDS: usize = 10;
const CAPACITY: u32 = 100;
/// Answers in one request: as many as one takes.
const ANSWERS: usize = 200;
/// Runs that are parked again at a time.
const AT_ONCE: usize = 128;
/// How long workers may take to get in line.
const LINE: Duration = Duration::from_millis(500);

/// The runs of a system that are woken again and again, and what wakes them.
pub(crate) struct Woken {
    /// How many runs are parked, these among them.
    pub(crate) among: usize,
    /// All of them.
    runs: Vec<String>,
    /// The questions that they ask now; none while they sleep.
    questions: Vec<String>,
}

/// How long after the cause the first and the last run were leased.
#[derive(Clone, Copy)]
pub(crate) struct Wake {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

impl Woken {
    /// These of so many, which are all asking.
    pub(crate) fn new(parked: impl IntoIterator<Item = Parked>, among: usize) -> Self {
        let (runs, questions): (Vec<_>, Vec<_>) =
            parked.into_iter().map(|parked| (parked.run, parked.question)).unzip();
        Self { among, runs, questions: questions.into_iter().flatten().collect() }
    }

    /// Answers all questions at once; afterwards the runs sleep.
    pub(crate) async fn by_answers(&mut self, system: &System) -> anyhow::Result<Wake> {
        let mut crew = self.crew(system).await?;
        let client = &system.client;
        let began = Instant::now();
        let questions = self.questions.chunks(ANSWERS).map(<[String]>::to_vec);
        let answering = each(questions, ANSWERS, |questions| answer(client.clone(), questions));
        let (_, leased) = tokio::try_join!(answering, crew.gather(self.runs.len()))?;
        let wake = self.judge(&leased, began)?;
        self.rest(leased, Rest::Timer).await?;
        Ok(wake)
    }

    /// Lets all sleeps end at the same moment; afterwards the runs ask again.
    pub(crate) async fn by_timers(&mut self, system: &mut System) -> anyhow::Result<Wake> {
        let mut crew = self.crew(system).await?;
        let due = self.set_timers(&mut system.database).await?;
        let leased = crew.gather(self.runs.len()).await?;
        let wake = self.judge(&leased, due)?;
        self.rest(leased, Rest::Question).await?;
        Ok(wake)
    }

    async fn crew(&self, system: &System) -> anyhow::Result<Crew> {
        let mut crew = Crew::start(&system.hands(HANDS, &[CROWD])?, CAPACITY);
        tokio::time::sleep(LINE).await;
        crew.is_idle()?;
        Ok(crew)
    }

    /// Moves the end of all sleeps to one moment soon: through the API they would end as far apart
    /// as their commits are.
    async fn set_timers(&self, database: &mut Database) -> anyhow::Result<Instant> {
        let ids = self.runs.iter().map(|run| Ok(run.parse::<RunId>()?.uuid()));
        let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
        let tenant: uuid::Uuid =
            sqlx::query_scalar("SELECT tenant_id FROM tenants WHERE name = $1")
                .bind(CROWD)
                .fetch_one(&mut database.connection)
                .await?;
        let moved = "
            WITH due AS MATERIALIZED (SELECT tenure_now() + interval '1 second' AS at),
            moved AS (
                UPDATE runs SET ready_at = at FROM due WHERE tenant_id = $1 AND run_id = ANY ($2)
            )
            UPDATE run_ready SET ready_at = at FROM due WHERE tenant_id = $1 AND run_id = ANY ($2)";
        let query = sqlx::query(moved).bind(tenant).bind(&ids);
        let moved = query.execute(&mut database.connection).await?.rows_affected();
        ensure!(moved == ids.len() as u64, "{moved} of {} runs were asleep", ids.len());
        let left = "SELECT extract(epoch FROM min(ready_at) - tenure_now())::float8 FROM run_ready
                    WHERE tenant_id = $1 AND run_id = ANY ($2)";
        let query = sqlx::query_scalar(left).bind(tenant).bind(&ids);
        let left: f64 = query.fetch_one(&mut database.connection).await?;
        let left = Duration::try_from_secs_f64(left).context("the timers were over at once")?;
        Ok(Instant::now() + left)
    }

    /// Checks that each was leased once, and says how long that took.
    fn judge(&self, leased: &[Arrived], began: Instant) -> anyhow::Result<Wake> {
        let mut count: HashMap<&str, usize> = HashMap::new();
        for arrived in leased {
            *count.entry(&arrived.run.run).or_default() += 1;
        }
        let missing = self.runs.iter().filter(|run| count.get(run.as_str()) != Some(&1)).count();
        ensure!(missing == 0, "{missing} runs were leased twice or not at all");
        let after = |arrived: &Arrived| arrived.at.saturating_duration_since(began);
        let (first, last) = (leased.iter().map(after).min(), leased.iter().map(after).max());
        Ok(Wake { first: first.unwrap_or_default(), last: last.unwrap_or_default() })
    }

    async fn rest(&mut self, leased: Vec<Arrived>, rest: Rest) -> anyhow::Result<()> {
        let park = |arrived: Arrived| async move { arrived.hand.park(&arrived.run, rest).await };
        let questions = each(leased, AT_ONCE, park).await?;
        self.questions = questions.into_iter().flatten().collect();
        Ok(())
    }
}

async fn answer(client: Client, interrupts: Vec<String>) -> anyhow::Result<()> {
    let answer = v1::Answer {
        decision: v1::Decision::Approve.into(),
        actor: AGENT.into(),
        ..v1::Answer::default()
    };
    let count = interrupts.len();
    let tenant = CROWD.to_owned();
    let request = v1::ResolveInterruptsRequest { tenant, interrupts, answer: Some(answer) };
    let resolved = client.inbox().resolve_interrupts(request).await?.into_inner().resolved;
    let answered =
        |one: &&v1::Resolved| matches!(one.result, Some(v1::resolved::Result::Answered(_)));
    let refused = resolved.iter().find(|one| !answered(one));
    ensure!(refused.is_none() && resolved.len() == count, "an answer was refused: {refused:?}");
    Ok(())
}
