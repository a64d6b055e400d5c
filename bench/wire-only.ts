// The listener with a gate that lets every text through as it is and records nothing: what the wire alone costs.
import { startGateway } from "../test/wire/gateway.ts";

const server = JSON.parse(process.env.GW_BENCH_SERVER ?? "{}");
const gateway = await startGateway(server);
const { journal } = gateway;
setInterval(() => {
  for (const list of Object.values(journal)) list.length = 0;
}, 100);
console.log(`listening ${gateway.port}`);
