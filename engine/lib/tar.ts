// bytes of a tar archive <-> files. POSIX ustar with pax paths: what OPA, Go and GNU tar write for plain files.
import { err, ok, type Result } from "./result.ts";

const blockBytes = 512;
const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** Names as `normalizeArchivePath` gives them, in the archive's order. */
export type ArchiveFiles = ReadonlyMap<string, Uint8Array>;

/**
 * `/data.json`, `./data.json` and `data.json` are one name. The error says why a name is refused: it must not be able to
 * leave a folder, nor to look like another one.
 */
export function normalizeArchivePath(name: string): Result<string, string> {
  const plain = name.replace(/^(?:\.?\/)+/, "");
  if (plain === "") return err("an entry has no name");
  if (/[\u0000-\u001f\u007f\\]/.test(plain)) return err("an entry's name has a control character or a backslash");
  const parts = plain.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    return err(`the name \`${plain}\` has an empty part, \`.\` or \`..\``);
  }
  return ok(plain);
}

/** Links, devices, names twice, wrong checksums and a cut end are errors: one lower-case sentence. */
export function readTar(archive: Uint8Array, entriesMax: number): Result<ArchiveFiles, string> {
  const files = new Map<string, Uint8Array>();
  let longName: string | undefined;
  let entries = 0;
  let at = 0;
  while (at + blockBytes <= archive.length) {
    const header = archive.subarray(at, at + blockBytes);
    if (header.every((byte) => byte === 0)) return ok(files);
    at += blockBytes;
    entries += 1;
    if (entries > entriesMax) return err(`the archive has more than ${entriesMax} entries`);
    const entry = readHeader(header);
    if (!entry.ok) return entry;
    const { type, size } = entry.value;
    if (size > archive.length - at) return err("the archive ends in the middle of a file");
    const content = archive.subarray(at, at + size);
    at += Math.ceil(size / blockBytes) * blockBytes;
    if (type === "x") {
      const path = readPaxPath(content);
      if (!path.ok) return path;
      longName = path.value ?? longName;
      continue;
    }
    if (type === "g") continue;
    const rawName = longName ?? entry.value.name;
    longName = undefined;
    if (type === "5") continue;
    if (type !== "0" && type !== "\0") return err("the archive holds something that is neither a file nor a folder");
    const name = normalizeArchivePath(rawName);
    if (!name.ok) return name;
    if (files.has(name.value)) return err(`the archive holds \`${name.value}\` twice`);
    files.set(name.value, content);
  }
  return err("the archive has no end mark: it was cut off");
}

type Header = { readonly name: string; readonly size: number; readonly type: string };

function readHeader(header: Uint8Array): Result<Header, string> {
  const sum = readOctal(header.subarray(148, 156));
  let actual = 0;
  for (const [i, byte] of header.entries()) actual += i >= 148 && i < 156 ? 32 : byte;
  if (sum === undefined || sum !== actual) return err("an entry's checksum is wrong: this is not a tar archive");
  const size = readOctal(header.subarray(124, 136));
  if (size === undefined) return err("an entry's size can't be read");
  const name = readText(header.subarray(0, 100));
  const isUstar = readText(header.subarray(257, 262)) === "ustar";
  const prefix = isUstar ? readText(header.subarray(345, 500)) : "";
  if (name === undefined || prefix === undefined) return err("an entry's name is not UTF-8");
  return ok({
    name: prefix === "" ? name : `${prefix}/${name}`,
    size,
    type: String.fromCharCode(header[156] ?? 0),
  });
}

/** Records `<length> <key>=<value>\n`; only `path` is of use here. A `size` record would belie the header: refused. */
function readPaxPath(content: Uint8Array): Result<string | undefined, string> {
  let path: string | undefined;
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(32, at);
    const length = space < 0 ? Number.NaN : Number(readText(content.subarray(at, space)));
    if (!Number.isInteger(length) || length <= space - at || at + length > content.length) {
      return err("an extended header is damaged");
    }
    const record = readText(content.subarray(space + 1, at + length - 1));
    if (record === undefined) return err("an extended header is not UTF-8");
    if (record.startsWith("path=")) path = record.slice(5);
    if (record.startsWith("size=")) return err("the archive holds a file larger than 8 GB");
    at += length;
  }
  return ok(path);
}

function readText(field: Uint8Array): string | undefined {
  const end = field.indexOf(0);
  try {
    return decoder.decode(end < 0 ? field : field.subarray(0, end));
  } catch {
    return undefined;
  }
}

function readOctal(field: Uint8Array): number | undefined {
  const text = readText(field)?.trim();
  return text !== undefined && /^[0-7]{1,11}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/**
 * Deterministic: entries sorted by name, no times, no owners, mode 0644. Equal files give equal bytes.
 * @throws RangeError when a name is longer than 255 bytes or can't be split for ustar
 */
export function writeTar(files: ArchiveFiles): Uint8Array {
  const names = [...files.keys()].sort();
  const parts: Uint8Array[] = [];
  for (const name of names) {
    const content = files.get(name) ?? new Uint8Array();
    parts.push(writeHeader(name, content.length), content);
    parts.push(new Uint8Array((blockBytes - (content.length % blockBytes)) % blockBytes));
  }
  parts.push(new Uint8Array(2 * blockBytes));
  const archive = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

function writeHeader(path: string, size: number): Uint8Array {
  const header = new Uint8Array(blockBytes);
  const put = (text: string, offset: number): void => header.set(encoder.encode(text), offset);
  const [prefix, name] = splitName(path);
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${size.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\u000000", 257);
  put(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

function splitName(path: string): readonly [prefix: string, name: string] {
  if (encoder.encode(path).length <= 100) return ["", path];
  for (let slash = path.indexOf("/"); slash > 0; slash = path.indexOf("/", slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (encoder.encode(prefix).length <= 155 && encoder.encode(name).length <= 100) return [prefix, name];
  }
  throw new RangeError(`the name \`${path}\` is too long for an archive`);
}
