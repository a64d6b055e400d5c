// text -> where values of a kind stand in it. A text is looked at as a whole: callers cut it at lines or values.
import type { TextKind } from "../model/text-kinds.ts";
import { ibanLength, isIban } from "./ibans.ts";
import { findNationalIds, nationalIds } from "./national-ids.ts";
import { findPhones } from "./phone-numbers.ts";

export type TextSpan = { readonly start: number; readonly end: number };

/** Spans of one kind, in order, not overlapping. Linear in the text, up to the bounded length of one value. */
export const detectors: Readonly<Record<TextKind, (text: string) => readonly TextSpan[]>> = {
  email: (text) =>
    text.includes("@") || text.includes("\uff20")
      ? matches(text, /[\p{L}\p{N}._%+'-]{1,64}[@\uff20](?:[\p{L}\p{N}-]{1,63}\.){1,8}[\p{L}\p{N}-]{2,24}/gu)
      : [],
  phone: (text) => (/[+\uff0b]\s?[\d(]/.test(text) ? findPhones(text) : []),
  iban: findIbans,
  card: findCards,
  ssn: findSsns,
  national_id: (text) =>
    [findSsns(text), ...Object.values(nationalIds).map((form) => findNationalIds(text, form))]
      .flat()
      .sort((a, b) => a.start - b.start || b.end - a.end)
      .reduce(apart, []),
  gb_nhs: (text) => findNationalIds(text, nationalIds.gb_nhs),
  gb_nino: (text) => findNationalIds(text, nationalIds.gb_nino),
  de_tax_id: (text) => findNationalIds(text, nationalIds.de_tax_id),
  fr_nir: (text) => findNationalIds(text, nationalIds.fr_nir),
  es_dni: (text) => findNationalIds(text, nationalIds.es_dni),
  it_cf: (text) => findNationalIds(text, nationalIds.it_cf),
  nl_bsn: (text) => findNationalIds(text, nationalIds.nl_bsn),
  se_personnummer: (text) => findNationalIds(text, nationalIds.se_personnummer),
  pl_pesel: (text) => findNationalIds(text, nationalIds.pl_pesel),
  br_cpf: (text) => findNationalIds(text, nationalIds.br_cpf),
  in_aadhaar: (text) => findNationalIds(text, nationalIds.in_aadhaar),
  ca_sin: (text) => findNationalIds(text, nationalIds.ca_sin),
  ip: (text) => [...findIpv4(text), ...findIpv6(text)].sort((a, b) => a.start - b.start),
  jwt: (text) => (text.includes("eyJ") ? matches(text, /(?<![\w-])eyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*/g) : []),
  api_key: (text) => (text.length < shortestKey ? [] : matches(text, apiKey)),
  private_key: (text) =>
    !text.includes("-----BEGIN")
      ? []
      : matches(
          text,
          /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
        ),
};

function findSsns(text: string): readonly TextSpan[] {
  return matches(text, /(?<![\d-])(?!000|666|9\d\d)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\d-])/g);
}

/** What overlaps is one value. */
function apart(spans: TextSpan[], span: TextSpan): TextSpan[] {
  const last = spans.at(-1);
  if (last === undefined || span.start >= last.end) spans.push(span);
  else if (span.end > last.end) spans[spans.length - 1] = { start: last.start, end: span.end };
  return spans;
}

/** Of the shortest pattern below. */
const shortestKey = 15;

/** Well-known prefixes, as the services document them for secret scanners. */
const apiKey = new RegExp(
  `(?<![A-Za-z0-9_-])(?:${[
    "sk-[A-Za-z0-9_-]{16,}", // Anthropic, OpenAI and others
    "(?:AKIA|ASIA)[0-9A-Z]{16}", // AWS
    "gh[pousr]_[A-Za-z0-9]{20,}", // GitHub
    "github_pat_[A-Za-z0-9_]{20,}",
    "glpat-[A-Za-z0-9_-]{16,}", // GitLab
    "xox[abeoprs]-[A-Za-z0-9-]{10,}", // Slack
    "xapp-[A-Za-z0-9-]{10,}",
    "AIza[0-9A-Za-z_-]{35}", // Google
    "ya29\\.[0-9A-Za-z_-]{20,}",
    "GOCSPX-[0-9A-Za-z_-]{20,}",
    "(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}", // Stripe
    "whsec_[A-Za-z0-9+/=]{20,}",
    "SG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}", // SendGrid
    "npm_[A-Za-z0-9]{30,}",
    "pypi-[A-Za-z0-9_-]{16,}",
    "hf_[A-Za-z0-9]{20,}", // Hugging Face
    "do[opr]_v1_[a-f0-9]{32,}", // DigitalOcean
    "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", // Shopify
    "SK[0-9a-f]{32}", // Twilio
    "key-[0-9a-f]{32}", // Mailgun
    "dckr_pat_[A-Za-z0-9_-]{16,}",
    "hv[sb]\\.[A-Za-z0-9_-]{20,}", // Vault
    "eyJrIjoi[A-Za-z0-9_=-]{20,}", // Grafana
    "AGE-SECRET-KEY-1[0-9A-Z]{50,}",
  ].join("|")})`,
  "g",
);

const matches = (text: string, pattern: RegExp): readonly TextSpan[] =>
  [...text.matchAll(pattern)].map((match) => ({ start: match.index, end: match.index + match[0].length }));

/** The country tells the length: what follows an IBAN in the text doesn't belong to it. */
function findIbans(text: string): readonly TextSpan[] {
  if (text.length < 15) return [];
  const found: TextSpan[] = [];
  let from = 0;
  for (const match of text.matchAll(/(?<![A-Za-z0-9])[A-Za-z]{2}[ -]?\d{2}(?=[ -]?[A-Za-z0-9])/g)) {
    if (match.index < from) continue;
    const length = ibanLength(match[0].slice(0, 2).toUpperCase());
    const end = length === undefined ? undefined : endOf(text, match.index, length);
    if (end === undefined) continue;
    const compact = text.slice(match.index, end).replace(/[ -]/g, "").toUpperCase();
    if (!isIban(compact)) continue;
    found.push({ start: match.index, end });
    from = end;
  }
  return found;
}

/** Behind the `length`-th letter or digit, single blanks or hyphens between; undefined when the word goes on. */
function endOf(text: string, start: number, length: number): number | undefined {
  let seen = 0;
  let at = start;
  for (; at < text.length && seen < length; at += 1) {
    const c = text[at] ?? "";
    if (/[A-Za-z0-9]/.test(c)) seen += 1;
    else if (!/[ -]/.test(c) || !/[A-Za-z0-9]/.test(text[at + 1] ?? "")) return undefined;
  }
  return seen === length && !/[A-Za-z0-9]/.test(text[at] ?? "") ? at : undefined;
}

/** 13 to 19 digits of a known issuer's range whose check digit is right, in groups or not. */
function findCards(text: string): readonly TextSpan[] {
  if (text.length < 13) return [];
  const found: TextSpan[] = [];
  for (const run of text.matchAll(/(?<!\d)\d(?:[ .-]?\d){12,}(?!\d)/g)) {
    let from = 0;
    for (const group of run[0].matchAll(/\d+/g)) {
      if (group.index < from) continue;
      const end = cardEnd(run[0], group.index);
      if (end === undefined) continue;
      found.push({ start: run.index + group.index, end: run.index + end });
      from = end;
    }
  }
  return found;
}

/** The longest card number that begins there and ends with a group. */
function cardEnd(run: string, start: number): number | undefined {
  let digits = "";
  let best: number | undefined;
  for (let at = start; at < run.length && digits.length < 19; at += 1) {
    const c = run[at] ?? "";
    if (!/\d/.test(c)) continue;
    digits += c;
    const isGroupEnd = !/\d/.test(run[at + 1] ?? "");
    if (isGroupEnd && digits.length >= 13 && /^[2-6]/.test(digits) && passesLuhn(digits)) best = at + 1;
  }
  return best;
}

/** ISO/IEC 7812-1 annex B. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const findIpv4 = (text: string): readonly TextSpan[] =>
  matches(text, new RegExp(`(?<![\\d.])${octet}(?:\\.${octet}){3}(?![\\d.]*\\d)`, "g"));

function findIpv6(text: string): readonly TextSpan[] {
  return matches(
    text,
    /(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:)[0-9A-Fa-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![0-9A-Za-z:])/g,
  ).filter(({ start, end }) => isIpv6(text.slice(start, end)));
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const isValid = groups.every(
    (group, i) =>
      /^[0-9A-Fa-f]{1,4}$/.test(group) || (i === groups.length - 1 && /^\d{1,3}(?:\.\d{1,3}){3}$/.test(group)),
  );
  const count = groups.length + (groups.at(-1)?.includes(".") ? 1 : 0);
  return isValid && groups.length > 0 && (halves.length === 2 ? count <= 7 : count === 8);
}
