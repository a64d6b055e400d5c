// Rules: allow, deny, mask, filter, limit, require approval, alert.
import { Duration, IndentedLet, Int, kw, mark, Name, PlainName, Str } from "../tokens.ts";
import type { Rule } from "./grammar.ts";
import { TargetGrammar } from "./targets.ts";

export class RuleGrammar extends TargetGrammar {
  // Annotation = "@" , Name , [ "(" , [ Expr , { "," , Expr } ] , ")" ] ;
  readonly annotation: Rule = this.RULE("Annotation", () => {
    this.CONSUME(mark["@"]);
    this.CONSUME(Name);
    this.OPTION(() => {
      this.CONSUME(mark["("]);
      this.MANY_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.expr) });
      this.CONSUME(mark[")"]);
    });
  });

  // DefaultDecl = "default" , ( "deny" | "allow" ) , [ Because ] ;
  readonly defaultDecl: Rule = this.RULE("DefaultDecl", () => {
    this.CONSUME(kw.default);
    this.OR([
      { ALT: () => this.CONSUME(kw.deny, { LABEL: "effect" }) },
      { ALT: () => this.CONSUME(kw.allow, { LABEL: "effect" }) },
    ]);
    this.OPTION(() => this.SUBRULE(this.because));
  });

  // RuleDecl = Head , [ "on" , Target ] , [ At ] , { BodyClause } , [ Because ] ;
  readonly ruleDecl: Rule = this.RULE("RuleDecl", () => {
    this.SUBRULE(this.head);
    this.OPTION(() => {
      this.CONSUME(kw.on);
      this.SUBRULE(this.target);
    });
    this.OPTION2(() => this.SUBRULE(this.at));
    this.MANY(() => this.SUBRULE(this.bodyClause));
    this.OPTION3(() => this.SUBRULE(this.because));
  });

  // Head = "allow" , Name | "deny" , Name | "mask" , Name , "of" , MaskTarget , "using" , MaskCall , [ "searchable" ] | … ;
  readonly head: Rule = this.RULE("Head", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.allow);
          this.CONSUME1(Name);
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.deny);
          this.CONSUME2(Name);
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.mask);
          this.CONSUME3(Name);
          this.CONSUME(kw.of);
          this.SUBRULE(this.maskTarget);
          this.CONSUME(kw.using);
          this.SUBRULE(this.maskCall);
          this.OPTION(() => this.CONSUME(kw.searchable));
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.filter);
          this.CONSUME4(Name);
          this.CONSUME2(kw.of);
          this.SUBRULE(this.filterTarget);
          this.CONSUME(kw.where);
          this.SUBRULE(this.expr);
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.require);
          this.CONSUME(kw.approval);
          this.CONSUME5(Name);
          this.OPTION2(() => {
            this.CONSUME(kw.from);
            this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.approver) });
          });
          this.OPTION3(() => {
            this.CONSUME(kw.within);
            this.CONSUME(Duration);
          });
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.limit);
          this.CONSUME6(Name);
          this.CONSUME(kw.to);
          this.SUBRULE(this.arith);
          this.CONSUME(PlainName, { LABEL: "unit" });
          this.OPTION4(() => {
            this.CONSUME(kw.per);
            this.CONSUME2(Duration);
            this.CONSUME(kw.by);
            this.SUBRULE(this.operand);
          });
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.alert);
          this.CONSUME7(Name);
          this.CONSUME2(kw.to);
          this.CONSUME(Str);
        },
      },
    ]);
  });

  // Approver = [ INT , "of" ] , PlainName , STRING ;
  readonly approver: Rule = this.RULE("Approver", () => {
    this.OPTION(() => {
      this.CONSUME(Int);
      this.CONSUME(kw.of);
    });
    this.CONSUME(PlainName);
    this.CONSUME(Str);
  });

  // MaskTarget = "json" , "tagged" , STRING , { "," , STRING } | ( "json" | "text" ) , STRING , { "," , STRING } | TablePats ;
  readonly maskTarget: Rule = this.RULE("MaskTarget", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME2(kw.json);
          this.CONSUME(kw.tagged, { LABEL: "content" });
          this.AT_LEAST_ONE_SEP2({ SEP: mark[","], DEF: () => this.CONSUME2(Str) });
        },
      },
      {
        ALT: () => {
          this.OR2([
            { ALT: () => this.CONSUME(kw.json, { LABEL: "content" }) },
            { ALT: () => this.CONSUME(kw.text, { LABEL: "content" }) },
          ]);
          this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.CONSUME(Str) });
        },
      },
      { ALT: () => this.SUBRULE(this.tablePats) },
    ]);
  });

  // FilterTarget = "json" , STRING | TablePats ;
  readonly filterTarget: Rule = this.RULE("FilterTarget", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.json, { LABEL: "content" });
          this.CONSUME(Str);
        },
      },
      { ALT: () => this.SUBRULE(this.tablePats) },
    ]);
  });

  // MaskCall = Name , [ "(" , [ Arg , { "," , Arg } ] , ")" ] ;
  readonly maskCall: Rule = this.RULE("MaskCall", () => {
    this.CONSUME(Name);
    this.OPTION(() => {
      this.CONSUME(mark["("]);
      this.MANY_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.arg) });
      this.CONSUME(mark[")"]);
    });
  });

  // BodyClause = "when" , Expr | "unless" , Expr | "let" , Name , "=" , Expr ;
  readonly bodyClause: Rule = this.RULE("BodyClause", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.when);
          this.SUBRULE1(this.expr);
        },
      },
      {
        ALT: () => {
          this.CONSUME(kw.unless);
          this.SUBRULE2(this.expr);
        },
      },
      {
        ALT: () => {
          this.CONSUME(IndentedLet);
          this.CONSUME(Name);
          this.CONSUME(mark["="]);
          this.SUBRULE3(this.expr);
        },
      },
    ]);
  });
}
