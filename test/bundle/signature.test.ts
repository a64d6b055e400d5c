import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import type { ArchiveFiles } from "../../engine/lib/tar.ts";
import { limits } from "../../engine/limits.ts";
import { type SignatureAlgorithm, signBundle, verifyBundle } from "../../proxy/bundle/signature.ts";
import { opa, skip } from "../support/opa.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const bounds = {
  packedBytesMax: limits.bundleBytesMax,
  unpackedBytesMax: limits.bundleUnpackedBytesMax,
  entriesMax: limits.bundleEntriesMax,
};
type Keys = { readonly publicKey: string; readonly privateKey: string };

const asPem = ({ publicKey, privateKey }: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }): Keys => ({
  publicKey: String(publicKey.export({ type: "spki", format: "pem" })),
  privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
});
const newRsa = (): Keys => asPem(generateKeyPairSync("rsa", { modulusLength: 2_048 }));
const rsa = newRsa();
const ec = asPem(generateKeyPairSync("ec", { namedCurve: "P-256" }));
const ed = asPem(generateKeyPairSync("ed25519"));

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Numbers, characters and an order of keys that a careless spelling would get wrong. */
const data =
  '{"b": ["x<y\u2028", {"c": 1e3, "d": 1.0}], "é": true, "a": -0, "\u{1F600}": null, "\uFFFD": "\\u0007\\b"}';
const files: ArchiveFiles = new Map([
  ["data.json", encode(data)],
  ["policy.rego", encode("package t\n\nallow := true\n")],
  [".manifest", encode('{"revision":"r1","roots":[""]}')],
]);

async function sign(algorithm: SignatureAlgorithm = "RS256", key = rsa): Promise<ArchiveFiles> {
  const signed = await signBundle(files, key.privateKey, algorithm, "release");
  assert.ok(signed.ok, JSON.stringify(signed));
  return signed.value;
}

test("a signed bundle verifies with the key's public half, for every algorithm", async () => {
  for (const [algorithm, key] of [
    ["RS256", rsa],
    ["PS256", rsa],
    ["ES256", ec],
    ["EdDSA", ed],
  ] as const) {
    assert.deepEqual(await verifyBundle(await sign(algorithm, key), key.publicKey, algorithm), {
      ok: true,
      value: undefined,
    });
  }
});

test("a bundle that isn't exactly what was signed is refused, and why", async () => {
  const signed = await sign();
  const other = newRsa();
  const changed = (name: string, text: string): ArchiveFiles => new Map([...signed, [name, encode(text)]]);
  const without = (name: string): ArchiveFiles => new Map([...signed].filter(([n]) => n !== name));
  const list = encode(JSON.stringify({ signatures: ["a", "b"] }));
  const rows: readonly (readonly [ArchiveFiles, string, SignatureAlgorithm, string])[] = [
    [files, rsa.publicKey, "RS256", "the bundle is not signed"],
    [signed, other.publicKey, "RS256", "the signature is not by this key"],
    [signed, rsa.publicKey, "PS256", "the signature is not by this key"],
    [signed, ed.publicKey, "RS256", "the key is not a public key in PEM for RS256"],
    [signed, rsa.privateKey, "RS256", "the key is not a public key in PEM for RS256"],
    [changed("policy.rego", "package t"), rsa.publicKey, "RS256", "`policy.rego` was changed after it was signed"],
    [changed("data.json", '{"a": 0}'), rsa.publicKey, "RS256", "`data.json` was changed after it was signed"],
    [changed("data.json", "{"), rsa.publicKey, "RS256", "`data.json` is not JSON in UTF-8"],
    [changed("policy.wasm", ""), rsa.publicKey, "RS256", "`policy.wasm` is not covered by the signature"],
    [without("data.json"), rsa.publicKey, "RS256", "`data.json` was signed and is missing"],
    [
      new Map([...signed, [".signatures.json", list]]),
      rsa.publicKey,
      "RS256",
      "`.signatures.json` must hold exactly one signature",
    ],
  ];
  for (const [bundle, key, algorithm, error] of rows) {
    assert.deepEqual(await verifyBundle(bundle, key, algorithm), { ok: false, error });
  }
});

test("white space and the order of keys in data are not what is signed", async () => {
  const signed = await sign();
  const spaced = new Map([...signed, [".manifest", encode('{ "roots": [""],\n "revision": "r1" }')]]);
  assert.deepEqual(await verifyBundle(spaced, rsa.publicKey, "RS256"), { ok: true, value: undefined });
});

test("OPA accepts our signature, and we accept OPA's", { skip }, async () => {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder, name);
  writeFileSync(at("key.pem"), rsa.privateKey);
  writeFileSync(at("pub.pem"), rsa.publicKey);
  writeFileSync(at("ours.tar.gz"), writeArchive(await sign()));
  const run = (...args: readonly string[]): void => void execFileSync(opa ?? "opa", [...args], { stdio: "pipe" });
  run("build", "-b", at("ours.tar.gz"), "--verification-key", at("pub.pem"), "-o", at("verified.tar.gz"));
  writeFileSync(at("bad.tar.gz"), writeArchive(new Map([...(await sign()), ["policy.rego", encode("package t")]])));
  assert.throws(() => run("build", "-b", at("bad.tar.gz"), "--verification-key", at("pub.pem"), "-o", at("x.tar.gz")));

  mkdirSync(at("src"));
  for (const [name, bytes] of files) if (name !== ".manifest") writeFileSync(join(at("src"), name), bytes);
  run(
    "build",
    "-t",
    "wasm",
    "-e",
    "t/allow",
    "-b",
    at("src"),
    "--signing-key",
    at("key.pem"),
    "-o",
    at("theirs.tar.gz"),
  );
  const theirs = readArchive(readFileSync(at("theirs.tar.gz")), bounds);
  assert.ok(theirs.ok);
  assert.deepEqual(await verifyBundle(theirs.value, rsa.publicKey, "RS256"), { ok: true, value: undefined });
});
