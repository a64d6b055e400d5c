// events of a streamed answer -> events that go on, and tool uses that are decided first. Anthropic Messages streaming.
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, readJson, textField, withField } from "../lib/read-json.ts";
import { limits } from "../limits.ts";
import { deniedTool, type LlmFault } from "./request.ts";
import { addUsage, noUsage, type Usage } from "./usage.ts";

export type ToolUse = {
  /** Place among the answer's blocks. */
  readonly index: number;
  readonly id: string;
  readonly name: string;
  /** Complete. undefined: what came is not JSON; such a use is never let through. */
  readonly input: Json | undefined;
  /** The block as it began: members besides name and input go on. */
  readonly block: JsonObject;
};

export type ModelEvent = { readonly event: string; readonly data: JsonObject };

export type StreamStep =
  | { readonly kind: "pass"; readonly event: ModelEvent }
  | { readonly kind: "tool-use"; readonly use: ToolUse }
  /** The stream makes no sense any more: nothing further of it may pass. */
  | { readonly kind: "broken"; readonly fault: LlmFault };

export type AnswerSummary = {
  readonly messageId: string | undefined;
  readonly model: string | undefined;
  readonly stopReason: string | undefined;
  readonly usage: Usage;
  readonly isEnded: boolean;
};

type OpenUse = {
  readonly id: string;
  readonly name: string;
  readonly block: JsonObject;
  readonly parts: string[];
  chars: number;
};

/**
 * Text passes as it comes. Of a tool use nothing passes before its block is whole: it is then decided on its complete
 * input and written anew, or renamed. Indices and the stop reason stay as they are. Clients put blocks together by
 * their order or by their index: where the two could differ, the answer is cut.
 */
