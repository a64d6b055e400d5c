// The door to ibantools: where an IBAN ends, and whether its check digits are right.
import { countrySpecs, isValidIBAN } from "ibantools";

const lengths: ReadonlyMap<string, number> = new Map(
  Object.entries(countrySpecs).flatMap(([country, { chars }]): readonly [string, number][] =>
    typeof chars === "number" && chars > 0 ? [[country, chars]] : [],
  ),
);

/** Characters of an IBAN of the country, without blanks; undefined for a country that has none. */
export const ibanLength = (country: string): number | undefined => lengths.get(country);

/** `iban` without blanks, in capital letters. */
export const isIban = (iban: string): boolean => isValidIBAN(iban);
