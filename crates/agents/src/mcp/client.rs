//! What a server sees of us: who we are, and what we answer to its questions.

use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationCapability, ElicitationSchema, ErrorData, FormElicitationCapability, Implementation,
    ProtocolVersion,
};
use rmcp::service::{RequestContext, RoleClient};
use serde_json::{Map, Value};
use tenure_spec::Elicitation;

/// Our side of a connection. Servers may neither ask a model (sampling) nor see files (roots).
pub(super) struct Client {
    pub(super) elicitation: Elicitation,
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
