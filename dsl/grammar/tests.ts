// Tests and properties: given, expect.
import { kw, mark, Name, PlainName, Str } from "../tokens.ts";
import type { Rule } from "./grammar.ts";
import { RuleGrammar } from "./rules.ts";

export class TestGrammar extends RuleGrammar {
  // TestDecl = "test" , STRING , "{" , [ Cases ] , { Given } , Expect , { Expect } , "}" ;
  readonly testDecl: Rule = this.RULE("TestDecl", () => {
    this.CONSUME(kw.test);
    this.CONSUME(Str);
    this.CONSUME(mark["{"]);
    this.OPTION(() => this.SUBRULE(this.cases));
    this.MANY(() => this.SUBRULE(this.given));
    this.AT_LEAST_ONE(() => this.SUBRULE(this.expect));
    this.CONSUME(mark["}"]);
  });

  // Cases = "cases" , Row , { Row } ;                               (* the first row names the columns *)
  // A row ends where no cell follows its "|"; cells cannot be empty, so "|" "|" is the break between two rows.
  readonly cases: Rule = this.RULE("Cases", () => {
    this.CONSUME(kw.cases);
    this.SUBRULE(this.caseHead);
    this.MANY(() => this.SUBRULE(this.caseRow));
  });

  // CaseHead = "|" , Name , "|" , { Name , "|" } ;
  readonly caseHead: Rule = this.RULE("CaseHead", () => {
    this.CONSUME(mark["|"]);
    this.AT_LEAST_ONE(() => {
      this.CONSUME(Name);
      this.CONSUME2(mark["|"]);
    });
  });

  // CaseRow = "|" , Expr , "|" , { Expr , "|" } ;
  readonly caseRow: Rule = this.RULE("CaseRow", () => {
    this.CONSUME(mark["|"]);
    this.AT_LEAST_ONE(() => {
      this.SUBRULE(this.expr);
      this.CONSUME2(mark["|"]);
    });
  });

  // PropertyDecl = "property" , STRING , "{" , Forall , { Forall } , { Given } , Expect , { Expect } , "}" ;
  readonly propertyDecl: Rule = this.RULE("PropertyDecl", () => {
    this.CONSUME(kw.property);
    this.CONSUME(Str);
    this.CONSUME(mark["{"]);
    this.AT_LEAST_ONE(() => this.SUBRULE(this.forall));
    this.MANY(() => this.SUBRULE(this.given));
    this.AT_LEAST_ONE2(() => this.SUBRULE(this.expect));
    this.CONSUME(mark["}"]);
  });

  // Forall = "forall" , Name , ":" , Type , [ "where" , Expr ] ;
  readonly forall: Rule = this.RULE("Forall", () => {
    this.CONSUME(kw.forall);
    this.CONSUME(Name);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.type);
    this.OPTION(() => {
      this.CONSUME(kw.where);
      this.SUBRULE(this.expr);
    });
  });

  // Given = "given" , ( "http" , PlainName , Primary , [ At ] , [ Record ] | ( "mcp" | "llm" ) , PlainName , Primary , [ At ] , [ Record ]
  //                   | ( "counter" | "data" ) , Name , "=" , Expr | PlainName , Expr , [ At ] ) ;
  readonly given: Rule = this.RULE("Given", () => {
    this.CONSUME(kw.given);
    this.OR([
      {
        ALT: () => {
          this.OR2([
            { ALT: () => this.CONSUME(kw.http, { LABEL: "protocol" }) },
            { ALT: () => this.CONSUME(kw.mcp, { LABEL: "protocol" }) },
            { ALT: () => this.CONSUME(kw.llm, { LABEL: "protocol" }) },
          ]);
          this.CONSUME(PlainName, { LABEL: "selector" });
          this.SUBRULE(this.primary);
          this.OPTION(() => this.SUBRULE(this.at));
          this.OPTION2(() => this.SUBRULE(this.record));
        },
      },
      {
        ALT: () => {
          this.OR3([
            { ALT: () => this.CONSUME(kw.counter, { LABEL: "supplied" }) },
            { ALT: () => this.CONSUME(kw.data, { LABEL: "supplied" }) },
          ]);
          this.CONSUME(Name);
          this.CONSUME(mark["="]);
          this.SUBRULE1(this.expr);
        },
      },
      {
        ALT: () => {
          this.CONSUME2(PlainName, { LABEL: "root" });
          this.SUBRULE2(this.expr);
          this.OPTION3(() => this.SUBRULE2(this.at));
        },
      },
    ]);
  });

  // MaskPlace = "json" , "tagged" , STRING | ( "json" | "text" ) , STRING | TablePat ;
  readonly maskPlace: Rule = this.RULE("MaskPlace", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME2(kw.json);
          this.CONSUME(kw.tagged, { LABEL: "content" });
          this.CONSUME2(Str);
        },
      },
      {
        ALT: () => {
          this.OR2([
            { ALT: () => this.CONSUME(kw.json, { LABEL: "content" }) },
            { ALT: () => this.CONSUME(kw.text, { LABEL: "content" }) },
          ]);
          this.CONSUME(Str);
        },
      },
      { ALT: () => this.SUBRULE(this.tablePat) },
    ]);
  });

  // FilterPlace = "json" , STRING | TablePat ;
  readonly filterPlace: Rule = this.RULE("FilterPlace", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.json, { LABEL: "content" });
          this.CONSUME(Str);
        },
      },
      { ALT: () => this.SUBRULE(this.tablePat) },
    ]);
  });

  // Expect = "expect" , [ "not" ] , ( "mask" , MaskPlace , [ "using" , MaskCall ] | "filter" , FilterPlace , [ "as" , STRING ]
  //        | "limit" , Name | "alert" , [ Name ] | ( "allow" | "deny" | PlainName ) , [ "by" , Name ] , [ Because ] ) ;
  readonly expect: Rule = this.RULE("Expect", () => {
    this.CONSUME(kw.expect);
    this.OPTION(() => this.CONSUME(kw.not));
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.mask);
          this.SUBRULE(this.maskPlace);
          this.OPTION2(() => {
            this.CONSUME(kw.using);
            this.SUBRULE(this.maskCall);
          });
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.filter);
          this.SUBRULE(this.filterPlace);
          this.OPTION3(() => {
            this.CONSUME(kw.as);
            this.CONSUME(Str);
          });
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.limit);
          this.CONSUME(Name, { LABEL: "limitName" });
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.alert);
          this.OPTION4(() => this.CONSUME2(Name, { LABEL: "alertName" }));
        },
      },
      {
        ALT: () => {
          this.OR2([
            { ALT: () => this.CONSUME(kw.allow, { LABEL: "effect" }) },
            { ALT: () => this.CONSUME(kw.deny, { LABEL: "effect" }) },
            { ALT: () => this.CONSUME(PlainName, { LABEL: "effect" }) },
          ]);
          this.OPTION5(() => {
            this.CONSUME(kw.by);
            this.CONSUME3(Name, { LABEL: "by" });
          });
          this.OPTION6(() => this.SUBRULE(this.because));
        },
      },
    ]);
  });
}
