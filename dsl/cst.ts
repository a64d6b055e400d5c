// tokens -> CST: the grammar of GRAMMAR.md

import {
  type CstNode,
  CstParser,
  type IParserErrorMessageProvider,
  type IToken,
  type ParserMethod,
  type TokenType,
} from "chevrotain";
import { limits } from "../engine/limits.ts";
import {
  AllowValue,
  DenyValue,
  Duration,
  Float,
  IndentedLet,
  Int,
  kw,
  mark,
  Name,
  PlainName,
  Size,
  Str,
  Tagged,
  vocabulary,
} from "./tokens.ts";

const labelsOf = (paths: readonly (readonly TokenType[])[]): readonly string[] =>
  [...new Set(paths.map((path) => path[0]).filter((t) => t !== undefined))].map((t) => t.LABEL ?? t.name);

/** Chevrotain gives a message its text at the throw; ours is the list of what was expected, for `syntax-errors.ts`. */
class Messages implements IParserErrorMessageProvider {
  /** Problems of the text that is being read. */
  count = 0;

  #expecting(paths: readonly (readonly TokenType[])[]): string {
    this.count += 1;
    if (this.count > limits.policyDiagnosticsMax) throw new TooManyProblemsError();
    return JSON.stringify(labelsOf(paths));
  }
  buildMismatchTokenMessage({ expected }: { readonly expected: TokenType }): string {
    return this.#expecting([[expected]]);
  }
  buildNotAllInputParsedMessage(): string {
    return this.#expecting([]);
  }
  buildNoViableAltMessage(options: { readonly expectedPathsPerAlt: TokenType[][][] }): string {
    return this.#expecting(options.expectedPathsPerAlt.flat());
  }
  buildEarlyExitMessage(options: { readonly expectedIterationPaths: TokenType[][] }): string {
    return this.#expecting(options.expectedIterationPaths);
  }
}

/** Ends the reading of a text that is no policy: each recovery costs time, and nobody reads the two hundredth. */
export class TooManyProblemsError extends Error {}

/** The grammar of GRAMMAR.md: LL(2). `isValidated` looks for ambiguities, which costs seconds; a test does it. */
export class PolicyParser extends CstParser {
  readonly #messages: Messages;

  constructor(isValidated = false) {
    const messages = new Messages();
    super([...vocabulary], {
      recoveryEnabled: true,
      maxLookahead: 2,
      skipValidations: !isValidated,
      nodeLocationTracking: "onlyOffset",
      errorMessageProvider: messages,
    });
    this.#messages = messages;
    this.performSelfAnalysis();
  }

  /** @throws TooManyProblemsError; `errors` holds those found until then. */
  read(tokens: IToken[], root: "File" | "Expr"): CstNode | undefined {
    this.#messages.count = 0;
    this.input = tokens;
    return root === "File" ? this.file() : this.expr();
  }

  // ---- files

  // File = [ Package ] , { Import } , { Decl } ;
  readonly file: Rule = this.RULE("File", () => {
    this.OPTION(() => this.SUBRULE(this.package));
    this.MANY(() => this.SUBRULE(this.import));
    this.MANY2(() => this.SUBRULE(this.decl));
  });

  // Package = "package" , QName ;
  readonly package: Rule = this.RULE("Package", () => {
    this.CONSUME(kw.package);
    this.SUBRULE(this.qname);
  });

  // Import = "import" , QName , [ "as" , Name | "." , "{" , Name , { "," , Name } , "}" ] ;
  readonly import: Rule = this.RULE("Import", () => {
    this.CONSUME(kw.import);
    this.SUBRULE(this.qname);
    this.OPTION(() =>
      this.OR([
        {
          ALT: () => {
            this.CONSUME(kw.as);
            this.CONSUME(Name, { LABEL: "alias" });
          },
        },
        {
          ALT: () => {
            this.CONSUME(mark["."]);
            this.CONSUME(mark["{"]);
            this.AT_LEAST_ONE_SEP({ SEP: mark[","], DEF: () => this.CONSUME2(Name, { LABEL: "names" }) });
            this.CONSUME(mark["}"]);
          },
        },
      ]),
    );
  });

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

  // Decl = { Annotation } , ( TypeDecl | … | PropertyDecl ) ;
  readonly decl: Rule = this.RULE("Decl", () => {
    this.MANY(() => this.SUBRULE(this.annotation));
    this.OR([
      { ALT: () => this.SUBRULE(this.typeDecl) },
      { ALT: () => this.SUBRULE(this.schemaDecl) },
      { ALT: () => this.SUBRULE(this.catalogDecl) },
      { ALT: () => this.SUBRULE(this.dataDecl) },
      { ALT: () => this.SUBRULE(this.letDecl) },
      { ALT: () => this.SUBRULE(this.funcDecl) },
      { ALT: () => this.SUBRULE(this.counterDecl) },
      { ALT: () => this.SUBRULE(this.fixtureDecl) },
      { ALT: () => this.SUBRULE(this.defaultDecl) },
      { ALT: () => this.SUBRULE(this.ruleDecl) },
      { ALT: () => this.SUBRULE(this.testDecl) },
      { ALT: () => this.SUBRULE(this.propertyDecl) },
    ]);
  });

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

