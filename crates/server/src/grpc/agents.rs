use bytes::Bytes;
use tenure_core::agent::Version;
use tenure_core::{Error, limits};
use tenure_proto::v1::agent_service_server::AgentService;
use tenure_proto::{convert, v1};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, name};
use crate::page;

#[async_trait]
impl AgentService for Api {
    async fn create_agent(
        &self,
        request: Request<v1::CreateAgentRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let request = request.into_inner();
        let created = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.create_agent(&tenant, name("name", &request.name)?).await
        };
        let agent = created.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::agent(&agent)))
    }

    async fn get_agent(
        &self,
        request: Request<v1::GetAgentRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let request = request.into_inner();
        let found = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.get_agent(&tenant, &name("agent", &request.agent)?).await
        };
        let agent = found.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::agent(&agent)))
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            let size = page::size(request.page_size);
            let after = page::after(&request.page_token)?;
            let found = self.service.list_agents(&tenant, after.as_ref(), size + 1).await?;
            Ok::<_, Error>(page::cut(found, size, |agent| agent.name.to_string()))
        };
        let (agents, next_page_token) = listed.await.map_err(|error| self.refuse(&error))?;
        let agents = agents.iter().map(convert::agent).collect();
        Ok(Response::new(v1::ListAgentsResponse { agents, next_page_token }))
    }

    async fn publish_version(
        &self,
        request: Request<v1::PublishVersionRequest>,
    ) -> Result<Response<v1::PublishVersionResponse>, Status> {
        let request = request.into_inner();
        let published = async {
            let tenant = name("tenant", &request.tenant)?;
            if request.document.len() > limits::SPEC {
                let what = "the specification in bytes";
                return Err(Error::too_large(what, request.document.len(), limits::SPEC));
            }
            self.service.publish_version(&tenant, &request.document).await
        };
        let (agent, version, created) = published.await.map_err(|error| self.refuse(&error))?;
        let version = Some(convert::version(&agent, &version));
        Ok(Response::new(v1::PublishVersionResponse { version, created }))
    }

    async fn get_version(
        &self,
        request: Request<v1::GetVersionRequest>,
    ) -> Result<Response<v1::Version>, Status> {
        let request = request.into_inner();
        let found = async {
            let tenant = name("tenant", &request.tenant)?;
            let agent = name("agent", &request.agent)?;
            let version = self.service.get_version(&tenant, &agent, &request.version).await?;
            Ok((agent, version))
        };
        let (agent, version) = found.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::version(&agent, &version)))
    }

    async fn list_versions(
        &self,
        request: Request<v1::ListVersionsRequest>,
    ) -> Result<Response<v1::ListVersionsResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            let agent = name("agent", &request.agent)?;
            let size = page::size(request.page_size);
            let before = page::after(&request.page_token)?;
            let found = self.service.list_versions(&tenant, &agent, before, size + 1).await?;
            Ok((agent, page::cut(found, size, |version| version.number.to_string())))
        };
        let (agent, (versions, next_page_token)) =
            listed.await.map_err(|error: Error| self.refuse(&error))?;
        let bare = |version| Version { spec: Bytes::new(), ..version };
        let versions = versions.into_iter().map(|version| convert::version(&agent, &bare(version)));
        let versions = versions.collect();
        Ok(Response::new(v1::ListVersionsResponse { versions, next_page_token }))
    }

    async fn set_alias(
        &self,
        request: Request<v1::SetAliasRequest>,
    ) -> Result<Response<v1::Alias>, Status> {
        let request = request.into_inner();
        let set = async {
            let tenant = name("tenant", &request.tenant)?;
            let agent = name("agent", &request.agent)?;
            let alias = name("alias", &request.alias)?;
            let targets = convert::targets(request.targets);
            let alias = self.service.set_alias(&tenant, &agent, alias, targets).await?;
            Ok((agent, alias))
        };
        let (agent, alias) = set.await.map_err(|error: Error| self.refuse(&error))?;
        Ok(Response::new(convert::alias(&agent, alias)))
    }

    async fn set_agent_cap(
        &self,
        request: Request<v1::SetAgentCapRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let request = request.into_inner();
        let set = async {
            let (tenant, agent) =
                (name("tenant", &request.tenant)?, name("agent", &request.agent)?);
            self.service.set_agent_cap(&tenant, &agent, request.max_running).await
        };
        let agent = set.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::agent(&agent)))
    }

    async fn list_aliases(
        &self,
        request: Request<v1::ListAliasesRequest>,
    ) -> Result<Response<v1::ListAliasesResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            let agent = name("agent", &request.agent)?;
            let aliases = self.service.list_aliases(&tenant, &agent).await?;
            Ok((agent, aliases))
        };
        let (agent, aliases) = listed.await.map_err(|error: Error| self.refuse(&error))?;
        let aliases = aliases.into_iter().map(|alias| convert::alias(&agent, alias)).collect();
        Ok(Response::new(v1::ListAliasesResponse { aliases }))
    }
}
