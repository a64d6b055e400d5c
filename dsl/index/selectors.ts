// MCP and model rules by the names they select: whole names, then the part before the first dot, then the rest.

import { Unknown } from "../../engine/lib/truth.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { CheckedRule, Selector } from "../checked.ts";
import { isRestricting, matchScope, selectedName } from "../matching.ts";
import { type Entry, entryOf, type Found, type Indexed, isEmpty } from "./entry.ts";

const selectorNames = { mcp: ["tool", "resource", "prompt"], llm: ["model", "tool"] } as const;

/** Where a rule is filed: under one selector, for each of its patterns. */
type Key = { readonly kind: "whole" | "server"; readonly text: string };

export class SelectorIndex {
  readonly #protocol: "mcp" | "llm";
  /** Rules without a selector, and rules about any request. */
  readonly #everywhere: Found;
  readonly #whole: ReadonlyMap<string, Found>;
  readonly #server: ReadonlyMap<string, readonly Indexed[]>;
  readonly #rest: readonly Indexed[];
  readonly #all: readonly Indexed[];

  constructor(protocol: "mcp" | "llm", rules: readonly Indexed[]) {
    this.#protocol = protocol;
    this.#all = rules;
    const everywhere: Indexed[] = [];
    const whole = new Map<string, Indexed[]>();
    const server = new Map<string, Indexed[]>();
    const rest: Indexed[] = [];
    const file = (map: Map<string, Indexed[]>, key: string, rule: Indexed): void => {
      const known = map.get(key);
      if (!known) map.set(key, [rule]);
      else if (known.at(-1) !== rule) known.push(rule);
    };
    for (const rule of rules) {
      const selectors = selectorsOf(rule.checked);
      const best = selectors.find((s) => selectors.length === 1 && keysOf(s, "whole"));
      const near = best ?? selectors.find((s) => keysOf(s, "server"));
      if (selectors.length === 0) everywhere.push(rule);
      else if (!near) rest.push(rule);
      else
        for (const key of keysOf(near, best ? "whole" : "server") ?? [])
          file(best ? whole : server, `${near.name} ${key.text}`, rule);
    }
    const found = (list: readonly Indexed[]): Found => ({ entry: entryOf(list), params: undefined });
    this.#everywhere = found(everywhere);
    this.#whole = new Map([...whole].map(([key, list]) => [key, found(list)]));
    this.#server = server;
    this.#rest = rest;
  }

  find(request: PolicyRequest): readonly Found[] {
    const names = selectorNames[this.#protocol];
    const near: Indexed[] = [];
    const found: Found[] = isEmpty(this.#everywhere.entry) ? [] : [this.#everywhere];
    for (const name of names) {
      const value = selectedName(name, request);
      // Nobody knows what is asked for: restrictions hold, so every rule is looked at.
      if (value instanceof Unknown) return [asked(this.#all, request)];
      if (value === undefined) continue;
      const whole = this.#whole.get(`${name} ${value}`);
      if (whole) found.push(whole);
      near.push(...(this.#server.get(`${name} ${serverOf(value)}`) ?? []));
    }
    if (near.length + this.#rest.length > 0) found.push(asked([...near, ...this.#rest], request));
    return found;
  }
}

const selectorsOf = ({ scope }: CheckedRule): readonly Selector[] =>
  scope.protocol === "mcp" || scope.protocol === "llm" ? scope.selectors : [];

const serverOf = (name: string): string => name.split(".", 1)[0] ?? "";

/** undefined where a pattern has no such key. */
function keysOf({ patterns }: Selector, kind: Key["kind"]): readonly Key[] | undefined {
  const keys = patterns.flatMap(({ text }): readonly Key[] => {
    if (kind === "whole") return text.includes("*") ? [] : [{ kind, text }];
    return serverOf(text).includes("*") || !text.includes(".") ? [] : [{ kind, text: serverOf(text) }];
  });
  return keys.length === patterns.length ? keys : undefined;
}

/** Those whose scope holds the request, in a list of their own. */
function asked(rules: readonly Indexed[], request: PolicyRequest): Found {
  const held = rules.filter(
    ({ checked }) => matchScope(checked.scope, request, undefined, isRestricting(checked)).length > 0,
  );
  return { entry: plainEntry(held), params: undefined };
}

/** Made for one request: an index of its own would cost more than asking. */
function plainEntry(rules: readonly Indexed[]): Entry {
  const list = (isAlert: boolean): Entry["rules"] => {
    const scanned = rules
      .filter(({ rule }) => (rule.effect === "alert") === isAlert)
      .map(({ rule }) => ({ rule, params: undefined }));
    return { attribute: undefined, buckets: new Map(), scanned, size: scanned.length, select: () => scanned };
  };
  return { rules: list(false), alerts: list(true) };
}
