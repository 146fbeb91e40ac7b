//! Which model the demo asks: a real one if its key is there, else the script of the example.

use tenure_spec::{Model, Provider, Spec};

/// Variables, in the order of preference, with the model that is asked if they are set: small ones,
/// which are fast and cost next to nothing for a few documents.
const MODELS: [(&str, Provider, &str); 4] = [
    ("OPENAI_API_KEY", Provider::Openai, "gpt-5-mini"),
    ("ANTHROPIC_API_KEY", Provider::Anthropic, "claude-haiku-4-5"),
    ("GEMINI_API_KEY", Provider::Gemini, "gemini-2.5-flash"),
    ("OLLAMA_HOST", Provider::Ollama, "llama3.2"),
];

/// The model of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The example's own.
    Scripted,
    /// A provider that the environment has a key for.
    Real { variable: &'static str, provider: Provider, name: &'static str },
}

impl Choice {
    /// Asks `variable` for what is set.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|value| !value.trim().is_empty());
        match MODELS.into_iter().find(|(name, _, _)| set(name)) {
            Some((variable, provider, name)) => Self::Real { variable, provider, name },
            None => Self::Scripted,
        }
    }

    /// How to get a real model, where it is none.
    pub(super) fn hint(self) -> Option<String> {
        let variables = MODELS.map(|(variable, _, _)| variable).join(", ");
        matches!(self, Self::Scripted)
            .then(|| format!("with one of {variables} a real model is asked"))
    }

    /// The example's document with this model.
    pub(super) fn document(self, example: &str, mut spec: Spec) -> String {
        let Self::Real { provider, name, .. } = self else {
            return example.to_owned();
        };
        spec.model = Some(Model::of(provider, name));
        String::from_utf8_lossy(&spec.canonical()).into_owned()
    }

    /// Says which it is and why.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Scripted => {
                "its model is a script: it needs no key and no network, and its report is crude"
                    .into()
            }
            Self::Real { variable, provider, name } => {
                format!("its model is {name} of {}, because {variable} is set", provider.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(set: &[(&str, &str)]) -> Choice {
        Choice::of(|name| {
            let value = set.iter().find(|(known, _)| *known == name)?.1;
            Some(value.to_owned())
        })
    }

    #[test]
    fn a_key_chooses_its_provider_and_an_empty_one_does_not() {
        assert_eq!(choice(&[]), Choice::Scripted);
        assert_eq!(choice(&[("OPENAI_API_KEY", " ")]), Choice::Scripted);
        assert!(Choice::Scripted.hint().unwrap().contains("OLLAMA_HOST"));
        let both = choice(&[("OLLAMA_HOST", "x"), ("GEMINI_API_KEY", "k")]);
        assert!(matches!(both, Choice::Real { provider: Provider::Gemini, .. }));
        assert!(both.sentence().contains("because GEMINI_API_KEY is set"));
    }

    #[test]
    fn only_the_model_of_the_example_is_replaced() {
        let example = "{name: a, model: {provider: scripted, name: s, script: {turns: [{text: x}]}}, tools: [list_files]}";
        let spec = tenure_spec::parse(example).unwrap();
        assert_eq!(Choice::Scripted.document(example, spec.clone()), example);
        let real = choice(&[("ANTHROPIC_API_KEY", "k")]).document(example, spec.clone());
        let real = tenure_spec::parse(&real).unwrap();
        assert_eq!(real.model.clone().unwrap().provider, Some(Provider::Anthropic));
        assert_eq!(Spec { model: None, ..real }, Spec { model: None, ..spec });
    }
}
