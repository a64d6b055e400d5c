// bytes of a .tar.gz <-> files, bounded on the way in, deterministic on the way out.
import { constants, gunzipSync, gzipSync } from "node:zlib";
import { err, type Result } from "./result.ts";
import { type ArchiveFiles, readTar, writeTar } from "./tar.ts";

export type ArchiveBounds = {
  readonly packedBytesMax: number;
  readonly unpackedBytesMax: number;
  readonly entriesMax: number;
};

export function readArchive(packed: Uint8Array, bounds: ArchiveBounds): Result<ArchiveFiles, string> {
  if (packed.length > bounds.packedBytesMax) return err(`the archive is larger than ${bounds.packedBytesMax} bytes`);
  let unpacked: Uint8Array;
  try {
    unpacked = gunzipSync(packed, { maxOutputLength: bounds.unpackedBytesMax });
  } catch (error) {
    const isTooLarge = error instanceof RangeError;
    return err(
      isTooLarge
        ? `the archive unpacks to more than ${bounds.unpackedBytesMax} bytes`
        : "this is not a whole gzip archive",
    );
  }
  return readTar(unpacked, bounds.entriesMax);
}

/** zlib writes no time and no name; the system byte differs between platforms and is set to "unknown". */
export function writeArchive(files: ArchiveFiles): Uint8Array {
  const packed = gzipSync(writeTar(files), { level: constants.Z_BEST_COMPRESSION });
  packed[9] = 255;
  return packed;
}
