// worlds and what clients send -> does any byte that the gateway answers depend on what the policy hides?
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { startGateway } from "../../cli/compose.ts";
import { startTokenIssuer, type TokenIssuer } from "../../cli/demo/token-issuer.ts";
import { readConfig } from "../../proxy/config.ts";
import { decodeErrorFields } from "../../proxy/postgres/protocol/backend.ts";
import { connectRaw, type Message, type RawClient, say } from "../wire/raw-client.ts";
import { disguisesOf } from "./clinic.ts";
import { type LawWorld, lawWorldOf, type Side } from "./law-world.ts";
import { type TestServer, withClient } from "./postgres.ts";
import { type Database, TwinDatabases } from "./twin-databases.ts";
import { newTally, type Tally } from "./twin-law.ts";
import { Tape, tapes } from "./twin-tape.ts";
import { fixedCases, plainCases, type WireCase, wireCaseOf } from "./wire-cases.ts";

export type WireCounterexample = {
  readonly seed: number;
  readonly oracle: "twins" | "tripwire";
  readonly world: LawWorld;
  readonly case: WireCase;
  readonly detail: string;
};

/**
 * Plans follow table sizes; which row fails first, and which comes first without ORDER BY, follows the plan: out of the
 * promise. So every session has its joins, scans and grouping pinned, from its startup packet on.
 */
const pinnedPlan: readonly (readonly [string, string])[] = [
  ["join_collapse_limit", "1"],
  ["from_collapse_limit", "1"],
  ["max_parallel_workers_per_gather", "0"],
  ["jit", "off"],
  ["statement_timeout", "5s"],
  ["timezone", "UTC"],
  ...["hashjoin", "mergejoin", "indexscan", "bitmapscan", "indexonlyscan", "material", "memoize", "hashagg"].map(
    (name) => [`enable_${name}`, "off"] as const,
  ),
];

export class WireLaw {
  readonly tally: Tally = newTally();
  readonly #issuer: TokenIssuer;
  readonly #databases: TwinDatabases;

  private constructor(issuer: TokenIssuer, databases: TwinDatabases) {
    this.#issuer = issuer;
    this.#databases = databases;
  }

  static async start(server?: TestServer): Promise<WireLaw> {
    return new WireLaw(await startTokenIssuer({ audience: "gatewright" }), await TwinDatabases.create(server));
  }

  stop(): Promise<void> {
    return this.#issuer.stop();
  }

  /** One world, drawn from `seed`, and `runs` cases in it. The statements shrink; the world stays. */
  async search(
    seed: number,
    runs: number,
    hooks: { readonly isShrinking?: boolean } = {},
  ): Promise<WireCounterexample | undefined> {
    const [numbers] = fc.sample(tapes, { seed, numRuns: 1 });
    const world = lawWorldOf(new Tape(numbers ?? []));
    return this.#within(world, async (pair) => {
      for (const made of fixedCases(world)) {
        const verdict = await pair.check(made, this.tally);
        if (verdict) return { seed, world, case: made, ...verdict };
      }
      let smallest: WireCounterexample | undefined;
      const property = fc.asyncProperty(tapes, async (tape) => {
        const made = wireCaseOf(new Tape(tape), world);
        const verdict = await pair.check(made, this.tally).catch((error: unknown) => {
          pair.close();
          throw error;
        });
        if (verdict === undefined) return true;
        const size = (c: WireCase) => c.turns.reduce((sum, t) => sum + t.bytes.length, 0);
        if (!smallest || size(made) <= size(smallest.case)) smallest = { seed, world, case: made, ...verdict };
        return false;
      });
      const checked = await fc.check(property, { seed, numRuns: runs, endOnFailure: hooks.isShrinking === false });
      // A session that can't be had or an answer that is lost: nothing was compared.
      if (checked.failed && smallest === undefined) throw checked.errorInstance;
      return smallest;
    });
  }

  /** Every column of every table by itself, by both protocols: is a secret shown? */
  async searchPlain(seed: number): Promise<"twins" | "tripwire" | undefined> {
    const [numbers] = fc.sample(tapes, { seed, numRuns: 1 });
    const world = lawWorldOf(new Tape(numbers ?? []));
    return this.#within(world, async (pair) => {
      for (const made of plainCases(world)) {
        const verdict = await pair.check(made, this.tally);
        if (verdict?.oracle === "tripwire") return verdict.oracle;
      }
      return undefined;
    });
  }

  async #within<T>(world: LawWorld, use: (pair: Pair) => Promise<T>): Promise<T> {
    const databases = this.#databases;
    const empty = await databases.copy("template0");
    await withClient(empty, (c) => c.query(world.schema));
    const [A, B] = [await databases.copy(empty.database), await databases.copy(empty.database)];
    await Promise.all([withClient(A, (c) => c.query(world.data("A"))), withClient(B, (c) => c.query(world.data("B")))]);
    const folder = mkdtempSync(join(tmpdir(), "gw-law-"));
    const gateway = await startGateway(await readConfig(this.#configure(folder, world, A, B), {}));
    const ports = gateway.connections.map((c) => c.port);
    const password = await this.#issuer.issue({ sub: "adversary", kind: "agent", groups: [] });
    const connect = (side: Side): Promise<RawClient> =>
      connectRaw({
        host: "127.0.0.1",
        port: ports[side === "A" ? 0 : 1] ?? 0,
        user: "adversary",
        password,
        database: `law-${side.toLowerCase()}`,
        settings: pinnedPlan,
      });
    const pair = new Pair(connect, world, await newestOid(A));
    try {
      return await use(pair);
    } finally {
      pair.close();
      await gateway.stop(0);
      rmSync(folder, { recursive: true, force: true });
      for (const database of [A, B, empty]) await databases.drop(database);
    }
  }

  #configure(folder: string, world: LawWorld, A: Database, B: Database): string {
    mkdirSync(join(folder, "policies"));
    writeFileSync(join(folder, "policies", "law.policy"), world.policy);
    writeFileSync(join(folder, "password"), A.password);
    writeFileSync(join(folder, "key"), "the same key for both sides of the law");
    const connection = (side: Side, { host, port, user, database }: Database): string => `
  - name: law-${side.toLowerCase()}
    kind: postgres
    listen: 127.0.0.1:0
    tls: { required: false }
    upstream: { host: ${host}, port: ${port}, database: ${database}, user: ${user}, password: { file: password }, sslmode: disable }
    mask_key: { file: key }`;
    const path = join(folder, "gw.yaml");
    writeFileSync(
      path,
      `policies: { path: policies }
recording: { directory: recording }
identity:
  issuers:
    - { issuer: "${this.#issuer.issuer}", audience: gatewright, jwks_url: "${this.#issuer.jwksUrl}", algorithms: [EdDSA] }
connections:${connection("A", A)}${connection("B", B)}
`,
    );
    return path;
  }
}

