//! A model that plays a script, for tests and offline samples.

use async_trait::async_trait;
use serde_json::Value;
use tenure_sdk::{Estimate, Failure, Usage};
use tenure_spec::{Script, ScriptedCall, ScriptedPrice, ScriptedUsage, Turn};

use super::prices::Price;
use super::template::{Scene, Templates};
use super::{Listener, Message, Model, Reply, Request, ToolCall};

/// Calls in one reply at most: as many files as one listing has.
const CALLS: usize = 1_000;

/// Words of a piece that is said at a time.
const PIECE: usize = 4;

/// Plays the script of a specification. Which turn it is follows from the request, so it plays on
/// after a crash of the worker like any model.
pub struct Scripted {
    name: String,
    script: Script,
    templates: Templates,
}

impl Scripted {
    /// A model called `name` that says what `script` says.
    pub fn new(name: String, script: Script) -> Self {
        Self { name, script, templates: Templates::new() }
    }

    fn play(&self, request: &Request) -> Result<Reply, Failure> {
        let scene = scene(&request.messages);
        if let Some(answer) = self.script.answer.as_ref().filter(|_| request.tools.is_empty()) {
            let text = self.templates.text(answer, &scene)?;
            return Ok(self.metered(request, text, Vec::new(), None));
        }
        let number = request.messages.iter().filter(|message| is_assistant(message)).count();
        let turn = self.script.turns.get(number).ok_or_else(|| self.exhausted(number))?;
        let text = turn.text.as_deref().map(|text| self.templates.text(text, &scene));
        let calls = self.calls(turn, number, &scene)?;
        Ok(self.metered(request, text.transpose()?.unwrap_or_default(), calls, turn.usage))
    }

    fn exhausted(&self, number: usize) -> Failure {
        let turns = self.script.turns.len();
        let message =
            format!("`model.script` has {turns} turns, and turn {} is asked for", number + 1);
        Failure::permanent("script_exhausted", message)
    }

    fn calls(
        &self,
        turn: &Turn,
        number: usize,
        scene: &Scene<'_>,
    ) -> Result<Vec<ToolCall>, Failure> {
        let mut calls = Vec::new();
        for scripted in &turn.calls {
            for arguments in self.arguments(scripted, scene)? {
                let id = format!("call_{number}_{}", calls.len());
                let name = scripted.tool.clone();
                calls.push(ToolCall { id, name, arguments, signatures: Vec::new() });
            }
        }
        if calls.len() > CALLS {
            let made = calls.len();
            let message =
                format!("a turn of `model.script` makes {made} calls; the limit is {CALLS}");
            return Err(Failure::permanent("script_calls", message));
        }
        Ok(calls)
    }

    /// The arguments of the one call, or of one call per element of a list.
    fn arguments(&self, call: &ScriptedCall, scene: &Scene<'_>) -> Result<Vec<Value>, Failure> {
        let Some(pointer) = &call.each else {
            return Ok(vec![self.templates.value(&call.arguments, scene)?]);
        };
        let items = each(pointer, scene)?;
        let arguments = items.iter().map(|item| {
            let scene = Scene { item: Some(item), ..scene.clone() };
            self.templates.value(&call.arguments, &scene)
        });
        arguments.collect()
    }

    /// Words stand in for tokens, unless the script says how many there were.
    fn metered(
        &self,
        request: &Request,
        text: String,
        calls: Vec<ToolCall>,
        told: Option<ScriptedUsage>,
    ) -> Reply {
        let said: usize = request.messages.iter().map(words).sum();
        let called: usize = calls.iter().map(call_words).sum();
        let mut usage = Usage {
            model: self.name.clone(),
            input_tokens: (said + count(&request.system)) as u64,
            output_tokens: (count(&text) + called) as u64,
            ..Usage::default()
        };
        if let Some(told) = told {
            (usage.input_tokens, usage.output_tokens) = (told.input, told.output);
        }
        if let Some(ScriptedPrice { input, output }) = self.script.price {
            usage.cost_micros = Price { input, output, cached: input }.of(&usage);
        }
        Reply { text, calls, cut: false, usage }
    }
}

