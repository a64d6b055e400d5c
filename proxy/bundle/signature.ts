// files of a bundle + key -> .signatures.json, and back: who vouches for exactly these files. OPA's own format.
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { ArchiveFiles } from "../../engine/lib/tar.ts";
import { signCompact, verifyCompact } from "../identity/jose.ts";
import { hashFile } from "./file-hash.ts";

export const signaturesName = ".signatures.json";

/** Asymmetric ones only: who can verify must not be able to sign. */
export const signatureAlgorithms = ["RS256", "PS256", "ES256", "EdDSA"] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

type FileEntry = { readonly name: string; readonly hash: string; readonly algorithm: "SHA-256" };

/** The bundle with its `.signatures.json`, an old one replaced. `key`: PKCS #8 PEM; `keyId` is for the reader only. */
export async function signBundle(
  files: ArchiveFiles,
  key: string,
  algorithm: SignatureAlgorithm,
  keyId: string,
): Promise<Result<ArchiveFiles, string>> {
  const entries: FileEntry[] = [];
  for (const name of signedNames(files)) {
    const hash = hashFile(name, files.get(name) ?? new Uint8Array());
    if (!hash.ok) return hash;
    entries.push({ name, hash: hash.value, algorithm: "SHA-256" });
  }
  const payload = new TextEncoder().encode(JSON.stringify({ files: entries, keyid: keyId }));
  const jws = await signCompact(payload, key, algorithm, keyId);
  if (!jws.ok) return jws;
  const signatures = new TextEncoder().encode(`${JSON.stringify({ signatures: [jws.value] })}\n`);
  return ok(new Map([...files, [signaturesName, signatures]]));
}

/** Nothing when the one signature is by this key and names every file, each with its hash. `key`: SPKI PEM. */
export async function verifyBundle(
  files: ArchiveFiles,
  key: string,
  algorithm: SignatureAlgorithm,
): Promise<Result<undefined, string>> {
  const bytes = files.get(signaturesName);
  if (bytes === undefined) return err("the bundle is not signed");
  const jws = readJws(bytes);
  if (jws === undefined) return err(`\`${signaturesName}\` must hold exactly one signature`);
  const payload = await verifyCompact(jws, key, algorithm);
  if (!payload.ok) return payload;
  const signed = readEntries(payload.value);
  if (signed === undefined) return err("the signature doesn't list files with SHA-256 hashes");
  for (const name of signedNames(files)) {
    const wanted = signed.get(name);
    if (wanted === undefined) return err(`\`${name}\` is not covered by the signature`);
    const hash = hashFile(name, files.get(name) ?? new Uint8Array());
    if (!hash.ok) return hash;
    if (hash.value !== wanted) return err(`\`${name}\` was changed after it was signed`);
    signed.delete(name);
  }
  const [missing] = signed.keys();
  return missing === undefined ? ok(undefined) : err(`\`${missing}\` was signed and is missing`);
}

const signedNames = (files: ArchiveFiles): readonly string[] =>
  [...files.keys()].filter((name) => name !== signaturesName).sort();

function readJws(bytes: Uint8Array): string | undefined {
  const json = parse(bytes);
  const list: unknown = typeof json === "object" && json !== null ? Reflect.get(json, "signatures") : undefined;
  const [first]: readonly unknown[] = Array.isArray(list) && list.length === 1 ? list : [];
  return typeof first === "string" ? first : undefined;
}

function readEntries(payload: Uint8Array): Map<string, string> | undefined {
  const json = parse(payload);
  const list: unknown = typeof json === "object" && json !== null ? Reflect.get(json, "files") : undefined;
  if (!Array.isArray(list)) return undefined;
  const entries = new Map<string, string>();
  for (const item of list) {
    const { name, hash, algorithm }: { name?: unknown; hash?: unknown; algorithm?: unknown } = Object(item);
    if (typeof name !== "string" || typeof hash !== "string" || algorithm !== "SHA-256") return undefined;
    if (entries.has(name)) return undefined;
    entries.set(name, hash);
  }
  return entries;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
