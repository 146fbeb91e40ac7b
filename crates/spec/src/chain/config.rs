//! `execute_config`: which models a task asks.

use super::later;
use super::loose::Loose;
use crate::bounds::{REPLY_TOKENS, TEMPERATURE};
use crate::graph::Candidates;
use crate::model::Provider;
use crate::node::Node;
use crate::problems::Problem;
use crate::suggest;

/// The candidates of a task; without `execute_config` whoever else is there.
pub(super) fn read(fields: &Loose<'_>, warnings: &mut Vec<Problem>) -> Candidates {
    let Some(config) = fields.get("execute_config").and_then(|at| Loose::read(&at)) else {
        return Candidates::default();
    };
    let known = ["model", "models", "provider", "providers", "temperature"];
    let all: Vec<&str> = known.into_iter().chain(later::TUNING).collect();
    config.ignored(&all, warnings);
    let tuned = later::TUNING.iter().filter(|name| matters(&config, name));
    warnings.extend(tuned.map(|name| {
        later::passed_over(&config.at().field(name, config.at().value), &format!("`{name}`"))
    }));
    let names = listed(&config, "model", "models").into_iter();
    let names = names.filter(|(name, at)| !skips_macro(name, at, warnings)).map(|(name, _)| name);
    let names = names.collect();
    Candidates {
        names,
        providers: read_providers(&config, warnings),
        temperature: config.get("temperature").and_then(|at| at.float(&TEMPERATURE)),
        max_tokens: whole_tokens(&config),
    }
}

/// Whether a field of later versions says anything.
fn matters(config: &Loose<'_>, name: &str) -> bool {
    let says =
        |at: Node<'_>| at.value != false && at.value.as_array().is_none_or(|list| !list.is_empty());
    config.get(name).is_some_and(says) && (name != "max_tokens" || whole_tokens(config).is_none())
}

fn whole_tokens(config: &Loose<'_>) -> Option<u32> {
    let tokens = config.get("max_tokens")?.value.as_u64()?;
    u32::try_from(tokens).ok().filter(|_| REPLY_TOKENS.contains(&tokens))
}

/// The one value and then the others, without empty ones.
fn listed<'a>(config: &Loose<'a>, one: &str, more: &str) -> Vec<(String, Node<'a>)> {
    let text = |at: &Node<'a>| Some((at.text(usize::MAX)?, at.clone()));
    let first = config.get(one).and_then(|at| text(&at));
    let more = config.get(more).and_then(|at| at.list(text)).unwrap_or_default();
    first.into_iter().chain(more).filter(|(name, _)| !name.is_empty()).collect()
}

fn read_providers(config: &Loose<'_>, warnings: &mut Vec<Problem>) -> Vec<Provider> {
    let mut providers = Vec::new();
    for (name, at) in listed(config, "provider", "providers") {
        let found = Provider::REAL.into_iter().find(|provider| provider.name() == name);
        if found.is_none() && !skips_macro(&name, &at, warnings) {
            let message = format!("provider `{}` is not known and ignored", suggest::shown(&name));
            let known = Provider::REAL.map(Provider::name);
            warnings.push(at.warning(message, suggest::hint(&name, &known)));
        }
        providers.extend(found);
    }
    providers
}

fn skips_macro(text: &str, at: &Node<'_>, warnings: &mut Vec<Problem>) -> bool {
    let skips = later::has_macro(text);
    if skips {
        let macros = format!("the macro `{}`", suggest::shown(text));
        warnings.push(later::passed_over(at, &macros));
    }
    skips
}
