// The door to ibantools: where an IBAN ends, and whether its check digits are right.
import { countrySpecs, isValidIBAN } from "ibantools";

/** Characters of an IBAN of the country, without blanks; undefined for a country that has none. */
export function ibanLength(country: string): number | undefined {
  const length = Object.entries(countrySpecs).find(([code]) => code === country)?.[1].chars;
  return typeof length === "number" && length > 0 ? length : undefined;
}

/** `iban` without blanks, in capital letters. */
export const isIban = (iban: string): boolean => isValidIBAN(iban);
