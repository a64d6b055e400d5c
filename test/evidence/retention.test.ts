// What is past its time goes, with a record of it: what is left verifies, what is held stays, a crash in the middle does no harm.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { main } from "../../cli/main.ts";
import { openedEvents, prunedKeys } from "../../cli/session-content.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { silentLog } from "../../proxy/log.ts";
import { createNewId } from "../../proxy/new-id.ts";
import { verifyChains } from "../../proxy/recording/chains.ts";
import { type Checkpointer, startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { checkpointLines } from "../../proxy/recording/checkpoints.ts";
import { openContent } from "../../proxy/recording/content.ts";
import { appendHold, holdsName } from "../../proxy/recording/holds.ts";
import { checkCheckpoints, checkProof, proveConsistency, proveInclusion } from "../../proxy/recording/proofs.ts";
import { planPrune, type Retention } from "../../proxy/recording/prune.ts";
import { startPruner } from "../../proxy/recording/pruner.ts";
import { prunesName } from "../../proxy/recording/prunes.ts";
import { readEvents, verifyRecording } from "../../proxy/recording/read.ts";
import { openRecorder, type Recorder } from "../../proxy/recording/recorder.ts";
import { openSearchIndex, searchRecording } from "../../proxy/recording/search.ts";
import { segmentsOf } from "../../proxy/recording/segments.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const pair = generateKeyPairSync("ed25519");
const keys = {
  publicKey: String(pair.publicKey.export({ type: "spki", format: "pem" })),
  privateKey: String(pair.privateKey.export({ type: "pkcs8", format: "pem" })),
};
const other = String(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }));
const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);

/** Day by day: an event each, of a session of its own person. */
const statement = (i: number, session = `ses_${i}`): SessionEvent => ({
  atMs: start + i * day,
  session,
  type: "statement",
  id: `dec_${i}`,
  statement: `select ${i} from orders`,
  fingerprint: undefined,
  isCut: false,
  statementSha256: undefined,
  parameters: 0,
  accesses: ["select public.orders (id)"],
  factsDigest: undefined,
  effect: "allow",
  rules: ["acme.staff"],
  causes: [],
  masks: [],
  filters: [],
  policy: "sha256:0",
  revision: "r1",
});
const sessionStart = (i: number): SessionEvent => ({
  atMs: start + i * day,
  session: `ses_${i}`,
  type: "session-start",
  connection: "shop",
  protocol: "postgres",
  principal: { sub: `person${i}@larch.test`, kind: "human", groups: [], onBehalfOf: undefined },
  client: "127.0.0.1",
  application: undefined,
});

type World = {
  readonly folder: string;
  readonly recorder: Recorder;
  readonly checkpointer: Checkpointer;
  readonly prune: (retention?: Partial<Retention>, nowMs?: number) => Promise<number>;
  readonly close: () => Promise<void>;
};

const lasting: Retention = { ageMs: undefined, bytesMax: undefined, atLeastMs: 0 };
const dayOf = (i: number): number => start + i * day;

