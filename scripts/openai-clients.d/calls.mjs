// What users of the official JavaScript client do, against the control plane at TENURE_URL.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Installed elsewhere: nothing is written beside this file.
const require = createRequire(pathToFileURL(`${process.env.CLIENTS}/`));
const { OpenAI } = require("openai");

const baseURL = `${process.env.TENURE_URL}/openai/v1`;
const client = new OpenAI({ baseURL, apiKey: "anything" });

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};

const user = (content) => ({ role: "user", content });
const hi = [user("hi")];
const complete = (asked, options) => client.chat.completions.create(asked, options);
const content = async (asked) => (await complete(asked)).choices[0].message.content;
const withKey = () => ({ headers: { "Idempotency-Key": randomUUID() } });
const runOf = (response) => response.headers.get("x-tenure-run");

async function refused(kind, promise) {
  const error = await Promise.resolve(promise).then(
    () => assert.fail(`no ${kind.name}`),
    (error) => error,
  );
  assert.ok(error instanceof kind, `${error}`);
  return error;
}

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

const calls = {
  async "lists models"() {
    const names = (await all(await client.models.list())).map((model) => model.id);
    assert.ok(names.includes("echo") && names.includes("weather"), `${names}`);
  },
  async "retrieves a model"() {
    const model = await client.models.retrieve("echo@1");
    assert.deepEqual([model.id, model.object, model.owned_by], ["echo@1", "model", "default"]);
  },
  async chats() {
    const answer = await complete({ model: "echo", messages: hi });
    const { message, finish_reason } = answer.choices[0];
    assert.deepEqual([message.content, finish_reason], ["You said: hi", "stop"]);
    assert.match(answer.id, /^chatcmpl-run_/);
    assert.ok(answer.usage.completion_tokens > 0 && answer._request_id);
  },
  async "goes on with a conversation"() {
    const messages = [user("one"), { role: "assistant", content: "two" }, user("three")];
    assert.equal(await content({ model: "echo", messages }), "You said: three");
  },
  async "takes system and developer messages"() {
    const messages = [
      { role: "system", content: "be kind" },
      { role: "developer", content: "be brief" },
      ...hi,
    ];
    const said = await content({ model: "echo", messages });
    assert.equal(said, "(be kind; be brief) You said: hi");
  },
  async "takes content in parts"() {
    const parts = ["a", "b"].map((text) => ({ type: "text", text }));
    assert.equal(await content({ model: "echo", messages: [user(parts)] }), "You said: ab");
  },
  async streams() {
    const asked = { model: "slow", messages: hi };
    const chunks = await all(await complete({ ...asked, stream: true }));
    assert.equal(textOf(chunks), await content(asked));
    const pieces = chunks.filter((chunk) => chunk.choices[0].delta.content);
    assert.ok(pieces.length > 1, "it came in one piece");
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  },
  async "streams with usage"() {
    const stream_options = { include_usage: true };
    const asked = { model: "echo", messages: hi, stream: true, stream_options };
    const chunks = await all(await complete(asked));
    const last = chunks.pop();
    assert.ok(chunks.every((chunk) => chunk.usage === null));
    assert.deepEqual(last.choices, []);
    assert.ok(last.usage.total_tokens > 0);
  },
  async "streams with the helper"() {
    const stream = client.chat.completions.stream({ model: "echo", messages: hi });
    assert.equal(await stream.finalContent(), "You said: hi");
  },
  async "calls a tool of the client"() {
    const asked = { model: "weather", messages: [user("Rain?")], tools: [weather] };
    const { message, finish_reason } = (await complete(asked)).choices[0];
    assert.deepEqual([finish_reason, message.content], ["tool_calls", null]);
    const [call] = message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Bonn" });
    const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
    const messages = [...asked.messages, message, result];
    assert.equal(await content({ ...asked, messages }), "In Bonn: sunny");
  },
  async "streams the call of a tool"() {
    const messages = [user("Rain?")];
    const stream = client.chat.completions.stream({ model: "weather", messages, tools: [weather] });
    const call = await stream.finalFunctionToolCall();
    assert.deepEqual([call.name, JSON.parse(call.arguments)], ["get_weather", { city: "Bonn" }]);
  },
  async "runs the tool with the helper"() {
    const called = [];
    const tool = {
      type: "function",
      function: {
        ...weather.function,
        parse: JSON.parse,
        function: (asked) => (called.push(asked.city), "sunny"),
      },
    };
    const asked = { model: "weather", messages: [user("Rain?")], tools: [tool] };
    const runner = client.chat.completions.runTools(asked);
    assert.equal(await runner.finalContent(), "In Bonn: sunny");
    assert.deepEqual(called, ["Bonn"]);
  },
  async "answers in a form"() {
    const schema = {
      type: "object",
      properties: { city: { type: "string" }, degrees: { type: "integer" } },
      required: ["city", "degrees"],
    };
    const response_format = { type: "json_schema", json_schema: { name: "weather", schema } };
    const said = await content({ model: "form", messages: [user("How warm?")], response_format });
    assert.deepEqual(JSON.parse(said), { city: "Bonn", degrees: 21 });
  },
  async "embeds as it does by default"() {
    const answer = await client.embeddings.create({ model: "vectors", input: "the Rhine" });
    assert.equal(answer.data[0].embedding.length, 16);
    assert.ok(answer.usage.prompt_tokens > 0);
  },
  async "embeds in both encodings"() {
    const embedding = async (encoding_format) => {
      const asked = { model: "vectors", input: "the Rhine", encoding_format };
      return (await client.embeddings.create(asked)).data[0].embedding;
    };
    const packed = Buffer.from(await embedding("base64"), "base64");
    for (const [place, number] of (await embedding("float")).entries()) {
      assert.ok(Math.abs(packed.readFloatLE(place * 4) - number) < 1e-6);
    }
  },
  async "embeds a list"() {
    const input = ["a b", "c", "a b"];
    const { data } = await client.embeddings.create({ model: "vectors", input });
    assert.deepEqual(data.map((one) => one.index), [0, 1, 2]);
    assert.deepEqual(data[0].embedding, data[2].embedding);
    assert.notDeepEqual(data[0].embedding, data[1].embedding);
  },
  async "names a model that is missing"() {
    const asked = { model: "gpt-nothing", messages: hi };
    const error = await refused(OpenAI.NotFoundError, complete(asked));
    assert.deepEqual([error.code, error.param], ["model_not_found", "model"]);
  },
  async "names a parameter that is wrong"() {
    const asked = { model: "echo", messages: hi, n: 2 };
    const error = await refused(OpenAI.BadRequestError, complete(asked));
    assert.deepEqual([error.code, error.param], ["unsupported", "n"]);
  },
  async "names a tool that is missing"() {
    const tool_choice = { type: "function", function: { name: "other" } };
    const asked = { model: "echo", messages: hi, tools: [weather], tool_choice };
    assert.equal((await refused(OpenAI.BadRequestError, complete(asked))).param, "tool_choice");
  },
  async "hears why a run failed and makes no second one"() {
    let asked = 0;
    const counting = (...request) => (asked++, fetch(...request));
    const impatient = new OpenAI({ baseURL, apiKey: "-", maxRetries: 2, fetch: counting });
    const call = impatient.chat.completions.create({ model: "broken", messages: hi });
    const error = await refused(OpenAI.InternalServerError, call);
    assert.deepEqual([error.code, asked], ["script_template", 1]);
    assert.match(runOf(error), /^run_/);
  },
  async "hears in a stream why a run failed"() {
    const stream = await complete({ model: "broken", messages: hi, stream: true });
    assert.equal((await refused(OpenAI.APIError, all(stream))).code, "script_template");
  },
  async "gets the same run for the same key"() {
    const options = withKey();
    const ask = () => complete({ model: "echo", messages: hi }, options).withResponse();
    const [first, second] = [await ask(), await ask()];
    assert.equal(runOf(first.response), runOf(second.response));
    assert.deepEqual(first.data.choices, second.data.choices);
    const other = complete({ model: "echo", messages: [user("other")] }, options);
    assert.equal((await refused(OpenAI.ConflictError, other)).code, "already_exists");
  },
  async "drops and repeats"() {
    const [options, asked] = [withKey(), { model: "slow", messages: hi }];
    const hasty = complete(asked, { ...options, timeout: 200, maxRetries: 0 });
    await refused(OpenAI.APIConnectionTimeoutError, hasty);
    const dropped = await complete({ ...asked, stream: true }, options).withResponse();
    dropped.data.controller.abort();
    const again = await complete(asked, options).withResponse();
    assert.equal(runOf(again.response), runOf(dropped.response));
    assert.match(again.data.choices[0].message.content, /^It takes its time/);
  },
  async "has a base URL for each agent"() {
    const own = new OpenAI({ baseURL: baseURL.replace("/v1", "/echo/v1"), apiKey: "-" });
    const answer = await own.chat.completions.create({ model: "gpt-5", messages: hi });
    assert.equal(answer.model, "gpt-5");
    assert.equal(answer.choices[0].message.content, "You said: hi");
  },
  async "calls eight times at once"() {
    const numbers = [...Array(8).keys()];
    const said = (n) => content({ model: "echo", messages: [user(`hi ${n}`)] });
    const wanted = numbers.map((n) => `You said: hi ${n}`);
    assert.deepEqual(await Promise.all(numbers.map(said)), wanted);
  },
};

let failed = 0;
for (const [name, call] of Object.entries(calls)) {
  try {
    await call();
    console.log(`ok      javascript: ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  javascript: ${name}: ${error}`);
  }
}
console.log(`${Object.keys(calls).length - failed} passed, ${failed} failed`);
// At once: connections that are kept alive would hold it up.
process.exit(failed > 0 ? 1 : 0);
