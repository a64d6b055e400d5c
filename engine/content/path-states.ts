// JSON paths as an automaton: which masks concern the place where a reader stands
import type { JsonPath, JsonStep } from "../lib/json-path.ts";
import { joinMasks, type Mask } from "../model/mask.ts";
import type { PathMask } from "./masker.ts";

type State = { readonly path: JsonPath; readonly at: number; readonly mask: Mask };

/** A place in a document: what may still come below it, and the mask of the place itself. */
export type Place = { readonly states: readonly State[]; readonly mask: Mask | undefined };

export const nowhere: Place = { states: [], mask: undefined };

export const rootPlace = (paths: readonly PathMask[]): Place =>
  placeOf(paths.map(({ path, mask }) => ({ path, at: 0, mask })));

export const fieldPlace = ({ states }: Place, name: string): Place =>
  states.length === 0
    ? nowhere
    : below(states, (step) => step.kind === "any" || ("name" in step && step.name === name));

export const elementPlace = ({ states }: Place, index: number): Place =>
  states.length === 0
    ? nowhere
    : below(states, (step) => step.kind === "any" || (step.kind === "element" && step.index === index));

function below(states: readonly State[], takes: (step: JsonStep) => boolean): Place {
  const next: State[] = [];
  for (const state of states) {
    const step = state.path[state.at];
    if (step === undefined) continue;
    if (takes(step)) next.push({ ...state, at: state.at + 1 });
    // `..name` looks on at every depth.
    if (step.kind === "anywhere") next.push(state);
  }
  return placeOf(next);
}

function placeOf(states: readonly State[]): Place {
  const masks = states.filter(({ path, at }) => at === path.length).map(({ mask }) => mask);
  return { states: states.filter(({ path, at }) => at < path.length), mask: joinMasks(masks) };
}