#[async_trait]
impl Model for Scripted {
    async fn reply(&self, request: &Request, told: &dyn Listener) -> Result<Reply, Failure> {
        tokio::time::sleep(self.script.latency.0).await;
        let reply = self.play(request)?;
        pieces(&reply.text).for_each(|piece| told.text(piece));
        Ok(reply)
    }

    /// What it will come to: a script knows.
    fn estimate(&self, request: &Request) -> Estimate {
        self.play(request).map(|reply| super::priced(&reply.usage)).unwrap_or_default()
    }
}

/// The text in pieces of a few words each.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.split_inclusive(char::is_whitespace).take(PIECE).map(str::len).sum();
        let (piece, left) = rest.split_at(end);
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Numbers of a vector: few enough to read.
const DIMENSIONS: usize = 16;

/// The vector of a text: how often words of each of a few kinds stand in it, of length 1. The same
/// text always has the same vector, and texts with words in common have similar ones; it knows
/// nothing of meaning.
pub(super) fn embed(model: &str, text: &str) -> (Vec<f64>, Usage) {
    let mut vector = vec![0.0_f64; DIMENSIONS];
    for word in text.split_whitespace() {
        // FNV-1a: a hash that stays the same with every release of everything.
        let hash = word.to_lowercase().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let kind = usize::try_from(hash % DIMENSIONS as u64).unwrap_or_default();
        if let Some(number) = vector.get_mut(kind) {
            *number += 1.0;
        }
    }
    let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
    if length > 0.0 {
        for number in &mut vector {
            *number /= length;
        }
    }
    let usage = Usage { model: model.into(), input_tokens: count(text) as u64, ..Usage::default() };
    (vector, usage)
}

fn is_assistant(message: &Message) -> bool {
    matches!(message, Message::Assistant { .. })
}

fn scene(messages: &[Message]) -> Scene<'_> {
    let user = messages.iter().find(|message| matches!(message, Message::User { .. }));
    let after = messages.iter().rposition(is_assistant).map_or(0, |place| place + 1);
    let system = messages.iter().filter(|message| matches!(message, Message::System { .. }));
    let results =
        messages[after..].iter().filter(|message| matches!(message, Message::Tool { .. }));
    Scene {
        input: user.map_or("", Message::text),
        system: system.map(Message::text).collect(),
        last: messages.last().map_or("", Message::text),
        results: results.map(Message::text).collect(),
        item: None,
    }
}

/// The list that a pointer leads to in the last result.
fn each(pointer: &str, scene: &Scene<'_>) -> Result<Vec<Value>, Failure> {
    let last = scene.results.last().copied().unwrap_or("null");
    let result: Value = serde_json::from_str(last).unwrap_or_default();
    match result.pointer(pointer) {
        Some(Value::Array(items)) => Ok(items.clone()),
        _ => Err(Failure::permanent(
            "script_each",
            format!(
                "`each: {pointer}` finds no list in the last result of a tool: {}",
                start(last)
            ),
        )),
    }
}

/// Enough of a result to recognise it.
fn start(text: &str) -> String {
    text.chars().take(200).collect()
}

fn words(message: &Message) -> usize {
    let calls = match message {
        Message::Assistant { calls, .. } => calls.iter().map(call_words).sum(),
        Message::System { .. } | Message::User { .. } | Message::Tool { .. } => 0,
    };
    count(message.text()) + calls
}

fn call_words(call: &ToolCall) -> usize {
    1 + count(&call.arguments.to_string())
}

fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tenure_spec::Span;

    use super::*;
    use crate::model::{Definition, Nobody};

    const SCRIPT: &str = "
name: sample
model:
  provider: scripted
  name: sample-1
  script:
    latency: 300ms
    answer: '{{ input|lines|first }}'
    turns:
      - calls: [{tool: list_files}]
      - text: reading
        calls: [{tool: read_file, arguments: {path: '{{ item.path }}'}, each: /files}]
      - text: 'read {{ results|length }} files for {{ input }}; last {{ last }}'
