// A certificate for a gateway that was given none: clients can encrypt with it, not recognise it.
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP, isIPv6 } from "node:net";

/** PEM texts. */
export type Certificate = { readonly key: string; readonly cert: string };

/**
 * ECDSA P-256, valid from an hour ago for 30 days: a new one is made at each start. One fixed shape of RFC 5280 section
 * 4.1, written as DER here: the library for it needs a polyfill and 200 ms, this needs forty lines and 1 ms.
 */
export function makeSelfSigned(hosts: readonly string[], nowMs: number): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = sequence(set(sequence(oid(commonName), utf8("gatewright"))));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and no leading zeros
  const toBeSigned = sequence(
    tagged(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, serial),
    sequence(oid(ecdsaWithSha256)),
    name,
    sequence(time(nowMs - 3_600_000), time(nowMs + 30 * 86_400_000)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions(hosts))),
  );
  const signature = sign("sha256", toBeSigned, privateKey);
  const certificate = sequence(
    toBeSigned,
    sequence(oid(ecdsaWithSha256)),
    der(0x03, Buffer.concat([Buffer.from([0]), signature])),
  );
  const lines = certificate
    .toString("base64")
    .replaceAll(/(.{64})/g, "$1\n")
    .trimEnd();
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

// Object identifiers, encoded.
const commonName = "550403";
const ecdsaWithSha256 = "2a8648ce3d040302";
const basicConstraints = "551d13";
const subjectAltName = "551d11";

function extensions(hosts: readonly string[]): readonly Buffer[] {
  const names = hosts.map((host) =>
    isIP(host) === 0 ? der(0x82, Buffer.from(host, "ascii")) : der(0x87, addressBytes(host)),
  );
  const isCritical = der(0x01, Buffer.from([0xff]));
  return [
    sequence(oid(basicConstraints), isCritical, der(0x04, sequence())), // not an authority
    sequence(oid(subjectAltName), der(0x04, sequence(...names))),
  ];
}

/** An address in network order; a v6 address is spelt out first. */
function addressBytes(host: string): Buffer {
  if (!isIPv6(host)) return Buffer.from(host.split(".").map(Number));
  const [head = "", tail] = host.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const before = groups(head);
  const after = groups(tail ?? "");
  const middle = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => "0");
  return Buffer.from([...before, ...middle, ...after].map((g) => g.padStart(4, "0")).join(""), "hex");
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
const set = (...parts: readonly Buffer[]): Buffer => der(0x31, Buffer.concat(parts));
const tagged = (tag: number, content: Buffer): Buffer => der(tag, content);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text, "utf8"));

/** UTCTime, which RFC 5280 demands before 2050. */
const time = (ms: number): Buffer =>
  der(
    0x17,
    Buffer.from(
      new Date(ms).toISOString().replace(/^\d\d(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d).*$/, "$1$2$3$4$5$6Z"),
      "ascii",
    ),
  );
