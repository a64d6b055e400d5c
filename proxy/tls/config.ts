// `tls` of a PostgreSQL connection in gw.yaml -> what its port encrypts with, and which certificates it takes
import { X509Certificate } from "node:crypto";
import type { ConfigReader, Path } from "../config-reader.ts";
import { causeCode } from "../errors.ts";
import type { ClientTls } from "../gateway-config.ts";
import { z } from "../schema.ts";
import type { CertificateFiles } from "./certificate-files.ts";
import type { CertificateName, ClientCertificates } from "./client-identity.ts";

const identitySchema = z
  .strictObject({
    cn: z.string().min(1).optional(),
    dns: z.string().min(1).optional(),
    uri: z.string().min(1).optional(),
    email: z.string().min(1).optional(),
    sub: z.string().min(1),
    kind: z.enum(["human", "agent", "service"]),
    groups: z.array(z.string()).default([]),
  })
  .refine((row) => namesIn(row).length === 1, "name the certificate by exactly one of `cn`, `dns`, `uri`, `email`");

export const clientsSchema = z.strictObject({
  ca: z.string().min(1),
  required: z.boolean().default(true),
  login: z.enum(["certificate", "both"]).default("certificate"),
  identities: z.array(identitySchema).min(1),
});

export const tlsSchema = z.union([
  z.literal("off"),
  z.literal("self-signed"),
  z.strictObject({
    certificate: z.string().optional(),
    key: z.string().optional(),
    required: z.boolean().default(true),
    clients: clientsSchema.optional(),
  }),
]);

export type BuiltTls = {
  readonly tls: ClientTls;
  /** Where the certificate lies, to be read again when it changes. */
  readonly tlsFiles?: CertificateFiles;
  readonly clientCertificates?: ClientCertificates;
};

export function buildTls(parsed: z.infer<typeof tlsSchema>, path: Path, at: ConfigReader): BuiltTls {
  if (parsed === "off") return { tls: { kind: "off" } };
  if (parsed === "self-signed") return { tls: { kind: "self-signed", isRequired: true } };
  const { certificate, key, clients } = parsed;
  if (certificate === undefined && key === undefined && clients === undefined) {
    return { tls: { kind: "self-signed", isRequired: parsed.required } };
  }
  if (certificate === undefined || key === undefined) {
    at.complain(path, "`certificate` and `key` belong together: give both, or neither for a self-signed one");
    return { tls: { kind: "off" } };
  }
  const caPath = [...path, "clients", "ca"];
  const ca = clients && at.file(clients.ca, caPath);
  if (ca !== undefined && ca !== "") checkAuthorities(ca, caPath, at);
  const taken = clients && ca !== undefined ? { ca, isRequired: clients.required } : undefined;
  return {
    tls: {
      kind: "files",
      certificate: at.file(certificate, [...path, "certificate"]),
      key: at.file(key, [...path, "key"]),
      isRequired: parsed.required,
      ...(taken === undefined ? {} : { clients: taken }),
    },
    tlsFiles: {
      certificate: at.path(certificate),
      key: at.path(key),
      ...(clients === undefined ? {} : { clients: { ca: at.path(clients.ca), isRequired: clients.required } }),
    },
    ...(clients === undefined ? {} : { clientCertificates: certificatesOf(clients) }),
  };
}

function checkAuthorities(ca: string, path: Path, at: ConfigReader): void {
  try {
    new X509Certificate(ca);
  } catch (error) {
    at.complain(path, `this holds no certificate of an authority: ${causeCode(error)}`);
  }
}

const certificatesOf = ({ login, identities }: z.infer<typeof clientsSchema>): ClientCertificates => ({
  login,
  identities: identities.flatMap((row) =>
    namesIn(row).map((name) => ({ name, sub: row.sub, kind: row.kind, groups: row.groups })),
  ),
});

type Row = Readonly<Partial<Record<CertificateName["kind"], string | undefined>>>;

function namesIn(row: Row): readonly CertificateName[] {
  const kinds = ["cn", "dns", "uri", "email"] as const;
  return kinds.flatMap((kind) => {
    const value = row[kind];
    return value === undefined ? [] : [{ kind, value }];
  });
}
