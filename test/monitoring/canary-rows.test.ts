// Canary rows: whoever is given one, or asks for one by its text, is found; what the client gets is the same as ever.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canaryScanner } from "../../proxy/telemetry/canary-scan.ts";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";

const bait = "kim.canary-7f3a@larch.example";
const gateway = await startTestGateway({
  schema: `
CREATE TABLE customers (id int primary key, email text, note text);
INSERT INTO customers SELECT i, 'c' || i || '@example.com', repeat('x', 100) FROM generate_series(1, 2000) i;
INSERT INTO customers VALUES (1500000, '${bait}', '');`,
  policy: `
package test
allow reads on sql read
allow updates on sql update
mask addresses of public.customers.email using redact
  when identity.sub == "masked"
`,
  config: `
monitoring:
  canaries: { rows: [{ name: customers-1, text: "${bait}" }] }
  end_session: [canary]
`,
});

async function findingsOf(sub: string): Promise<readonly string[]> {
  const events = await gateway.events();
  const ids = new Set(
    events.flatMap((event) => (event.type === "session-start" && event.principal.sub === sub ? [event.session] : [])),
  );
  return events.flatMap((event) => (event.type === "alert" && ids.has(event.session) ? [event.message] : []));
}
const found = (sub: string) =>
  eventually(async () => {
    const findings = await findingsOf(sub);
    return findings.length > 0 ? findings : undefined;
  });

test("a result with a canary row is given whole, is found, and is the session's last", async () => {
  const client = await gateway.connect({ sub: "thief", kind: "human" });
  client.on("error", () => undefined);
  assert.equal((await client.query("SELECT id, email, note FROM customers ORDER BY id")).rowCount, 2_001);
  assert.deepEqual(await found("thief"), ["was given the canary row customers-1"]);
  assert.equal((await refusalOf(client, "SELECT 1")).message, "a rule of the policies has ended this session");
});

test("a canary row is found in binary results of a prepared statement, in COPY, and within a longer text", async () => {
  const binary = await gateway.connect({ sub: "binary", kind: "human" });
  await binary.query({
    ...{ text: "SELECT email FROM customers WHERE id > $1", values: [1_000_000] },
    ...{ binary: true },
  });
  assert.deepEqual(await found("binary"), ["was given the canary row customers-1"]);
  const copied = await gateway.psql({ sub: "copier", kind: "human" }, [
    "-c",
    "COPY (SELECT * FROM customers) TO STDOUT",
  ]);
  assert.ok(copied.out.length > 200_000, copied.err);
  assert.deepEqual(await found("copier"), ["was given the canary row customers-1"]);
  const joiner = await gateway.connect({ sub: "joiner", kind: "human" });
  await joiner.query("SELECT string_agg(email, ';') FROM customers WHERE id > 1900");
  assert.deepEqual(await found("joiner"), ["was given the canary row customers-1"]);
});

test("asking for it by its text is found whether there is such a row or not; what isn't shown is not", async () => {
  const asker = await gateway.connect({ sub: "asker", kind: "human" });
  await asker.query(`SELECT id FROM customers WHERE email = '${bait}' AND id < 0`);
  assert.deepEqual(await found("asker"), ["asked for the canary row customers-1"]);
  const masked = await gateway.connect({ sub: "masked", kind: "human" });
  await masked.query("SELECT email FROM customers");
  await masked.query("SELECT count(*) FROM customers");
  assert.equal((await masked.query("SELECT id FROM customers WHERE id < 10")).rowCount, 9);
  assert.deepEqual(await findingsOf("masked"), []);
});

test("the finding has the canary's name and nothing of its row", async () => {
  await found("thief");
  const alerts = (await gateway.events()).filter(({ type }) => type === "alert");
  assert.doesNotMatch(JSON.stringify(alerts), /canary-7f3a/);
});

test("however an answer is cut into pieces, a text in it is found, and none that isn't", () => {
  const text = "abcabd-canary";
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("a", "b", "abcab", text, "x".repeat(30), "abcabd-canar"), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 40 }),
      (parts, cuts) => {
        const whole = Buffer.from(parts.join(""));
        const scan = canaryScanner([{ name: "one", text }])?.();
        assert.ok(scan);
        let at = 0;
        const shared = Buffer.alloc(whole.length);
        for (const cut of [...cuts, whole.length]) {
          // Memory that is used again, as the relay's is.
          const piece = shared.subarray(0, whole.copy(shared, 0, at, Math.min(whole.length, at + cut)));
          scan.add(piece);
          shared.fill(0x7a);
          at = Math.min(whole.length, at + cut);
        }
        assert.equal(scan.found.has("one"), whole.includes(text));
      },
    ),
  );
});
