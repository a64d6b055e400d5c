// Query messages: all statements of a text are decided and recorded before any of them is sent upstream.
import { isFromTemplate } from "../../engine/sql/template-tree.ts";
import { type ClientGate, isCopy } from "./client-gate.ts";
import { queryOf, refusalOf, refusals } from "./deny.ts";
import type { Handled } from "./handled.ts";
import { encodeQuery } from "./protocol/encode.ts";
import type { Release } from "./session-state.ts";
import type { SqlVerdict } from "./sql-gate.ts";

export function handleQuery(gate: ClientGate, bytes: Buffer): Handled {
  const context = gate.context();
  if (!context) return "again";
  const expired = gate.expiry();
  if (expired) return expired;
  const text = gate.textOf(bytes);
  if (typeof text !== "string") return gate.refuse(text, "query");
  if (gate.estimate(context, text, []) === "asked") return "asked";
  // The analysis itself lets a later statement see what an earlier one of the same text sets.
  const verdicts = gate.decide(context, text);
  if (verdicts.length === 0) {
    gate.parts.toUpstream.add(encodeQuery(""));
    sentQuery(gate, []);
    return "done";
  }
  const refused = verdicts.filter((v) => v.kind === "refuse");
  const [first] = refused;
  if (first) return gate.recordAndRefuse(refused, refusalOf(first.refusal), "query");
  const hindrance = gate.hindrance(verdicts, "query");
  if (hindrance !== undefined) return hindrance;
  if (verdicts.some((v) => v.kind === "hold")) {
    return gate.hold(context, verdicts, [], (releases) => releaseQuery(gate, releases), "query");
  }
  if (!gate.recordTogether(verdicts, [])) return gate.refuse(refusals.notRecorded, "query");
  return releaseQuery(gate, releasesOf(verdicts));
}

function releaseQuery(gate: ClientGate, releases: readonly Release[]): Handled {
  const [only] = releases;
  const bytes =
    releases.length === 1 && only
      ? isFromTemplate(only.statement)
        ? encodeQuery(only.rewritten.text)
        : queryOf(only.rewritten)
      : encodeQuery(releases.map((r) => r.rewritten.text).join(";\n"));
  gate.parts.toUpstream.add(bytes);
  sentQuery(gate, releases);
  return "done";
}

function sentQuery(gate: ClientGate, releases: readonly Release[]): void {
  const { state } = gate.parts;
  for (const release of releases) gate.announce(release);
  state.sent({
    kind: "query",
    runs: releases.map((release) => gate.newRun(release)),
    at: 0,
    segment: state.segment,
    hasFailed: false,
  });
  if (releases.some(isCopy)) state.copy = "expected";
  state.nextSegment();
}

const releasesOf = (verdicts: readonly SqlVerdict[]): readonly Release[] =>
  verdicts.filter((v): v is Release => v.kind === "release");
