// backend messages -> transcript: everything that a client gets to see of an answer, comparable as a value
import pg from "pg";

/** One message. Only what differs between two servers by nature is left out: process ids and keys. */
export type Seen =
  | { readonly kind: "fields"; readonly columns: readonly string[] }
  | { readonly kind: "row"; readonly values: readonly (string | null)[] }
  | { readonly kind: "tag"; readonly text: string }
  | { readonly kind: "error" | "notice"; readonly parts: Readonly<Record<string, string>> }
  | { readonly kind: "copy"; readonly text: string }
  | { readonly kind: "notification"; readonly channel: string; readonly payload: string }
  | { readonly kind: "parameter"; readonly name: string; readonly value: string }
  | { readonly kind: "other"; readonly name: string };

/** The answer to one statement. `refused` names the cause: the gateway's own answer, nothing reached the server. */
export type Answer =
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "answered"; readonly seen: readonly Seen[] };

/** A statement as a client sends it: simple query, or extended with arguments. */
export type Step = { readonly text: string; readonly args?: readonly (string | null)[]; readonly copied?: string };

/** Somewhere to run statements: PostgreSQL itself, the engine in this process, or the gateway. */
export type World = {
  /** Runs the steps in one fresh session. */
  readonly run: (steps: readonly Step[]) => Promise<readonly Answer[]>;
  readonly close: () => Promise<void>;
};

type Emitter = {
  on(event: "message", listener: (message: WireMessage) => void): void;
  on(event: "end", listener: () => void): void;
  removeListener(event: "message", listener: (message: WireMessage) => void): void;
  removeListener(event: "end", listener: () => void): void;
};
type WireMessage = { readonly name: string } & Readonly<Record<string, unknown>>;

const errorParts = [
  "severity",
  "code",
  "message",
  "detail",
  "hint",
  "position",
  "internalPosition",
  "internalQuery",
  "where",
  "schema",
  "table",
  "column",
  "dataType",
  "constraint",
] as const;

/** Sends one step and gathers every message until the server is ready again. Errors are part of the answer. */
export async function observe(client: pg.Client, step: Step): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  // SAFETY: pg's types leave out the connection, which emits every message that arrives.
  const connection = (client as unknown as { readonly connection: Emitter }).connection;
  const over = Promise.withResolvers<void>();
  const listen = (message: WireMessage) => {
    const entry = seenOf(message);
    if (entry) seen.push(entry);
    if (message.name === "readyForQuery") over.resolve();
  };
  connection.on("message", listen);
  connection.on("end", over.resolve);
  try {
    if (step.args !== undefined) await client.query({ text: step.text, values: [...step.args] });
    else await copying(client, step);
  } catch (error) {
    if (seen.every((s) => s.kind !== "error"))
      seen.push({ kind: "other", name: error instanceof Error ? error.message : String(error) });
    // pg rejects at the ErrorResponse; what the server sends between it and ReadyForQuery belongs to this step too.
    else await over.promise;
  } finally {
    connection.removeListener("message", listen);
    connection.removeListener("end", over.resolve);
  }
  return seen;
}

type CopyTarget = { sendCopyFromChunk(data: Buffer): void; endCopyFrom(): void };

/** A simple query that answers a CopyInResponse with the step's data. */
function copying(client: pg.Client, step: Step): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const query = new pg.Query(step.text, (error: Error | undefined, result: unknown) =>
      error ? reject(error) : resolve(result),
    );
    Object.assign(query, {
      handleCopyInResponse: (connection: CopyTarget) => {
        connection.sendCopyFromChunk(Buffer.from(step.copied ?? ""));
        connection.endCopyFrom();
      },
    });
    client.query(query);
  });
}

function seenOf(message: WireMessage): Seen | undefined {
  switch (message.name) {
    case "readyForQuery":
    case "parseComplete":
    case "bindComplete":
    case "backendKeyData":
      return undefined;
    case "rowDescription":
      return { kind: "fields", columns: (message.fields as readonly Field[]).map(fieldText) };
    case "dataRow":
      return { kind: "row", values: (message.fields as readonly (string | null)[]).map(cell) };
    case "commandComplete":
      return { kind: "tag", text: String(message.text) };
    case "error":
    case "notice":
      return { kind: message.name, parts: partsOf(message) };
    case "copyData":
      return { kind: "copy", text: Buffer.from(message.chunk as Uint8Array).toString("latin1") };
    case "notification":
      return { kind: "notification", channel: String(message.channel), payload: String(message.payload) };
    case "parameterStatus":
      return { kind: "parameter", name: String(message.parameterName), value: String(message.parameterValue) };
    default:
      return { kind: "other", name: message.name };
  }
}

type Field = { readonly name: string; readonly dataTypeID: number; readonly dataTypeModifier: number };
const fieldText = (f: Field): string => `${f.name}:${f.dataTypeID}:${f.dataTypeModifier}`;
const cell = (value: unknown): string | null => (value === null ? null : String(value));

function partsOf(message: WireMessage): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const name of errorParts) if (message[name] !== undefined) parts[name] = String(message[name]);
  return parts;
}

/** The SQLSTATE that ended the answer, if one did. */
export function failureOf(answer: Answer): string | undefined {
  if (answer.kind === "refused") return answer.code;
  for (const seen of answer.seen) {
    if (seen.kind === "error") return seen.parts.code;
    if (
      seen.kind === "other" &&
      seen.name !== "copyInResponse" &&
      seen.name !== "copyDone" &&
      seen.name !== "emptyQuery" &&
      seen.name !== "noData" &&
      seen.name !== "copyOutResponse" &&
      seen.name !== "portalSuspended" &&
      seen.name !== "closeComplete"
    )
      return seen.name;
  }
  return undefined;
}

/** Rows as a multiset: for statements whose order PostgreSQL doesn't promise. */
export function withoutOrder(answers: readonly Answer[]): readonly Answer[] {
  return answers.map((a) => {
    if (a.kind === "refused") return a;
    const rows = a.seen
      .filter((s) => s.kind === "row" || s.kind === "copy")
      .sort((x, y) => order(JSON.stringify(x), JSON.stringify(y)));
    let next = 0;
    return { ...a, seen: a.seen.map((s) => (s.kind === "row" || s.kind === "copy" ? (rows[next++] ?? s) : s)) };
  });
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
