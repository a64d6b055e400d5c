import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import { readTar, writeTar } from "../../engine/lib/tar.ts";

const bounds = { packedBytesMax: 1_000_000, unpackedBytesMax: 1_000_000, entriesMax: 100 };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}(?:\/[a-z][a-z0-9._-]{0,60}){0,3}$/);

test("what is written is read back, and equal files give equal bytes", () => {
  fc.assert(
    fc.property(fc.dictionary(name, fc.uint8Array({ maxLength: 2_000 })), (entries) => {
      const files = new Map(Object.entries(entries));
      const archive = writeArchive(files);
      const back = readArchive(archive, bounds);
      assert.ok(back.ok, JSON.stringify(back));
      assert.deepEqual(
        [...back.value].map(([n, b]) => [n, [...b]]),
        [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([n, b]) => [n, [...b]]),
      );
      assert.deepEqual(writeArchive(new Map([...files].reverse())), archive);
    }),
  );
});

test("tar itself reads what is written", () => {
  const listed = execFileSync("tar", ["tzf", "-"], {
    input: writeArchive(
      new Map([
        ["b/c.json", encode("{}")],
        ["a.rego", encode("package a")],
      ]),
    ),
  });
  assert.equal(listed.toString(), "a.rego\nb/c.json\n");
});

test("an archive that is cut, damaged, too large or means to leave its folder is refused by name", () => {
  const whole = writeTar(new Map([["a", encode("x".repeat(600))]]));
  const renamed = (to: string): Uint8Array => {
    const copy = Uint8Array.from(writeTar(new Map([["aaaaaaaaaaaa", encode("x")]])));
    copy.set(encode(to.padEnd(12, "\u0000")));
    return resum(copy);
  };
  const typed = (type: string): Uint8Array => {
    const copy = Uint8Array.from(whole);
    copy.set(encode(type), 156);
    return resum(copy);
  };
  const twice = Uint8Array.from([...whole.subarray(0, 1_536), ...whole]);
  const rows: readonly (readonly [Uint8Array, RegExp])[] = [
    [whole.subarray(0, 700), /in the middle of a file/],
    [whole.subarray(0, 1_536), /no end mark/],
    [Uint8Array.from(whole).fill(65, 0, 10), /checksum is wrong/],
    [renamed("../etc/pwd"), /`\.\.\/etc\/pwd` has an empty part/],
    [renamed("a/../../b"), /has an empty part, `\.` or `\.\.`/],
    [renamed("a//b"), /has an empty part/],
    [renamed("a\\b"), /control character or a backslash/],
    [typed("2"), /neither a file nor a folder/],
    [typed("1"), /neither a file nor a folder/],
    [twice, /holds `a` twice/],
  ];
  for (const [archive, message] of rows) {
    const read = readTar(archive, 10);
    assert.ok(!read.ok);
    assert.match(read.error, message);
  }
  assert.deepEqual(readArchive(gzipSync(new Uint8Array(2_000_000)), bounds), {
    ok: false,
    error: "the archive unpacks to more than 1000000 bytes",
  });
  assert.deepEqual(readArchive(encode("garbage"), bounds), { ok: false, error: "this is not a whole gzip archive" });
  const many = new Map(Array.from({ length: 101 }, (_, i) => [`f${i}`, new Uint8Array()]));
  assert.deepEqual(readArchive(writeArchive(many), bounds), {
    ok: false,
    error: "the archive has more than 100 entries",
  });
});

test("reading never throws, whatever the bytes", () => {
  const whole = writeArchive(new Map([["data.json", encode("{}")]]));
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from(whole);
      changed[at] = byte;
      readArchive(changed, bounds);
    }),
  );
  assert.equal(createHash("sha256").update(whole).digest("hex").length, 64);
});

function resum(archive: Uint8Array): Uint8Array {
  archive.fill(32, 148, 156);
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  archive.set(encode(`${sum.toString(8).padStart(6, "0")}\u0000 `), 148);
  return archive;
}
