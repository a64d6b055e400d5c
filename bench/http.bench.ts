// Requests per second and added latency of HTTP through the gateway, beside direct and nginx; memory of a 100 MB answer.
// Needs `nginx` (1.22 or later) and `wrk`. `[seconds]`
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [seconds = 4] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), "gw-bench-http-"));
// nginx gives its rights away.
chmodSync(folder, 0o755);

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });

const [upstreamPort, proxyPort] = [await freePort(), await freePort()];
const item = (i: number) => ({ id: i, name: `customer ${i}`, iban: "DE89370400440532013000", note: "x".repeat(60) });
const small = JSON.stringify(item(1));
mkdirSync(join(folder, "www", "masked"), { recursive: true });
for (const place of ["", "masked"]) {
  writeFileSync(join(folder, "www", place, "small.json"), small);
  writeFileSync(
    join(folder, "www", place, "list.json"),
    JSON.stringify({ items: Array.from({ length: 200 }, (_, i) => item(i)) }),
  );
}
const lines: string[] = [];
for (let bytes = 0, i = 0; bytes < 104_857_600; i += 1) {
  const line = `${JSON.stringify(item(i))}\n`;
  lines.push(line);
  bytes += line.length;
}
for (const place of ["", "masked"]) writeFileSync(join(folder, "www", place, "large.ndjson"), lines.join(""));

const server = (port: number, body: string): string => `server { listen 127.0.0.1:${port}; ${body} }`;
writeFileSync(
  join(folder, "nginx.conf"),
  `
worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; keepalive_requests 1000000;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  types { application/json json; application/x-ndjson ndjson; }
  upstream up { server 127.0.0.1:${upstreamPort}; keepalive 64; }
  ${server(upstreamPort, `root ${folder}/www; location /post { default_type application/json; return 200 '${small}'; }`)}
  ${server(proxyPort, 'location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }')}
}
`,
);
const nginx = spawn("nginx", ["-c", join(folder, "nginx.conf"), "-p", folder], { stdio: "ignore" });
const gateway = spawn(process.execPath, ["bench/http-gateway.ts", folder, String(upstreamPort)], {
  stdio: ["ignore", "pipe", "inherit"],
});

try {
  const { port, token } = await new Promise<{ readonly port: number; readonly token: string }>((resolve) => {
    gateway.stdout.on("data", (chunk: Buffer) => resolve(JSON.parse(chunk.toString())));
  });
  const post = join(folder, "post.lua");
  writeFileSync(
    post,
    `wrk.method = "POST"; wrk.body = '{"amount": 7, "to": "a"}'; wrk.headers["content-type"] = "application/json"`,
  );
  const rows: readonly (readonly [name: string, port: number, path: string, script?: string])[] = [
    ["direct, 130 bytes", upstreamPort, "/small.json"],
    ["nginx", proxyPort, "/small.json"],
    ["gateway, no rule about content", port, "/small.json"],
    ["gateway, `mask … of json`", port, "/masked/small.json"],
    ["direct, POST", upstreamPort, "/post", post],
    ["nginx, POST", proxyPort, "/post", post],
    ["gateway, POST, body unread", port, "/post", post],
    ["gateway, POST, a rule reads the body", port, "/post/read", post],
    ["direct, 27 KB", upstreamPort, "/list.json"],
    ["nginx, 27 KB", proxyPort, "/list.json"],
    ["gateway, 27 KB, no rule about content", port, "/list.json"],
    ["gateway, 27 KB, `mask … of json`", port, "/masked/list.json"],
  ];
  console.log("| | requests/s, 32 connections | latency, 1 connection, µs: p50 | p99 |\n|---|---:|---:|---:|");
  for (const [name, at, path, script] of rows) {
    measure(at, path, token, script, 4, 1);
    const many = measure(at, path, token, script, 32, seconds);
    const one = measure(at, path, token, script, 1, seconds);
    console.log(`| ${name} | ${Math.round(many.rate)} | ${Math.round(one.p50)} | ${Math.round(one.p99)} |`);
  }
  console.log(
    "\n| 100 MB of NDJSON through the gateway | s | RSS before, MB | highest RSS, MB |\n|---|---:|---:|---:|",
  );
  for (const [name, path] of [
    ["no rule about content", "/large.ndjson"],
    ["`mask … of json`", "/masked/large.ndjson"],
  ] as const) {
    const before = rssMb();
    const { seconds: took, highest } = await download(port, path, token);
    console.log(`| ${name} | ${took.toFixed(1)} | ${before.toFixed(0)} | ${highest.toFixed(0)} |`);
  }
} finally {
  gateway.kill("SIGKILL");
  nginx.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

function rssMb(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, "utf8"))?.[1]) / 1_024;
}

type Measured = { readonly rate: number; readonly p50: number; readonly p99: number };

function measure(
  port: number,
  path: string,
  token: string,
  script: string | undefined,
  connections: number,
  forS: number,
): Measured {
  const args = ["-t1", `-c${connections}`, `-d${forS}s`, "--latency", "-H", `Authorization: Bearer ${token}`];
  const out = execFileSync(
    "wrk",
    [...args, ...(script === undefined ? [] : ["-s", script]), `http://127.0.0.1:${port}${path}`],
    { encoding: "utf8" },
  );
  const errors = /Non-2xx or 3xx responses: (\d+)/.exec(out)?.[1];
  if (errors !== undefined) throw new Error(`${path}: ${errors} answers were not 2xx`);
  const micros = (label: string): number => {
    const [, value = "0", unit = "us"] = new RegExp(`${label}\\s+([\\d.]+)(us|ms|s)`).exec(out) ?? [];
    return Number(value) * (unit === "us" ? 1 : unit === "ms" ? 1e3 : 1e6);
  };
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]), p50: micros("50%"), p99: micros("99%") };
}

function download(
  port: number,
  path: string,
  token: string,
): Promise<{ readonly seconds: number; readonly highest: number }> {
  const startedMs = performance.now();
  let highest = rssMb();
  const timer = setInterval(() => {
    highest = Math.max(highest, rssMb());
  }, 20);
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.on("error", reject);
      response.on("end", () => {
        clearInterval(timer);
        resolve({ seconds: (performance.now() - startedMs) / 1_000, highest });
      });
      response.resume();
    }).on("error", reject);
  });
}
