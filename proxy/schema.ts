// The one door to zod: shapes of what comes from outside (configuration, manifests, answers of other services).
export { z } from "zod";