export class AnswerStream {
  #phase: "before" | "within" | "over" = "before";
  /** Blocks so far: the index of the next one. */
  #blocks = 0;
  #open: { readonly index: number; readonly use: OpenUse } | undefined;
  /** Types of the open blocks that pass as they come. */
  readonly #passing = new Map<number, string>();
  #uses = 0;
  #outputChars = 0;
  #summary: AnswerSummary = {
    messageId: undefined,
    model: undefined,
    stopReason: undefined,
    usage: noUsage,
    isEnded: false,
  };

  /** Of an answer that broke off nobody tells the tokens: half of its characters stand for them, which is too many. */
  summary(): AnswerSummary {
    if (this.#summary.isEnded) return this.#summary;
    const { usage } = this.#summary;
    const output = Math.max(usage.output, Math.ceil(this.#outputChars / 2));
    return { ...this.#summary, usage: { ...usage, output } };
  }

  push({ event, data }: ModelEvent): StreamStep | undefined {
    const type = textField(data, "type");
    if (type !== event) return broken("an event of the answer isn't of the type that it says");
    if (type === "ping") return { kind: "pass", event: { event, data } };
    if (this.#phase === "over") return broken("the answer goes on after its end");
    if (type === "error") {
      this.#phase = "over";
      return { kind: "pass", event: { event, data } };
    }
    if (type === "message_start") return this.#start({ event, data });
    // A kind of event that nobody knows could carry a tool use.
    if (!isAnswerEvent(type)) return undefined;
    if (this.#phase === "before") return broken("the answer doesn't begin with its start");
    switch (type) {
      case "content_block_start":
        return this.#startBlock({ event, data });
      case "content_block_delta":
        return this.#delta({ event, data });
      case "content_block_stop":
        return this.#stopBlock({ event, data });
      case "message_delta":
        return this.#messageDelta({ event, data });
      case "message_stop":
        if (this.#open !== undefined) return broken("the answer ended within a tool use");
        this.#phase = "over";
        this.#summary = { ...this.#summary, isEnded: true };
        return { kind: "pass", event: { event, data } };
      default:
        return type satisfies never;
    }
  }

  #start(event: ModelEvent): StreamStep {
    const message = field(event.data, "message");
    const content = isObject(message) ? field(message, "content") : undefined;
    if (!isObject(message) || !Array.isArray(content) || content.length > 0) {
      return broken("the answer begins with content");
    }
    if (this.#phase !== "before") return broken("the answer begins twice");
    this.#phase = "within";
    this.#summary = {
      ...this.#summary,
      messageId: textField(message, "id"),
      model: textField(message, "model"),
      usage: addUsage(noUsage, field(message, "usage")),
    };
    return { kind: "pass", event };
  }

  #startBlock(event: ModelEvent): StreamStep | undefined {
    const index = field(event.data, "index");
    const block = field(event.data, "content_block");
    if (index !== this.#blocks || !isObject(block)) return broken("a block of the answer isn't the next one");
    if (this.#open !== undefined) return broken("a block of the answer begins within a tool use");
    this.#blocks += 1;
    if (!isToolUse(block)) {
      this.#passing.set(index, textField(block, "type") ?? "");
      return { kind: "pass", event };
    }
    const id = textField(block, "id");
    const name = textField(block, "name");
    this.#uses += 1;
    if (id === undefined || name === undefined || this.#uses > limits.llmToolUsesMax) {
      return broken("a tool use of the answer has no id or name, or there are too many");
    }
    const given = field(block, "input");
    const parts = isObject(given) && Object.keys(given).length > 0 ? [JSON.stringify(given)] : [];
    this.#open = { index, use: { id, name, block, parts, chars: 0 } };
    return undefined;
  }

  #delta(event: ModelEvent): StreamStep | undefined {
    const delta = field(event.data, "delta");
    this.#outputChars += JSON.stringify(delta ?? "").length;
    const index = field(event.data, "index");
    const open = this.#open;
    if (open === undefined || open.index !== index) return this.#passDelta(event, index, delta);
    const { use } = open;
    const part = isObject(delta) ? textField(delta, "partial_json") : undefined;
    if (part === undefined) return broken("a tool use goes on with something that isn't input");
    use.parts.push(part);
    use.chars += part.length;
    return use.chars > limits.llmToolInputCharsMax ? broken("the input of a tool use is too long") : undefined;
  }

  /** Input belongs to tool uses: those of the provider pass, and a text that has some would be a use in disguise. */
  #passDelta(event: ModelEvent, index: Json | undefined, delta: Json | undefined): StreamStep {
    const type = typeof index === "number" ? this.#passing.get(index) : undefined;
    if (type === undefined) return broken("a part of the answer belongs to no open block");
    const isInput = isObject(delta) && Object.hasOwn(delta, "partial_json");
    if (isInput && !providerUses.has(type)) return broken("a block that is no tool use has input");
    return { kind: "pass", event };
  }

  #stopBlock(event: ModelEvent): StreamStep {
    const index = field(event.data, "index");
    if (typeof index === "number" && this.#passing.delete(index)) return { kind: "pass", event };
    const open = this.#open;
    if (open === undefined || open.index !== index) return broken("the end of a block belongs to no open block");
    this.#open = undefined;
    const { id, name, block, parts } = open.use;
    return { kind: "tool-use", use: { index: open.index, id, name, block, input: readInput(parts.join("")) } };
  }

  #messageDelta(event: ModelEvent): StreamStep {
    const delta = field(event.data, "delta");
    const stopReason = isObject(delta) ? textField(delta, "stop_reason") : undefined;
    this.#summary = {
      ...this.#summary,
      stopReason: stopReason ?? this.#summary.stopReason,
      usage: addUsage(this.#summary.usage, field(event.data, "usage")),
    };
    return { kind: "pass", event };
  }
}

const answerEvents = [
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
] as const;
const isAnswerEvent = (type: string): type is (typeof answerEvents)[number] =>
  answerEvents.some((known) => known === type);

/** Uses that the provider carries out by itself: decided when they were offered to the model. */
const providerUses: ReadonlySet<string> = new Set(["server_tool_use", "mcp_tool_use"]);

/** A use that the client carries out. Kinds that nobody knows yet are taken for one; those of the provider aren't. */
export const isToolUse = (block: JsonObject): boolean => {
  const type = textField(block, "type") ?? "";
  return /tool_?use$/i.test(type) && !providerUses.has(type);
};

const broken = (message: string): StreamStep => ({
  kind: "broken",
  fault: { code: "llm-answer-malformed", message, help: undefined },
});

function readInput(text: string): Json | undefined {
  if (text === "") return {};
  const read = readJson(text, limits.llmJsonDepthMax);
  return read.ok && isObject(read.value) ? read.value : undefined;
}

/** The block in our own spelling: start, the whole input, stop. */
export function replayUse(use: ToolUse): readonly ModelEvent[] {
  return blockEvents(use.index, use.block, use.name, use.input ?? {});
}

/** The client has no such tool: it answers itself with an error, and the conversation goes on. */
export function denyUse(use: ToolUse, text: string): readonly ModelEvent[] {
  return blockEvents(use.index, use.block, deniedTool, { reason: text });
}

function blockEvents(index: number, block: JsonObject, name: string, input: Json): readonly ModelEvent[] {
  const partial = JSON.stringify(input);
  const events: ModelEvent[] = [
    startOf(index, withField(withField(block, "name", name), "input", {})),
    {
      event: "content_block_delta",
      data: { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json: partial } },
    },
    { event: "content_block_stop", data: { type: "content_block_stop", index } },
  ];
  return events;
}

const startOf = (index: number, block: JsonObject): ModelEvent => ({
  event: "content_block_start",
  data: { type: "content_block_start", index, content_block: block },
});

/** An answer of the gateway's own: for a request that was held, when the stream has begun. */
export function refusalStream(model: string, text: string, id: string): readonly ModelEvent[] {
  const usage = { input_tokens: 0, output_tokens: 0 };
  const message = {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  };
  return [
    { event: "message_start", data: { type: "message_start", message } },
    startOf(0, { type: "text", text: "" }),
    {
      event: "content_block_delta",
      data: { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
    },
    { event: "content_block_stop", data: { type: "content_block_stop", index: 0 } },
    {
      event: "message_delta",
      data: {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: { output_tokens: 0 },
      },
    },
    { event: "message_stop", data: { type: "message_stop" } },
  ];
}

/** Tool uses of an answer in one piece, in order. */
export function usesOf(message: JsonObject): readonly ToolUse[] | LlmFault {
  const content = field(message, "content");
  if (!Array.isArray(content))
    return { code: "llm-answer-malformed", message: "the answer has no content", help: undefined };
  const uses: ToolUse[] = [];
  for (const [index, block] of content.entries()) {
    if (!isObject(block) || !isToolUse(block)) continue;
    const id = textField(block, "id");
    const name = textField(block, "name");
    const input = field(block, "input");
    if (id === undefined || name === undefined || uses.length >= limits.llmToolUsesMax) {
      return { code: "llm-answer-malformed", message: "a tool use of the answer has no id or name", help: undefined };
    }
    uses.push({ index, id, name, block, input: isObject(input) ? input : undefined });
  }
  return uses;
}

/** The same as `denyUse`, in an answer in one piece. */
export function withDenied(message: JsonObject, denied: ReadonlyMap<number, string>): JsonObject {
  const content = field(message, "content");
  if (!Array.isArray(content) || denied.size === 0) return message;
  const shown = content.map((block: Json, index): Json => {
    const text = denied.get(index);
    if (text === undefined || !isObject(block)) return block;
    return withField(withField(block, "name", deniedTool), "input", { reason: text });
  });
  return withField(message, "content", shown);
}

export function summaryOfMessage(message: JsonObject): AnswerSummary {
  return {
    messageId: textField(message, "id"),
    model: textField(message, "model"),
    stopReason: textField(message, "stop_reason"),
    usage: addUsage(noUsage, field(message, "usage")),
    isEnded: true,
  };
}
