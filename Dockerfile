# syntax=docker/dockerfile:1
# The gateway alone: no PostgreSQL, no tests, no shell. test/deploy runs these steps and this entry point without an engine.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
COPY engine ./engine
COPY dsl ./dsl
COPY proxy ./proxy
COPY cli ./cli
COPY policies ./policies

FROM gcr.io/distroless/nodejs24-debian12:nonroot
LABEL org.opencontainers.image.title="Gatewright" org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=build --chown=root:root /app /app
ENV NODE_ENV=production
# Nothing below / is written but what the configuration names: run it with a read-only root and a volume at /var/lib/gatewright.
USER 65532:65532
VOLUME ["/var/lib/gatewright"]
EXPOSE 6432 7070
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["/nodejs/bin/node", "/app/cli/gw.js", "health"]
ENTRYPOINT ["/nodejs/bin/node", "/app/cli/gw.js"]
CMD ["serve", "--config", "/etc/gatewright/gw.yaml"]
