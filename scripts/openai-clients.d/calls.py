"""What users of the official Python client do, against the control plane at TENURE_URL."""

import asyncio
import base64
import json
import os
import struct
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx  # the client's own HTTP library
import openai
from pydantic import BaseModel

BASE = os.environ["TENURE_URL"] + "/openai/v1"
client = openai.OpenAI(base_url=BASE, api_key="anything")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def user(text):
    return {"role": "user", "content": text}


def content(**asked):
    return client.chat.completions.create(**asked).choices[0].message.content


def same(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def lists_models():
    names = [model.id for model in client.models.list()]
    assert {"echo", "weather"} <= set(names), names


def retrieves_a_model():
    model = client.models.retrieve("echo@1")
    same((model.id, model.object, model.owned_by), ("echo@1", "model", "default"))


def chats():
    answer = client.chat.completions.create(model="echo", messages=[user("hi")])
    choice = answer.choices[0]
    same((choice.message.content, choice.message.role), ("You said: hi", "assistant"))
    same((choice.finish_reason, answer.model, answer.object), ("stop", "echo", "chat.completion"))
    assert answer.id.startswith("chatcmpl-run_") and answer.system_fingerprint.startswith("fp_")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 0


def goes_on_with_a_conversation():
    said = [user("one"), {"role": "assistant", "content": "two"}, user("three")]
    same(content(model="echo", messages=said), "You said: three")


def takes_system_and_developer_messages():
    said = [
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": "be brief"},
        user("hi"),
    ]
    same(content(model="echo", messages=said), "(be kind; be brief) You said: hi")


def takes_content_in_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    same(content(model="echo", messages=[{"role": "user", "content": parts}]), "You said: ab")


def streams():
    chunks = list(client.chat.completions.create(model="slow", messages=[user("hi")], stream=True))
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    same("".join(said), content(model="slow", messages=[user("hi")]))
    assert len(said) > 1, "it came in one piece"
    same(chunks[-1].choices[0].finish_reason, "stop")
    same({chunk.object for chunk in chunks}, {"chat.completion.chunk"})


def streams_with_usage():
    stream = client.chat.completions.create(
        model="echo", messages=[user("hi")], stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == [] and last.usage.total_tokens > 0


def streams_with_the_helper():
    with client.chat.completions.stream(model="echo", messages=[user("hi")]) as stream:
        for _ in stream:
            pass
        same(stream.get_final_completion().choices[0].message.content, "You said: hi")


def calls_a_tool_of_the_client():
    asked = {"model": "weather", "messages": [user("Rain?")], "tools": [WEATHER]}
    choice = client.chat.completions.create(**asked).choices[0]
    same((choice.finish_reason, choice.message.content), ("tool_calls", None))
    call = choice.message.tool_calls[0]
    same((call.type, call.function.name), ("function", "get_weather"))
    same(json.loads(call.function.arguments), {"city": "Bonn"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    asked["messages"] = [*asked["messages"], choice.message, result]
    same(content(**asked), "In Bonn: sunny")


def streams_the_call_of_a_tool():
    stream = client.chat.completions.create(
        model="weather", messages=[user("Rain?")], tools=[WEATHER], stream=True
    )
    name, arguments, reason = "", "", None
    for chunk in stream:
        choice = chunk.choices[0]
        reason = choice.finish_reason or reason
        for call in choice.delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    same((name, json.loads(arguments), reason), ("get_weather", {"city": "Bonn"}, "tool_calls"))


def is_made_to_call_a_tool():
    choice = {"type": "function", "function": {"name": "get_weather"}}
    answer = client.chat.completions.create(
        model="weather", messages=[user("Rain?")], tools=[WEATHER], tool_choice=choice
    )
    same(answer.choices[0].message.tool_calls[0].function.name, "get_weather")


def answers_in_a_form():
    class Weather(BaseModel):
        city: str
        degrees: int

    answer = client.chat.completions.parse(
        model="form", messages=[user("How warm?")], response_format=Weather
    )
    same(answer.choices[0].message.parsed, Weather(city="Bonn", degrees=21))


def embeds_as_it_does_by_default():
    answer = client.embeddings.create(model="vectors", input="the Rhine")
    same((len(answer.data[0].embedding), answer.object), (16, "list"))
    assert answer.usage.prompt_tokens > 0


def embeds_in_both_encodings():
    def embedding(form):
        asked = {"model": "vectors", "input": "the Rhine", "encoding_format": form}
        return client.embeddings.create(**asked).data[0].embedding

    packed = base64.b64decode(embedding("base64"))
    unpacked = struct.unpack(f"<{len(packed) // 4}f", packed)
    assert all(abs(a - b) < 1e-6 for a, b in zip(unpacked, embedding("float"), strict=True))


def embeds_a_list():
    answer = client.embeddings.create(model="vectors", input=["a b", "c", "a b"])
    same([one.index for one in answer.data], [0, 1, 2])
    first, second, third = (one.embedding for one in answer.data)
    assert first == third != second


def names_a_model_that_is_missing():
    asked = {"model": "gpt-nothing", "messages": [user("hi")]}
    error = refused(openai.NotFoundError, lambda: client.chat.completions.create(**asked))
    same((error.code, error.param, error.status_code), ("model_not_found", "model", 404))


def names_a_parameter_that_is_wrong():
    asked = {"model": "echo", "messages": [user("hi")], "n": 2}
    error = refused(openai.BadRequestError, lambda: client.chat.completions.create(**asked))
    same((error.code, error.param, error.type), ("unsupported", "n", "invalid_request_error"))


def names_a_tool_that_is_missing():
    choice = {"type": "function", "function": {"name": "other"}}
    asked = {"model": "echo", "messages": [user("hi")], "tools": [WEATHER], "tool_choice": choice}
    error = refused(openai.BadRequestError, lambda: client.chat.completions.create(**asked))
    same(error.param, "tool_choice")


def hears_why_a_run_failed_and_makes_no_second_one():
    asked = []
    watching = httpx.Client(event_hooks={"request": [asked.append]})
    impatient = openai.OpenAI(base_url=BASE, api_key="-", max_retries=2, http_client=watching)
    call = lambda: impatient.chat.completions.create(model="broken", messages=[user("hi")])
    error = refused(openai.InternalServerError, call)
    same((error.code, len(asked)), ("script_template", 1))
    assert error.response.headers["x-tenure-run"].startswith("run_")


def hears_in_a_stream_why_a_run_failed():
    stream = client.chat.completions.create(model="broken", messages=[user("hi")], stream=True)
    same(refused(openai.APIError, lambda: list(stream)).code, "script_template")


def gets_the_same_run_for_the_same_key():
    asked = {"model": "echo", "messages": [user("hi")], "extra_headers": key()}
    raw = client.chat.completions.with_raw_response
    first, second = raw.create(**asked), raw.create(**asked)
    same(first.headers["x-tenure-run"], second.headers["x-tenure-run"])
    same(first.parse(), second.parse())
    asked["messages"] = [user("other")]
    error = refused(openai.ConflictError, lambda: client.chat.completions.create(**asked))
    same(error.code, "already_exists")


def drops_and_repeats():
    asked = {"model": "slow", "messages": [user("hi")], "extra_headers": key()}
    hasty = client.with_options(timeout=0.2, max_retries=0)
    refused(openai.APITimeoutError, lambda: hasty.chat.completions.create(**asked))
    raw = client.chat.completions.with_raw_response
    stream = raw.create(**asked, stream=True)
    stream.http_response.close()
    again = raw.create(**asked)
    same(again.headers["x-tenure-run"], stream.headers["x-tenure-run"])
    assert again.parse().choices[0].message.content.startswith("It takes its time")


def has_a_base_url_for_each_agent():
    own = client.with_options(base_url=BASE.replace("/v1", "/echo/v1"))
    answer = own.chat.completions.create(model="gpt-5", messages=[user("hi")])
    same((answer.model, answer.choices[0].message.content), ("gpt-5", "You said: hi"))
    same([model.id for model in own.models.list()], ["echo"])


def calls_from_several_threads():
    with ThreadPoolExecutor(8) as pool:
        numbers = range(8)
        said = lambda n: content(model="echo", messages=[user(f"hi {n}")])
        same(list(pool.map(said, numbers)), [f"You said: hi {n}" for n in numbers])


def calls_asynchronously():
    async def said():
        async with openai.AsyncOpenAI(base_url=BASE, api_key="-") as later:
            stream = await later.chat.completions.create(
                model="echo", messages=[user("hi")], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    same(asyncio.run(said()), "You said: hi")


CALLS = [
    lists_models,
    retrieves_a_model,
    chats,
    goes_on_with_a_conversation,
    takes_system_and_developer_messages,
    takes_content_in_parts,
    streams,
    streams_with_usage,
    streams_with_the_helper,
    calls_a_tool_of_the_client,
    streams_the_call_of_a_tool,
    is_made_to_call_a_tool,
    answers_in_a_form,
    embeds_as_it_does_by_default,
    embeds_in_both_encodings,
    embeds_a_list,
    names_a_model_that_is_missing,
    names_a_parameter_that_is_wrong,
    names_a_tool_that_is_missing,
    hears_why_a_run_failed_and_makes_no_second_one,
    hears_in_a_stream_why_a_run_failed,
    gets_the_same_run_for_the_same_key,
    drops_and_repeats,
    has_a_base_url_for_each_agent,
    calls_from_several_threads,
    calls_asynchronously,
]

failed = 0
for call in CALLS:
    name = "python: " + call.__name__.replace("_", " ")
    try:
        call()
        print(f"ok      {name}")
    except Exception as error:
        failed += 1
        print(f"FAILED  {name}: {type(error).__name__}: {error}")
print(f"{len(CALLS) - failed} passed, {failed} failed")
sys.exit(failed > 0)
