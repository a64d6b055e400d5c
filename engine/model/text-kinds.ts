/** Kinds of text that `mask … of text "…"` names: what to look for in an answer that has no structure. */
export const textKinds = {
  email: "an e-mail address",
  phone: "a telephone number with its country code",
  iban: "an international bank account number whose check digits are right",
  card: "a payment card number whose check digit is right",
  ssn: "a social security number of the United States",
  national_id: "any of the national identifiers below, or `ssn`",
  gb_nhs: "an NHS number of the United Kingdom whose check digit is right",
  gb_nino: "a national insurance number of the United Kingdom",
  de_tax_id: "a German tax identification number whose check digit is right",
  fr_nir: "a French NIR (INSEE number) whose key is right",
  es_dni: "a Spanish DNI or NIE whose letter is right",
  it_cf: "an Italian codice fiscale whose check letter is right",
  nl_bsn: "a Dutch BSN that passes the eleven-proof",
  se_personnummer: "a Swedish personal or coordination number whose date and check digit are right",
  pl_pesel: "a Polish PESEL whose date and check digit are right",
  br_cpf: "a Brazilian CPF whose two check digits are right",
  in_aadhaar: "an Indian Aadhaar number whose check digit is right",
  ca_sin: "a Canadian social insurance number whose check digit is right",
  ip: "an IPv4 or IPv6 address",
  jwt: "a JSON web token",
  api_key: "a key of a well-known service, told by its prefix",
  private_key: "a private key in PEM",
} as const;

export type TextKind = keyof typeof textKinds;
