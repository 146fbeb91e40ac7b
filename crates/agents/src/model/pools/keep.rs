//! Looking after backends: what models they have, and that they have those that they should.

use std::time::Duration;

use futures::future::join_all;
use tenure_spec::Provider;
use tenure_spec::backends::Pool;

use super::Pools;
use super::backend::Backend;

/// How often a backend is looked after: a model that is declared newly or gone is noticed within a
/// minute, and a list costs a server nothing.
const INTERVAL: Duration = Duration::from_secs(30);

impl Pools {
    /// Looks after the backends for ever, each by itself: one that pulls for hours holds up no other.
    /// `random` gives numbers from 0 to 1, so that not all workers come at the same time.
    pub async fn keep(&self, random: impl Fn() -> f64) {
        let random = &random;
        let each = self.backends.iter().filter(|backend| self.wants_care(backend));
        join_all(each.map(|backend| async move {
            loop {
                self.look_after(backend).await;
                tokio::time::sleep(INTERVAL.mul_f64(0.75 + random() / 2.0)).await;
            }
        }))
        .await;
    }

    /// Looks after each backend once.
    pub async fn keep_once(&self) {
        let each = self.backends.iter().filter(|backend| self.wants_care(backend));
        join_all(each.map(|backend| self.look_after(backend))).await;
    }

    /// One that declares its models, and that none are pulled onto, is left in peace.
    fn wants_care(&self, backend: &Backend) -> bool {
        let used = self.pools_of(backend).next().is_some();
        used && (backend.declared.models.is_none() || !self.kept(backend).is_empty())
    }

    fn pools_of<'a>(&'a self, backend: &Backend) -> impl Iterator<Item = &'a Pool> {
        let name = backend.name().to_owned();
        let pools = self.groups.iter().map(|group| &group.pool);
        pools.filter(move |pool| pool.backends.contains(&name))
    }

    /// The models that are to be on an Ollama server.
    fn kept<'a>(&'a self, backend: &Backend) -> Vec<&'a str> {
        if backend.declared.provider != Provider::Ollama {
            return Vec::new();
        }
        self.pools_of(backend).flat_map(|pool| &pool.models).map(String::as_str).collect()
    }

    async fn look_after(&self, backend: &Backend) {
        self.lister.look(backend, &self.remotes, self.clock.now()).await;
        if backend.now().listed.is_none() {
            return;
        }
        let mut missing = self.kept(backend);
        missing.retain(|model| !is_listed(backend, model));
        backend.change(|now| {
            now.pulling = missing.iter().map(|model| ((*model).into(), 0)).collect();
        });
        for model in missing {
            self.pull(backend, model).await;
        }
        self.remove_undeclared(backend).await;
    }

    async fn pull(&self, backend: &Backend, model: &str) {
        let name = backend.name();
        tracing::info!("backend `{name}` pulls `{model}`");
        let pulled = self.lister.pull(backend, &self.remotes, model, &self.clock).await;
        match &pulled {
            Ok(()) => tracing::info!("backend `{name}` has `{model}`"),
            Err(failure) => {
                tracing::warn!("backend `{name}` has not pulled `{model}`: {}", failure.message);
            }
        }
        if pulled.is_ok() {
            self.lister.look(backend, &self.remotes, self.clock.now()).await;
        }
        backend.change(|now| {
            now.pulling.remove(model);
            if let Err(failure) = pulled {
                now.not_pulled.insert(model.into(), failure.message);
            }
        });
    }

    /// Removes the models that no pool of an Ollama server declares, if one wants that, and that the
    /// server does not declare itself.
    async fn remove_undeclared(&self, backend: &Backend) {
        let kept = self.kept(backend);
        if kept.is_empty() || !self.pools_of(backend).any(|pool| pool.remove_undeclared) {
            return;
        }
        let listed = backend.now().listed.clone().unwrap_or_default();
        let declared = |name: &str| {
            let same = |kept: &&str| backend.declared.provider.same_model(kept, name);
            kept.iter().any(same) || backend.declared.offer(name).is_some()
        };
        for offer in listed.into_iter().filter(|offer| !declared(&offer.name)) {
            let (name, model) = (backend.name(), &offer.name);
            match self.lister.remove(backend, &self.remotes, model).await {
                Ok(()) => tracing::info!("backend `{name}` no longer has `{model}`"),
                Err(failure) => {
                    tracing::warn!("backend `{name}` still has `{model}`: {}", failure.message);
                }
            }
        }
    }
}

fn is_listed(backend: &Backend, model: &str) -> bool {
    let same = |name: &str| backend.declared.provider.same_model(name, model);
    backend.now().listed.iter().flatten().any(|offer| same(&offer.name))
}
