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
 * input and written anew, or renamed. Indices and the stop reason stay as they are.
 */
export class AnswerStream {
  readonly #open = new Map<number, OpenUse>();
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
    switch (type) {
      case "message_start":
        return this.#start({ event, data });
      case "content_block_start":
        return this.#startBlock({ event, data });
      case "content_block_delta":
        return this.#delta({ event, data });
      case "content_block_stop":
        return this.#stopBlock({ event, data });
      case "message_delta":
        return this.#messageDelta({ event, data });
      case "message_stop":
        if (this.#open.size > 0) return broken("the answer ended within a tool use");
        this.#summary = { ...this.#summary, isEnded: true };
        return { kind: "pass", event: { event, data } };
      case "ping":
      case "error":
        return { kind: "pass", event: { event, data } };
      default:
        // A kind of event that nobody knows could carry a tool use.
        return undefined;
    }
  }

  #start(event: ModelEvent): StreamStep {
    const message = field(event.data, "message");
    const content = isObject(message) ? field(message, "content") : undefined;
    if (!isObject(message) || !Array.isArray(content) || content.length > 0) {
      return broken("the answer begins with content");
    }
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
    if (typeof index !== "number" || !isObject(block)) return broken("a block of the answer has no index");
    if (!isToolUse(block)) return { kind: "pass", event };
    const id = textField(block, "id");
    const name = textField(block, "name");
    this.#uses += 1;
    if (id === undefined || name === undefined || this.#open.size > 0 || this.#uses > limits.llmToolUsesMax) {
      return broken("a tool use of the answer has no id or name, or there are too many");
    }
    const given = field(block, "input");
    const parts = isObject(given) && Object.keys(given).length > 0 ? [JSON.stringify(given)] : [];
    this.#open.set(index, { id, name, block, parts, chars: 0 });
    return undefined;
  }

  #delta(event: ModelEvent): StreamStep | undefined {
    this.#outputChars += JSON.stringify(field(event.data, "delta") ?? "").length;
    const open = this.#openAt(event.data);
    if (open === undefined) return { kind: "pass", event };
    const delta = field(event.data, "delta");
    const part = isObject(delta) ? textField(delta, "partial_json") : undefined;
    if (part === undefined) return broken("a tool use goes on with something that isn't input");
    open.parts.push(part);
    open.chars += part.length;
    return open.chars > limits.llmToolInputCharsMax ? broken("the input of a tool use is too long") : undefined;
  }

  #stopBlock(event: ModelEvent): StreamStep {
    const open = this.#openAt(event.data);
    const index = field(event.data, "index");
    if (open === undefined || typeof index !== "number") return { kind: "pass", event };
    this.#open.delete(index);
    const { id, name, block, parts } = open;
    return { kind: "tool-use", use: { index, id, name, block, input: readInput(parts.join("")) } };
  }

  #openAt(data: JsonObject): OpenUse | undefined {
    const index = field(data, "index");
    return typeof index === "number" ? this.#open.get(index) : undefined;
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

/** A use that the client carries out. Kinds that nobody knows yet are taken for one; those of the provider aren't. */
export const isToolUse = (block: JsonObject): boolean => {
  const type = textField(block, "type") ?? "";
  return /tool_?use$/i.test(type) && type !== "server_tool_use" && type !== "mcp_tool_use";
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
