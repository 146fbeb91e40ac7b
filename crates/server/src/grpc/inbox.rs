use tenure_core::{Error, Failure, InterruptId, Timestamp};
use tenure_proto::v1::inbox_service_server::InboxService;
use tenure_proto::{convert, v1};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, name, some_name};
use crate::page;
use crate::service::{Asked, InboxFilter};

fn interrupt(asked: Asked) -> v1::Interrupt {
    convert::interrupt(&asked.agent, asked.interrupt)
}

#[async_trait]
impl InboxService for Api {
    async fn get_interrupt(
        &self,
        request: Request<v1::GetInterruptRequest>,
    ) -> Result<Response<v1::Interrupt>, Status> {
        let request = request.into_inner();
        let found = async {
            let tenant = name("tenant", &request.tenant)?;
            self.service.get_interrupt(&tenant, request.interrupt.parse()?).await
        };
        let asked = found.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(interrupt(asked)))
    }

    async fn list_interrupts(
        &self,
        request: Request<v1::ListInterruptsRequest>,
    ) -> Result<Response<v1::ListInterruptsResponse>, Status> {
        let request = request.into_inner();
        let listed = async {
            let tenant = name("tenant", &request.tenant)?;
            let size = page::size(request.page_size);
            let after: Option<Place> = page::after(&request.page_token)?;
            let after = after.map(|place| (place.opened_at, place.id));
            let filter = filter_in(request)?;
            let found = self.service.list_interrupts(&tenant, filter, after, size + 1).await?;
            Ok(page::cut(found, size, |asked| Place::of(asked).to_string()))
        };
        let (found, next_page_token) = listed.await.map_err(|error: Error| self.refuse(&error))?;
        let interrupts = found.into_iter().map(interrupt).collect();
        Ok(Response::new(v1::ListInterruptsResponse { interrupts, next_page_token }))
    }

    async fn resolve_interrupt(
        &self,
        request: Request<v1::ResolveInterruptRequest>,
    ) -> Result<Response<v1::Interrupt>, Status> {
        let request = request.into_inner();
        let resolved = async {
            let tenant = name("tenant", &request.tenant)?;
            let answer = convert::answer_in(request.answer)?;
            self.service.resolve(&tenant, request.interrupt.parse()?, answer).await
        };
        let asked = resolved.await.map_err(|error| self.refuse(&error))?;
        Ok(Response::new(interrupt(asked)))
    }

    async fn resolve_interrupts(
        &self,
        request: Request<v1::ResolveInterruptsRequest>,
    ) -> Result<Response<v1::ResolveInterruptsResponse>, Status> {
        let request = request.into_inner();
        let resolved = async {
            let tenant = name("tenant", &request.tenant)?;
            let answer = convert::answer_in(request.answer)?;
            let ids = request.interrupts.iter().map(|id| id.parse());
            let ids: Vec<InterruptId> = ids.collect::<Result<_, _>>()?;
            let each = self.service.resolve_all(&tenant, &ids, &answer).await?;
            Ok(ids.into_iter().zip(each).map(|(id, one)| self.resolved(id, one)).collect())
        };
        let resolved = resolved.await.map_err(|error: Error| self.refuse(&error))?;
        Ok(Response::new(v1::ResolveInterruptsResponse { resolved }))
    }
}

impl Api {
    /// What became of one of many.
    fn resolved(&self, id: InterruptId, one: Result<Asked, Error>) -> v1::Resolved {
        let result = match one {
            Ok(asked) => v1::resolved::Result::Answered(interrupt(asked)),
            Err(error) => {
                // What only the log may hold goes there.
                let status = self.refuse(&error);
                let code = error.kind().as_str();
                let failure = Failure::permanent(code, status.message());
                let failure = Failure { retryable: error.retryable(), ..failure };
                v1::resolved::Result::Refused(convert::failure(failure))
            }
        };
        v1::Resolved { interrupt: id.to_string(), result: Some(result) }
    }
}

fn filter_in(request: v1::ListInterruptsRequest) -> Result<InboxFilter, Error> {
    Ok(InboxFilter {
        all: request.all,
        agent: some_name("agent", &request.agent)?,
        run: match &*request.run {
            "" => None,
            some => Some(some.parse()?),
        },
        assignee: (!request.assignee.is_empty()).then_some(request.assignee),
        min_age: convert::duration_in("min_age", request.min_age)?,
    })
}

/// Where a list of interrupts goes on.
struct Place {
    opened_at: Timestamp,
    id: InterruptId,
}

impl Place {
    fn of(asked: &Asked) -> Self {
        Self { opened_at: asked.interrupt.opened_at, id: asked.interrupt.id }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.opened_at.micros(), self.id)
    }
}

impl std::str::FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::invalid("it is not a place in a list");
        let (micros, id) = text.split_once(' ').ok_or_else(wrong)?;
        let opened_at = Timestamp::from_micros(micros.parse().map_err(|_| wrong())?);
        Ok(Self { opened_at, id: id.parse()? })
    }
}