const newestOid = (database: Database): Promise<number> =>
  withClient(database, async (c) => Number((await c.query("SELECT max(oid::int8) AS oid FROM pg_class")).rows[0]?.oid));

/** All that is needed to see it again. */
export const tellWire = (found: WireCounterexample): string =>
  [
    `${found.oracle}: ${found.detail}`,
    ...found.case.turns.map((t) => `  ${JSON.stringify(t.bytes.toString("latin1"))}`),
    `seed ${found.seed}, ${found.case.form}`,
    found.world.policy,
    found.world.schema,
    found.world.data("A"),
    found.world.data("B"),
  ].join("\n");

/** One session on each side, kept from case to case: what an earlier statement left behind is part of the law. */
class Pair {
  readonly #connect: (side: Side) => Promise<RawClient>;
  readonly #secrets: readonly string[];
  readonly #oidMax: number;
  #clients: readonly [RawClient, RawClient] | undefined;

  constructor(connect: (side: Side) => Promise<RawClient>, world: LawWorld, oidMax: number) {
    this.#connect = connect;
    this.#oidMax = oidMax;
    this.#secrets = world.secrets.flatMap(disguisesOf);
  }

  close(): void {
    for (const client of this.#clients ?? []) client.socket.destroy();
    this.#clients = undefined;
  }

  async check(
    made: WireCase,
    tally: Tally,
  ): Promise<{ readonly oracle: "twins" | "tripwire"; readonly detail: string } | undefined> {
    this.#clients ??= await Promise.all([this.#connect("A"), this.#connect("B")]);
    const clients = this.#clients;
    let isRefused = false;
    for (const { bytes, readies } of made.turns) {
      for (const client of clients) client.send(bytes);
      const [a, b] = await Promise.all(clients.map((client) => answersOf(client, readies, this.#oidMax)));
      if (!a || !b) throw new Error("no answer");
      const refusal = a.messages.map(refusalIn).find((r) => r !== undefined);
      if (refusal !== undefined && !isRefused) {
        isRefused = true;
        const reason = `${made.form}: ${refusal}`;
        tally.reasons.set(reason, (tally.reasons.get(reason) ?? 0) + 1);
      }
      const difference = this.#differenceOf(a, b);
      if (difference) {
        this.close();
        return difference;
      }
      if (a.isEnded) {
        this.close();
        break;
      }
    }
    tally.cases += 1;
    tally.statements += made.turns.reduce((sum, t) => sum + t.texts.length, 0);
    if (isRefused) tally.refused += 1;
    await this.#forget();
    return undefined;
  }

  #differenceOf(
    a: Answers,
    b: Answers,
  ): { readonly oracle: "twins" | "tripwire"; readonly detail: string } | undefined {
    const [textA, textB] = [a.lines.join("\n"), b.lines.join("\n")];
    const secret = this.#secrets.find((s) => textA.includes(s) || textB.includes(s));
    if (secret !== undefined) return { oracle: "tripwire", detail: `${secret} in ${cut(textA)} or ${cut(textB)}` };
    if (textA === textB && a.isEnded === b.isEnded) return undefined;
    let at = 0;
    while (at < a.lines.length && a.lines[at] === b.lines[at]) at += 1;
    const told = ({ lines, isEnded }: Answers): string =>
      `${cut(lines[at] ?? "(none)")} (${lines.length} messages${isEnded ? ", and the session ended" : ""})`;
    return { oracle: "twins", detail: `message ${at}: ${told(a)}\nand\n${told(b)}` };
  }

  /** As good as a new session. */
  async #forget(): Promise<void> {
    const clients = this.#clients;
    if (!clients) return;
    const reset = Buffer.concat([say.query("ROLLBACK"), say.query("DISCARD ALL")]);
    for (const client of clients) client.send(reset);
    const answers = await Promise.all(clients.map((client) => answersOf(client, 2, this.#oidMax)));
    if (answers.some((a) => a.isEnded)) this.close();
  }
}

type Answers = { readonly messages: readonly Message[]; readonly lines: readonly string[]; readonly isEnded: boolean };

/** The server ends what takes longer than 5 s; the rest is for a busy machine. */
const answerMs = 120_000;

async function answersOf(client: RawClient, readies: number, oidMax: number): Promise<Answers> {
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    client.socket.destroy();
  }, answerMs);
  let end = endOf(client, readies);
  while (end === undefined && !client.isEnded) {
    await somethingCame(client);
    end = endOf(client, readies);
  }
  clearTimeout(deadline);
  // Not a difference of what was said, but a fault all the same.
  if (isLate && end === undefined) throw new Error(`no answer within ${answerMs} ms`);
  const messages = client.received.splice(0, end ?? client.received.length);
  return { messages, lines: linesOf(messages, oidMax), isEnded: end === undefined };
}

/** Number of messages up to the last ReadyForQuery that is owed. */
function endOf({ received }: RawClient, readies: number): number | undefined {
  let seen = 0;
  for (const [i, message] of received.entries()) {
    if (message.type === "Z") seen += 1;
    if (seen === readies) return i + 1;
  }
  return undefined;
}

function somethingCame({ socket }: RawClient): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.removeListener("data", done);
      socket.removeListener("close", done);
      resolve();
    };
    socket.on("data", done);
    socket.on("close", done);
  });
}

