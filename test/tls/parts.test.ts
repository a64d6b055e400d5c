// Names in certificates, SCRAM as a server, and how guessing is slowed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerCertificate } from "node:tls";
import fc from "fast-check";
import { limits } from "../../engine/limits.ts";
import { LoginDelay } from "../../proxy/identity/login-delay.ts";
import { challenge, checkProof, makeVerifier, parseVerifier } from "../../proxy/identity/scram-verifier.ts";
import { answerScram, isServerProven, startScram } from "../../proxy/postgres/scram.ts";
import { namesOf } from "../../proxy/tls/client-identity.ts";

const certificate = (cn: unknown, subjectaltname?: string) =>
  ({ subject: { CN: cn }, subjectaltname }) as unknown as PeerCertificate;

for (const [title, given, expected] of [
  ["a common name", certificate("olga"), ["cn:olga"]],
  ["two common names are none", certificate(["olga", "root"]), []],
  [
    "alternative names",
    certificate("x", "DNS:a.example, URI:spiffe://acme/ci, email:a@b.c, IP Address:10.0.0.1"),
    ["cn:x", "dns:a.example", "uri:spiffe://acme/ci", "email:a@b.c"],
  ],
  [
    "a name that holds a separator stays one name",
    certificate(undefined, 'DNS:"a.example, DNS:root.example", DNS:b'),
    ["dns:a.example, DNS:root.example", "dns:b"],
  ],
  ["a quoted name that isn't JSON is none", certificate(undefined, 'DNS:"a\\x", DNS:b'), ["dns:b"]],
  ["none at all", certificate(undefined), []],
] as const) {
  test(`names of a certificate: ${title}`, () => {
    assert.deepEqual(
      namesOf(given).map(({ kind, value }) => `${kind}:${value}`),
      expected,
    );
  });
}

test("SCRAM: the right password proves itself to the verifier and the verifier to the client, any other doesn't", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), async (password, guess) => {
      const verifier = parseVerifier(await makeVerifier(password));
      assert.ok(verifier);
      const start = startScram(["SCRAM-SHA-256"], undefined);
      assert.ok(start);
      const first = challenge(verifier, start.first);
      assert.ok(first.ok);
      const right = await answerScram(start, first.value.message, password);
      assert.ok(right.ok);
      const final = checkProof(verifier, first.value, right.value.message);
      assert.ok(final.ok && isServerProven(right.value, final.value));
      const wrong = await answerScram(start, first.value.message, guess);
      assert.ok(wrong.ok);
      const isSame = guess.normalize("NFKC") === password.normalize("NFKC");
      assert.equal(checkProof(verifier, first.value, wrong.value.message).ok, isSame);
      // A proof is good for its own exchange alone.
      const second = challenge(verifier, start.first);
      assert.ok(second.ok);
      assert.equal(checkProof(verifier, second.value, right.value.message).ok, false);
    }),
    { numRuns: 15 },
  );
});

test("SCRAM: messages that aren't any are refused, and so is channel binding, which isn't offered", async () => {
  const verifier = parseVerifier(await makeVerifier("password"));
  assert.ok(verifier);
  for (const first of [
    "",
    "n,,",
    "n,,n=,r=",
    "p=tls-server-end-point,,n=,r=abcdefghijkl",
    "n,a=root,n=,r=abcdefghijkl",
    "n,,m=1,n=,r=abcdefghijkl",
  ]) {
    assert.equal(challenge(verifier, first).ok, false, first);
  }
  const given = challenge(verifier, "n,,n=,r=abcdefghijkl");
  assert.ok(given.ok);
  fc.assert(fc.property(fc.string(), (text) => assert.equal(checkProof(verifier, given.value, text).ok, false)));
});

test("what isn't a verifier is not read as one, passwords among them", () => {
  fc.assert(fc.property(fc.string(), (text) => assert.equal(parseVerifier(text), undefined)));
  assert.equal(
    parseVerifier(`SCRAM-SHA-256$1000:${"a".repeat(22)}==$${"a".repeat(43)}=:${"a".repeat(43)}=`),
    undefined,
  );
});

const failed = { ok: false } as const;
const passed = { ok: true } as const;

function delays() {
  const time = { nowMs: 0 };
  const slept: number[] = [];
  const delay = new LoginDelay({ nowMs: () => time.nowMs }, async (ms) => void slept.push(ms));
  return { time, slept, delay };
}

test("each failure of the same name from the same address is answered later, up to a bound; a success forgets them", async () => {
  const { slept, delay } = delays();
  for (let i = 0; i < 9; i += 1) await delay.run("10.0.0.1", "olga", async () => failed);
  assert.deepEqual(slept, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  assert.deepEqual(await delay.run("10.0.0.1", "olga", async () => passed), passed);
  await delay.run("10.0.0.1", "olga", async () => failed);
  assert.equal(slept.at(-1), 100);
});

test("guesses lock nobody else out: not the same name from elsewhere, nor another name from there", async () => {
  const held = Promise.withResolvers<void>();
  const delay = new LoginDelay({ nowMs: () => 0 }, () => held.promise);
  const guesses = Array.from({ length: 40 }, () => delay.run("10.0.0.1", "olga", async () => failed));
  await new Promise((resolve) => setImmediate(resolve));
  const more = Array.from({ length: 40 }, () => delay.run("10.0.0.1", "olga", async () => failed));
  assert.deepEqual(await delay.run("10.0.0.2", "olga", async () => passed), passed);
  assert.deepEqual(await delay.run("10.0.0.1", "otto", async () => passed), passed);
  held.resolve();
  await Promise.all(guesses);
  // Those that came while others were waiting wait in line, and the line has an end.
  const heard = (await Promise.all(more)).filter((outcome) => outcome !== undefined);
  assert.equal(heard.length, limits.loginAttemptsWaitingMax);
});

test("the memory of failures is bounded, and failures are forgotten", async () => {
  const { time, slept, delay } = delays();
  for (let i = 0; i < limits.loginFailureKeysMax + 10; i += 1) await delay.run(`10.${i}`, "olga", async () => failed);
  assert.equal(delay.size, limits.loginFailureKeysMax);
  time.nowMs = limits.loginFailureMemoryMs + 1;
  await delay.run("10.20000", "olga", async () => failed);
  assert.equal(slept.at(-1), limits.loginDelayMs);
});
