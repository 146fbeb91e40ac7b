//! What a run has cost, as its users see it.

use std::sync::Arc;

use serde_json::json;
use tenure_agents::{ModelConfig, Prices};
use tenure_sdk::v1;

use crate::double::Double;
use crate::remote::{completion, config};
use crate::rig::{Nobody, Rig, failure};

const SCRIPTED: &str = "
name: spender
pool: default
model:
  provider: scripted
  name: sample-1
  script:
    price: {input: 2.5, output: 10}
    turns:
      - calls: [{tool: list_files}]
        usage: {input: 1000, output: 100}
      - text: done
        usage: {input: 2000, output: 10}
tools: [list_files]
";

#[tokio::test]
async fn a_scripted_price_is_summed_over_the_run() {
    let rig = Rig::with(&[]).await;
    let usage = rig.ended(SCRIPTED, Arc::new(Nobody)).await.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (3_000, 110));
    assert_eq!((usage.cost_micros, usage.unpriced), (3_500 + 5_100, false));
}

/// What a run has used whose one reply comes from a double, with this table.
async fn used(prices: Prices) -> v1::Usage {
    let said = json!({"role": "assistant", "content": "done"});
    let server = Double::start(vec![completion(&said, "stop")]).await;
    let document = format!(
        "{{name: asker, pool: default, model: {{provider: openai, name: acme, base_url: '{}'}}}}",
        server.url
    );
    let rig = Rig::with(&[]).await;
    rig.publish(&document).await;
    rig.work(ModelConfig { prices, ..config() }, Arc::new(Nobody));
    let run = rig.app.create("asker", r#""Begin.""#).await;
    rig.app.ended(&run).await.usage.unwrap()
}

#[tokio::test]
async fn a_price_is_known_or_the_run_says_that_it_is_not() {
    let usage = used(Prices::default()).await;
    assert_eq!((usage.input_tokens, usage.cost_micros, usage.unpriced), (11, 0, true));
    let own = "version = 1\nas_of = '2026-01-01'\nprice = [{provider = 'openai', model = 'acme', \
               host = '127.0.0.1', input = 3, output = 10, cached = 1}]";
    let usage = used(Prices::read(own).unwrap()).await;
    // 7 of 11 tokens at 3, 4 from the cache at 1, 7 at 10.
    assert_eq!((usage.cost_micros, usage.unpriced), (21 + 4 + 70, false));
}

#[tokio::test]
async fn a_limit_of_money_without_prices_ends_the_run() {
    let function = json!({"name": "list_files", "arguments": "{}"});
    let calls = json!([{"id": "c1", "type": "function", "function": function}]);
    let said = json!({"role": "assistant", "content": null, "tool_calls": calls});
    let server = Double::start(vec![completion(&said, "tool_calls")]).await;
    let document = format!(
        "{{name: asker, pool: default, limits: {{cost: 1}}, tools: [list_files],
          model: {{provider: openai, name: acme, base_url: '{}'}}}}",
        server.url
    );
    let run = Rig::with(&[]).await.ended(&document, Arc::new(Nobody)).await;
    assert_eq!(failure(&run).code, "price_unknown");
    assert_eq!(server.asked().len(), 1, "nothing more is spent");
}
