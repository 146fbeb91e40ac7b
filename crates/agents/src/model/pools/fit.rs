//! Whether a backend can answer a request, from what it declares and what it has told. Pure.

use tenure_spec::Provider;
use tenure_spec::backends::{Backend, Offer, Pool, Purpose};

use super::needs::Needs;

/// What is known of the models that a backend has at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// What it has listed, if it has.
    pub(super) listed: Option<&'a [Offer]>,
    /// Why the model could not be pulled, if it could not.
    pub(super) not_pulled: Option<&'a str>,
    /// Whether it has said that it does not have the model.
    pub(super) gone: bool,
}

/// What a backend is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fit {
    pub(super) offer: Offer,
    /// The model is still being pulled.
    pub(super) coming: bool,
}

/// Why a backend cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Nothing says which model to ask for.
    Unnamed,
    /// It is of another provider.
    Provider,
    /// It does not have the model.
    Lacks(String),
    /// The model is to be pulled, which has failed for this reason.
    NotPulled(String),
    /// The model does not do that.
    Cannot(&'static str),
    /// The request does not fit the model's context.
    Small {
        /// What the model takes, in tokens.
        context: u64,
        /// What the request has, more or less.
        tokens: u64,
    },
}

/// What the backend is asked for; `known` is about the model that [`name`] gives.
pub(super) fn fit(
    backend: &Backend,
    pool: &Pool,
    known: Known<'_>,
    needs: &Needs<'_>,
) -> Result<Fit, Unfit> {
    if needs.provider.is_some_and(|provider| provider != backend.provider) {
        return Err(Unfit::Provider);
    }
    let name = name(backend, pool, needs).ok_or(Unfit::Unnamed)?;
    let fit = find(backend, pool, known, name)?;
    able(&fit.offer, needs)?;
    Ok(fit)
}

/// The name that is asked for; without one the first that the pool keeps on the backend, or that the
/// backend declares.
pub(super) fn name<'a>(backend: &'a Backend, pool: &'a Pool, needs: &Needs<'a>) -> Option<&'a str> {
    let asked = Some(needs.model).filter(|name| !name.is_empty());
    let has = |name: &&str| kept(backend, pool, name) || backend.offer(name).is_some();
    let undeclared = backend.models.is_none() && backend.provider != Provider::Ollama;
    let of_pool = || pool.models.iter().map(String::as_str).find(|name| undeclared || has(name));
    asked.or_else(of_pool).or_else(|| Some(backend.models.as_ref()?.first()?.name.as_str()))
}

/// Whether the backend is known to have a model, or to get it.
pub(super) fn has(backend: &Backend, pool: &Pool, known: Known<'_>, name: &str) -> bool {
    kept(backend, pool, name)
        || backend.offer(name).is_some()
        || listed(backend, known, name).is_some()
}

/// Whether the model is pulled onto the backend if it is not there.
fn kept(backend: &Backend, pool: &Pool, name: &str) -> bool {
    let same = |kept: &String| backend.provider.same_model(kept, name);
    backend.provider == Provider::Ollama && pool.models.iter().any(same)
}

fn listed<'a>(backend: &Backend, known: Known<'a>, name: &str) -> Option<&'a Offer> {
    known.listed?.iter().find(|offer| backend.provider.same_model(&offer.name, name))
}

fn find(backend: &Backend, pool: &Pool, known: Known<'_>, name: &str) -> Result<Fit, Unfit> {
    let lacks = || Unfit::Lacks(name.into());
    let declared = backend.offer(name);
    let there = listed(backend, known, name);
    let offer = declared.or(there).cloned();
    if known.gone {
        return Err(lacks());
    }
    if kept(backend, pool, name) {
        // Until it has told what it has, it is asked: most likely the model is there.
        let coming = known.listed.is_some() && there.is_none();
        return match known.not_pulled.filter(|_| coming) {
            Some(why) => Err(Unfit::NotPulled(why.into())),
            None => Ok(Fit {
                offer: offer.unwrap_or_else(|| Offer::of(name, backend.provider)),
                coming,
            }),
        };
    }
    match (offer, backend.models.is_some(), known.listed.is_some()) {
        (Some(offer), _, _) => Ok(Fit { offer, coming: false }),
        (None, false, false) => Ok(Fit { offer: Offer::of(name, backend.provider), coming: false }),
        (None, _, _) => Err(lacks()),
    }
}

/// Whether the model can do what is asked.
fn able(offer: &Offer, needs: &Needs<'_>) -> Result<(), Unfit> {
    if needs.purpose == Purpose::Embed && !offer.embeddings {
        return Err(Unfit::Cannot("make vectors"));
    }
    if needs.tools && !offer.tools {
        return Err(Unfit::Cannot("call tools"));
    }
    if needs.output && !offer.output {
        return Err(Unfit::Cannot("be held to a schema"));
    }
    match offer.context {
        Some(context) if needs.tokens > context => {
            Err(Unfit::Small { context, tokens: needs.tokens })
        }
        _ => Ok(()),
    }
}

