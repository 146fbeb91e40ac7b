//! What a server sees of us: who we are, and what we answer to its questions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationCapability, ElicitationSchema, ErrorData, FormElicitationCapability, Implementation,
    ProgressNotificationParam, ProgressToken, ProtocolVersion,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use serde_json::{Map, Value, json};
use tenure_sdk::Publisher;
use tenure_spec::Elicitation;

use crate::secrets::ToolSecrets;
use crate::tools::offer;

/// Our side of a connection. Servers may neither ask a model (sampling) nor see files (roots).
pub(super) struct Client {
    pub(super) elicitation: Elicitation,
    pub(super) secrets: ToolSecrets,
    pub(super) listeners: Listeners,
}

/// Who is told of the progress of which call.
#[derive(Clone, Default)]
pub(super) struct Listeners(Arc<Mutex<HashMap<ProgressToken, Publisher>>>);

impl Listeners {
    pub(super) fn add(&self, call: ProgressToken, publisher: Publisher) {
        self.lock().insert(call, publisher);
    }

    pub(super) fn remove(&self, call: &ProgressToken) {
        self.lock().remove(call);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProgressToken, Publisher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientHandler for Client {
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = match (self.elicitation, request) {
            (
                Elicitation::Defaults,
                ElicitRequestParams::FormElicitationParams { requested_schema, .. },
            ) => defaults(&requested_schema),
            _ => None,
        };
        Ok(match content {
            Some(content) => ElicitResult::new(ElicitationAction::Accept).with_content(content),
            None => ElicitResult::new(ElicitationAction::Decline),
        })
    }

    async fn on_progress(
        &self,
        told: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let Some(publisher) = self.listeners.lock().get(&told.progress_token).cloned() else {
            return;
        };
        let message = told.message.map(|text| self.secrets.remove_from(&offer::clean(&text)));
        let event = json!({"progress": told.progress, "total": told.total, "message": message});
        publisher.publish("progress", "application/json", event.to_string());
    }

    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        if self.elicitation == Elicitation::Defaults {
            let form = FormElicitationCapability::default();
            capabilities.elicitation = Some(ElicitationCapability::new().with_form(form));
        }
        let us = Implementation::new("tenure", env!("CARGO_PKG_VERSION"));
        let mut config = ClientConfig::new(capabilities, us);
        config.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        config
    }
}

/// The defaults of a form, if each required field has one.
fn defaults(schema: &ElicitationSchema) -> Option<Value> {
    let fields = serde_json::to_value(&schema.properties).ok()?;
    let default =
        |(name, field): (&String, &Value)| Some((name.clone(), field.get("default")?.clone()));
    let content: Map<String, Value> = fields.as_object()?.iter().filter_map(default).collect();
    let required = schema.required.iter().flatten();
    required.into_iter().all(|name| content.contains_key(name)).then_some(Value::Object(content))
}
