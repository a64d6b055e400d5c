// text -> statement, by a template of texts that differ in their literals only
import type { Limits } from "../../engine/limits.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import { type CutText, cutLiterals } from "../../engine/sql/literals.ts";
import { fillForm, fits, fromTemplate, type TemplateForm } from "../../engine/sql/template.ts";
import type { Template, TemplateTree } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext } from "../../engine/sql/types.ts";
import type { TemplateEngine } from "./deps.ts";

/** What a text is apart from its literals, in its context. */
export type ShapeOfText = { readonly key: string; readonly cut: CutText };

type Shape = { readonly templates: Template[]; attempts: number; hits: number };

/** Analysis that finds nothing to share is paid twice: this often without use, then not again. */
const attemptsMax = 8;

export class TemplateCache {
  readonly #engine: TemplateEngine;
  readonly #limits: Limits;
  /** In order of use, oldest first. */
  readonly #shapes = new Map<string, Shape>();
  /** Shapes that came once. */
  readonly #seenOnce = new Set<string>();
  /** "none": each text needs its own rewriting. */
  readonly #forms = new WeakMap<Template, Map<string, TemplateForm | "none">>();

  constructor(engine: TemplateEngine, limits: Limits) {
    this.#engine = engine;
    this.#limits = limits;
  }

  shapeOf(contextPart: string, text: string): ShapeOfText | undefined {
    const cut = cutLiterals(text);
    return cut && { key: contextPart + cut.skeleton, cut };
  }

  find({ key, cut }: ShapeOfText, text: string): AnalyzedStatement | undefined {
    const shape = this.#shapes.get(key);
    if (shape === undefined) return undefined;
    for (const template of shape.templates) {
      if (!fits(template, cut.literals)) continue;
      shape.hits += 1;
      this.#shapes.delete(key);
      this.#shapes.set(key, shape);
      return fromTemplate(template, text, cut.literals);
    }
    return undefined;
  }

  /** A text that analysis understood. From the second of a shape on it becomes a template, where it can. */
  learn({ key, cut }: ShapeOfText, text: string, context: SqlContext): void {
    const shape = this.#shapes.get(key) ?? this.#admit(key);
    if (shape === undefined || (shape.attempts >= attemptsMax && shape.hits < shape.attempts * attemptsMax)) return;
    shape.attempts += 1;
    const template = this.#engine.templateOf(text, cut, context);
    if (template === undefined) return;
    if (shape.templates.length >= this.#limits.templatesPerShapeMax) shape.templates.shift();
    shape.templates.push(template);
  }

  #admit(key: string): Shape | undefined {
    if (!this.#seenOnce.delete(key)) {
      if (this.#seenOnce.size >= this.#limits.templateShapesMax) this.#seenOnce.clear();
      this.#seenOnce.add(key);
      return undefined;
    }
    const oldest = this.#shapes.keys().next().value;
    if (this.#shapes.size >= this.#limits.templateShapesMax && oldest !== undefined) this.#shapes.delete(oldest);
    const shape = { templates: [], attempts: 0, hits: 0 };
    this.#shapes.set(key, shape);
    return shape;
  }

  /** `key`: of the obligations. Undefined where the text needs its own rewriting. */
  fill(
    { template, literals }: TemplateTree,
    key: string,
    obligations: Obligations,
    context: SqlContext,
  ): RewrittenSql | undefined {
    const forms = this.#forms.get(template) ?? new Map<string, TemplateForm | "none">();
    let form = forms.get(key);
    if (form === undefined) {
      form = this.#engine.formOf(template, obligations, context) ?? "none";
      const oldest = forms.keys().next().value;
      if (forms.size >= this.#limits.rewriteCacheFormsMax && oldest !== undefined) forms.delete(oldest);
      forms.set(key, form);
      this.#forms.set(template, forms);
    }
    return form === "none" ? undefined : fillForm(template, form, literals);
  }
}
