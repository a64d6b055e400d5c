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
  national_id: [
    ["078-05-1120, 943 476 5919 and RSSMRA85T10A562S", ["078-05-1120", "943 476 5919", "RSSMRA85T10A562S"]],
    ["order 12, of 2024-01-31, 17:45", []],
  ],
  gb_nhs: [
    ["NHS 943 476 5919, 9434765919; 943-476-5919", ["943 476 5919", "9434765919", "943-476-5919"]],
    ["943 476 5918, 19434765919, 9434765919a, 0000000000", []],
  ],
  gb_nino: [
    ["AB 12 34 56 C and ab123456d", ["AB 12 34 56 C", "ab123456d"]],
    ["QQ123456C BG123456A AB123456E XAB123456C", []],
  ],
  de_tax_id: [
    ["IdNr. 86 095 742 719, 47036892816", ["86 095 742 719", "47036892816"]],
    ["86095742718 12345678903 11111111119 06095742719", []],
  ],
  fr_nir: [
    ["2 55 08 14 168 025 38, 255081416802538", ["2 55 08 14 168 025 38", "255081416802538"]],
    ["255081416802539 955081416802538", []],
  ],
  es_dni: [
    ["12345678Z, 12.345.678-Z, X1234567L y x-1234567-l", ["12345678Z", "12.345.678-Z", "X1234567L", "x-1234567-l"]],
    ["12345678A X1234567M 123456789Z", []],
  ],
  it_cf: [
    [
      "RSSMRA85T10A562S, mrtmtt25d09f205z, RSSMRA 85T10 A562S",
      ["RSSMRA85T10A562S", "mrtmtt25d09f205z", "RSSMRA 85T10 A562S"],
    ],
    ["RSSMRA85T10A562T RSSMRA85Z10A562S", []],
  ],
  nl_bsn: [
    ["BSN 111222333, 1112.22.333", ["111222333", "1112.22.333"]],
    ["111222334 000000000 1112223330", []],
  ],
  se_personnummer: [
    [
      "811218-9876, 19670919-9530, 196709199530, 811218+9876",
      ["811218-9876", "19670919-9530", "196709199530", "811218+9876"],
    ],
    ["811218-9875 811318-9876 17670919-9530", []],
  ],
  pl_pesel: [
    ["PESEL 44051401359", ["44051401359"]],
    ["44051401358 44131401359 440514013590", []],
  ],
  br_cpf: [
    ["CPF 111.444.777-35 e 52998224725", ["111.444.777-35", "52998224725"]],
    ["111.444.777-36 111.111.111-11 52998224715", []],
  ],
  in_aadhaar: [
    ["9999 4105 7058, 999971658847", ["9999 4105 7058", "999971658847"]],
    ["9999 4105 7059; 9999 4105 7085; 111111111111", []],
  ],
  ca_sin: [
    ["SIN 046 454 286, 130-692-544", ["046 454 286", "130-692-544"]],
    ["046 454 287 000000000 0464542860", []],
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

test("full-width digits, and blanks and hyphens of every kind, hide no identifier", () => {
  const rows: readonly (readonly [TextKind, string])[] = [
    ["gb_nhs", "943\u00a0476\u202f5919"],
    ["gb_nhs", "\uff19\uff14\uff13 476 5919"],
    ["br_cpf", "111.444.777\u201135"],
    ["it_cf", "\uff32SSMRA85T10A562S"],
  ];
  for (const [kind, text] of rows)
    assert.deepEqual(detectors[kind](`x ${text} y`), [{ start: 2, end: 2 + text.length }]);
});

/** Of random runs of as many digits as the identifier has, the part that is taken for one: docs/http.md gives these. */
const takenForOne: readonly (readonly [TextKind, digits: number, percent: number])[] = [
  ["gb_nhs", 10, 9.1],
  ["de_tax_id", 11, 0.3],
  ["fr_nir", 15, 0.7],
  ["nl_bsn", 9, 9.1],
  ["se_personnummer", 10, 0.7],
  ["pl_pesel", 11, 1.9],
  ["br_cpf", 11, 1],
  ["in_aadhaar", 12, 8],
  ["ca_sin", 9, 10],
  ["national_id", 9, 18.2],
  ["national_id", 10, 9.8],
  ["national_id", 11, 3.2],
];
for (const [kind, digits, percent] of takenForOne) {
  test(`of ${digits} random digits ${percent} % are taken for ${kind}`, () => {
    const count = 20_000;
    let state = 12_345;
    let found = 0;
    for (let i = 0; i < count; i += 1) {
      let text = "";
      while (text.length < digits) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        text += Math.floor((state / 2 ** 32) * 10);
      }
      if (detectors[kind](text).length > 0) found += 1;
    }
    const measured = (100 * found) / count;
    assert.ok(Math.abs(measured - percent) < 0.7, `${measured} %`);
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
    "9".repeat(200_000),
    "111 ".repeat(50_000),
    "AB 12 34 56 ".repeat(15_000),
    "RSSMRA 85T10 A562".repeat(10_000),
  ];
  const before = process.cpuUsage().user;
  for (const text of hostile) for (const find of Object.values(detectors)) find(text);
  const seconds = (process.cpuUsage().user - before) / 1e6;
  assert.ok(seconds < 20, `${seconds} s of CPU`);
});
