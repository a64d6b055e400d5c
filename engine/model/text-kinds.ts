/** Kinds of text that `mask … of text "…"` names: what to look for in an answer that has no structure. */
export const textKinds = {
  email: "an e-mail address",
  phone: "a telephone number with its country code",
  iban: "an international bank account number whose check digits are right",
  card: "a payment card number whose check digit is right",
  ssn: "a social security number of the United States",
  ip: "an IPv4 or IPv6 address",
  jwt: "a JSON web token",
  api_key: "a key of a well-known service, told by its prefix",
  private_key: "a private key in PEM",
} as const;

export type TextKind = keyof typeof textKinds;
