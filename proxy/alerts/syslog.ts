// alert -> RFC 5424 line -> UDP (RFC 5426), TCP (RFC 6587, octets counted) or TLS (RFC 5425)
import { createSocket } from "node:dgram";
import { connect, isIP, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Address } from "../gateway-config.ts";
import { type AlertMessage, lineOf, severityOf } from "./alert-message.ts";

/** Facility `security/authorization` (10), RFC 5424 section 6.2.1. */
const facility = 10;
const severities = { critical: 2, error: 3, warning: 4, info: 6 } as const;

/** A datagram that any path carries; the structured data comes first, so that a cut takes of the words. */
const udpBytesMax = 1_200;

/** `<PRI>1 TIME HOST gatewright - MSGID [SD] message`. Control characters of a message become spaces: a line stays a line. */
export function syslogLine(alert: AlertMessage): string {
  const priority = facility * 8 + severities[severityOf(alert)];
  const data = Object.entries({
    rule: alert.rule,
    channel: alert.channel,
    principal: alert.principal,
    connection: alert.connection,
    session: alert.session,
    decision: alert.decisionId,
    count: String(alert.count),
  })
    .map(([name, value]) => `${name}="${paramValue(value)}"`)
    .join(" ");
  const time = new Date(alert.atMs).toISOString();
  // 32473 is the enterprise number of examples (RFC 5612): we have none of our own.
  return `<${priority}>1 ${time} ${header(alert.node, 255)} gatewright - ${header(alert.id, 32)} [gw@32473 ${data}] ${plain(lineOf(alert))}`;
}

const plain = (text: string): string => text.replaceAll(/\p{Cc}/gu, " ");
const paramValue = (text: string): string => plain(text).replaceAll(/["\\\]]/g, "\\$&");
const header = (text: string, max: number): string => text.replaceAll(/[^\x21-\x7e]/g, "-").slice(0, max) || "-";

/** @throws when it can't be sent; what UDP loses on its way nobody learns */
export function sendUdp({ host, port }: Address, line: string): Promise<void> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  return new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.send(Buffer.from(line, "utf8").subarray(0, udpBytesMax), port, host, (error) => {
      if (error) reject(error);
      else resolve();
    });
  }).finally(() => socket.close());
}

/** One connection per message: alerts are rare, and a connection that was idle for hours is often dead. */
export function sendTcp({ host, port }: Address, line: string, signal: AbortSignal): Promise<void> {
  return sendCounted(connect({ host, port, signal }), "connect", line);
}

/** The server's certificate must be good and of this host: an alert says who did what. `ca`: PEM, in place of the system's. */
export function sendTls(
  { host, port }: Address,
  ca: string | undefined,
  line: string,
  signal: AbortSignal,
): Promise<void> {
  // A name is told to the server, an address isn't (RFC 6066 section 3); either way the certificate is checked for it.
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = connectTls({ host, port, minVersion: "TLSv1.2", ...name, ...(ca === undefined ? {} : { ca }) });
  const stop = (): void => void socket.destroy(new Error("aborted"));
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  return sendCounted(socket, "secureConnect", line).finally(() => signal.removeEventListener("abort", stop));
}

/** `MSG-LEN SP SYSLOG-MSG`, the same in RFC 6587 and RFC 5425. */
function sendCounted(socket: Socket, ready: "connect" | "secureConnect", line: string): Promise<void> {
  const bytes = Buffer.from(line, "utf8");
  return new Promise((resolve, reject) => {
    let isSent = false;
    socket.once("error", reject);
    // A connection that is closed before it was ready took nothing.
    socket.once("close", () => (isSent ? resolve() : reject(new Error("closed before it was sent"))));
    // What it answers is of no interest; a half-closed socket closes when the other side has read all.
    socket.resume();
    socket.once(ready, () => {
      isSent = true;
      socket.end(Buffer.concat([Buffer.from(`${bytes.length} `), bytes]));
    });
  });
}
