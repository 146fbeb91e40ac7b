//! What calls of models cost, by a table with a date. A price that the table does not have is not
//! known, which is something else than zero.

use std::cmp::Reverse;

use serde::Deserialize;
use tenure_sdk::Usage;
use tenure_spec::Provider;

/// The table that the binary comes with.
const TABLE: &str = include_str!("prices.toml");
/// The form of tables that is read here.
const VERSION: u32 = 1;
/// Lines of a table: far above what all providers offer together.
const LINES: usize = 10_000;

/// A table of prices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The form of the table; 1.
    version: u32,
    /// The day that the prices are of.
    as_of: String,
    /// A line for each model.
    #[serde(default)]
    price: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    provider: String,
    model: String,
    /// Instead of the provider's own.
    host: Option<String>,
    /// Tokens of the prompt that the price is for at most.
    up_to: Option<u64>,
    /// Dollars for a million tokens of the prompt.
    input: f64,
    /// Dollars for a million tokens of the reply.
    output: f64,
    /// Dollars for a million tokens of the prompt that came from the cache; as `input` without it.
    cached: Option<f64>,
}

/// Dollars for a million tokens, which is millionths of a dollar for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cached: f64,
}

/// Whose model is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payee {
    pub(super) provider: Provider,
    pub(super) model: String,
    /// The host, where it is not the provider's own.
    pub(super) host: Option<String>,
}

impl Default for Prices {
    fn default() -> Self {
        // A test reads it; a broken one would know no price, and say so with every call.
        Self::read(TABLE).unwrap_or_else(|_| Self::none())
    }
}

impl Prices {
    /// A table that knows no price.
    fn none() -> Self {
        Self { version: VERSION, as_of: String::new(), price: Vec::new() }
    }

    /// The table of a TOML document; the error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let table: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if table.version != VERSION {
            let version = table.version;
            return Err(format!("the table has version {version}; this worker reads {VERSION}"));
        }
        if table.price.len() > LINES {
            return Err(format!("the table has more than {LINES} lines"));
        }
        table.price.iter().try_for_each(Line::check)?;
        Ok(table)
    }

    /// The day that the prices are of.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// Puts the cost into the usage of a call, or says that it is not known.
    pub(super) fn charge(&self, payee: &Payee, usage: &mut Usage) {
        // A provider that says nothing about tokens has not given them away.
        let told = usage.input_tokens > 0 || usage.output_tokens > 0;
        match self.find(payee, usage.input_tokens).filter(|_| told) {
            Some(price) => usage.cost_micros = price.of(usage),
            None => usage.unpriced = true,
        }
    }

    fn find(&self, payee: &Payee, input: u64) -> Option<Price> {
        let fits = |line: &&Line| {
            line.is_of(payee)
                && line.covers(&payee.model)
                && line.up_to.is_none_or(|most| input <= most)
        };
        let lines = self.price.iter().filter(fits);
        let best =
            lines.max_by_key(|line| (line.model.len(), Reverse(line.up_to.unwrap_or(u64::MAX))));
        best.map(Line::price)
    }
}

impl Line {
    fn check(&self) -> Result<(), String> {
        let model = &self.model;
        if !Provider::REAL.iter().any(|known| known.name() == self.provider) {
            let known = Provider::REAL.map(Provider::name).join(", ");
            return Err(format!("the price of `{model}`: the provider is one of: {known}"));
        }
        let prices = [self.input, self.output, self.cached.unwrap_or_default()];
        if prices.iter().any(|price| !(0.0..=1e6).contains(price)) {
            return Err(format!("the price of `{model}` is out of range: 0 to 1000000 dollars"));
        }
        Ok(())
    }

    fn is_of(&self, payee: &Payee) -> bool {
        let host = |host: &Option<String>| host.as_deref().map(str::to_ascii_lowercase);
        self.provider == payee.provider.name() && host(&self.host) == host(&payee.host)
    }

    /// Whether this is the model, or a dated version of it.
    fn covers(&self, name: &str) -> bool {
        if let Some(start) = self.model.strip_suffix('*') {
            return name.starts_with(start);
        }
        name.strip_prefix(self.model.as_str()).is_some_and(is_version)
    }

    fn price(&self) -> Price {
        let Self { input, output, cached, .. } = *self;
        Price { input, output, cached: cached.unwrap_or(input) }
    }
}

/// Whether this says which version of a model it is, and not that it is another: nothing, a date or
/// number, or `latest`.
fn is_version(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(['-', '@']) else { return rest.is_empty() };
    // One digit would be a model of its own: `claude-opus-4` and `claude-opus-4-1`.
    let number = rest.len() >= 3 && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    rest == "latest" || number
}

