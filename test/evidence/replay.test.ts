// A recorded session played again and exported: what is shown, when, and that nothing recorded gets out of its place.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { main } from "../../cli/main.ts";
import { exported } from "../../cli/session-export.ts";
import { filtered, framesOf, jumped } from "../../cli/session-frames.ts";
import { replay } from "../../cli/session-replay.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { silentLog } from "../../proxy/log.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";
import { examples } from "./example-events.ts";

const startMs = Date.UTC(2026, 10, 22, 9, 30);
const { causes: _, values: __, sealed: ___, statementSha256: ____, ...plain } = examples.statement;

/** `[offset, text, tag]`: a statement and how it ended; no tag: it was denied. */
function session(
  ...list: readonly (readonly [offsetMs: number, text: string, tag?: string])[]
): readonly SessionEvent[] {
  const at = (offsetMs: number) => ({ atMs: startMs + offsetMs, session: "ses_1" });
  return [
    { ...examples["session-start"], ...at(0) },
    ...list.flatMap(([offsetMs, statement, tag], i): readonly SessionEvent[] => {
      const asked: SessionEvent = {
        ...plain,
        ...at(offsetMs),
        isCut: false,
        statementSha256: undefined,
        causes: [],
        id: `dec_${i + 1}`,
        statement,
        effect: tag === undefined ? "deny" : "allow",
      };
      const ended = { ...at(offsetMs + 10), type: "completion", id: `dec_${i + 1}`, outcome: "ok", tag } as const;
      return tag === undefined ? [asked] : [asked, { ...ended, sqlstate: undefined, rows: 1, bytes: 1, durationUs: 9 }];
    }),
    { ...at(60_000), type: "session-end", reason: "client left" },
  ];
}
const asRecorded = (events: readonly SessionEvent[]): readonly RecordedEvent[] =>
  events.map((event, i) => ({ ...event, seq: i + 1, hash: "" }));

const work = session(
  [100, "begin", "BEGIN"],
  [200, "savepoint a", "SAVEPOINT"],
  [300, "rollback to a", "ROLLBACK"],
  [400, "update t set a = 1", "UPDATE 1"],
  [500, "drop table t"],
  [30_000, "commit", "COMMIT"],
  [31_000, "select 1", "SELECT 1"],
);

test("transactions are followed through savepoints to their end, each session by itself", () => {
  const shown = framesOf(asRecorded(work)).map(({ event, transaction }) => [event.type, transaction]);
  assert.deepEqual(shown, [
    ["session-start", "none"],
    ["statement", "none"],
    ["completion", "began"],
    ["statement", "open"],
    ["completion", "open"],
    ["statement", "open"],
    ["completion", "open"],
    ["statement", "open"],
    ["completion", "open"],
    ["statement", "open"],
    ["statement", "open"],
    ["completion", "committed"],
    ["statement", "none"],
    ["completion", "none"],
    ["session-end", "none"],
  ]);
  const left = framesOf(asRecorded(session([1, "begin", "BEGIN"])));
  assert.equal(left.at(-1)?.transaction, "rolled-back");
});

test("a replay waits as long as it took, faster if asked, and never longer than the longest silence", async () => {
  const waits: number[] = [];
  const io = {
    out: () => undefined,
    wait: async (ms: number) => void waits.push(Math.round(ms)),
    next: async () => true,
  };
  await replay(
    framesOf(asRecorded(session([1_000, "select 1", "SELECT 1"]))),
    { kind: "time", speed: 2, idleMsMax: 5_000 },
    io,
  );
  assert.deepEqual(waits, [500, 5, 2_500]);
  waits.length = 0;
  await replay(framesOf(asRecorded(work)), { kind: "time", speed: Number.POSITIVE_INFINITY, idleMsMax: 5_000 }, io);
  assert.deepEqual(waits, []);
});

test("a clock that jumped back makes no pause and no time before the start", () => {
  const [start, ...rest] = asRecorded(work);
  assert.ok(start);
  const frames = framesOf([start, ...rest.map((event, i) => ({ ...event, atMs: startMs - i * 1_000 }))]);
  assert.ok(frames.every(({ offsetMs }) => offsetMs === 0));
});

test("steps go on with each answer and end when the person has seen enough", async () => {
  const answers = [true, true, false];
  const out: string[] = [];
  const io = {
    out: (text: string) => void out.push(text),
    wait: async () => undefined,
    next: async () => answers.shift() ?? false,
  };
  await replay(framesOf(asRecorded(work)), { kind: "steps" }, io);
  assert.equal(out.length, 3);
});

