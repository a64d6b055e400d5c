// tokens -> CST: the grammar of GRAMMAR.md. Files and declarations; rules, tests and expressions stand in grammar/.
import type { CstNode, IToken } from "chevrotain";
import type { Rule } from "./grammar/grammar.ts";
import { TestGrammar } from "./grammar/tests.ts";
import { Duration, IndentedLet, kw, mark, Name, PlainName, Str } from "./tokens.ts";

/** The whole grammar. */
export class PolicyParser extends TestGrammar {
  constructor(isValidated = false) {
    super(isValidated);
    this.performSelfAnalysis();
  }

  /** @throws TooManyProblemsError; `errors` holds those found until then. */
  read(tokens: IToken[], root: "File" | "Expr"): CstNode | undefined {
    this.forgetProblems();
    this.input = tokens;
    return root === "File" ? this.file() : this.expr();
  }

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
}
