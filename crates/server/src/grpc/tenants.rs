use tenure_core::Error;
use tenure_proto::v1::tenant_service_server::TenantService;
use tenure_proto::{convert, v1};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, name, some_name};
use crate::page;
use crate::service::Named;

#[async_trait]
impl TenantService for Api {
    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let created = async {
            let name = name("name", &request.get_ref().name)?;
            self.service.create_tenant(name).await
        };
        let tenant = created.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::tenant(&tenant)))
    }

    async fn get_tenant(
        &self,
        request: Request<v1::GetTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let found = async {
            let name = name("name", &request.get_ref().name)?;
            self.service.get_tenant(&name).await
        };
        let tenant = found.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::tenant(&tenant)))
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let size = page::size(request.page_size);
            let after = page::after(&request.page_token)?;
            let found = self.service.list_tenants(after.as_ref(), size + 1).await?;
            Ok::<_, Error>(page::cut(found, size, |tenant| tenant.name.to_string()))
        };
        let (tenants, next_page_token) = listed.await.map_err(|error| self.refuse(&error))?;
        let tenants = tenants.iter().map(convert::tenant).collect();
        Ok(Response::new(v1::ListTenantsResponse { tenants, next_page_token }))
    }

    async fn set_tenant_policy(
        &self,
        request: Request<v1::SetTenantPolicyRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let request = request.into_inner();
        let set = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.set_tenant_policy(&tenant, request.policy.as_deref()).await
        };
        let tenant = set.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::tenant(&tenant)))
    }

    async fn set_allowance(
        &self,
        request: Request<v1::SetAllowanceRequest>,
    ) -> Result<Response<v1::SetAllowanceResponse>, Status> {
        let request = request.into_inner();
        let set = async {
            let tenant = name("tenant", &request.tenant)?;
            let agent = some_name("agent", &request.agent)?;
            let period = convert::period_in(request.period())?;
            let budget = convert::budget_in(request.budget);
            self.service.set_allowance(&tenant, agent.as_ref(), period, budget).await
        };
        let (now, set) = set.await.map_err(|error: Error| self.refuse(&error))?;
        let allowance =
            set.map(|(agent, standing)| convert::standing(standing, agent.as_ref(), now));
        Ok(Response::new(v1::SetAllowanceResponse { allowance }))
    }

    async fn list_allowances(
        &self,
        request: Request<v1::ListAllowancesRequest>,
    ) -> Result<Response<v1::ListAllowancesResponse>, Status> {
        let listed = async {
            let tenant = name("tenant", &request.get_ref().tenant)?;
            self.service.list_allowances(&tenant).await
        };
        let (now, listed) = listed.await.map_err(|error| self.refuse(&error))?;
        let allowance = |(agent, standing): Named| convert::standing(standing, agent.as_ref(), now);
        let allowances = listed.into_iter().map(allowance).collect();
        Ok(Response::new(v1::ListAllowancesResponse { allowances }))
    }

    async fn set_tenant_cap(
        &self,
        request: Request<v1::SetTenantCapRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let request = request.into_inner();
        let set = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.set_tenant_cap(&tenant, request.max_running).await
        };
        let tenant = set.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(convert::tenant(&tenant)))
    }
}
