//! Signal: a named message arrives in the run's inbox, delivered once, in order.

use tenure_core::run::Topic;
use tenure_core::{Name, Payload, Result, RunId, limits, text};

use super::Service;
use crate::ledger::Command;

impl Service {
    /// Delivers a signal; false if one with this `request_id` was delivered before. An empty
    /// `request_id` makes every call a signal of its own.
    pub async fn signal_run(
        &self,
        tenant: &Name,
        run: RunId,
        name: Name,
        payload: Payload,
        request_id: &str,
    ) -> Result<bool> {
        let tenant = self.tenant_id(tenant).await?;
        text::check("request_id", request_id, limits::REQUEST_ID)?;
        let source = match request_id {
            "" => format!("signal:{}", self.entropy.object_id().simple()),
            given => format!("signal:{given}"),
        };
        let decide = {
            let source = source.clone();
            Box::new(move |run: &tenure_core::Run, now| {
                let topic = Topic::Signal(name.clone());
                run.deliver(source.clone(), topic, Ok(payload.clone()), None, now).map(Some)
            })
        };
        let done = self.ledger.apply(Command::Deliver { tenant, run, source, decide }).await?;
        Ok(done.changed)
    }
}
