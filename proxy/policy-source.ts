// Where policies come from: a folder that is watched, or a bundle that is fetched. What is read is judged by the holder.
import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ArchiveFiles } from "../engine/lib/tar.ts";
import { limits } from "../engine/limits.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { Log } from "./deps.ts";
import { causeCode, GatewayError } from "./errors.ts";

/** The files of a bundle (policies, JSON documents, manifest.yaml): paths relative to the folder, with `/`, sorted. */
export type BundleFiles = ReadonlyMap<string, string>;

export type PolicyInput = {
  readonly files: BundleFiles;
  /** Shown before the paths of files: a folder, or where a bundle came from. */
  readonly root: string;
  /** Tells one state of the source from another. */
  readonly digest: string;
  /** All of a bundle, where it is one: a Rego module lies beside the policies. */
  readonly archive?: ArchiveFiles;
  /** The bundle as it came. */
  readonly packed?: Uint8Array;
  readonly serial?: number | undefined;
};

export type PolicySource = {
  /** For people: `policies`, `https://control.example/bundles/gw.tar.gz`. */
  readonly name: string;
  /** It may be out of reach, or hold what somebody else broke: the policies in force go on, over a restart too. */
  readonly isRemote?: boolean;
  /** @throws GatewayError when there is nothing, or nothing that may be used */
  readonly read: () => Promise<PolicyInput>;
  /** Tells of changes, not of what changed. The answer stops it. */
  readonly watch: (onChange: () => void) => () => void;
  /** What this source gave is in force now. */
  readonly accepted?: (input: PolicyInput, policies: PolicySet) => Promise<void>;
  /** What was in force last, for a start at which `read` gives nothing that compiles. */
  readonly lastGood?: () => Promise<PolicyInput | undefined>;
  /** What this source has to say of itself in the status. */
  readonly status?: () => SourceStatus;
};

export type SourceStatus = {
  /** SHA-256 of the bundle that an operator chose, in place of the source's newest. */
  readonly pinned?: string | undefined;
  /** The newest attempt to fetch; `error` is one sentence. */
  readonly fetched?: { readonly atMs: number; readonly error: string | undefined } | undefined;
};

/** A folder, watched. */
export function folderSource(folder: string, log: Log): PolicySource {
  return {
    name: folder,
    read: async () => {
      const files = await readBundleFiles(folder);
      return { files, root: folder, digest: digestOf(files) };
    },
    watch: (onChange) => watchFolder(folder, log, onChange),
  };
}

/** 64 hex digits. */
function digestOf(files: BundleFiles): string {
  const digest = createHash("sha256");
  for (const [path, text] of files) digest.update(`${path.length}:${path}${text.length}:${text}`);
  return digest.digest("hex");
}

/**
 * The `.policy` and `.json` files of a folder and its manifest, hidden ones and `node_modules` left out.
 * @throws GatewayError `config-unreadable`, naming the file
 */
export async function readBundleFiles(folder: string): Promise<BundleFiles> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(folder, error);
  });
  const paths = names
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .filter(isPolicyFile)
    .sort();
  const files = new Map<string, string>();
  for (const path of paths) {
    const full = join(folder, path);
    try {
      if ((await stat(full)).size > limits.policyFileBytesMax * (path.endsWith(".json") ? 64 : 1)) {
        throw new GatewayError("policy-rejected", `\`${full}\` is larger than a policy file may be`);
      }
      files.set(path, await readFile(full, "utf8"));
    } catch (error) {
      throw error instanceof GatewayError ? error : unreadable(full, error);
    }
  }
  return files;
}

/** Hidden files and those below `node_modules` are none. `path`: with `/`. */
export const isPolicyFile = (path: string): boolean =>
  (/\.(?:policy|json)$/.test(path) || /(?:^|\/)manifest\.yaml$/.test(path)) &&
  !path.split("/").some((part) => part.startsWith(".") || part === "node_modules");

const unreadable = (path: string, error: unknown): GatewayError =>
  new GatewayError(
    "config-unreadable",
    `\`${path}\` can't be read: ${causeCode(error)}`,
    "check the path and its permissions",
  );

/** Editors save in several steps: the last event of a burst counts. A slow poll covers file systems without events. */
function watchFolder(folder: string, log: Log, onChange: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let watcher: FSWatcher | undefined;
  const debounced = (): void => {
    clearTimeout(timer);
    timer = setTimeout(onChange, limits.policyReloadDebounceMs);
    timer.unref();
  };
  try {
    watcher = watch(folder, { recursive: true, persistent: false }, debounced);
    watcher.on("error", (error) => log.warn({ code: causeCode(error) }, "watching the policy folder stopped"));
  } catch (error) {
    log.warn({ code: causeCode(error) }, "the policy folder can't be watched: it is polled");
  }
  const poll = setInterval(onChange, limits.policyPollMs);
  poll.unref();
  return () => {
    clearTimeout(timer);
    clearInterval(poll);
    watcher?.close();
  };
}
