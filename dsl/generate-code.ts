// checked conditions -> source of one function per rule; texts of policies reach it only through the constants array

/** Whether conditions run as generated functions where possible, or always as closures. */
export type CodeChoice = "automatic" | "closures";
