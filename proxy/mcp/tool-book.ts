// What a server's tools are, for types and pins: from the lists that pass by, and from one that we ask for.
import type { Json } from "../../engine/lib/json.ts";
import { field, isObject, type JsonObject, textField } from "../../engine/lib/read-json.ts";
import { limits } from "../../engine/limits.ts";
import { pinOf, readTool, type Tool } from "../../engine/mcp/tools.ts";
import type { Clock, Log } from "../deps.ts";
import type { PinBook } from "./pins.ts";

/** `changed`: its definition differs from the one that was pinned. */
export type KnownTool = { readonly tool: Tool; readonly isChanged: boolean };

export type ToolBook = {
  readonly get: (name: string) => KnownTool | undefined;
  readonly all: () => readonly KnownTool[];
  /** One page of tools as the server tells it. Entries that can't be typed are left out, and logged. */
  readonly learn: (tools: readonly Json[]) => readonly KnownTool[];
  /** Something that models read besides tools, pinned the same way: a server's instructions. */
  readonly pin: (what: string, value: JsonObject) => boolean;
  /** All pages, when the tool isn't known or the book is old. `ask` gives one result of `tools/list`. */
  readonly find: (
    name: string,
    ask: (cursor: string | undefined) => Promise<JsonObject | undefined>,
  ) => Promise<KnownTool | undefined>;
  readonly forget: () => void;
};

export type ToolBookDeps = {
  readonly connection: string;
  readonly pins: PinBook;
  readonly clock: Clock;
  readonly log: Log;
  /** Puts the change on record and tells people. */
  readonly onChanged: (tool: string, pin: string) => void;
};

export function createToolBook(deps: ToolBookDeps): ToolBook {
  const tools = new Map<string, KnownTool>();
  let readAtMs = Number.NEGATIVE_INFINITY;
  const look = (what: string, pin: string): boolean => {
    const { verdict, isFirst } = deps.pins.look(what, pin);
    if (verdict === "changed" && isFirst) {
      deps.log.warn({ code: "tool-changed", connection: deps.connection, tool: what }, "a pinned tool changed");
      deps.onChanged(what, pin);
    }
    return verdict === "changed";
  };
  const learnOne = (value: Json): KnownTool | undefined => {
    const name = isObject(value) ? textField(value, "name") : undefined;
    const known = name === undefined ? undefined : tools.get(name);
    // Compiling a schema costs; the same definition is the same tool.
    if (known && isObject(value) && known.tool.pin === pinOf(value)) {
      const again = { tool: known.tool, isChanged: look(known.tool.name, known.tool.pin) };
      tools.set(known.tool.name, again);
      return again;
    }
    const read = readTool(value);
    if (!read.ok) {
      deps.log.warn({ code: "tool-untyped", connection: deps.connection, cause: read.error.slice(0, 200) }, "left out");
      if (name !== undefined) tools.delete(name);
      return undefined;
    }
    if (!tools.has(read.value.name) && tools.size >= limits.mcpToolsMax) return undefined;
    const learnt = { tool: read.value, isChanged: look(read.value.name, read.value.pin) };
    tools.set(read.value.name, learnt);
    return learnt;
  };
  return {
    get: (name) => tools.get(name),
    all: () => [...tools.values()],
    learn: (page) => page.map(learnOne).filter((tool) => tool !== undefined),
    pin: (what, value) => look(what, pinOf(value)),
    find: async (name, ask) => {
      const isFresh = deps.clock.nowMs() - readAtMs < limits.mcpToolsMaxAgeMs;
      const known = tools.get(name);
      if (known && isFresh) return known;
      const seen = new Set<string>();
      let cursor: string | undefined;
      for (let page = 0; page < limits.mcpToolPagesMax; page += 1) {
        const result = await ask(cursor);
        const list = result && field(result, "tools");
        if (!Array.isArray(list)) return undefined;
        for (const value of list.slice(0, limits.mcpToolsMax)) {
          const learnt = learnOne(value);
          if (learnt) seen.add(learnt.tool.name);
        }
        cursor = result && textField(result, "nextCursor");
        if (cursor === undefined) break;
      }
      for (const old of tools.keys()) if (!seen.has(old)) tools.delete(old);
      readAtMs = deps.clock.nowMs();
      return tools.get(name);
    },
    forget: () => {
      readAtMs = Number.NEGATIVE_INFINITY;
    },
  };
}