test("a filter keeps what belongs to its statements, and a jump goes to an id or a time", () => {
  const frames = framesOf(asRecorded(work));
  assert.deepEqual(
    filtered(frames, "denied").map(({ event }) => ("id" in event ? event.id : event.type)),
    ["session-start", "dec_5", "session-end"],
  );
  assert.equal(filtered(frames, "errors").length, 2);
  assert.equal(jumped(frames, "dec_4")?.[0]?.offsetMs, 400);
  assert.equal(jumped(frames, "30s")?.[0]?.offsetMs, 30_000);
  assert.equal(jumped(frames, "2h"), undefined);
  assert.equal(jumped(frames, "dec_99"), undefined);
});

test("the page has nothing from elsewhere and no markup of the client's, whatever was recorded", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "</pre><script>alert(1)</script>",
      '"><img src=//x onerror=1>',
      "&lt;b&gt;",
      "\u202e\u0000\u2028<!--",
    ),
  );
  fc.assert(
    fc.property(hostile, hostile, (text, id) => {
      const page = exported(framesOf(asRecorded(session([1, text, text]))), "html", `session ${id}`);
      const tags = [...page.matchAll(/<\/?([a-z0-9!]+)/gi)].map((m) => (m[1] ?? "").toLowerCase());
      const own = [
        "!doctype",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "p",
        "code",
        "section",
        "time",
        "pre",
      ];
      assert.deepEqual(
        tags.filter((tag) => !own.includes(tag.startsWith("!d") ? "!doctype" : tag)),
        [],
      );
      assert.ok(
        !/\b(src|href|url\()\s*=/i.test(page.replaceAll(/<pre>[\s\S]*?<\/pre>|<h1>.*<\/h1>|<title>.*<\/title>/g, "")),
      );
      assert.ok(!/[\u0000-\u0008\u200b-\u200f\u202a-\u202e]/.test(page));
    }),
    { numRuns: 60 },
  );
});

test("a cast is asciicast v2: a head, then times that never go back and text without control characters", () => {
  const [head = "", ...events] = exported(
    framesOf(asRecorded(session([5, "select '\u001b[2J'", "SELECT 1"]))),
    "cast",
    "x",
  )
    .trimEnd()
    .split("\n");
  assert.deepEqual(JSON.parse(head), {
    version: 2,
    width: 120,
    height: 40,
    timestamp: startMs / 1_000,
    title: "x",
    idle_time_limit: 2,
  });
  const parsed: (readonly [number, string, string])[] = events.map((line) => JSON.parse(line));
  assert.deepEqual(
    parsed.map(([at, kind]) => [at, kind]),
    [
      [0, "o"],
      [0.005, "o"],
      [0.015, "o"],
      [60, "o"],
    ],
  );
  assert.ok(parsed.every(([, , text]) => !text.includes("\u001b") && text.endsWith("\r\n")));
});

test("`gw sessions replay` and `export` read a recording", async () => {
  const directory = temporaryFolder();
  const clock = { nowMs: () => startMs };
  const recorder = openRecorder({ directory, durability: "batched", node: "n", clock, log: silentLog });
  recorder.recordIntent(work);
  await recorder.close();
  const gw = async (...args: readonly string[]) => {
    const terminal = captured();
    const code = await main(["sessions", ...args, "--recording", directory], terminal);
    return { code, text: terminal.text() };
  };
  const { code, text } = await gw("replay", "ses_1", "--speed", "0", "--filter", "denied");
  assert.equal(code, 0, text);
  assert.match(text, /│ .* ✗ drop table t/);
  assert.ok(!text.includes("update t"));
  assert.match((await gw("replay", "ses_1", "--speed", "0")).text, /└ .*COMMIT, 1 rows, 0.0 ms {2}\(committed\)/);
  assert.equal((await gw("replay", "ses_1", "--jump", "3h")).code, 2);
  assert.equal((await gw("replay", "ses_1", "--speed", "-1")).code, 2);
  assert.equal((await gw("export", "ses_9")).code, 2);
  const json = await gw("export", "ses_1", "--format", "json");
  assert.equal(JSON.parse(json.text).events.length, work.length);
  assert.match((await gw("export", "ses_1", "--format", "html")).text, /^<!doctype html>/);
  const stepped = spawnSync(process.execPath, ["cli/gw.js", "sessions", "replay", "ses_1", "--step", "-r", directory], {
    input: "\n\nq\n",
    encoding: "utf8",
  });
  assert.equal(stepped.stdout.split("\n").filter((line) => line.includes("BEGIN")).length, 1, stepped.stderr);
  assert.ok(!stepped.stdout.includes("savepoint"));
});
