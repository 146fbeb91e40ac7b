//! `tenure allowances …`.

use tenure_core::text::dollars;
use tenure_sdk::v1;

use crate::cli::{Allowances, Bounds, Of, Period};
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::ui::table::Table;
use crate::ui::{text, time};

pub(crate) async fn allowances(session: &Session, command: Allowances) -> Result<(), Problem> {
    match command {
        Allowances::List => list(session).await,
        Allowances::Set { of, bounds } => set(session, of, Some(budget(&bounds))).await,
        Allowances::Unset { of } => set(session, of, None).await,
    }
}

async fn list(session: &Session) -> Result<(), Problem> {
    let request = v1::ListAllowancesRequest { tenant: session.tenant() };
    let listed = answer!(session.client.tenants().list_allowances(request))?;
    session.ui.show(&listed, table(&listed.allowances))
}

async fn set(session: &Session, of: Of, budget: Option<v1::Budget>) -> Result<(), Problem> {
    let period = match of.per {
        Period::Day => v1::Period::Day,
        Period::Month => v1::Period::Month,
    };
    let agent = of.agent.as_ref().map(ToString::to_string).unwrap_or_default();
    let whose = whose(&agent);
    let request =
        v1::SetAllowanceRequest { tenant: session.tenant(), agent, period: period.into(), budget };
    let answered = answer!(session.client.tenants().set_allowance(request))?;
    let done = if budget.is_some() { "set" } else { "removed" };
    let each = name(period);
    session.ui.tell(&answered, format!("allowance of {whose} for each {each} {done}"))
}

fn budget(bounds: &Bounds) -> v1::Budget {
    let Bounds { cost, tokens, tool_calls } = *bounds;
    v1::Budget { cost_micros: cost, tokens, tool_calls }
}

fn whose(agent: &str) -> String {
    if agent.is_empty() { "the tenant".into() } else { format!("agent {agent}") }
}

fn name(period: v1::Period) -> &'static str {
    match period {
        v1::Period::Unspecified => "?",
        v1::Period::Day => "day",
        v1::Period::Month => "month",
    }
}

/// A line for each bound.
fn table(allowances: &[v1::Allowance]) -> Table {
    let now = time::now();
    let headings = ["OF", "PER", "WHAT", "ALLOWED", "SPENT", "RESERVED", "RENEWS"];
    let mut table = Table::new(headings, "no allowances: nothing but its limits bounds a run");
    for allowance in allowances {
        let renews = time::when(time::moment(allowance.renews_at.as_ref()), now);
        for [what, allowed, spent, held] in bounds(allowance) {
            let (of, per) = (whose(&allowance.agent), name(allowance.period()).into());
            table.row([of, per, what, allowed, spent, held, renews.clone()]);
        }
    }
    table
}

fn bounds(allowance: &v1::Allowance) -> Vec<[String; 4]> {
    let budget = allowance.budget.unwrap_or_default();
    let (spent, held) =
        (allowance.spent.clone().unwrap_or_default(), allowance.held.unwrap_or_default());
    let tokens = spent.input_tokens.saturating_add(spent.output_tokens);
    let money = if spent.unpriced {
        format!("more than {}", dollars(spent.cost_micros))
    } else {
        dollars(spent.cost_micros)
    };
    let number = text::thousands;
    [
        budget.cost_micros.map(|most| {
            let held = dollars(held.cost_micros.unwrap_or_default());
            ["money".into(), dollars(most), money, held]
        }),
        budget.tokens.map(|most| {
            let held = number(held.tokens.unwrap_or_default());
            ["tokens".into(), number(most), number(tokens), held]
        }),
        budget.tool_calls.map(|most| {
            ["calls of tools".into(), number(most), number(spent.tool_calls), String::new()]
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
