// Laws of the model channel: a tool use passes whole or not at all, however the answer is cut; both forms agree.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EventReader } from "../../engine/lib/event-stream.ts";
import { isObject, type JsonObject } from "../../engine/lib/read-json.ts";
import {
  AnswerStream,
  denyUse,
  type ModelEvent,
  replayUse,
  usesOf,
  withDenied,
} from "../../engine/llm/answer-stream.ts";
import { readModelRequest } from "../../engine/llm/request.ts";
import { costUsd } from "../../engine/llm/usage.ts";
import { type Block, streamText } from "./model.ts";

const block: fc.Arbitrary<Block> = fc.oneof(
  fc.record({ type: fc.constant("text" as const), text: fc.string({ minLength: 1, maxLength: 30 }) }),
  fc.record({
    type: fc.constant("tool_use" as const),
    id: fc.stringMatching(/^toolu_[a-z0-9]{4}$/),
    name: fc.constantFrom("Bash", "Read"),
    input: fc.dictionary(fc.string({ maxLength: 5 }), fc.oneof(fc.string(), fc.integer()), { maxKeys: 3 }),
  }),
);

/** What a client puts together of the events: blocks by index. `isDenied` says which uses are denied. */
function follow(text: string, cuts: () => number, isDenied: (name: string) => boolean): readonly unknown[] {
  const reader = new EventReader(100_000);
  const stream = new AnswerStream();
  const blocks: { block: JsonObject; text: string; json: string }[] = [];
  const see = ({ data }: ModelEvent): void => {
    const index = typeof data.index === "number" ? data.index : -1;
    if (data.type === "content_block_start" && isObject(data.content_block)) {
      blocks[index] = { block: data.content_block, text: "", json: "" };
    }
    const at = blocks[index];
    if (data.type === "content_block_delta" && at && isObject(data.delta)) {
      at.text += typeof data.delta.text === "string" ? data.delta.text : "";
      at.json += typeof data.delta.partial_json === "string" ? data.delta.partial_json : "";
    }
  };
  const bytes = Buffer.from(text, "utf8");
  for (let at = 0; at < bytes.length; ) {
    const size = cuts();
    const events = reader.push(bytes.subarray(at, at + size));
    assert.ok(events.ok);
    at += size;
    for (const { event, data } of events.value) {
      const step = stream.push({ event: event ?? "", data: JSON.parse(data ?? "{}") });
      if (step?.kind === "pass") see(step.event);
      if (step?.kind === "tool-use") {
        // INVARIANT: nothing of the use was seen before it was decided.
        assert.equal(blocks[step.use.index], undefined);
        for (const each of isDenied(step.use.name) ? denyUse(step.use, "no") : replayUse(step.use)) see(each);
      }
      assert.notEqual(step?.kind, "broken");
    }
  }
  assert.equal(stream.summary().isEnded, true);
  return blocks.map(({ block: b, text: t, json }) =>
    b.type === "text" ? { type: "text", text: t } : { ...b, input: JSON.parse(json) },
  );
}

test("the stream, however it is cut, and the answer in one piece give the client the same blocks", () => {
  fc.assert(
    fc.property(
      fc.array(block, { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 60 })),
      (blocks, cuts) => {
        const text = streamText("m", { blocks }, 1);
        const isDenied = (name: string): boolean => name === "Bash";
        const streamed = follow(text, () => cuts.next().value ?? 1, isDenied);
        const message = JSON.parse(JSON.stringify({ content: blocks }));
        const uses = usesOf(message);
        assert.ok(Array.isArray(uses));
        const denied = new Map(uses.filter(({ name }) => isDenied(name)).map(({ index }) => [index, "no"]));
        assert.deepEqual(streamed, withDenied(message, denied).content);
        const oneByOne = follow(text, () => 1, isDenied);
        assert.deepEqual(oneByOne, streamed);
      },
    ),
    { numRuns: 150 },
  );
});

const event = (type: string, data: JsonObject = {}): ModelEvent => ({ event: type, data: { type, ...data } });
const start = event("message_start", { message: { content: [] } });
const begin = (index: number, block: JsonObject): ModelEvent =>
  event("content_block_start", { index, content_block: block });
const bash = { type: "tool_use", id: "t", name: "Bash", input: {} };
const text = { type: "text", text: "" };
const delta = (index: number, part: JsonObject): ModelEvent => event("content_block_delta", { index, delta: part });
const input = (index: number, json: string): ModelEvent =>
  delta(index, { type: "input_json_delta", partial_json: json });
const stop = (index: number): ModelEvent => event("content_block_stop", { index });
const end = event("message_stop");