impl Price {
    /// Millionths of a dollar, rounded up: a budget must not be overdrawn by rounding.
    #[expect(clippy::cast_precision_loss, reason = "counts of tokens are far below 2^53")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "prices are not negative, and `as` saturates"
    )]
    pub(super) fn of(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let fresh = usage.input_tokens - cached;
        let cost = fresh as f64 * self.input
            + cached as f64 * self.cached
            + usage.output_tokens as f64 * self.output;
        // What is a whole number in decimals may be a hair above it in binary.
        (cost - 1e-6).ceil().max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payee(provider: Provider, model: &str) -> Payee {
        Payee { provider, model: model.into(), host: None }
    }

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage {
            input_tokens: input,
            cached_tokens: cached,
            output_tokens: output,
            ..Usage::default()
        }
    }

    fn cost(prices: &Prices, payee: &Payee, mut usage: Usage) -> Option<u64> {
        prices.charge(payee, &mut usage);
        (!usage.unpriced).then_some(usage.cost_micros)
    }

    #[test]
    fn the_table_of_the_binary_is_right() {
        let prices = Prices::read(TABLE).unwrap();
        assert!(prices.price.len() > 20 && prices.as_of().len() == 10);
        let model = payee(Provider::Openai, "gpt-4o");
        assert_eq!(cost(&prices, &model, usage(1_000_000, 400_000, 100_000)), Some(3_000_000));
        assert_eq!(cost(&prices, &model, usage(1, 0, 1)), Some(13), "12.5 is rounded up");
    }

    #[test]
    fn another_model_has_another_price_or_none() {
        let prices = Prices::default();
        let input =
            |model: &str| cost(&prices, &payee(Provider::Openai, model), usage(1_000_000, 0, 0));
        assert_eq!(input("gpt-4o-2024-08-06"), Some(2_500_000));
        assert_eq!(input("gpt-4o-mini-2024-07-18"), Some(150_000));
        assert_eq!(input("gpt-4o-audio-preview"), None);
        assert_eq!(input("gpt-5-pro"), None);
        assert_eq!(input("gpt-5.4"), None, "a prompt of that length has another price");
        let opus =
            |model: &str| cost(&prices, &payee(Provider::Anthropic, model), usage(1_000, 0, 0));
        assert_eq!(opus("claude-opus-4-5-20251101"), Some(5_000));
        assert_eq!(opus("claude-opus-4"), None);
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let prices = Prices::default();
        let elsewhere =
            Payee { host: Some("models.example.com".into()), ..payee(Provider::Openai, "gpt-4o") };
        assert_eq!(cost(&prices, &elsewhere, usage(10, 0, 10)), None, "it only has the same name");
        assert_eq!(cost(&prices, &payee(Provider::Ollama, "qwen3:4b"), usage(10, 0, 10)), None);
        let silent = payee(Provider::Openai, "gpt-4o");
        assert_eq!(cost(&prices, &silent, usage(0, 0, 0)), None, "no tokens were told");
    }

    #[test]
    fn a_table_of_ones_own_replaces_it() {
        let prices = Prices::read(
            "version = 1\nas_of = '2026-01-01'\nprice = [
               {provider = 'ollama', model = '*', input = 0, output = 0},
               {provider = 'ollama', model = 'qwen3*', input = 1, output = 2},
               {provider = 'openai', model = 'm', host = 'Models.example.com', input = 3, output = 4},
               {provider = 'gemini', model = 'g', up_to = 10, input = 1, output = 0},
               {provider = 'gemini', model = 'g', input = 2, output = 0},
             ]",
        )
        .unwrap();
        assert_eq!(cost(&prices, &payee(Provider::Ollama, "llama3:8b"), usage(5, 0, 5)), Some(0));
        assert_eq!(cost(&prices, &payee(Provider::Ollama, "qwen3:4b"), usage(5, 0, 5)), Some(15));
        let host = Some("models.example.com".into());
        let compatible = Payee { host, ..payee(Provider::Openai, "m") };
        assert_eq!(cost(&prices, &compatible, usage(5, 0, 5)), Some(35));
        assert_eq!(cost(&prices, &payee(Provider::Gemini, "g"), usage(10, 0, 0)), Some(10));
        assert_eq!(cost(&prices, &payee(Provider::Gemini, "g"), usage(11, 0, 0)), Some(22));
    }

    #[test]
    fn mistakes_in_a_table_are_told() {
        for (text, told) in [
            ("version = 2\nas_of = ''", "this worker reads 1"),
            (
                "version = 1\nas_of = ''\nprice = [{provider = 'acme', model = 'm', input = 1, output = 1}]",
                "openai, anthropic",
            ),
            (
                "version = 1\nas_of = ''\nprice = [{provider = 'openai', model = 'm', input = -1, output = 1}]",
                "out of range",
            ),
            (
                "version = 1\nas_of = ''\nprice = [{provider = 'openai', model = 'm', inptu = 1, output = 1}]",
                "inptu",
            ),
        ] {
            let error = Prices::read(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
