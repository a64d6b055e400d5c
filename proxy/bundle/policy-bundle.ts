// files of a policy folder <-> one archive: deterministic, with a manifest that OPA's tools can read
import { createHash } from "node:crypto";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { ArchiveFiles } from "../../engine/lib/tar.ts";
import { limits } from "../../engine/limits.ts";
import { type BundleFiles, isPolicyFile } from "../policy-source.ts";
import { z } from "../schema.ts";
import { type SignatureAlgorithm, verifyBundle } from "./signature.ts";

export const manifestPath = ".manifest";

/** What a bundle says of itself. */
export type BundleManifest = {
  readonly revision: string;
  /** Grows with each build; a gateway takes none that is lower than one it has had. undefined: it tells by content alone. */
  readonly serial: number | undefined;
  /** `sha256:…` of the compiled policies, as decisions name it. undefined: made by other tools. */
  readonly policyHash: string | undefined;
  /** Where it was built from, as the builder said: a commit, an address. */
  readonly builtFrom: string | undefined;
};

export type PolicyBundle = {
  readonly manifest: BundleManifest;
  /** `.policy`, `.json` and manifest.yaml, as a folder has them. */
  readonly files: BundleFiles;
  /** All of it. */
  readonly archive: ArchiveFiles;
  /** SHA-256 of the packed bytes, 64 hex digits. */
  readonly digest: string;
};

export type TrustedKey = { readonly key: string; readonly algorithm: SignatureAlgorithm };

/** The same files give the same bytes. `others`: files that aren't text of a policy folder, such as policy.wasm. */
export function packBundle(files: BundleFiles, manifest: BundleManifest, others: ArchiveFiles = new Map()): Uint8Array {
  return writeArchive(bundleFiles(files, manifest, others));
}

/** In the archive's order. OPA's own keys come first, ours are in `metadata`. */
export function bundleFiles(files: BundleFiles, manifest: BundleManifest, others: ArchiveFiles): ArchiveFiles {
  const { revision, serial, policyHash, builtFrom } = manifest;
  const gatewright = { format: 1, serial, policy_hash: policyHash, built_from: builtFrom };
  const wasm = others.get(manifestPath);
  const known: unknown = wasm === undefined ? {} : JSON.parse(new TextDecoder().decode(wasm));
  const json = { ...Object(known), revision, roots: [""], metadata: { gatewright } };
  const encoder = new TextEncoder();
  const all = new Map<string, Uint8Array>([...others]);
  for (const [path, text] of files) all.set(path, encoder.encode(text));
  all.set(manifestPath, encoder.encode(`${JSON.stringify(json)}\n`));
  return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The error is one sentence. With `trusted`, nothing of a bundle that this key didn't sign is looked at. */
export async function openBundle(
  packed: Uint8Array,
  trusted: TrustedKey | undefined,
): Promise<Result<PolicyBundle, string>> {
  const archive = readArchive(packed, {
    packedBytesMax: limits.bundleBytesMax,
    unpackedBytesMax: limits.bundleUnpackedBytesMax,
    entriesMax: limits.bundleEntriesMax,
  });
  if (!archive.ok) return archive;
  const vouched = trusted && (await verifyBundle(archive.value, trusted.key, trusted.algorithm));
  if (vouched && !vouched.ok) return vouched;
  const manifest = readManifest(archive.value.get(manifestPath));
  if (!manifest.ok) return manifest;
  const files = textFiles(archive.value);
  if (!files.ok) return files;
  const digest = createHash("sha256").update(packed).digest("hex");
  return ok({ manifest: manifest.value, files: files.value, archive: archive.value, digest });
}

const manifestSchema = z.looseObject({
  revision: z.string().max(200).default(""),
  metadata: z
    .looseObject({
      gatewright: z
        .looseObject({
          format: z.literal(1),
          serial: z.int().min(0).optional(),
          policy_hash: z.string().max(100).optional(),
          built_from: z.string().max(500).optional(),
        })
        .optional(),
    })
    .optional(),
});

/** Of an archive that `openBundle` accepted. */
export function revisionOf(archive: ArchiveFiles): string | undefined {
  const manifest = readManifest(archive.get(manifestPath));
  return manifest.ok && manifest.value.revision !== "" ? manifest.value.revision : undefined;
}

function readManifest(bytes: Uint8Array | undefined): Result<BundleManifest, string> {
  if (bytes === undefined) return ok({ revision: "", serial: undefined, policyHash: undefined, builtFrom: undefined });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return err("`.manifest` is not JSON in UTF-8");
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    return err(`\`.manifest\`: \`${parsed.error.issues[0]?.path.join(".") ?? ""}\` is not what a manifest has there`);
  }
  const { revision, metadata } = parsed.data;
  const own = metadata?.gatewright;
  return ok({ revision, serial: own?.serial, policyHash: own?.policy_hash, builtFrom: own?.built_from });
}

function textFiles(archive: ArchiveFiles): Result<BundleFiles, string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const files = new Map<string, string>();
  for (const path of [...archive.keys()].sort()) {
    if (!isPolicyFile(path)) continue;
    const bytes = archive.get(path) ?? new Uint8Array();
    if (bytes.length > limits.policyFileBytesMax * (path.endsWith(".json") ? 64 : 1)) {
      return err(`\`${path}\` is larger than a policy file may be`);
    }
    try {
      files.set(path, decoder.decode(bytes));
    } catch {
      return err(`\`${path}\` is not UTF-8`);
    }
  }
  return ok(files);
}
