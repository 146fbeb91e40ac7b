//! What fits together in a file of backends.

use super::{Backends, Pool, Purpose};
use crate::model::Provider;
use crate::node::Node;
use crate::suggest;

/// Notes backends whose names are taken. Always gives nothing.
pub(super) fn backends(list: &Node<'_>, all: &Backends) -> Option<()> {
    unique(list, all.backends.iter().map(|backend| backend.name.as_str()));
    None
}

/// Notes what is wrong with pools. Always gives nothing.
pub(super) fn pools(list: &Node<'_>, all: &Backends) -> Option<()> {
    unique(list, all.pools.iter().map(|pool| pool.name.as_str()));
    for (index, pool) in all.pools.iter().enumerate() {
        let at = list.element(index, list.value);
        members(&at.field("backends", list.value), pool, all);
        kept(&at, pool, all);
    }
    None
}

fn unique<'n>(list: &Node<'_>, names: impl Iterator<Item = &'n str>) {
    let names: Vec<_> = names.collect();
    for (index, name) in names.iter().enumerate() {
        if !name.is_empty() && names[..index].contains(name) {
            let message = format!("`{}` is taken above", suggest::shown(name));
            let at = list.element(index, list.value);
            at.field("name", list.value).problem::<()>(message, "give it a name of its own");
        }
    }
}

/// The backends of a pool are there, and can do what it is for.
fn members(at: &Node<'_>, pool: &Pool, all: &Backends) {
    let known: Vec<_> = all.backends.iter().map(|backend| backend.name.as_str()).collect();
    for (index, name) in pool.backends.iter().enumerate() {
        let at = at.element(index, at.value);
        match all.backend(name) {
            None => {
                let message = format!("unknown backend `{}`", suggest::shown(name));
                at.problem::<()>(message, suggest::hint(name, &known));
            }
            Some(backend)
                if backend.provider == Provider::Anthropic && pool.purpose == Purpose::Embed =>
            {
                at.problem::<()>("makes no vectors: Anthropic has none", "name another backend");
            }
            Some(_) => {}
        }
        if pool.backends[..index].contains(name) {
            at.problem::<()>("stands here twice", "name it once");
        }
    }
}

/// Models are kept where they can be pulled.
fn kept(at: &Node<'_>, pool: &Pool, all: &Backends) {
    let members = || pool.backends.iter().filter_map(|name| all.backend(name));
    let ollama = members().any(|backend| backend.provider == Provider::Ollama);
    let at_models = at.field("models", at.value);
    for (index, model) in pool.models.iter().enumerate() {
        let offered = ollama
            || members().any(|backend| backend.models.is_none() || backend.offer(model).is_some());
        if !offered && members().count() > 0 {
            let message = format!("no backend of the pool has `{}`", suggest::shown(model));
            let known: Vec<_> = members().flat_map(|one| one.models.iter().flatten()).collect();
            let known: Vec<_> = known.iter().map(|offer| offer.name.as_str()).collect();
            at_models.element(index, at.value).problem::<()>(message, suggest::hint(model, &known));
        }
    }
    if pool.remove_undeclared && pool.models.is_empty() {
        let message = "would remove every model: the pool declares none";
        at.field("remove_undeclared", at.value).problem::<()>(message, "list `models`");
    }
}
