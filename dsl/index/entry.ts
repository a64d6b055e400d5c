// Rules of one place of an index: in lists, alerts apart, each with its guards.

import type { PolicyRequest } from "../../engine/model/request.ts";
import type { Candidate, Candidates } from "../../engine/program.ts";
import { type Guarded, type GuardedList, guardList } from "../compile-guards.ts";
import type { CompiledRule } from "../compile-rule.ts";
import type { RouteParams } from "../route.ts";

export type Indexed = CompiledRule & { readonly guards: Guarded["guards"] };

export type Entry = { readonly rules: GuardedList; readonly alerts: GuardedList };

export function entryOf(rules: readonly Pick<Indexed, "rule" | "guards">[]): Entry {
  const guarded = rules.map(({ rule, guards }): Guarded => ({ candidate: { rule, params: undefined }, guards }));
  return {
    rules: guardList(guarded.filter((g) => g.candidate.rule.effect !== "alert")),
    alerts: guardList(guarded.filter((g) => g.candidate.rule.effect === "alert")),
  };
}

/** An entry that a request found, and the placeholders of the route by which it was found. */
export type Found = { readonly entry: Entry; readonly params: RouteParams | undefined };

export const isEmpty = ({ rules, alerts }: Entry): boolean => rules.size + alerts.size === 0;

export function candidatesOf(found: readonly Found[], request: PolicyRequest): Candidates {
  const [only, second] = found;
  if (!only) return none;
  if (!second) {
    const { entry, params } = only;
    return {
      rules: withParams(entry.rules.select(request), params),
      alerts: entry.alerts.size === 0 ? none.alerts : withParams(entry.alerts.select(request), params),
    };
  }
  const rules: Candidate[] = [];
  const alerts: Candidate[] = [];
  for (const { entry, params } of found) {
    for (const { rule } of entry.rules.select(request)) rules.push({ rule, params });
    if (entry.alerts.size > 0) for (const { rule } of entry.alerts.select(request)) alerts.push({ rule, params });
  }
  return { rules, alerts };
}

const none: Candidates = { rules: [], alerts: [] };

const withParams = (list: readonly Candidate[], params: RouteParams | undefined): readonly Candidate[] =>
  params === undefined ? list : list.map(({ rule }) => ({ rule, params }));