test("answers that make no sense end there", () => {
  const rows: Readonly<Record<string, readonly ModelEvent[]>> = {
    "content in its start": [event("message_start", { message: { content: [{ type: "tool_use" }] } })],
    "no start": [begin(0, text)],
    "two starts": [start, start],
    "the end of all within a tool use": [start, begin(0, bash), end],
    "two tool uses at one index": [start, begin(0, bash), begin(0, bash)],
    "a tool use within a tool use": [start, begin(0, bash), begin(1, bash)],
    "text that begins within a tool use": [start, begin(0, bash), begin(1, text)],
    "a tool use in the place of a text": [start, begin(0, text), begin(0, bash)],
    "an index left out": [start, begin(0, text), begin(2, bash)],
    "an index that is no number": [start, event("content_block_start", { index: "0", content_block: bash })],
    "text in a tool use": [start, begin(0, bash), delta(0, { type: "text_delta", text: "x" })],
    "input in a text": [start, begin(0, text), input(0, "{}")],
    "a part of nothing": [start, input(0, "{}")],
    "a part without an index": [start, event("content_block_delta", { delta: {} })],
    "an end without an index": [start, event("content_block_stop", {})],
    "a part of what ended": [start, begin(0, text), stop(0), delta(0, { type: "text_delta", text: "x" })],
    "the end of nothing": [start, stop(0)],
    "a tool use after the end": [start, end, begin(0, bash)],
    "a tool use after an error": [start, event("error", { error: {} }), begin(0, bash)],
    "an event that says it is another": [{ event: "ping", data: { type: "content_block_start" } }],
    "a tool use without a name": [start, begin(0, { type: "super_tool_use" })],
  };
  for (const [what, events] of Object.entries(rows)) {
    const stream = new AnswerStream();
    const steps = events.map((each) => stream.push(each));
    assert.equal(steps.at(-1)?.kind, "broken", what);
    assert.ok(
      steps.slice(0, -1).every((step) => step?.kind !== "broken"),
      what,
    );
  }
});

test("events that nobody knows are left out; what a provider's tool is asked passes", () => {
  const stream = new AnswerStream();
  const server = { type: "server_tool_use", id: "s", name: "web_search", input: {} };
  const events = [event("brand_new", { content_block: bash }), start, begin(0, server), input(0, "{}"), stop(0), end];
  assert.deepEqual(
    events.map((each) => stream.push(each)?.kind),
    [undefined, "pass", "pass", "pass", "pass", "pass"],
  );
});

test("a tool use is decided on the input that the client gets: one object, each key once", () => {
  const inputOf = (...parts: readonly string[]): unknown => {
    const stream = new AnswerStream();
    for (const each of [start, begin(0, bash), ...parts.map((part) => input(0, part))]) stream.push(each);
    const step = stream.push(stop(0));
    assert.equal(step?.kind, "tool-use");
    if (step?.kind !== "tool-use" || step.use.input === undefined) return undefined;
    assert.deepEqual(
      JSON.parse(String(replayUse(step.use).map(({ data }) => isObject(data.delta) && data.delta.partial_json)[1])),
      step.use.input,
    );
    return step.use.input;
  };
  assert.deepEqual(inputOf('{"command":"ls","comm', 'and":"rm -rf /"}'), { command: "rm -rf /" });
  assert.deepEqual(inputOf(), {});
  for (const parts of [['{"command":"rm'], ['{"a":1}', '{"b":2}'], ["[]"], ['"rm"'], ['{"n":12345678901234567890}']]) {
    assert.equal(inputOf(...parts), undefined, parts.join(""));
  }
});

test("what runs at the provider is named, also what nobody knows yet", () => {
  const base = { model: "m", messages: [{ role: "user", content: "x" }] };
  const atProvider = (more: JsonObject): readonly string[] | undefined => {
    const read = readModelRequest({ ...base, ...more });
    return read.ok ? read.value.atProvider : undefined;
  };
  assert.deepEqual(
    atProvider({ tools: [{ name: "a" }, { type: "custom", name: "b" }, { type: "bash_20250124", name: "bash" }] }),
    [],
  );
  assert.deepEqual(atProvider({ tools: [{ type: "web_fetch_20250910", name: "web_fetch" }, { type: "x_1" }] }), [
    "web_fetch",
    "x_1",
  ]);
  assert.deepEqual(atProvider({ mcp_servers: [{}], container: { id: "c" } }), ["container", "mcp_servers"]);
  assert.deepEqual(
    atProvider({
      messages: [
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "t",
              content: [{ type: "image", source: { type: "url", url: "https://x" } }],
            },
          ],
        },
      ],
    }),
    ["url_source"],
  );
  assert.deepEqual(
    atProvider({
      messages: [{ role: "user", content: [{ type: "document", source: { type: "file", file_id: "f" } }] }],
    }),
    ["file_source"],
  );
});

test("tokens cost what the first row that fits says", () => {
  const price = { input: 3, output: 15, cacheWrite: 3.75, cacheRead: 0.3 };
  const table = [{ model: "claude-*-4", price }];
  const usage = { input: 1e6, cacheWrite: 1e6, cacheRead: 1e6, output: 1e6 };
  assert.equal(costUsd(usage, "claude-good-4", table), 22.05);
  assert.equal(costUsd(usage, "claude-4", table), undefined);
});
