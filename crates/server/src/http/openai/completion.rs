//! Chat completions as OpenAI writes them: whole, and in chunks.

use serde_json::{Value, json};
use tenure_core::agent::Version;
use tenure_core::{Payload, Usage};
use tenure_spec::conversation::{Answer, Call, MESSAGE};
use tenure_store::FullRun;

/// What all parts of one completion have in common.
pub(super) struct Completion {
    id: String,
    created: i64,
    model: String,
    fingerprint: String,
}

impl Completion {
    /// The completion that a run of this version is, for a client that called the agent `model`.
    pub(super) fn of(full: &FullRun, version: &Version, model: String) -> Self {
        let digest: String = version.digest.to_string().chars().take(10).collect();
        Self {
            id: format!("chatcmpl-{}", full.run.id),
            created: full.run.created_at.micros() / 1_000_000,
            model,
            fingerprint: format!("fp_{digest}"),
        }
    }

    fn object(&self, object: &str, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": self.fingerprint,
        })
    }

    /// All of it.
    pub(super) fn whole(&self, answer: &Answer, used: &Usage) -> Value {
        let mut message = json!({
            "role": "assistant", "content": content(answer), "refusal": null,
        });
        if !answer.tool_calls.is_empty() {
            message["tool_calls"] = json!(answer.tool_calls);
        }
        let choices = json!([{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": answer.finish_reason.as_str(),
        }]);
        let mut whole = self.object("chat.completion", &choices);
        whole["usage"] = usage(used);
        whole
    }

    /// The next part of the message.
    pub(super) fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let choices = json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
        }]);
        self.object("chat.completion.chunk", &choices)
    }

    /// The last part, which says what the run has used.
    pub(super) fn used(&self, used: &Usage) -> Value {
        let mut chunk = self.object("chat.completion.chunk", &json!([]));
        chunk["usage"] = usage(used);
        chunk
    }
}

/// A message that only calls has no content.
fn content(answer: &Answer) -> Option<&str> {
    let silent = answer.content.is_empty() && !answer.tool_calls.is_empty();
    Some(&*answer.content).filter(|_| !silent)
}

/// What a run has used, in OpenAI's words.
pub(super) fn usage(used: &Usage) -> Value {
    json!({
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens.saturating_add(used.output_tokens),
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    })
}

/// How a call is told: that it is made, then with what.
pub(super) fn call_deltas(place: usize, call: &Call) -> [Value; 2] {
    let begun = json!({
        "index": place, "id": call.id, "type": "function",
        "function": {"name": call.function.name, "arguments": ""},
    });
    let filled = json!({"index": place, "function": {"arguments": call.function.arguments}});
    [begun, filled].map(|call| json!({"tool_calls": [call]}))
}

/// The message that a run gave: as such, or the text that its output is.
pub(super) fn answer(output: &Payload) -> Answer {
    if output.content_type == MESSAGE
        && let Ok(answer) = serde_json::from_slice(&output.data)
    {
        return answer;
    }
    match serde_json::from_slice(&output.data) {
        Ok(Value::String(text)) if output.content_type == Payload::JSON => Answer::text(text),
        _ => Answer::text(String::from_utf8_lossy(&output.data)),
    }
}
