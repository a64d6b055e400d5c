// servers over TLS -> how long their certificates, and the gateway's own, are good for
import type { X509Certificate } from "node:crypto";
import { connect as connectTls, TLSSocket } from "node:tls";
import { limits } from "../engine/limits.ts";
import type { UpstreamTarget } from "../proxy/deps.ts";
import type { TrafficConnectionConfig } from "../proxy/gateway-config.ts";
import { connectUpstream } from "../proxy/postgres/upstream.ts";
import type { Check } from "./doctor-http.ts";

const warnDays = 14;

/** `whenExpired`: what it is that nobody takes it any more, or that nobody looks. */
export function expiryCheck(what: string, certificate: X509Certificate, whenExpired: "fail" | "warn" = "fail"): Check {
  const days = Math.floor((Date.parse(certificate.validTo) - Date.now()) / limits.dayMs);
  if (days < 0) return { what, state: whenExpired, says: "it has expired" };
  return { what, state: days < warnDays ? "warn" : "ok", says: `it is good for ${days} more days` };
}

/** A server without TLS has none to show; one that can't be reached is told of elsewhere. */
export async function databaseCertificates(name: string, target: UpstreamTarget): Promise<readonly Check[]> {
  const servers = [{ host: target.host, port: target.port }, ...(target.others ?? [])];
  const checks = servers.map((server) => {
    const at = servers.length === 1 ? "" : ` at ${server.host}:${server.port}`;
    return databaseCertificate(`${whose(name)}${at}`, { ...target, ...server });
  });
  return (await Promise.all(checks)).flat();
}

async function databaseCertificate(what: string, target: UpstreamTarget): Promise<readonly Check[]> {
  const { mode, client } = target.tls;
  if (mode === "disable") return [];
  // SAFETY: unverified, since an expired one is to be told of; nothing is sent on it, and no login.
  const tls: UpstreamTarget["tls"] = {
    mode: mode === "prefer" ? mode : "require",
    ca: undefined,
    ...(client === undefined ? {} : { client }),
  };
  const reached = await connectUpstream({ ...target, tls }, AbortSignal.timeout(limits.doctorConnectMs));
  if (!reached.ok) return [];
  const shown = reached.value instanceof TLSSocket ? reached.value.getPeerX509Certificate() : undefined;
  reached.value.destroy();
  const isChecked = mode === "verify-full" || mode === "verify-ca" || target.tls.ca !== undefined;
  return shown === undefined ? [] : [expiryCheck(what, shown, isChecked ? "fail" : "warn")];
}

export async function trafficCertificate(
  name: string,
  { origin, tls }: TrafficConnectionConfig["upstream"],
): Promise<readonly Check[]> {
  const { protocol, hostname, port } = new URL(origin);
  if (protocol !== "https:") return [];
  const shown = await new Promise<X509Certificate | undefined>((resolve) => {
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket = connectTls({
      host,
      port: port === "" ? 443 : Number(port),
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(tls.certificate ?? {}),
      // SAFETY: as above; what is sent to this server goes over a connection that is verified.
      rejectUnauthorized: false,
      timeout: limits.doctorConnectMs,
    });
    const end = (certificate: X509Certificate | undefined): void => {
      socket.destroy();
      resolve(certificate);
    };
    socket.once("secureConnect", () => end(socket.getPeerX509Certificate()));
    socket.once("error", () => end(undefined)).once("timeout", () => end(undefined));
  });
  return shown === undefined ? [] : [expiryCheck(whose(name), shown)];
}

const whose = (name: string): string => `certificate of ${name}'s upstream`;
