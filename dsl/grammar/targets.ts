// What a rule is about: verbs, tables, columns, routes, tools, connections.
import { kw, mark, Name, PlainName, Str } from "../tokens.ts";
import { ExpressionGrammar } from "./expressions.ts";
import type { Rule } from "./grammar.ts";

export class TargetGrammar extends ExpressionGrammar {
  // Because = "because" , STRING ;
  readonly because: Rule = this.RULE("Because", () => {
    this.CONSUME(kw.because);
    this.CONSUME(Str);
  });

  // At = "at" , STRING , { "," , STRING } ;
  readonly at: Rule = this.RULE("At", () => {
    this.CONSUME(kw.at);
    this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.CONSUME(Str) });
  });

  // Target = "any" | "sql" , … | "http" , … | ( "mcp" | "llm" ) , [ Selector , { "," , Selector } ] ;
  readonly target: Rule = this.RULE("Target", () => {
    this.OR([
      { ALT: () => this.CONSUME(kw.any) },
      {
        // "sql" , [ PlainName , { "," , PlainName } ] , [ "of" , TablePats ]
        ALT: () => {
          this.CONSUME(kw.sql);
          this.OPTION(() => {
            this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.CONSUME(PlainName, { LABEL: "actions" }) });
          });
          this.OPTION2(() => {
            this.CONSUME(kw.of);
            this.SUBRULE(this.tablePats);
          });
        },
      },
      {
        // "http" , [ PlainName , { "," , PlainName } ] , [ STRING , { "," , STRING } ]
        ALT: () => {
          this.CONSUME(kw.http);
          this.OPTION3(() => {
            this.AT_LEAST_ONE_SEP2({ SEP: mark[","], DEF: () => this.CONSUME2(PlainName, { LABEL: "methods" }) });
          });
          this.OPTION4(() => {
            this.AT_LEAST_ONE_SEP3({ SEP: mark[","], DEF: () => this.CONSUME(Str) });
          });
        },
      },
      {
        ALT: () => {
          this.OR2([
            { ALT: () => this.CONSUME(kw.mcp, { LABEL: "protocol" }) },
            { ALT: () => this.CONSUME(kw.llm, { LABEL: "protocol" }) },
          ]);
          this.MANY(() => this.SUBRULE(this.selector));
        },
      },
    ]);
  });

  // Selector = PlainName , STRING , { "," , STRING } ;
  readonly selector: Rule = this.RULE("Selector", () => {
    this.CONSUME(PlainName);
    this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.CONSUME(Str) });
  });

  // TablePats = TablePat , { "," , TablePat } ;
  readonly tablePats: Rule = this.RULE("TablePats", () => {
    this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.tablePat) });
  });

  // TablePat = "tagged" , STRING | Seg , { "." , Seg } , [ "(" , Col , { "," , Col } , ")" ] ;
  readonly tablePat: Rule = this.RULE("TablePat", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.tagged);
          this.CONSUME(Str);
        },
      },
      {
        ALT: () => {
          this.SUBRULE(this.seg);
          this.MANY(() => {
            this.CONSUME(mark["."]);
            this.SUBRULE2(this.seg);
          });
          this.OPTION(() => {
            this.CONSUME(mark["("]);
            this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.col) });
            this.CONSUME(mark[")"]);
          });
        },
      },
    ]);
  });

  // Col = Name | STRING ;
  readonly col: Rule = this.RULE("Col", () => {
    this.OR([
      { ALT: () => this.CONSUME(Name, { LABEL: "segment" }) },
      { ALT: () => this.CONSUME(Str, { LABEL: "segment" }) },
    ]);
  });

  // Seg = Name | STRING | "*" ;
  readonly seg: Rule = this.RULE("Seg", () => {
    this.OR([
      { ALT: () => this.CONSUME(Name, { LABEL: "segment" }) },
      { ALT: () => this.CONSUME(Str, { LABEL: "segment" }) },
      { ALT: () => this.CONSUME(mark["*"], { LABEL: "segment" }) },
    ]);
  });
}
