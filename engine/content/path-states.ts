// JSON paths as an automaton: which masks concern the place where a reader stands
import type { JsonPath, JsonStep } from "../lib/json-path.ts";
import { joinMasks, type Mask } from "../model/mask.ts";
import type { PathMask } from "./masker.ts";

type State = { readonly path: JsonPath; readonly at: number; readonly mask: Mask };

/** A place in a document: what may still come below it, and the mask of the place itself. */
export type Place = {
  readonly states: readonly State[];
  readonly mask: Mask | undefined;
  /** Places below, found before: documents repeat their names. Bounded. */
  readonly known: Map<string | number, Place>;
  /** Elements are alike: no step names one by its index. */
  readonly hasEqualElements: boolean;
};

const knownMax = 1_000;

export const nowhere: Place = { states: [], mask: undefined, known: new Map(), hasEqualElements: true };

export const rootPlace = (paths: readonly PathMask[]): Place =>
  placeOf(paths.map(({ path, mask }) => ({ path, at: 0, mask })));

/** Nothing tells of the place, neither its value nor its name. */
export const isRemoved = ({ mask }: Place): boolean => mask?.kind === "remove";

export function fieldPlace(place: Place, name: string): Place {
  if (place.states.length === 0) return nowhere;
  return remembered(place, name, (step) => step.kind === "any" || ("name" in step && step.name === name));
}

export function elementPlace(place: Place, index: number): Place {
  if (place.states.length === 0) return nowhere;
  const key = place.hasEqualElements ? 0 : index;
  return remembered(place, key, (step) => step.kind === "any" || (step.kind === "element" && step.index === index));
}

function remembered(place: Place, key: string | number, takes: (step: JsonStep) => boolean): Place {
  const known = place.known.get(key);
  if (known !== undefined) return known;
  const found = below(place.states, takes);
  if (place.known.size < knownMax) place.known.set(key, found);
  return found;
}

function below(states: readonly State[], takes: (step: JsonStep) => boolean): Place {
  const next: State[] = [];
  for (const state of states) {
    const step = state.path[state.at];
    if (step === undefined) continue;
    if (takes(step)) next.push({ ...state, at: state.at + 1 });
    // `..name` looks on at every depth.
    if (step.kind === "anywhere") next.push(state);
  }
  return next.length === 0 ? nowhere : placeOf(next);
}

function placeOf(all: readonly State[]): Place {
  const masks = all.filter(({ path, at }) => at === path.length).map(({ mask }) => mask);
  const states = all.filter(({ path, at }) => at < path.length);
  const hasEqualElements = states.every(({ path, at }) => path[at]?.kind !== "element");
  return { states, mask: joinMasks(masks), known: new Map(), hasEqualElements };
}
