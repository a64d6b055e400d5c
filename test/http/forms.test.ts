// Forms: names that servers read differently, and the field that asks for another method, also where no rule reads the body.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { areAmbiguous, isMethodField } from "../../engine/http/field-names.ts";
import { scanForm, scanMultipart } from "../../engine/http/method-field.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const upstream = await startUpstream((request, response) => response.end(request.text));
const gw = await startHttpGateway({
  policy: `
package test
type Payment = { amount: string }
allow everything on http POST
deny odd on http POST "/read" when (http.body as Payment) is absent because "no payment"
`,
  upstream: upstream.origin,
});

const urlencoded = { "content-type": "application/x-www-form-urlencoded" };
const multipart = { "content-type": "multipart/form-data; boundary=b" };
const parts = (...heads: readonly string[]): string =>
  `${heads.map((head) => `--b\r\n${head}\r\n\r\nv\r\n`).join("")}--b--\r\n`;
const named = (name: string): string => `Content-Disposition: form-data; name="${name}"`;

const codeOf = async (path: string, headers: Readonly<Record<string, string>>, body: string | Uint8Array) => {
  const answer = await gw.send("POST", path, { headers, body });
  return answer.status === 200 ? "" : JSON.parse(answer.body).code;
};

const names: readonly (readonly [names: readonly string[], code: string])[] = [
  [["amount"], ""],
  [["amount", "memo", "tags[]", "tags[]", "at[x]", "at[y]"], ""],
  [["amount", "Amount"], "fields-ambiguous"],
  [["amount", "amount[]"], "fields-ambiguous"],
  [["amount[0]", "amount"], "fields-ambiguous"],
  [["amount", " amount"], "fields-ambiguous"],
  [["amount", "amount\0x"], "fields-ambiguous"],
  [["amount", "a.b", "a_b"], "fields-ambiguous"],
  [["amount", "amount"], "denied"],
  [["amount", "_method"], "method-override"],
  [["amount", "_Method[]"], "method-override"],
  [["amount", ".method"], "method-override"],
  [["amount", "_charset_"], "body-coding-unknown"],
];
for (const [all, code] of names) {
  test(`a form that a rule reads, of ${all.map((name) => JSON.stringify(name)).join(" and ")}, is ${code === "" ? "read" : code}`, async () => {
    const body = all.map((name) => `${encodeURIComponent(name)}=7`).join("&");
    assert.equal(await codeOf("/read", urlencoded, body), code);
  });
}

const spellings = [
  "_method",
  "_METHOD",
  "%5Fmethod",
  "%5f%6d%65thod",
  "+_method",
  "%20%20_method",
  "_method[]",
  ".method",
  "_method%00x",
];
test("a form that nobody reads doesn't arrive whole when it asks for another method", async () => {
  for (const name of spellings) {
    assert.equal(await codeOf("/unread", urlencoded, `a=1&${name}=DELETE`), "method-override", name);
    assert.equal(await codeOf("/unread", urlencoded, `${name}=DELETE&a=1`), "method-override", name);
  }
  const heads = [
    named("_method"),
    'content-disposition: form-data; filename=""; NAME=_method',
    'Content-Disposition: form-data;\r\n name="_me\\thod"',
    "Content-Disposition: form-data; name*=utf-8''%5Fmethod",
    "Content-Disposition: form-data; name='_method'",
  ];
  for (const head of heads) {
    assert.equal(await codeOf("/unread", multipart, parts(named("a"), head)), "method-override", head);
    assert.equal(await codeOf("/unread", multipart, parts(head).replaceAll("\r\n", "\n")), "method-override", head);
  }
  assert.equal(
    await codeOf("/unread", { ...urlencoded, "content-encoding": "gzip" }, gzipSync("a=1")),
    "body-coding-unknown",
  );
  assert.equal(await codeOf("/unread", { "content-type": "multipart/form-data" }, "x"), "body-unreadable");
  assert.equal(
    upstream.seen.some(({ body }) => /method/i.test(body)),
    false,
  );
});

test("other forms go through unread, byte for byte", async () => {
  const file = `${"x".repeat(200_000)}_method=DELETE name="_method"`;
  const bodies: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [urlencoded, "a=_method&payment_method=card&_methods=2&a=b=_method"],
    [
      multipart,
      parts(named("payment_method"), `${named("file")}; filename="_method"`).replace(
        "\r\nv\r\n--b--",
        `\r\n${file}\r\n--b--`,
      ),
    ],
    [{ "content-type": "text/plain" }, "_method=DELETE"],
  ];
  for (const [headers, body] of bodies) {
    const answer = await gw.send("POST", "/unread", { headers, body });
    assert.deepEqual([answer.status, answer.body === body], [200, true], JSON.stringify(headers));
  }
});

test("law: where the network cuts a form doesn't matter", () => {
  const cuts = (text: string, at: readonly number[]): readonly Uint8Array[] => {
    const points = [...new Set(at.map((n) => n % (text.length + 1)))].sort((a, b) => a - b);
    return [0, ...points].map((from, i) => Buffer.from(text.slice(from, points[i] ?? text.length), "latin1"));
  };
  const bodies: readonly (readonly [string, boolean])[] = [
    ...spellings.map((name) => [`a=1&${name}=x&b=2`, true] as const),
    ["a=_method&method=1&x_method=2", false],
  ];
  fc.assert(
    fc.property(fc.constantFrom(...bodies), fc.array(fc.nat({ max: 500 }), { maxLength: 8 }), ([text, isFound], at) => {
      const form = scanForm();
      assert.equal(
        cuts(text, at).some((piece) => form.push(piece)),
        isFound,
      );
      const body = parts(named("a"), named(isFound ? "_method" : "other"), `${named("f")}; filename="_method"`);
      const scanner = scanMultipart("b");
      assert.equal(
        cuts(body, at).some((piece) => scanner.push(piece)),
        isFound,
      );
    }),
    { numRuns: 300 },
  );
});

test("law: other spellings of one name are found whatever stands between them", () => {
  const spell = fc.constantFrom<(name: string) => string>(
    (name) => name.toUpperCase(),
    (name) => ` ${name}`,
    (name) => `${name}[]`,
    (name) => `${name}[0]`,
    (name) => `${name}\0`,
  );
  const word = fc.stringMatching(/^[a-z]{1,8}$/);
  fc.assert(
    fc.property(word, spell, fc.array(word, { maxLength: 5 }), (name, other, between) => {
      assert.equal(areAmbiguous([name, ...between.filter((each) => each !== name), other(name)]), true);
      assert.equal(isMethodField(other("_method")), true);
    }),
  );
});
