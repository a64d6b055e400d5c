// Pure parts of the wire: frames whatever the chunks, decoders that never throw, names that never lie.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameReader, type FrameRules } from "../../proxy/postgres/protocol/frame.ts";
import { decodeFrontend, frontendType } from "../../proxy/postgres/protocol/frontend.ts";
import { readStartup } from "../../proxy/postgres/protocol/startup.ts";
import { Slots } from "../../proxy/postgres/slots.ts";
import { parseOptions } from "../../proxy/postgres/startup-settings.ts";
import { frontend, say } from "./raw-client.ts";

const rules: FrameRules = { lengthMax: () => 100_000, isStreamed: (type, total) => type === 0x64 && total > 40 };

/** Type and bytes of each message; pieces of a streamed one put together again. */
function readAll(chunks: readonly Buffer[], takesRuns: boolean): readonly string[] {
  const reader = new FrameReader(rules);
  const out: string[] = [];
  let pieces: Buffer[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (;;) {
      const run = takesRuns ? reader.takeRun(0x44) : undefined;
      if (run) {
        for (let at = 0; at < run.bytes.length; at += 1 + run.bytes.readUInt32BE(at + 1)) {
          out.push(run.bytes.subarray(at, at + 1 + run.bytes.readUInt32BE(at + 1)).toString("hex"));
        }
        continue;
      }
      const step = reader.next();
      if (step.kind === "more") break;
      if (step.kind === "fault") return [...out, `fault ${step.fault.code} ${step.fault.declared}`];
      if (step.kind === "frame") out.push(step.frame.bytes.toString("hex"));
      if (step.kind === "piece") {
        pieces.push(step.bytes);
        if (step.isLast) {
          out.push(Buffer.concat(pieces).toString("hex"));
          pieces = [];
        }
      }
    }
  }
  return [...out, `waiting ${reader.waitingBytes + Buffer.concat(pieces).length}`];
}

function cut(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i] ?? 0, end));
}

const anyFrame = fc
  .tuple(fc.constantFrom("D", "d", "Q", "E", "Z", "S"), fc.uint8Array({ maxLength: 120 }))
  .map(([type, body]) => frontend(type, Buffer.from(body)));

test("chunking does not matter to the frame reader", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof({ weight: 9, arbitrary: anyFrame }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) }),
        { maxLength: 12 },
      ),
      fc.array(fc.nat(), { maxLength: 8 }),
      fc.boolean(),
      (frames, cuts, takesRuns) => {
        const bytes = Buffer.concat(frames);
        const whole = readAll([bytes], false);
        assert.deepEqual(readAll(cut(bytes, cuts), takesRuns), whole);
        assert.deepEqual(
          readAll(
            [...bytes].map((byte) => Buffer.from([byte])),
            takesRuns,
          ),
          whole,
        );
      },
    ),
    { numRuns: 400 },
  );
});

test("a decoder never throws, whatever the body", () => {
  const valid = [
    say.call(177, "2", null, Buffer.from([3])),
    ...[
      say.query("select 1"),
      say.parse("select $1", "a", [23]),
      say.bind(["x", null], "a", "p"),
      say.describe("S", "a"),
    ],
    ...[say.execute("p", 3), say.close("P", "p"), say.copyFail("no"), say.sync()],
  ];
  fc.assert(
    fc.property(
      fc.oneof(
        fc
          .tuple(fc.nat(255), fc.uint8Array({ maxLength: 60 }))
          .map(([type, body]) => frontend(String.fromCharCode(type), Buffer.from(body))),
        fc.tuple(fc.constantFrom(...valid), fc.nat(), fc.nat(255)).map(([frame, at, byte]) => {
          const mutated = Buffer.from(frame);
          mutated[5 + (at % Math.max(1, frame.length - 5))] = byte;
          return mutated;
        }),
        fc
          .tuple(fc.constantFrom(...valid), fc.nat())
          .map(([frame, end]) => frame.subarray(0, 5 + (end % frame.length))),
      ),
      (frame) => {
        const decoded = decodeFrontend(frame[0] ?? 0, frame);
        assert.equal(typeof decoded.ok, "boolean");
      },
    ),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      assert.equal(typeof readStartup(Buffer.from(bytes), 10_000).ok, "boolean");
    }),
    { numRuns: 1_000 },
  );
});

test("decodes every field of a FunctionCall", () => {
  const decoded = decodeFrontend(frontendType.functionCall, say.call(4_000_000_000, "x", null, Buffer.from([0, 1])));
  assert.deepEqual(decoded, {
    ok: true,
    value: {
      kind: "function-call",
      oid: 4_000_000_000,
      parameterFormats: [0, 0, 1],
      parameters: [Buffer.from("x"), null, Buffer.from([0, 1])],
      resultFormat: 0,
    },
  });
});

test("decodes every field of a Bind", () => {
  const decoded = decodeFrontend(frontendType.bind, say.bind(["x", null, ""], "s", "p"));
  assert.deepEqual(decoded, {
    ok: true,
    value: {
      kind: "bind",
      portal: "p",
      statement: "s",
      parameterFormats: [],
      parameters: [Buffer.from("x"), null, Buffer.alloc(0)],
      resultFormats: [],
    },
  });
});

test("splits the options parameter as PostgreSQL does", () => {
  assert.deepEqual(parseOptions(String.raw` -c a=1  -cb=x\ y --work-mem=4MB -c search_path=a\\b`), {
    ok: true,
    value: [
      ["a", "1"],
      ["b", "x y"],
      ["work_mem", "4MB"],
      ["search_path", "a\\b"],
    ],
  });
});

type Server = Map<string, number>;
/** A pipeline: segments of changes, of which the server carries out those before the first failing one. */
const change = fc.record({
  name: fc.constantFrom("a", "b"),
  what: fc.constantFrom("parse", "close", "fail"),
});

test("a name that is relied upon stands for what the server has, whatever of a pipeline it skipped", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(change, { maxLength: 5 }), { maxLength: 5 }),
      fc.nat(8),
      (segments, answeredAhead) => {
        const slots = new Slots<number>();
        const server: Server = new Map();
        let value = 0;
        const owed: (() => void)[] = [];
        segments.forEach((changes, i) => {
          const segment = i + 1;
          let isSkipping = false;
          for (const { name, what } of changes) {
            // Within a segment: a known value is right, or everything from here on is skipped anyway.
            const slot = slots.get(name, segment);
            if (slot.kind === "holds" && !isSkipping && owed.length === 0) assert.equal(slot.value, server.get(name));
            if (what === "fail") {
              isSkipping = true;
              continue;
            }
            const next = what === "parse" ? ++value : undefined;
            slots.announce(name, next, segment);
            if (isSkipping) continue;
            owed.push(() => {
              if (next === undefined) server.delete(name);
              else server.set(name, next);
              slots.confirm(name, next);
            });
          }
          owed.push(() => slots.settle(segment));
          while (owed.length > answeredAhead) owed.shift()?.();
          // Across segments: what is said to be known is what the server will have once it has answered all of it.
          for (const name of ["a", "b"]) {
            const slot = slots.get(name, segment + 1);
            if (owed.length === 0) {
              assert.deepEqual(slot, server.has(name) ? { kind: "holds", value: server.get(name) } : { kind: "empty" });
            }
          }
        });
        for (const answer of owed) answer();
        for (const name of ["a", "b"]) {
          const slot = slots.get(name, segments.length + 1);
          assert.equal(slot.kind === "holds" ? slot.value : undefined, server.get(name));
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