/** Every byte, but for the names of decisions; rows that stand together in a fixed order, because SQL promises none. */
function linesOf(messages: readonly Message[], oidMax: number): readonly string[] {
  const lines: string[] = [];
  let rows: string[] = [];
  for (const message of messages) {
    const line = lineOf(message, oidMax);
    if (message.type === "D" || message.type === "d") {
      rows.push(line);
      continue;
    }
    for (const row of rows.sort()) lines.push(row); // hundreds of thousands of arguments are too many
    lines.push(line);
    rows = [];
  }
  return [...lines, ...rows.sort()];
}

/** Relations that sessions make get the cluster's next OIDs, which no policy hides: in a RowDescription they are 0. */
function withoutNewOids(body: Buffer, oidMax: number): Buffer {
  const copy = Buffer.from(body);
  let at = 2;
  for (let columns = body.readUInt16BE(0); columns > 0; columns -= 1) {
    at = body.indexOf(0, at) + 1;
    if (body.readUInt32BE(at) > oidMax) copy.writeUInt32BE(0, at);
    at += 18;
  }
  return copy;
}

const lineOf = ({ type, body: given }: Message, oidMax: number): string => {
  const body = type === "T" ? withoutNewOids(given, oidMax) : given;
  const text = `${type}${body.toString("latin1")}`;
  return type === "E" || type === "N" ? text.replaceAll(/dec_\w+/g, "dec_…") : text;
};

/** The gateway's own refusals name the decision. */
function refusalIn(message: Message): string | undefined {
  if (message.type !== "E") return undefined;
  const fields = new Map(decodeErrorFields(Buffer.concat([Buffer.alloc(5), message.body])));
  return /; decision dec_/.test(fields.get("D") ?? "")
    ? `${fields.get("D")?.split(";")[0]}: ${fields.get("M")}`
    : undefined;
}

const cut = (text: string): string => JSON.stringify(text.length > 1_500 ? `${text.slice(0, 1_500)}…` : text);
