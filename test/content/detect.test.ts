// What each kind of text is, and what only looks like it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detectors } from "../../engine/content/detect.ts";
import type { TextKind } from "../../engine/model/text-kinds.ts";

const rows: Readonly<Record<TextKind, readonly (readonly [text: string, found: readonly string[]])[]>> = {
  email: [
    ["write to a.b+c@mail.example.com, please", ["a.b+c@mail.example.com"]],
    ["<jörg@münchen.de>", ["jörg@münchen.de"]],
    ["a@b and @c.de and x@.de", []],
    ["a@b.co,c@d.org", ["a@b.co", "c@d.org"]],
  ],
  phone: [
    ["call +49 30 901820 today", ["+49 30 901820"]],
    ["+1 (202) 456-1111", ["+1 (202) 456-1111"]],
    ["order 4930901820, 12 + 30 = 42", []],
  ],
  iban: [
    ["pay DE89 3704 0044 0532 0130 00 and more", ["DE89 3704 0044 0532 0130 00"]],
    ["pay DE89370400440532013000.", ["DE89370400440532013000"]],
    ["gb82 west 1234 5698 7654 32", ["gb82 west 1234 5698 7654 32"]],
    ["DE89370400440532013001", []],
    ["DE893704004405320130001", []],
    ["AB12 something else", []],
  ],
  card: [
    ["card 4111 1111 1111 1111 exp 12/30", ["4111 1111 1111 1111"]],
    ["4111-1111-1111-1111", ["4111-1111-1111-1111"]],
    ["378282246310005", ["378282246310005"]],
    ["4111111111111112 and 1234567890123452", []],
    ["id 99 4111 1111 1111 1111 7", ["4111 1111 1111 1111"]],
  ],
  ssn: [
    ["ssn 078-05-1120.", ["078-05-1120"]],
    ["000-12-3456 666-12-3456 912-12-3456 123-00-4567 123-45-0000 123-45-67890", []],
  ],
  ip: [
    ["from 10.1.2.3 to 2001:db8::1, ::1", ["10.1.2.3", "2001:db8::1", "::1"]],
    ["at 12:30:45, version 1.2.3, 1.2.3.4.5, 256.1.1.1", []],
  ],
  jwt: [["Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln x", ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"]]],
  api_key: [
    ["AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLE"]],
    [`x=sk-ant-api03-${"a".repeat(30)};`, [`sk-ant-api03-${"a".repeat(30)}`]],
    [`ghp_${"A1".repeat(18)}`, [`ghp_${"A1".repeat(18)}`]],
    ["a risk-free task-force_member", []],
  ],
  private_key: [
    [
      "a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb",
      ["-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----"],
    ],
    ["-----BEGIN PRIVATE KEY-----\nMII cut off", ["-----BEGIN PRIVATE KEY-----\nMII cut off"]],
    ["-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", []],
  ],
};

for (const [kind, cases] of Object.entries(rows)) {
  describe(`text of kind ${kind}`, () => {
    for (const [text, found] of cases) {
      test(`in ${JSON.stringify(text.slice(0, 60))}`, () => {
        const spans = detectors[kind as TextKind](text);
        assert.deepEqual(
          spans.map(({ start, end }) => text.slice(start, end)),
          found,
        );
      });
    }
  });
}

test("no detector takes long over a text that was made for it", () => {
  const hostile = [
    "a".repeat(200_000),
    "a@".repeat(100_000),
    "1 ".repeat(100_000),
    "DE89 ".repeat(40_000),
    "::".repeat(100_000),
    `${"1.".repeat(100_000)}`,
    "eyJaaaa.".repeat(25_000),
    "-----BEGIN PRIVATE KEY-----".repeat(5_000),
    "+1 2".repeat(2_000),
  ];
  const before = process.cpuUsage().user;
  for (const text of hostile) for (const find of Object.values(detectors)) find(text);
  const seconds = (process.cpuUsage().user - before) / 1e6;
  assert.ok(seconds < 20, `${seconds} s of CPU`);
});
