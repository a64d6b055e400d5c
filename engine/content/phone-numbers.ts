// The door to libphonenumber-js: telephone numbers in a text.
import { findPhoneNumbersInText } from "libphonenumber-js/max";

/** Numbers with a country code: without one nobody knows which digits are a number. */
export const findPhones = (text: string): readonly { readonly start: number; readonly end: number }[] =>
  findPhoneNumbersInText(text).map(({ startsAt, endsAt }) => ({ start: startsAt, end: endsAt }));
