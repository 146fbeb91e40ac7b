//! `tenure tenants …`.

use tenure_core::Name;
use tenure_sdk::v1;

use crate::cli::{Cap, Tenants};
use crate::commands::agents::{cap, capped_sentence};
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::table::Table;
use crate::ui::time;

pub(crate) async fn tenants(session: &Session, command: Tenants) -> Result<(), Problem> {
    match command {
        Tenants::Create { name } => create(session, name).await,
        Tenants::List => list(session).await,
        Tenants::Get { name } => get(session, name).await,
        Tenants::Cap { name, cap } => set_cap(session, name, cap).await,
    }
}

async fn create(session: &Session, name: Name) -> Result<(), Problem> {
    let request = v1::CreateTenantRequest { name: name.to_string() };
    let tenant = answer!(session.client.tenants().create_tenant(request))?;
    session.ui.tell(&tenant, format!("tenant {name} created; use it with --tenant {name}"))
}

async fn list(session: &Session) -> Result<(), Problem> {
    let mut all = v1::ListTenantsResponse::default();
    loop {
        let page_token = std::mem::take(&mut all.next_page_token);
        let request = v1::ListTenantsRequest { page_token, ..v1::ListTenantsRequest::default() };
        let page = answer!(session.client.tenants().list_tenants(request))?;
        all.tenants.extend(page.tenants);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            return session.ui.show(&all, table(&all.tenants));
        }
    }
}

async fn get(session: &Session, name: Name) -> Result<(), Problem> {
    let request = v1::GetTenantRequest { name: name.to_string() };
    let tenant = answer!(session.client.tenants().get_tenant(request))?;
    session.ui.show(&tenant, table(std::slice::from_ref(&tenant)))
}

async fn set_cap(session: &Session, name: Name, cap: Cap) -> Result<(), Problem> {
    let request = v1::SetTenantCapRequest { tenant: name.to_string(), max_running: cap.0 };
    let tenant = answer!(session.client.tenants().set_tenant_cap(request))?;
    session.ui.tell(&tenant, capped_sentence(name.as_str(), tenant.max_running))
}

fn table(tenants: &[v1::Tenant]) -> Table {
    let now = time::now();
    let mut table = Table::new(["NAME", "ID", "CAP", "CREATED"], "no tenants").whole(&[1]);
    for tenant in tenants {
        let created = time::ago(time::moment(tenant.created_at.as_ref()), now);
        table.row([tenant.name.clone(), tenant.id.clone(), cap(tenant.max_running), created]);
    }
    table
}
