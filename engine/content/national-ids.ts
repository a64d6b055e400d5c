// text -> where national identifiers stand in it: each country's form, and its check digits where it has some
import type { TextSpan } from "./detect.ts";

export type NationalId =
  | "gb_nhs"
  | "gb_nino"
  | "de_tax_id"
  | "fr_nir"
  | "es_dni"
  | "it_cf"
  | "nl_bsn"
  | "se_personnummer"
  | "pl_pesel"
  | "br_cpf"
  | "in_aadhaar"
  | "ca_sin";

/** `isOne` is handed what was found without blanks, dots and hyphens, in capital letters. */
type Form = { readonly pattern: RegExp; readonly isOne: (id: string) => boolean };

const lone = (source: string): RegExp => new RegExp(`(?<![A-Za-z0-9])(?:${source})(?![A-Za-z0-9])`, "gi");

const digitsOf = (id: string): readonly number[] => [...id].map((c) => c.charCodeAt(0) - 48);

const weighted = (id: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, i) => sum + weight * (id.charCodeAt(i) - 48), 0);

export const nationalIds: Readonly<Record<NationalId, Form>> = {
  // https://www.datadictionary.nhs.uk/attributes/nhs_number.html
  gb_nhs: {
    pattern: lone("\\d{3}[ -]?\\d{3}[ -]?\\d{4}"),
    isOne: (id) => weighted(id, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0 && isVaried(id),
  },
  // https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110: no check digit
  gb_nino: {
    pattern: lone("[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\\d{2} ?\\d{2} ?\\d{2} ?[A-D]"),
    isOne: (id) => !/^(?:BG|GB|KN|NK|NT|TN|ZZ)/.test(id),
  },
  // Identifikationsnummer, section 139b AO; ISO 7064 MOD 11,10
  de_tax_id: { pattern: lone("[1-9]\\d ?\\d{3} ?\\d{3} ?\\d{3}"), isOne: isTaxId },
  // Numéro d'inscription au répertoire: INSEE
  fr_nir: { pattern: lone("[1-478] ?\\d{2} ?\\d{2} ?(?:\\d{2}|2[AB]) ?\\d{3} ?\\d{3} ?\\d{2}"), isOne: isNir },
  // DNI and NIE: Ministerio del Interior
  es_dni: {
    pattern: lone("(?:\\d{8}|\\d{2}\\.\\d{3}\\.\\d{3}|[XYZ][ -]?\\d{7})[ -]?[A-HJ-NP-TV-Z]"),
    isOne: isDni,
  },
  // Codice fiscale: D.M. 23/12/1976; letters stand for digits where two people would have the same one
  it_cf: {
    pattern: lone("[A-Z]{3} ?[A-Z]{3} ?[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2} ?[A-Z][0-9LMNP-V]{3}[A-Z]"),
    isOne: isCodiceFiscale,
  },
  // Burgerservicenummer: Wet algemene bepalingen burgerservicenummer; the eleven-proof
  nl_bsn: {
    pattern: lone("\\d{9}|\\d{4}\\.\\d{2}\\.\\d{3}|\\d{3}[ -]\\d{3}[ -]\\d{3}"),
    isOne: (id) => weighted(id, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0 && isVaried(id),
  },
  // Personnummer and samordningsnummer: SKV 704
  se_personnummer: { pattern: lone("(?:\\d{2})?\\d{6}[-+ ]?\\d{4}"), isOne: isPersonnummer },
  // PESEL: Ustawa o ewidencji ludności
  pl_pesel: { pattern: lone("\\d{11}"), isOne: isPesel },
  // Cadastro de Pessoas Físicas: Receita Federal
  br_cpf: { pattern: lone("\\d{3}\\.?\\d{3}\\.?\\d{3}-?\\d{2}"), isOne: isCpf },
  // Aadhaar: UIDAI; Verhoeff
  in_aadhaar: { pattern: lone("[2-9]\\d{3}[ -]?\\d{4}[ -]?\\d{4}"), isOne: (id) => isVerhoeff(id) && isVaried(id) },
  // Social insurance number: Service Canada; Luhn
  ca_sin: { pattern: lone("\\d{3}[ -]?\\d{3}[ -]?\\d{3}"), isOne: (id) => isLuhn(id) && isVaried(id) },
};

/** 000 000 000 fits most check digits and is nobody. */
const isVaried = (id: string): boolean => /(.)(?!\1)./.test(id);

export function findNationalIds(text: string, { pattern, isOne }: Form): readonly TextSpan[] {
  if (text.length < idCharsMin) return [];
  const plain = inPlainDigits(text);
  const found: TextSpan[] = [];
  const search = new RegExp(pattern);
  for (let match = search.exec(plain); match !== null; match = search.exec(plain)) {
    const [whole] = match;
    if (isOne(whole.replace(/[^A-Za-z0-9]/g, "").toUpperCase())) {
      found.push({ start: match.index, end: match.index + whole.length });
    }
    // What looks like one may hold the beginning of one: `12 345 678 901` in a list of groups.
    else search.lastIndex = match.index + 1;
  }
  return found;
}

const idCharsMin = 9;

/** The same text, character for character, with digits, blanks and hyphens as ASCII has them. */
function inPlainDigits(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text;
  return text
    .replace(/[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .replace(/[\u00a0\u2000-\u200a\u202f\u205f\u3000]/g, " ")
    .replace(/[\u2010-\u2015\u2212\ufe63\uff0d]/g, "-");
}

function isLuhn(id: string): boolean {
  const sum = digitsOf(id)
    .toReversed()
    .reduce((total, digit, i) => {
      const doubled = i % 2 === 1 ? digit * 2 : digit;
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
  return sum % 10 === 0;
}

function isTaxId(id: string): boolean {
  // Of the first ten digits one comes twice or three times, and no other does.
  const counts = new Map<string, number>();
  for (const c of id.slice(0, 10)) counts.set(c, (counts.get(c) ?? 0) + 1);
  const repeated = [...counts.values()].filter((n) => n > 1);
  if (repeated.length !== 1 || (repeated[0] ?? 0) > 3) return false;
  let product = 10;
  for (const digit of digitsOf(id.slice(0, 10))) {
    const sum = (digit + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (11 - product) % 10 === Number(id[10]);
}

function isNir(id: string): boolean {
  const number = Number(id.slice(0, 13).replace("2A", "19").replace("2B", "18"));
  return 97 - (number % 97) === Number(id.slice(13));
}

function isDni(id: string): boolean {
  const number = Number(id.slice(0, -1).replace("X", "0").replace("Y", "1").replace("Z", "2"));
  return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] === id.at(-1);
}

const oddValues = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

function isCodiceFiscale(id: string): boolean {
  const sum = [...id.slice(0, 15)].reduce((total, c, i) => {
    const value = /\d/.test(c) ? Number(c) : c.charCodeAt(0) - 65;
    return total + (i % 2 === 0 ? (oddValues[value] ?? 0) : value);
  }, 0);
  return String.fromCharCode(65 + (sum % 26)) === id[15];
}

const isDay = (day: number): boolean => day >= 1 && day <= 31;

function isPersonnummer(id: string): boolean {
  const ten = id.slice(-10);
  const [month, day] = [Number(ten.slice(2, 4)), Number(ten.slice(4, 6))];
  const isCentury = id.length === 10 || /^(?:18|19|20)/.test(id);
  // Those of people who aren't registered have 60 added to the day.
  return isCentury && month >= 1 && month <= 12 && isDay(day > 60 ? day - 60 : day) && isLuhn(ten);
}

function isPesel(id: string): boolean {
  // The month has 80, 0, 20, 40 or 60 added, by the century.
  const month = Number(id.slice(2, 4)) % 20;
  if (month < 1 || month > 12 || !isDay(Number(id.slice(4, 6)))) return false;
  return weighted(id, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0;
}

function isCpf(id: string): boolean {
  const checkOf = (length: number): number => {
    const weights = Array.from({ length }, (_, i) => length + 1 - i);
    return ((weighted(id, weights) * 10) % 11) % 10;
  };
  return isVaried(id) && checkOf(9) === Number(id[9]) && checkOf(10) === Number(id[10]);
}

/** In the dihedral group of ten elements: rotations 0 to 4, reflections 5 to 9. */
function multiplied(a: number, b: number): number {
  if (a < 5) return b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5);
  return b < 5 ? 5 + ((a - b) % 5) : (5 + a - b) % 5;
}

const permutation = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

function isVerhoeff(id: string): boolean {
  const check = digitsOf(id)
    .toReversed()
    .reduce((sum, digit, i) => {
      let value = digit;
      for (let n = i % 8; n > 0; n -= 1) value = permutation[value] ?? 0;
      return multiplied(sum, value);
    }, 0);
  return check === 0;
}
