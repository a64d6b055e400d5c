// How clients of a PostgreSQL connection are let in: certificates on its port, and proofs besides a token.
import type { Clock } from "../proxy/deps.ts";
import type { PostgresConnectionConfig } from "../proxy/gateway-config.ts";
import type { LoginDelay } from "../proxy/identity/login-delay.ts";
import type { StaticUser } from "../proxy/identity/static-users.ts";
import type { ClientProofs } from "../proxy/postgres/client-proof.ts";
import type { PostgresListener } from "../proxy/postgres/options.ts";
import type { Reloadable } from "../proxy/reload.ts";
import { certificateReloadable, watchCertificates } from "../proxy/tls/certificate-files.ts";
import { identifyCertificate } from "../proxy/tls/client-identity.ts";

export function clientProofs(
  { name, clientCertificates }: PostgresConnectionConfig,
  users: readonly StaticUser[],
  delay: LoginDelay,
): ClientProofs {
  const here = users.filter(({ connections }) => connections === undefined || connections.includes(name));
  const byName = new Map(here.map((user) => [user.name, user]));
  return {
    userNamed: (user) => byName.get(user),
    delay,
    certificates: clientCertificates && {
      needsToken: clientCertificates.login === "both",
      identify: (certificate, clientAddress) =>
        identifyCertificate(certificate, clientCertificates.identities, clientAddress),
    },
  };
}

/** The certificate of a port, read again when it changes; undefined for one that was made up at the start. */
export function reloadedCertificate(
  { name, tls, tlsFiles }: PostgresConnectionConfig,
  listener: PostgresListener,
  clock: Clock,
  onChange: (reloadable: Reloadable) => void,
): { readonly reloadable: Reloadable; readonly close: () => void } | undefined {
  if (tls.kind !== "files" || tlsFiles === undefined) return undefined;
  const first = { cert: tls.certificate, key: tls.key, ...(tls.clients === undefined ? {} : { clients: tls.clients }) };
  const reloadable = certificateReloadable(name, tlsFiles, first, listener.renewTls, clock);
  return { reloadable, close: watchCertificates(tlsFiles, () => onChange(reloadable)) };
}