  // ---- declarations other than rules

  // TypeDecl = "type" , Name , "=" , Type ;
  readonly typeDecl: Rule = this.RULE("TypeDecl", () => {
    this.CONSUME(kw.type);
    this.CONSUME(Name);
    this.CONSUME(mark["="]);
    this.SUBRULE(this.type);
  });

  // SchemaDecl = "schema" , QName , ":" , Type ;
  readonly schemaDecl: Rule = this.RULE("SchemaDecl", () => {
    this.CONSUME(kw.schema);
    this.SUBRULE(this.qname);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.type);
  });

  // CatalogDecl = "catalog" , STRING , "from" , STRING ;
  readonly catalogDecl: Rule = this.RULE("CatalogDecl", () => {
    this.CONSUME(kw.catalog);
    this.CONSUME(Str, { LABEL: "connection" });
    this.CONSUME(kw.from);
    this.CONSUME2(Str, { LABEL: "from" });
  });

  // DataDecl = "data" , Name , ":" , Type , "from" , STRING ;
  readonly dataDecl: Rule = this.RULE("DataDecl", () => {
    this.CONSUME(kw.data);
    this.CONSUME(Name);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.type);
    this.CONSUME(kw.from);
    this.CONSUME(Str);
  });

  // LetDecl = [ "export" ] , "let" , Name , [ ":" , Type ] , "=" , Expr ;
  readonly letDecl: Rule = this.RULE("LetDecl", () => {
    this.OPTION(() => this.CONSUME(kw.export));
    this.OR([{ ALT: () => this.CONSUME(kw.let) }, { ALT: () => this.CONSUME(IndentedLet) }]);
    this.CONSUME(Name);
    this.OPTION2(() => {
      this.CONSUME(mark[":"]);
      this.SUBRULE(this.type);
    });
    this.CONSUME(mark["="]);
    this.SUBRULE(this.expr);
  });

  // FuncDecl = [ "export" ] , "func" , Name , "(" , [ Param , { "," , Param } ] , ")" , [ ":" , Type ] , "=" , Expr ;
  readonly funcDecl: Rule = this.RULE("FuncDecl", () => {
    this.OPTION(() => this.CONSUME(kw.export));
    this.CONSUME(kw.func);
    this.CONSUME(Name);
    this.CONSUME(mark["("]);
    this.MANY_SEP({ SEP: mark[","], DEF: () => this.SUBRULE(this.param) });
    this.CONSUME(mark[")"]);
    this.OPTION2(() => {
      this.CONSUME(mark[":"]);
      this.SUBRULE(this.type);
    });
    this.CONSUME(mark["="]);
    this.SUBRULE(this.expr);
  });

  // Param = Name , ":" , Type ;
  readonly param: Rule = this.RULE("Param", () => {
    this.CONSUME(Name);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.type);
  });

  // CounterDecl = "counter" , Name , "=" , ( "count" , "of" , Target | PlainName , "of" , Operand , "on" , Target ) ,
  //               [ At ] , [ "when" , Expr ] , "by" , Expr , "over" , DURATION ;
  readonly counterDecl: Rule = this.RULE("CounterDecl", () => {
    this.CONSUME(kw.counter);
    this.CONSUME(Name);
    this.CONSUME(mark["="]);
    this.OR([
      {
        ALT: () => {
          this.CONSUME(kw.count, { LABEL: "measure" });
          this.CONSUME(kw.of);
          this.SUBRULE(this.target);
        },
      },
      {
        ALT: () => {
          this.CONSUME(PlainName, { LABEL: "measure" });
          this.CONSUME2(kw.of);
          this.SUBRULE(this.operand, { LABEL: "of" });
          this.CONSUME(kw.on);
          this.SUBRULE2(this.target);
        },
      },
    ]);
    this.OPTION(() => this.SUBRULE(this.at));
    this.OPTION2(() => {
      this.CONSUME(kw.when);
      this.SUBRULE(this.expr, { LABEL: "when" });
    });
    this.CONSUME(kw.by);
    this.SUBRULE2(this.expr, { LABEL: "by" });
    this.CONSUME(kw.over);
    this.CONSUME(Duration);
  });

  // FixtureDecl = "fixture" , Name , ":" , Type , "=" , Expr ;
  readonly fixtureDecl: Rule = this.RULE("FixtureDecl", () => {
    this.CONSUME(kw.fixture);
    this.CONSUME(Name);
    this.CONSUME(mark[":"]);
    this.SUBRULE(this.type);
    this.CONSUME(mark["="]);
    this.SUBRULE(this.expr);
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

  // ---- rules

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

  // ---- types

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

  // ---- expressions

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

  // ---- tests

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

export type Rule = ParserMethod<[], CstNode>;
