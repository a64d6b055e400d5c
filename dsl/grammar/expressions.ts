// Names, types and expressions.
import { AllowValue, DenyValue, Duration, Float, Int, kw, mark, Name, Size, Str, Tagged } from "../tokens.ts";
import { Grammar, type Rule } from "./grammar.ts";

export class ExpressionGrammar extends Grammar {
  // QName = Name , { "." , Name } ;
  readonly qname: Rule = this.RULE("QName", () => {
    this.CONSUME(Name);
    this.MANY({
      GATE: () => this.LA(2).tokenType !== mark["{"],
      DEF: () => {
        this.CONSUME(mark["."]);
        this.CONSUME2(Name);
      },
    });
  });

  // Type = TypeAtom , [ "?" ] ;
  readonly type: Rule = this.RULE("Type", () => {
    this.SUBRULE(this.typeAtom);
    this.OPTION(() => this.CONSUME(mark["?"]));
  });

  // TypeAtom = "{" , [ Field , { "," , Field } ] , "}" | QName , [ "<" , Type , { "," , Type } , ">" ] | STRING , { "|" , STRING } ;
  readonly typeAtom: Rule = this.RULE("TypeAtom", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(mark["{"]);
          this.MANY_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.param) });
          this.CONSUME(mark["}"]);
        },
      },
      {
        ALT: () => {
          this.SUBRULE(this.qname);
          this.OPTION(() => {
            this.CONSUME(mark["<"]);
            this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.type) });
            this.CONSUME(mark[">"]);
          });
        },
      },
      { ALT: () => this.AT_LEAST_ONE_SEP2({ SEP: mark["|"], DEF: () => this.CONSUME(Str) }) },
    ]);
  });

  // Param = Name , ":" , Type ;
  readonly param: Rule = this.RULE("Param", () => {
    this.CONSUME(Name);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.type);
  });

  // Expr = If | Logic ;
  readonly expr: Rule = this.RULE("Expr", () => {
    this.OR([{ ALT: () => this.SUBRULE(this.if) }, { ALT: () => this.SUBRULE(this.logic) }]);
  });

  // If = "if" , Expr , "then" , Expr , "else" , Expr ;
  readonly if: Rule = this.RULE("If", () => {
    this.CONSUME(kw.if);
    this.SUBRULE1(this.expr);
    this.CONSUME(kw.then);
    this.SUBRULE2(this.expr);
    this.CONSUME(kw.else);
    this.SUBRULE3(this.expr);
  });

  // Quantifier = ( "any" | "all" | "none" ) , Name , "in" , Arith , ":" , Expr ;
  readonly quantifier: Rule = this.RULE("Quantifier", () => {
    this.OR([
      { ALT: () => this.CONSUME(kw.any, { LABEL: "which" }) },
      { ALT: () => this.CONSUME(kw.all, { LABEL: "which" }) },
      { ALT: () => this.CONSUME(kw.none, { LABEL: "which" }) },
    ]);
    this.CONSUME(Name);
    this.CONSUME(kw.in);
    this.SUBRULE(this.arith);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.expr);
  });

  // Logic = Condition , { ( "and" | "or" ) , Condition } ;          (* never both: E0012 *)
  readonly logic: Rule = this.RULE("Logic", () => {
    this.SUBRULE1(this.condition);
    this.MANY(() => {
      this.OR([
        { ALT: () => this.CONSUME(kw.and, { LABEL: "operator" }) },
        { ALT: () => this.CONSUME(kw.or, { LABEL: "operator" }) },
      ]);
      this.SUBRULE2(this.condition);
    });
  });

  // Condition = { "not" } , ( Quantifier | Comparison ) ;
  readonly condition: Rule = this.RULE("Condition", () => {
    this.MANY(() => this.CONSUME(kw.not));
    this.OR([{ ALT: () => this.SUBRULE(this.quantifier) }, { ALT: () => this.SUBRULE(this.comparison) }]);
  });

  // Comparison = Arith , [ CompareOp , Arith | "is" , ( "present" | "absent" ) ] ;
  readonly comparison: Rule = this.RULE("Comparison", () => {
    this.SUBRULE1(this.arith);
    this.OPTION(() =>
      this.OR([
        {
          ALT: () => {
            this.SUBRULE(this.compareOp);
            this.SUBRULE2(this.arith);
          },
        },
        {
          ALT: () => {
            this.CONSUME(kw.is);
            this.OR2([
              { ALT: () => this.CONSUME(kw.present, { LABEL: "what" }) },
              { ALT: () => this.CONSUME(kw.absent, { LABEL: "what" }) },
            ]);
          },
        },
      ]),
    );
  });

  // CompareOp = "==" | "!=" | "<" | "<=" | ">" | ">=" | [ "not" ] , ( "in" | "contains" | … | "matches" ) ;
  readonly compareOp: Rule = this.RULE("CompareOp", () => {
    this.OR([
      { ALT: () => this.CONSUME(mark["=="], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["!="], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["<"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["<="], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark[">"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark[">="], { LABEL: "operator" }) },
      {
        ALT: () => {
          this.OPTION(() => this.CONSUME(kw.not));
          this.OR2([
            { ALT: () => this.CONSUME(kw.in, { LABEL: "operator" }) },
            { ALT: () => this.CONSUME(kw.contains, { LABEL: "operator" }) },
            { ALT: () => this.CONSUME(kw.startswith, { LABEL: "operator" }) },
            { ALT: () => this.CONSUME(kw.endswith, { LABEL: "operator" }) },
            { ALT: () => this.CONSUME(kw.like, { LABEL: "operator" }) },
            { ALT: () => this.CONSUME(kw.matches, { LABEL: "operator" }) },
          ]);
        },
      },
    ]);
  });

  // Arith = Operand , { ArithOp , Operand } ;                       (* precedence: the table of GRAMMAR.md *)
  readonly arith: Rule = this.RULE("Arith", () => {
    this.SUBRULE1(this.operand);
    this.MANY(() => {
      this.SUBRULE(this.arithOp);
      this.SUBRULE2(this.operand);
    });
  });

  // ArithOp = ".." | "..<" | "+" | "-" | "*" | "/" | "%" | "??" ;
  readonly arithOp: Rule = this.RULE("ArithOp", () => {
    this.OR([
      { ALT: () => this.CONSUME(mark[".."], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["..<"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["+"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["-"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["*"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["/"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["%"], { LABEL: "operator" }) },
      { ALT: () => this.CONSUME(mark["??"], { LABEL: "operator" }) },
    ]);
  });

  // Operand = { "-" } , Primary , { Suffix } , [ "as" , Type ] ;
  readonly operand: Rule = this.RULE("Operand", () => {
    this.MANY(() => this.CONSUME(mark["-"]));
    this.SUBRULE(this.primary);
    this.MANY2(() => this.SUBRULE(this.suffix));
    this.OPTION(() => {
      this.CONSUME(kw.as);
      this.SUBRULE(this.type);
    });
  });

  // Suffix = "." , Name | "[" , Expr , "]" | "(" , [ Arg , { "," , Arg } ] , ")" ;
  readonly suffix: Rule = this.RULE("Suffix", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(mark["."]);
          this.CONSUME(Name);
        },
      },
      {
        ALT: () => {
          this.CONSUME(mark["["]);
          this.SUBRULE(this.expr);
          this.CONSUME(mark["]"]);
        },
      },
      {
        ALT: () => {
          this.CONSUME(mark["("]);
          this.MANY_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.arg) });
          this.CONSUME(mark[")"]);
        },
      },
    ]);
  });

  // Arg = [ Name , ":" ] , Expr ;
  readonly arg: Rule = this.RULE("Arg", () => {
    this.OPTION(() => {
      this.CONSUME(Name);
      this.CONSUME(mark[":"]);
    });
    this.SUBRULE(this.expr);
  });

  // Primary = literal | "true" | "false" | "(" , Expr , ")" | List | Record | "allow" | "deny" | Name ;
  readonly primary: Rule = this.RULE("Primary", () => {
    this.OR([
      { ALT: () => this.CONSUME(Name) },
      { ALT: () => this.CONSUME(Str) },
      { ALT: () => this.CONSUME(Tagged) },
      { ALT: () => this.CONSUME(Duration) },
      { ALT: () => this.CONSUME(Size) },
      { ALT: () => this.CONSUME(Float) },
      { ALT: () => this.CONSUME(Int) },
      { ALT: () => this.CONSUME(kw.true) },
      { ALT: () => this.CONSUME(kw.false) },
      {
        ALT: () => {
          this.CONSUME(mark["("]);
          this.SUBRULE(this.expr);
          this.CONSUME(mark[")"]);
        },
      },
      { ALT: () => this.SUBRULE(this.list) },
      { ALT: () => this.SUBRULE(this.record) },
      { ALT: () => this.CONSUME(AllowValue) },
      { ALT: () => this.CONSUME(DenyValue) },
    ]);
  });

  // List = "[" , [ Expr , ( "for" , Name , "in" , Arith , [ "if" , Expr ] | { "," , Expr } ) ] , "]" ;
  readonly list: Rule = this.RULE("List", () => {
    this.CONSUME(mark["["]);
    this.OPTION(() => {
      this.SUBRULE1(this.expr, { LABEL: "item" });
      this.OR([
        {
          ALT: () => {
            this.CONSUME(kw.for);
            this.CONSUME(Name);
            this.CONSUME(kw.in);
            this.SUBRULE(this.arith);
            this.OPTION2(() => {
              this.CONSUME(kw.if);
              this.SUBRULE2(this.expr, { LABEL: "condition" });
            });
          },
        },
        {
          ALT: () =>
            this.MANY(() => {
              this.CONSUME(mark[","]);
              this.SUBRULE3(this.expr, { LABEL: "item" });
            }),
        },
      ]);
    });
    this.CONSUME(mark["]"]);
  });

  // Record = "{" , [ Entry , { "," , Entry } ] , "}" ;
  readonly record: Rule = this.RULE("Record", () => {
    this.CONSUME(mark["{"]);
    this.MANY_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.entry) });
    this.CONSUME(mark["}"]);
  });

  // Entry = ( Name | STRING ) , ":" , Expr ;
  readonly entry: Rule = this.RULE("Entry", () => {
    this.OR([{ ALT: () => this.CONSUME(Name, { LABEL: "key" }) }, { ALT: () => this.CONSUME(Str, { LABEL: "key" }) }]);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.expr);
  });
}
