//! `GET …/models` and `GET …/models/{id}`: agents are models.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use tenure_core::agent::Agent;
use tenure_core::{Name, limits};

use super::super::Api;
use super::caller::Caller;
use super::refusal::Refusal;
use super::run;

/// Agents in one answer, which has no pages: more than anybody reads.
const LISTED: usize = 1_000;

pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Response {
    let listed = api.list_models(&caller).await;
    listed.map_or_else(
        |refusal| caller.refuse(&refusal),
        |models| caller.answer(&[], &json!({"object": "list", "data": models})),
    )
}

pub(super) async fn get(State(api): State<Api>, caller: Caller) -> Response {
    let model = caller.model.clone().unwrap_or_default();
    let found = match &caller.agent {
        // Where the path says which agent it is, the model may be called anything.
        Some(agent) => api.model(&caller, agent, &model).await,
        None => api.model(&caller, &model, &model).await,
    };
    found.map_or_else(|refusal| caller.refuse(&refusal), |model| caller.answer(&[], &model))
}

impl Api {
    async fn list_models(&self, caller: &Caller) -> Result<Vec<Value>, Refusal> {
        if let Some(agent) = &caller.agent {
            return Ok(vec![self.model(caller, agent, agent).await?]);
        }
        let tenant = caller.tenant()?;
        let (mut models, mut after) = (Vec::new(), None);
        loop {
            let page = self.service.list_agents(&tenant, after.as_ref(), limits::PAGE).await?;
            let usable = page.iter().filter(|agent| agent.latest > 0);
            models.extend(usable.map(|agent| model(&tenant, agent, agent.name.as_str())));
            after = page.last().map(|agent| agent.name.clone());
            if page.len() < limits::PAGE || models.len() >= LISTED {
                return Ok(models);
            }
        }
    }

    async fn model(&self, caller: &Caller, agent: &str, id: &str) -> Result<Value, Refusal> {
        let (name, version) = run::selected(agent)?;
        let tenant = caller.tenant()?;
        let found = async {
            self.service.get_version(&tenant, &name, version).await?;
            self.service.get_agent(&tenant, &name).await
        };
        match found.await {
            Ok(agent) => Ok(model(&tenant, &agent, id)),
            Err(error) => Err(self.no_model(&tenant, error).await),
        }
    }
}

fn model(tenant: &Name, agent: &Agent, id: &str) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": agent.created_at.micros() / 1_000_000,
        "owned_by": tenant.as_str(),
    })
}
