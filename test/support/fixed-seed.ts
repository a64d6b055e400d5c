// With GW_SEED properties draw the same cases each time: CI is to tell what changed, `npm test` and `npm run fuzz` find what is new.
import fc from "fast-check";

const seed = Number(process.env.GW_SEED);
if (Number.isSafeInteger(seed) && seed > 0) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