impl Unfit {
    /// Whether that may change by itself.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NotPulled(_))
    }

    /// In words, about the backend.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Unnamed => {
                "says not which model to ask: name one, or give the pool `models`".into()
            }
            Self::Provider => "is of another provider".into(),
            Self::Lacks(model) => format!("does not have `{model}`"),
            Self::NotPulled(why) => format!("could not pull its model: {why}"),
            Self::Cannot(what) => format!("has a model that does not {what}"),
            Self::Small { context, tokens } => {
                format!("takes {context} tokens, and the request has about {tokens} with its reply")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(provider: Provider, models: &[&str]) -> Backend {
        let offers = models.iter().map(|name| Offer::of(name, provider)).collect::<Vec<_>>();
        let models = Some(offers).filter(|all| !all.is_empty());
        Backend { models, ..Backend::of("b".into(), provider) }
    }

    fn needs(model: &str) -> Needs<'_> {
        let purpose = Purpose::Chat;
        Needs { model, provider: None, purpose, tools: false, output: false, tokens: 100 }
    }

    fn pool(models: &[&str]) -> Pool {
        let models = models.iter().map(ToString::to_string).collect();
        Pool { models, ..Pool::of("p".into(), vec!["b".into()]) }
    }

    #[test]
    fn what_is_known_of_models_decides() {
        let lacks = |name: &str| Err(Unfit::Lacks(name.into()));
        let offers = [Offer::of("x:latest", Provider::Ollama)];
        let nothing = Known::default();
        let listed = Known { listed: Some(&offers), ..nothing };
        let gone = Known { gone: true, ..nothing };
        let failed = Known { not_pulled: Some("disk full"), ..listed };
        let (openai, ollama) = (Provider::Openai, Provider::Ollama);
        for (provider, declared, kept, known, asked, wanted) in [
            (openai, &["a", "b"][..], &[][..], nothing, "b", Ok(("b", false))),
            (openai, &["a", "b"], &[], nothing, "c", lacks("c")),
            (openai, &["a", "b"], &[], nothing, "", Ok(("a", false))),
            (openai, &["a", "b"], &["b"], nothing, "", Ok(("b", false))),
            (openai, &[], &[], nothing, "c", Ok(("c", false))),
            (openai, &[], &[], nothing, "", Err(Unfit::Unnamed)),
            (openai, &["a"], &[], gone, "a", lacks("a")),
            (ollama, &[], &[], listed, "x", Ok(("x:latest", false))),
            (ollama, &[], &[], listed, "y", lacks("y")),
            (ollama, &[], &["y"], listed, "y", Ok(("y", true))),
            (ollama, &[], &["y"], listed, "", Ok(("y", true))),
            (ollama, &[], &["y"], nothing, "y", Ok(("y", false))),
            (ollama, &[], &["x"], failed, "x", Ok(("x:latest", false))),
            (ollama, &[], &["y"], failed, "y", Err(Unfit::NotPulled("disk full".into()))),
        ] {
            let made = fit(&backend(provider, declared), &pool(kept), known, &needs(asked));
            let made = made.map(|fit| (fit.offer.name, fit.coming));
            let wanted = wanted.map(|(name, coming): (&str, bool)| (name.to_owned(), coming));
            assert_eq!(made, wanted, "{declared:?} {kept:?} {known:?} {asked}");
        }
    }

    #[test]
    fn what_a_model_cannot_do_is_not_asked_of_it() {
        let weak = Offer {
            tools: false,
            embeddings: false,
            output: false,
            context: Some(150),
            ..Offer::of("m", Provider::Openai)
        };
        let weak = Backend { models: Some(vec![weak]), ..backend(Provider::Openai, &[]) };
        let plain = needs("m");
        let small = Err(Unfit::Small { context: 150, tokens: 151 });
        for (needs, wanted) in [
            (plain, Ok(())),
            (Needs { tools: true, ..plain }, Err(Unfit::Cannot("call tools"))),
            (Needs { output: true, ..plain }, Err(Unfit::Cannot("be held to a schema"))),
            (Needs { purpose: Purpose::Embed, ..plain }, Err(Unfit::Cannot("make vectors"))),
            (Needs { tokens: 150, ..plain }, Ok(())),
            (Needs { tokens: 151, ..plain }, small),
            (Needs { provider: Some(Provider::Gemini), ..plain }, Err(Unfit::Provider)),
            (Needs { provider: Some(Provider::Openai), ..plain }, Ok(())),
        ] {
            let made = fit(&weak, &pool(&[]), Known::default(), &needs).map(drop);
            assert_eq!(made, wanted, "{needs:?}");
        }
    }
}
