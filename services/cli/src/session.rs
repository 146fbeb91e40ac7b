//! What every client command has: a connection, a tenant, and somebody who reads.

use tenure_core::StateName;
use tenure_sdk::{Client, v1};

use crate::cli::{self, Global};
use crate::problem::Problem;
use crate::ui::{Ui, text};

/// The most that one page of a list can have; 0 asks for the server's default, which is the same.
const PAGE: usize = 200;

/// What a call answered. A macro, because a function would have to name the types of the wire.
macro_rules! answer {
    ($call:expr) => {
        $call
            .await
            .map(|response| response.into_inner())
            .map_err(|status| tenure_sdk::error(&status))
    };
}
pub(crate) use answer;

/// A command's surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) ui: Ui,
    url: String,
}

impl Session {
    /// Prepares a connection; the first call makes it.
    pub(crate) fn open(global: &Global, ui: Ui) -> Result<Self, Problem> {
        let client = Client::connect(&global.url, global.tenant.clone())?;
        Ok(Self { client, ui, url: global.url.clone() })
    }

    /// A command for the same control plane and tenant, to be copied.
    pub(crate) fn command(&self, words: &str) -> String {
        let mut command = "tenure".to_owned();
        let tenant = self.client.tenant().as_str();
        let options = [("url", &*self.url, cli::URL), ("tenant", tenant, cli::TENANT)];
        for (name, value, _) in options.iter().filter(|(_, value, usual)| value != usual) {
            command = format!("{command} --{name} {}", text::quoted(value));
        }
        format!("{command} {words}")
    }

    /// The tenant's name as requests want it.
    pub(crate) fn tenant(&self) -> String {
        self.client.tenant().to_string()
    }

    /// One run.
    pub(crate) async fn run(&self, run: &str) -> Result<v1::Run, Problem> {
        let request = v1::GetRunRequest { tenant: self.tenant(), run: run.to_owned(), wait: None };
        Ok(answer!(self.client.runs().get_run(request))?)
    }
}

/// How many objects to ask for when `wanted` more are needed.
pub(crate) fn page_size(wanted: usize) -> u32 {
    u32::try_from(wanted.min(PAGE)).unwrap_or(0)
}

/// The state of a run, unless this command is too old to know it.
pub(crate) fn state(run: &v1::Run) -> Option<StateName> {
    match run.state() {
        v1::RunState::Unspecified => None,
        v1::RunState::Queued => Some(StateName::Queued),
        v1::RunState::Running => Some(StateName::Running),
        v1::RunState::Waiting => Some(StateName::Waiting),
        v1::RunState::Succeeded => Some(StateName::Succeeded),
        v1::RunState::Failed => Some(StateName::Failed),
        v1::RunState::Cancelled => Some(StateName::Cancelled),
    }
}

/// The same state on the wire.
pub(crate) fn wire_state(state: StateName) -> i32 {
    let state = match state {
        StateName::Queued => v1::RunState::Queued,
        StateName::Running => v1::RunState::Running,
        StateName::Waiting => v1::RunState::Waiting,
        StateName::Succeeded => v1::RunState::Succeeded,
        StateName::Failed => v1::RunState::Failed,
        StateName::Cancelled => v1::RunState::Cancelled,
    };
    state.into()
}

/// Whether the run has ended.
pub(crate) fn has_ended(run: &v1::Run) -> bool {
    state(run).is_some_and(StateName::is_terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_from_the_wire() {
        for name in StateName::ALL {
            let run = v1::Run { state: wire_state(name), ..v1::Run::default() };
            assert_eq!(state(&run), Some(name));
        }
        assert_eq!(state(&v1::Run { state: 99, ..v1::Run::default() }), None);
    }

    #[tokio::test]
    async fn a_command_to_be_copied_goes_where_this_one_went() {
        let command = |url: &str, tenant: &str| {
            let (url, tenant) = (url.to_owned(), tenant.parse().unwrap());
            let global = Global { url, tenant, output: cli::Output::Text };
            Session::open(&global, Ui::new(global.output)).unwrap().command("runs list")
        };
        assert_eq!(command(cli::URL, cli::TENANT), "tenure runs list");
        let other = command("http://10.0.0.1:7700", "acme");
        assert_eq!(other, "tenure --url http://10.0.0.1:7700 --tenant acme runs list");
    }

    #[test]
    fn a_page_is_never_larger_than_the_server_allows() {
        assert_eq!([1, 200, 5_000].map(page_size), [1, 200, 200]);
    }
}
