// certificate files -> what a port encrypts with, read again when they change
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createSecureContext } from "node:tls";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import type { Clock } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { Reloadable } from "../reload.ts";
import type { TlsMaterial } from "./server-tls.ts";

/** Paths. */
export type CertificateFiles = {
  readonly certificate: string;
  readonly key: string;
  readonly clients?: { readonly ca: string; readonly isRequired: boolean };
};

/** What the files hold, if a port could use it now; else why not. Never a word of the key. */
export async function readMaterial(files: CertificateFiles, nowMs: number): Promise<Result<TlsMaterial, string>> {
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      throw new Unusable(`\`${path}\` can't be read: ${causeCode(error)}`);
    }
  };
  try {
    const cert = await read(files.certificate);
    const key = await read(files.key);
    const clients = files.clients && { ca: await read(files.clients.ca), isRequired: files.clients.isRequired };
    const material = { cert, key, ...(clients === undefined ? {} : { clients }) };
    check(material, files, nowMs);
    return ok(material);
  } catch (error) {
    return err(
      error instanceof Unusable ? error.message : `\`${files.certificate}\` can't be used: ${causeCode(error)}`,
    );
  }
}

class Unusable extends Error {}

/** @throws Unusable, or what OpenSSL says */
function check(material: TlsMaterial, files: CertificateFiles, nowMs: number): void {
  const leaf = new X509Certificate(material.cert);
  if (!leaf.checkPrivateKey(createPrivateKey(material.key))) {
    throw new Unusable(`\`${files.key}\` isn't the key of \`${files.certificate}\``);
  }
  if (Date.parse(leaf.validTo) <= nowMs) throw new Unusable(`\`${files.certificate}\` ended on ${leaf.validTo}`);
  if (Date.parse(leaf.validFrom) > nowMs + limits.clockSkewMs) {
    throw new Unusable(`\`${files.certificate}\` isn't valid before ${leaf.validFrom}`);
  }
  if (material.clients && !/-----BEGIN CERTIFICATE-----/.test(material.clients.ca)) {
    throw new Unusable(`\`${files.clients?.ca}\` holds no certificate`);
  }
  createSecureContext({ key: material.key, cert: material.cert, ca: material.clients?.ca });
}

/** `take` is called with what is new. A bad new certificate keeps the old one. */
export function certificateReloadable(
  name: string,
  files: CertificateFiles,
  first: TlsMaterial,
  take: (material: TlsMaterial) => void,
  clock: Clock,
): Reloadable {
  let digest = digestOf(first);
  let next: { readonly digest: string; readonly material: TlsMaterial | undefined } | undefined;
  return {
    name: `certificate of ${name}`,
    prepare: async () => {
      const read = await readMaterial(files, clock.nowMs());
      const nextDigest = read.ok ? digestOf(read.value) : createHash("sha256").update(read.error).digest("hex");
      next = undefined;
      if (nextDigest === digest) return { state: "unchanged", digest };
      next = { digest: nextDigest, material: read.ok ? read.value : undefined };
      if (read.ok) return { state: "ready", digest: nextDigest };
      return { state: "rejected", digest: nextDigest, message: read.error };
    },
    settle: (isTaken) => {
      const staged = next;
      next = undefined;
      if (staged === undefined || (staged.material !== undefined && !isTaken)) return;
      digest = staged.digest;
      if (staged.material !== undefined) take(staged.material);
    },
  };
}

const digestOf = ({ cert, key, clients }: TlsMaterial): string =>
  createHash("sha256")
    .update(`${cert}\0${key}\0${clients?.ca ?? ""}`)
    .digest("hex");

/** Tells of changes in the files' folders: certificates are put in place by renames, often of a link above them. */
export function watchCertificates(files: CertificateFiles, onChange: () => void): () => void {
  const folders = new Set([files.certificate, files.key, ...(files.clients ? [files.clients.ca] : [])].map(dirname));
  const watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(onChange, limits.policyReloadDebounceMs);
    timer.unref();
  };
  for (const folder of folders) {
    try {
      watchers.push(watch(folder, { persistent: false }, soon).on("error", () => undefined));
    } catch {
      // No events here: the poll sees it.
    }
  }
  const poll = setInterval(onChange, limits.policyPollMs);
  poll.unref();
  return () => {
    clearTimeout(timer);
    clearInterval(poll);
    for (const watcher of watchers) watcher.close();
  };
}
