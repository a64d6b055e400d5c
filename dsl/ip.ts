// IP addresses and blocks as numbers. IPv4 mapped into IPv6 (::ffff:10.0.0.1) counts as IPv4: it is the same peer.

export type Ip = { readonly version: 4 | 6; readonly bits: bigint };
export type Cidr = { readonly text: string; readonly version: 4 | 6; readonly network: bigint; readonly shift: bigint };

/** undefined for anything that isn't exactly one address: no zone, no port, no leading zeros. */
export function parseIp(text: string): Ip | undefined {
  const v4 = parseV4(text);
  if (v4 !== undefined) return { version: 4, bits: v4 };
  const bits = parseV6(text);
  if (bits === undefined) return undefined;
  return bits >> 32n === 0xffffn ? { version: 4, bits: bits & 0xffffffffn } : { version: 6, bits };
}

export function parseCidr(text: string): Cidr | undefined {
  const match = /^([0-9a-fA-F.:]+)\/([0-9]{1,3})$/.exec(text);
  const ip = parseIp(match?.[1] ?? "");
  if (!match || !ip) return undefined;
  const width = ip.version === 4 ? 32 : 128;
  const prefix = Number(match[2]);
  if (prefix > width) return undefined;
  const shift = BigInt(width - prefix);
  const network = ip.bits >> shift;
  // Host bits that are set are a slip: 10.1.0.0/8 looks like a narrower block than it is.
  return network << shift === ip.bits ? { text, version: ip.version, network, shift } : undefined;
}

export const isInCidr = (ip: Ip, cidr: Cidr): boolean =>
  ip.version === cidr.version && ip.bits >> cidr.shift === cidr.network;

function parseV4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let bits = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bits = (bits << 8n) | BigInt(part);
  }
  return bits;
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "");
  const tail = halves.length === 2 ? groups(halves[1] ?? "") : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...new Array<bigint>(missing).fill(0n), ...tail].reduce((bits, group) => (bits << 16n) | group, 0n);
}

function groups(text: string): readonly bigint[] | undefined {
  if (text === "") return [];
  const out: bigint[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    const v4 = i === parts.length - 1 && part.includes(".") ? parseV4(part) : undefined;
    if (v4 !== undefined) out.push(v4 >> 16n, v4 & 0xffffn);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return out;
}