async function opened(folder: string, node = "gw-1"): Promise<World> {
  let nowMs = start;
  const clock = { nowMs: () => nowMs };
  const options = { directory: folder, node, clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched", segmentBytesMax: 1_500 });
  const checkpointer = await startCheckpointer({
    ...options,
    key: keys.privateKey,
    everyMs: 3_600_000,
    sinks: [],
  });
  const newId = createNewId(clock);
  return {
    folder,
    recorder,
    checkpointer,
    prune: async (retention = {}, now = dayOf(1_000)) => {
      nowMs = now;
      const pruner = startPruner({
        ...options,
        holdsDirectory: folder,
        retention: { ...lasting, ...retention },
        key: keys.privateKey,
        recorder,
        checkpointer,
        newId,
      });
      const [first] = [await pruner.look()];
      await pruner.close();
      return first ?? 0;
    },
    close: async () => {
      await recorder.close();
      await checkpointer.close();
    },
  };
}

/** `days` days of events in segments of a few days each, with a checkpoint every 5. */
async function recorded(days: number, folder = temporaryFolder(), node = "gw-1"): Promise<World> {
  const world = await opened(folder, node);
  for (let i = 0; i < days; i += 1) {
    world.recorder.recordIntent([sessionStart(i), statement(i)]);
    if (i % 5 === 4) await world.checkpointer.checkpoint();
  }
  return world;
}

/** Everything older than 10 days on day 30. */
const tenDays = { ageMs: 10 * day };

async function whole(folder: string): Promise<number> {
  const { damage, pruned, lines } = await verifyRecording(folder);
  const signed = await checkCheckpoints(folder, await checkpointLines(folder), keys.publicKey);
  assert.deepEqual([damage, signed.faults], [[], []]);
  assert.equal(signed.covered, pruned + lines);
  return pruned;
}

test("what is past its time goes, the rest verifies, and the record says what went", async () => {
  const world = await recorded(30);
  const before = segmentsOf(world.folder).length;
  assert.equal(await world.prune(tenDays, dayOf(5)), 0);
  await world.prune(tenDays, dayOf(30));
  const left = segmentsOf(world.folder).length;
  assert.ok(left < before && left > 1, `${before} ${left}`);
  await world.close();
  const pruned = await whole(world.folder);
  assert.ok(pruned > 10);
  const kept = [];
  for await (const event of readEvents(world.folder)) kept.push(event);
  const oldest = kept.find(({ type }) => type === "statement");
  assert.ok(oldest && oldest.atMs > dayOf(10));
  const [record] = kept.filter(({ type }) => type === "prune");
  assert.ok(record?.type === "prune" && record.why === "age" && record.boundaries.at(-1)?.size === pruned);
  // It goes on after a restart, also where the checkpointer has lost its place.
  rmSync(join(world.folder, "checkpoints.state.json"));
  const again = await opened(world.folder);
  again.recorder.recordIntent([statement(31)]);
  await again.prune(tenDays, dayOf(34));
  await again.close();
  assert.ok((await whole(world.folder)) > pruned);
});

test("by size the oldest goes, but nothing younger than `atLeastMs`", async () => {
  const world = await recorded(30);
  assert.equal(await world.prune({ bytesMax: 1, atLeastMs: 1_000 * day }, dayOf(30)), 0);
  await world.prune({ bytesMax: 1, atLeastMs: 20 * day }, dayOf(30));
  await world.close();
  const oldest = [];
  for await (const event of readEvents(world.folder)) if (event.type === "statement") oldest.push(event.atMs);
  assert.ok((oldest[0] ?? 0) <= dayOf(13) && (oldest[0] ?? 0) >= dayOf(8), String(oldest[0]));
  await whole(world.folder);
});

test("segments that go without a record are found, and so is every change of the record", async () => {
  const world = await recorded(30);
  await world.prune(tenDays, dayOf(30));
  await world.close();
  const [first = "", second = ""] = segmentsOf(world.folder);
  const cut = temporaryFolder();
  cpSync(world.folder, cut, { recursive: true });
  rmSync(join(cut, basename(first)));
  assert.deepEqual(
    (await verifyRecording(cut)).damage.map(({ path, fault }) => [basename(path), fault]),
    [[basename(second), "beginning-missing"]],
  );
  rmSync(join(cut, prunesName));
  assert.ok((await verifyRecording(cut)).damage.length > 0);
  // Any byte of the copy of the record, in what it says of the boundary: caught by the chain, which has the record too.
  const copy = readFileSync(join(world.folder, prunesName));
  const changed = temporaryFolder();
  cpSync(world.folder, changed, { recursive: true });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: copy.length - 2 }), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const bytes = Buffer.from(copy);
      bytes[at] = (bytes[at] ?? 0) ^ by;
      writeFileSync(join(changed, prunesName), bytes);
      const { damage } = await verifyRecording(changed);
      const isIgnored = JSON.stringify(eventOf(bytes)) === JSON.stringify(eventOf(copy));
      assert.ok(damage.length > 0 || isIgnored, bytes.toString("latin1"));
    }),
    { numRuns: 60 },
  );
});