tools: [list_files, read_file]
";

    fn model() -> Scripted {
        let spec = tenure_spec::parse(SCRIPT).unwrap().model.unwrap();
        Scripted::new(spec.name, spec.script.unwrap())
    }

    fn tools() -> Vec<Definition> {
        let parameters = json!({"type": "object"});
        vec![Definition { name: "list_files".into(), description: String::new(), parameters }]
    }

    fn tool(text: &str) -> Message {
        Message::Tool { call: "c".into(), name: "t".into(), text: text.into() }
    }

    fn assistant() -> Message {
        Message::Assistant { text: String::new(), calls: Vec::new() }
    }

    fn request(messages: Vec<Message>) -> Request {
        Request { system: "be brief".into(), messages, tools: tools(), output: None }
    }

    #[test]
    fn a_vector_follows_from_the_words() {
        let vector = |text: &str| embed("s", text).0;
        assert_eq!(vector("the Rhine"), vector("The  rhine"));
        assert_ne!(vector("the Rhine"), vector("the Danube"));
        assert_eq!(vector(""), [0.0; DIMENSIONS]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_follows_from_the_conversation() {
        let mut messages = vec![Message::user("me")];
        let first = model().reply(&request(messages.clone()), &Nobody).await.unwrap();
        assert_eq!(
            (first.calls[0].name.as_str(), &first.calls[0].arguments),
            ("list_files", &json!({}))
        );
        assert_eq!(first.usage.input_tokens, 3);
        assert!(first.usage.output_tokens > 0);

        messages.extend([assistant(), tool(r#"{"files": [{"path": "a"}, {"path": "b"}]}"#)]);
        let second = model().reply(&request(messages.clone()), &Nobody).await.unwrap();
        let paths: Vec<_> =
            second.calls.iter().map(|call| call.arguments["path"].clone()).collect();
        assert_eq!((second.text.as_str(), paths), ("reading", vec![json!("a"), json!("b")]));
        assert_ne!(second.calls[0].id, second.calls[1].id);

        messages.extend([assistant(), tool("{}"), tool("[]")]);
        let third = model().reply(&request(messages.clone()), &Nobody).await.unwrap();
        assert_eq!(third.text, "read 2 files for me; last []");

        messages.push(assistant());
        let failure = model().reply(&request(messages), &Nobody).await.unwrap_err();
        assert_eq!(failure.code, "script_exhausted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_without_tools_gets_the_answer_after_the_latency() {
        let before = tokio::time::Instant::now();
        let request = Request { messages: vec![Message::user("# One\ntwo")], ..Request::default() };
        let reply = model().reply(&request, &Nobody).await.unwrap();
        assert_eq!(reply.text, "# One");
        assert_eq!(before.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_list_is_named() {
        let messages = vec![Message::user("me"), assistant(), tool(r#"{"error": "gone"}"#)];
        let failure = model().reply(&request(messages), &Nobody).await.unwrap_err();
        assert_eq!(failure.code, "script_each");
        assert!(failure.message.contains("gone"), "{}", failure.message);
    }

    #[test]
    fn a_text_is_said_in_pieces_that_make_the_text() {
        let text = " one two three four  five\nsix";
        let said: Vec<_> = pieces(text).collect();
        assert_eq!((said.len(), said.concat().as_str()), (2, text));
        assert_eq!(pieces("").count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_of_a_script_may_cost_something() {
        let priced = SCRIPT.replace("latency: 300ms", "price: {input: 2.5, output: 10}").replace(
            "- calls: [{tool: list_files}]",
            "- calls: [{tool: list_files}]\n        usage: {input: 1000, output: 100}",
        );
        let spec = tenure_spec::parse(&priced).unwrap().model.unwrap();
        let model = Scripted::new(spec.name, spec.script.unwrap());
        let reply = model.reply(&request(vec![Message::user("me")]), &Nobody).await.unwrap();
        assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (1000, 100));
        assert_eq!((reply.usage.cost_micros, reply.usage.unpriced), (3_500, false));
    }

    #[test]
    fn the_sample_uses_the_default_unit() {
        assert_eq!(model().script.latency, Span(Duration::from_millis(300)));
    }
}
