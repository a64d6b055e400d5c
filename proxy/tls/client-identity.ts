// a client's certificate -> who it is, as gw.yaml says
import type { PeerCertificate } from "node:tls";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { PrincipalKind } from "../../engine/model/principal.ts";
import type { Authenticated, LoginFault } from "../deps.ts";
import { plainAddress } from "../identity/identity-of.ts";

/** One name in the certificate, compared as a whole: `cn`, or a subject alternative name. */
export type CertificateName = { readonly kind: "cn" | "dns" | "uri" | "email"; readonly value: string };

export type CertificateIdentity = {
  readonly name: CertificateName;
  readonly sub: string;
  readonly kind: PrincipalKind;
  readonly groups: readonly string[];
};

export type ClientCertificates = {
  /** `certificate`: it is enough by itself. `both`: a token of the same person has to come with it. */
  readonly login: "certificate" | "both";
  readonly identities: readonly CertificateIdentity[];
};

/** @param certificate was checked against the authorities */
export function identifyCertificate(
  certificate: PeerCertificate,
  identities: readonly CertificateIdentity[],
  clientAddress: string,
): Result<Authenticated, LoginFault> {
  const names = new Set(namesOf(certificate).map(textOf));
  const found = identities.filter(({ name }) => names.has(textOf(name)));
  const subs = new Set(found.map(({ sub }) => sub));
  const [first] = found;
  if (first === undefined || subs.size > 1) {
    return err({
      code: "certificate-unknown",
      message: first
        ? "the client certificate names several identities"
        : "the client certificate names nobody known here",
      hint: "the gateway's operator lists certificates under `tls.clients.identities`",
    });
  }
  return ok({
    identity: {
      sub: first.sub,
      kind: first.kind,
      groups: new Set(first.groups),
      email: undefined,
      ip: plainAddress(clientAddress),
      mfa: false,
      on_behalf_of: undefined,
      claims: {},
    },
    purpose: undefined,
    // The session ends with the certificate.
    expiresAtS: Math.floor(Date.parse(certificate.valid_to) / 1_000),
  });
}

const textOf = ({ kind, value }: CertificateName): string => `${kind}:${value}`;

const alternativeKinds: Readonly<Record<string, CertificateName["kind"]>> = { DNS: "dns", URI: "uri", email: "email" };

/**
 * Node quotes alternative names that hold a separator as JSON text (CVE-2021-44532), so that nobody smuggles one name
 * into another. A subject with several common names has none: it is not clear which one would count.
 */
export function namesOf(certificate: PeerCertificate): readonly CertificateName[] {
  const found: CertificateName[] = [];
  // Declared as text; a subject with two of them gives a list.
  const commonName: unknown = certificate.subject?.CN;
  if (typeof commonName === "string") found.push({ kind: "cn", value: commonName });
  for (const [, kind = "", quoted, plain] of (certificate.subjectaltname ?? "").matchAll(
    /([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?:, |$)/gy,
  )) {
    const known = alternativeKinds[kind];
    const value = quoted === undefined ? plain : decodeQuoted(quoted);
    if (known !== undefined && value !== undefined) found.push({ kind: known, value });
  }
  return found;
}

function decodeQuoted(quoted: string): string | undefined {
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