/** What of a record is believed. */
function eventOf(bytes: Buffer): unknown {
  try {
    const { type, id, node, boundaries, keys: carried, signed } = JSON.parse(bytes.toString("utf8"));
    return { type, id, node, boundaries, carried, signed };
  } catch {
    return undefined;
  }
}

test("any change of any byte of what is left is found: pruned chain, workers' chains, checkpoints, records of pruning", async () => {
  const root = temporaryFolder();
  const worker = await recorded(30, join(root, "worker-1"), "gw-1/worker-1");
  await worker.prune(tenDays, dayOf(30));
  const { seq, hash } = worker.recorder.head();
  await worker.checkpointer.checkpoint();
  const own = await recorded(20, root);
  own.recorder.recordIntent([
    {
      atMs: start,
      session: "",
      type: "worker",
      worker: "worker-1",
      generation: 1,
      state: "ended",
      head: `${seq}:${hash}`,
    },
  ]);
  await own.prune(tenDays, dayOf(25));
  for (const world of [worker, own]) await world.close();
  const isFound = async (): Promise<boolean> => {
    const { chains, missing } = await verifyChains(root);
    if (missing.length > 0 || chains.some((c) => c.damage.length > 0 || c.anchor === "missing")) return true;
    for (const { chain } of chains) {
      const folder = join(root, chain);
      const { faults } = await checkCheckpoints(folder, await checkpointLines(folder), keys.publicKey);
      if (faults.length > 0) return true;
    }
    return false;
  };
  assert.equal(await isFound(), false);
  const files = ["", "worker-1"].flatMap((chain) => [
    ...segmentsOf(join(root, chain)),
    join(root, chain, "checkpoints.jsonl"),
    join(root, chain, prunesName),
  ]);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.nat(1_000_000),
      fc.integer({ min: 1, max: 255 }),
      async (path, place, by) => {
        const whole = readFileSync(path);
        const at = place % whole.length;
        // Between records a line feed may become another space, and copies hold what nobody believes: when, and why.
        fc.pre(whole[at] !== 0x0a);
        const changed = Buffer.from(whole);
        changed[at] = (whole[at] ?? 0) ^ by;
        const isBelieved =
          !path.endsWith(prunesName) || JSON.stringify(eventOf(changed)) !== JSON.stringify(eventOf(whole));
        fc.pre(isBelieved);
        writeFileSync(path, changed);
        try {
          assert.ok(await isFound(), `${path} at ${at}`);
        } finally {
          writeFileSync(path, whole);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a record of pruning that the key of the checkpoints didn't sign is no good", async () => {
  const world = await recorded(30);
  await world.prune(tenDays, dayOf(30));
  await world.close();
  const lines = await checkpointLines(world.folder);
  const { faults } = await checkCheckpoints(world.folder, lines, other);
  assert.equal(faults[0]?.why, "the record of what was pruned isn't signed by this key");
  // Whoever can write the chain, and not sign: a beginning of their own making.
  const forged = temporaryFolder();
  const recorder = openRecorder({
    directory: forged,
    node: "gw-1",
    durability: "batched",
    clock: { nowMs: () => start },
    log: silentLog,
    segmentBytesMax: 1_500,
  });
  for (let i = 0; i < 12; i += 1) recorder.recordIntent([statement(i)]);
  const pruner = startPruner({
    directory: forged,
    holdsDirectory: forged,
    node: "gw-1",
    retention: { ...lasting, ageMs: day },
    key: undefined,
    recorder,
    checkpointer: undefined,
    clock: { nowMs: () => dayOf(100) },
    newId: createNewId({ nowMs: () => start }),
    log: silentLog,
  });
  await pruner.look();
  await pruner.close();
  await recorder.close();
  assert.deepEqual((await verifyRecording(forged)).damage, []);
  const checked = await checkCheckpoints(forged, [], keys.publicKey);
  assert.deepEqual(checked.faults, [{ checkpoint: 0, why: "the record of what was pruned isn't signed" }]);
});

test("a crash at any point of pruning leaves a recording that verifies, and the next look ends the work", async () => {
  const world = await recorded(30);
  const before = temporaryFolder();
  await world.checkpointer.checkpoint();
  cpSync(world.folder, before, { recursive: true });
  await world.prune(tenDays, dayOf(30));
  const after = segmentsOf(world.folder).map((path) => basename(path));
  const gone = segmentsOf(before)
    .map((path) => basename(path))
    .filter((name) => !after.includes(name));
  assert.ok(gone.length > 2);
  // What a crash leaves: what was recorded, and of what was to go the last ones, or all of it.
  for (let deleted = 0; deleted <= gone.length; deleted += 1) {
    for (const hasCopy of deleted === 0 ? [true, false] : [true]) {
      const crashed = temporaryFolder();
      cpSync(world.folder, crashed, { recursive: true, filter: (path) => basename(path) !== "lock" });
      for (const name of gone.slice(deleted)) cpSync(join(before, name), join(crashed, name));
      if (!hasCopy) rmSync(join(crashed, prunesName));
      assert.deepEqual((await verifyRecording(crashed)).damage, [], `${deleted} deleted`);
      const again = await opened(crashed);
      await again.prune(tenDays, dayOf(30));
      await again.close();
      await whole(crashed);
      assert.ok(!gone.some((name) => existsSync(join(crashed, name))));
    }
  }
  await world.close();
});

test("a hold on a session, a person or everything stops pruning where it begins, and until it is over", async () => {
  const hold = (folder: string, scope: object, until?: string) =>
    appendHold(folder, {
      id: "hold_1",
      state: "added",
      ...(scope as { readonly scope: "session"; readonly subject: string }),
      ...(until === undefined ? {} : { until }),
      reason: "file 12/2026",
      by: "nora",
      at: new Date(start).toISOString(),
    });
  const release = (folder: string) =>
    appendHold(folder, { ...hold0, id: "hold_1", state: "released", at: new Date(start).toISOString() });
  const hold0 = { scope: "all", reason: "over", by: "nora" } as const;
  const cases = [
    { scope: { scope: "all" }, oldest: 0 },
    { scope: { scope: "session", subject: "ses_6" }, oldest: 6 },
    { scope: { scope: "person", subject: "person6@larch.test" }, oldest: 6 },
  ] as const;
  for (const { scope, oldest } of cases) {
    const world = await recorded(30);
    hold(world.folder, scope);
    await world.prune(tenDays, dayOf(30));
    const left = async () => {
      const days = [];
      for await (const event of readEvents(world.folder)) if (event.type === "statement") days.push(event.id);
      return days;
    };
    assert.ok((await left()).includes(`dec_${oldest}`), JSON.stringify(scope));
    const plan = { directory: world.folder, holdsDirectory: world.folder, retention: { ...lasting, ...tenDays } };
    assert.equal((await planPrune({ ...plan, nowMs: dayOf(30) })).heldBy?.hold.id, "hold_1");
    release(world.folder);
    await world.prune(tenDays, dayOf(30));
    assert.ok(!(await left()).includes(`dec_${oldest}`));
    await world.close();
    await whole(world.folder);
    const states = [];
    for await (const event of readEvents(world.folder)) if (event.type === "hold") states.push(event.state);
    assert.deepEqual([...new Set(states)], ["added", "released"]);
  }
  const timed = await recorded(30);
  hold(timed.folder, { scope: "all" }, new Date(dayOf(40)).toISOString());
  assert.equal(await timed.prune(tenDays, dayOf(39)), 0);
  await timed.prune(tenDays, dayOf(41));
  assert.ok(!existsSync(join(timed.folder, "00000001.jsonl")));
  await timed.close();
});

test("where holds can't be read, or the recording doesn't verify, nothing goes", async () => {
  const world = await recorded(30);
  appendHold(world.folder, {
    id: "hold_1",
    state: "added",
    scope: "session",
    subject: "ses_none",
    reason: "r",
    by: "nora",
    at: new Date(start).toISOString(),
  });
  const holds = readFileSync(join(world.folder, holdsName), "utf8");
  for (const broken of [holds.replace('"prev":"0', '"prev":"1'), "{}\n", holds.slice(0, -20)]) {
    writeFileSync(join(world.folder, holdsName), broken);
    assert.equal(await world.prune(tenDays, dayOf(30)), 0);
  }
  writeFileSync(join(world.folder, holdsName), holds);
  const [first = ""] = segmentsOf(world.folder);
  const text = readFileSync(first, "utf8");
  writeFileSync(first, text.replace("select 1 from", "select 2 from"));
  assert.equal(await world.prune(tenDays, dayOf(30)), 0);
  assert.ok(existsSync(first));
  writeFileSync(first, text);
  await world.prune(tenDays, dayOf(30));
  assert.ok(!existsSync(first));
  await world.close();
});

test("a hold that was cut off while no gateway ran is missed: nothing goes, and `gw audit verify` says which", async () => {
  const world = await recorded(30);
  for (const [id, subject] of [
    ["hold_1", "ses_none"],
    ["hold_2", "ses_6"],
  ] as const) {
    appendHold(world.folder, {
      id,
      state: "added",
      scope: "session",
      subject,
      reason: "file 12/2026",
      by: "nora",
      at: new Date(start).toISOString(),
    });
  }
  assert.equal(await world.prune(tenDays, dayOf(5)), 0);
  await world.close();
  const path = join(world.folder, holdsName);
  const holds = readFileSync(path, "utf8");
  const verify = async () => {
    const terminal = captured();
    return [await main(["audit", "verify", "--recording", world.folder], terminal), terminal.text()] as const;
  };
  assert.equal((await verify())[0], 0);
  const first = `${holds.split("\n")[0]}\n`;
  for (const [cut, gone] of [
    [first, ["hold_2"]],
    ["", ["hold_1", "hold_2"]],
    [undefined, ["hold_1", "hold_2"]],
  ] as const) {
    if (cut === undefined) rmSync(path);
    else writeFileSync(path, cut);
    const [code, text] = await verify();
    assert.equal(code, 1);
    for (const id of gone) assert.match(text, new RegExp(`lacks that the hold ${id} was added, which is on record`));
    const again = await opened(world.folder);
    assert.equal(await again.prune(tenDays, dayOf(30)), 0);
    await again.close();
    assert.ok(existsSync(join(world.folder, "00000001.jsonl")));
  }
  writeFileSync(path, holds);
  assert.equal((await verify())[0], 0);
  const mended = await opened(world.folder);
  await mended.prune(tenDays, dayOf(30));
  assert.ok(!existsSync(join(world.folder, "00000001.jsonl")));
  await mended.close();
  await whole(world.folder);
});

test("proofs hold for what is left, search follows, and a session whose person is unknown is held with any person", async () => {
  const world = await recorded(20);
  // It began on day 3 and goes on.
  world.recorder.recordIntent([statement(20, "ses_3")]);
  for (let i = 21; i < 30; i += 1) world.recorder.recordIntent([sessionStart(i), statement(i)]);
  await world.checkpointer.checkpoint();
  const path = join(temporaryFolder(), "index.sqlite");
  const found = async (text: string) => {
    const index = await openSearchIndex(world.folder, { path });
    try {
      return searchRecording(world.folder, index, { text, limit: 5 }).map((event) => ("id" in event ? event.id : ""));
    } finally {
      index.close();
    }
  };
  const everything = async (): Promise<number> => {
    const index = await openSearchIndex(world.folder, { path });
    try {
      return searchRecording(world.folder, index, { limit: 1_000 }).length;
    } finally {
      index.close();
    }
  };
  assert.deepEqual(await found("2"), ["dec_2"]);
  assert.equal(await everything(), 30);
  await world.prune(tenDays, dayOf(30));
  assert.deepEqual(await found("2"), []);
  assert.deepEqual(await found("25"), ["dec_25"]);
  const statements = [];
  for await (const event of readEvents(world.folder)) if (event.type === "statement") statements.push(event.id);
  assert.equal(await everything(), statements.length);
  const lines = await checkpointLines(world.folder);
  for (const id of statements) {
    const proof = await proveInclusion(world.folder, id, lines, keys.publicKey);
    assert.ok(proof.ok, JSON.stringify(proof));
    assert.ok((await checkProof(JSON.stringify(proof.value), keys.publicKey)).ok);
  }
  assert.ok(!(await proveInclusion(world.folder, "dec_2", lines, keys.publicKey)).ok);
  const [newest = "", before = ""] = [lines.at(-1), lines.at(-2)];
  const consistent = await proveConsistency(world.folder, before, newest, keys.publicKey);
  assert.ok(consistent.ok && (await checkProof(JSON.stringify(consistent.value), keys.publicKey)).ok);
  const tooOld = await proveConsistency(world.folder, lines[0] ?? "", newest, keys.publicKey);
  assert.deepEqual(tooOld, { ok: false, error: "what the earlier checkpoint covers was pruned: take a newer one" });
  appendHold(world.folder, {
    id: "hold_2",
    state: "added",
    scope: "person",
    subject: "person3@larch.test",
    reason: "r",
    by: "nora",
    at: new Date(start).toISOString(),
  });
  await world.prune({ ageMs: day }, dayOf(1_000));
  const left = [];
  for await (const event of readEvents(world.folder)) if (event.type === "statement") left.push(event.id);
  assert.ok(left.includes("dec_20"));
  await world.close();
  await whole(world.folder);
});

test("names, words and tables of what was pruned go from the search index, those of what is left stay", async () => {
  const world = await recorded(1);
  world.recorder.recordIntent([{ ...statement(1), statement: "select xylophone" } as SessionEvent]);
  for (let i = 1; i < 20; i += 1) world.recorder.recordIntent([sessionStart(i), statement(i)]);
  // It began in what goes, and goes on.
  for (let i = 20; i < 30; i += 1) world.recorder.recordIntent([statement(i, "ses_3"), sessionStart(i)]);
  const path = join(temporaryFolder(), "index.sqlite");
  const ofPerson = async (person: string): Promise<readonly string[]> => {
    const index = await openSearchIndex(world.folder, { path });
    try {
      return searchRecording(world.folder, index, { person, limit: 50 }).map((e) => ("id" in e ? e.id : ""));
    } finally {
      index.close();
    }
  };
  assert.deepEqual(await ofPerson("person2@larch.test"), ["dec_2"]);
  const names = (): string => readFileSync(path, "latin1");
  for (const there of ["person2@larch.test", "xylophone"]) assert.ok(names().includes(there), there);
  await world.prune(tenDays, dayOf(30));
  assert.deepEqual(await ofPerson("person2@larch.test"), []);
  assert.ok((await ofPerson("person3@larch.test")).includes("dec_29"));
  for (const gone of [0, 1, 2, 4, 5]) assert.ok(!names().includes(`person${gone}@larch.test`), String(gone));
  assert.ok(!names().includes("xylophone"));
  // A session without statements, whose start is left.
  assert.ok(names().includes("person29@larch.test"));
  world.recorder.recordIntent([statement(30, "ses_29"), statement(31, "ses_3")]);
  assert.deepEqual(await ofPerson("person29@larch.test"), ["dec_30"]);
  assert.ok((await ofPerson("person3@larch.test")).includes("dec_31"));
  await world.close();
});

test("sealed fields open although the line of their key was pruned", async () => {
  const auditor = generateKeyPairSync("x25519");
  const folder = temporaryFolder();
  const world = await opened(folder);
  const content = await openContent(
    {
      kind: "sealed",
      to: String(auditor.publicKey.export({ type: "spki", format: "pem" })),
      isStatementSealed: true,
    },
    { recorder: world.recorder, clock: { nowMs: () => start }, log: silentLog },
  );
  for (let i = 0; i < 30; i += 1) {
    const sealed = content?.ofTexts(`ses_${i}`, [], `secret ${i}`) ?? {};
    world.recorder.recordIntent([{ ...statement(i), statement: "", ...sealed } as SessionEvent]);
  }
  content?.close();
  await world.prune(tenDays, dayOf(30));
  // And once more, so that the record that had the key is followed by another.
  for (let i = 30; i < 50; i += 1) world.recorder.recordIntent([statement(i)]);
  await world.prune({ ageMs: 15 * day }, dayOf(40));
  await world.close();
  await whole(folder);
  const key = String(auditor.privateKey.export({ type: "pkcs8", format: "pem" }));
  const texts = [];
  for await (const event of openedEvents(readEvents(folder), key, prunedKeys(folder))) {
    if (event.type === "statement" && event.atMs < dayOf(30)) texts.push(event.statement);
  }
  assert.ok(texts.length > 2 && texts.every((text) => text.startsWith("secret ")), texts.join());
});

test("a worker's last line that the primary noted may have been pruned", async () => {
  const root = temporaryFolder();
  const worker = await recorded(30, join(root, "worker-1"));
  const { seq, hash } = worker.recorder.head();
  const primary = openRecorder({
    directory: root,
    node: "gw-1",
    durability: "batched",
    clock: { nowMs: () => start },
    log: silentLog,
  });
  primary.recordIntent([
    {
      atMs: start,
      session: "",
      type: "worker",
      worker: "worker-1",
      generation: 1,
      state: "ended",
      head: `${seq}:${hash}`,
    },
  ]);
  await primary.close();
  for (let i = 30; i < 60; i += 1) worker.recorder.recordIntent([sessionStart(i), statement(i)]);
  await worker.prune(tenDays, dayOf(60));
  await worker.close();
  const { chains } = await verifyChains(root);
  assert.deepEqual(
    chains.map(({ chain, damage, anchor }) => [chain, damage, anchor]),
    [
      ["", [], undefined],
      ["worker-1", [], "pruned"],
    ],
  );
});

test("`gw audit hold` and `gw audit prune` from the command line", async () => {
  const folder = temporaryFolder();
  const world = await recorded(30, join(folder, "recording"));
  await world.close();
  writeFileSync(join(folder, "checkpoints.pem"), keys.privateKey);
  writeFileSync(join(folder, "checkpoints.pub"), keys.publicKey);
  writeFileSync(join(folder, "jwks.json"), '{"keys":[]}');
  const config = join(folder, "gw.yaml");
  writeFileSync(
    config,
    `
policies: { path: . }
recording:
  directory: recording
  retention: { age: 100d }
  checkpoints: { key: { file: checkpoints.pem } }
identity: { issuers: [{ issuer: "https://id.example", audience: a, jwks_file: jwks.json }] }
connections:
  - { name: a, kind: postgres, listen: "127.0.0.1:1", tls: off, upstream: { host: h, database: d, user: u, password: { file: jwks.json }, sslmode: verify-full } }
`,
  );
  const gw = async (...args: readonly string[]) => {
    const terminal = captured();
    const code = await main([...args, "--config", config], terminal);
    return { code, text: terminal.text() };
  };
  const id = (await gw("audit", "hold", "add", "ses_4", "--reason", "file 12", "--by", "nora")).text.trim();
  assert.match(id, /^hold_/);
  assert.match((await gw("audit", "hold", "list")).text, new RegExp(`${id} +added +session ses_4 .*nora +file 12`));
  const dry = await gw("audit", "prune", "--dry-run");
  assert.match(dry.text, /would go: .*00000001\.jsonl/);
  assert.match(dry.text, new RegExp(`stays: .*jsonl, by ${id}: file 12`));
  assert.ok(existsSync(join(folder, "recording", "00000001.jsonl")));
  assert.equal((await gw("audit", "hold", "release", "hold_none", "--reason", "r")).code, 1);
  assert.equal((await gw("audit", "hold", "release", id, "--reason", "closed")).text, `${id} released\n`);
  assert.equal((await gw("audit", "hold", "list")).text, "no holds\n");
  assert.equal((await gw("audit", "prune")).code, 0);
  assert.ok(!existsSync(join(folder, "recording", "00000001.jsonl")));
  const verified = await gw("audit", "verify", "--key", join(folder, "checkpoints.pub"));
  assert.equal(verified.code, 0, verified.text);
  assert.match(verified.text, /the first \d+ lines were pruned, on record/);
});
