// A disk that a test can fill: a tmpfs of its own. Needs root on Linux; elsewhere the tests that use it are skipped.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const mount = (...args: readonly string[]): boolean => spawnSync("mount", args).status === 0;

export const canMakeSmallDisk: boolean = (() => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "gw-mount-"));
  const isMounted = mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder);
  if (isMounted) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true });
  return isMounted;
})();

/** For `skip` of a test: false where it can run, else why it can't, which the report shows. */
export const needsSmallDisk: string | false =
  !canMakeSmallDisk && "no disk could be made to fill up: it needs Linux, root and the right to mount a tmpfs";

/** `size` as mount takes it: `256k`. Gone after the test file at the latest. */
export function makeSmallDisk(
  folder: string,
  size: string,
): { readonly grow: (to: string) => void; readonly remove: () => void } {
  mkdirSync(folder, { recursive: true });
  if (!mount("-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder)) throw new Error("tmpfs can't be mounted");
  // Lazily: a test that failed may have files open there.
  const remove = (): void => void spawnSync("umount", ["-l", folder], { stdio: "ignore" });
  after(remove);
  return {
    grow: (to) => {
      if (!mount("-o", `remount,size=${to}`, folder)) throw new Error("tmpfs can't be remounted");
    },
    remove,
  };
}
