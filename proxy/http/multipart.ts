// multipart/form-data <-> parts (the door to @fastify/busboy)
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import busboy from "@fastify/busboy";

export type Part = {
  readonly name: string;
  readonly filename: string | undefined;
  readonly contentType: string;
  readonly bytes: Uint8Array;
};

const partsMax = 1_000;

/** Undefined for what isn't whole and well formed. */
export function readMultipart(contentType: string, body: Uint8Array): Promise<readonly Part[] | undefined> {
  return new Promise((resolve) => {
    const parts: Part[] = [];
    let isBroken = false;
    const fail = (): void => {
      isBroken = true;
      resolve(undefined);
    };
    try {
      const parser = new busboy.Busboy({
        headers: { "content-type": contentType },
        // Every part is a stream: fields would be decoded by their own charset.
        isPartAFile: () => true,
        preservePath: true,
        limits: {
          parts: partsMax,
          files: partsMax,
          fieldNameSize: 1_000,
          headerPairs: 20,
          fileSize: body.byteLength + 1,
        },
      });
      parser.on("file", (name, stream, filename, encoding, type) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("limit", fail);
        stream.on("error", fail);
        stream.on("end", () => {
          if (name === undefined || /^(?:base64|quoted-printable)$/i.test(encoding)) fail();
          else
            parts.push({
              name,
              filename: filename === "" ? undefined : filename,
              contentType: type,
              bytes: Buffer.concat(chunks),
            });
        });
      });
      parser.on("partsLimit", fail);
      parser.on("filesLimit", fail);
      parser.on("error", fail);
      parser.on("finish", () => {
        if (!isBroken) resolve(parts);
      });
      Readable.from([body], { objectMode: false }).pipe(parser);
    } catch {
      fail();
    }
  });
}

/** Written anew: names and file names of printable ASCII only, so that nobody reads a quote or a line end in them. */
export function renderMultipart(
  parts: readonly Part[],
): { readonly contentType: string; readonly bytes: Uint8Array } | undefined {
  const isPlain = (text: string): boolean => /^[ !#-[\]-~]*$/.test(text);
  const boundary = `gw-${randomBytes(18).toString("hex")}`;
  const chunks: Buffer[] = [];
  for (const { name, filename, contentType, bytes } of parts) {
    if (!isPlain(name) || !isPlain(filename ?? "") || !/^[\w!#$&^.+/; =-]*$/.test(contentType)) return undefined;
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    const type = filename === undefined ? "" : `content-type: ${contentType}\r\n`;
    chunks.push(
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n${type}\r\n`),
      Buffer.from(bytes),
      Buffer.from("\r\n"),
    );
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`));
  return { contentType: `multipart/form-data; boundary=${boundary}`, bytes: Buffer.concat(chunks) };
}
