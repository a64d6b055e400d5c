/** Numbers with a name, as /metrics shows them and workers send them. */
export type Metric = {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
    /** Of a histogram. */
    readonly suffix?: "_bucket" | "_sum" | "_count";
  }[];
};
