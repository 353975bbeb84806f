/** The decoder's manifest: what its folder holds, checked when it is read. */

export interface GraphEntry {
  file: string;
  sha256: string;
  bytes: number;
  inputs: string[];
  outputs: string[];
}

export interface Manifest {
  format: 1;
  model: string;
  weights: string;
  precision: string;
  frame: number;
  mask_size: number;
  mask_threshold: number;
  embedding: { name: string; shape: number[] }[];
  graphs: { prepare?: GraphEntry; answer: GraphEntry; answer_masks: GraphEntry; upscale: GraphEntry };
}

/** Said to the person as it is. */
export class DecoderError extends Error {}

export function checkManifest(found: unknown): Manifest {
  const manifest = found as Partial<Manifest> | null;
  if (!manifest || manifest.format !== 1) {
    throw new DecoderError("The decoder was made for another version of this page. Reload the page, or export it again.");
  }
  const graphs = manifest.graphs;
  if (!graphs?.answer || !graphs.answer_masks || !graphs.upscale || !manifest.embedding || !manifest.frame) {
    throw new DecoderError("The decoder's manifest is incomplete. Export the decoder again.");
  }
  return manifest as Manifest;
}

/** Refuse an embedding of another model. Headers that a plain file server does not send are not compared. */
export function checkFits(manifest: Manifest, model: string | null, weights: string | null): void {
  const wrongModel = model !== null && model !== manifest.model;
  const wrongWeights = weights !== null && weights !== manifest.weights;
  if (!wrongModel && !wrongWeights) return;
  throw new DecoderError(
    `The image was embedded with ${model ?? "?"} (${weights ?? "?"}), but the decoder is of ${manifest.model} ` +
      `(${manifest.weights}). Masks come from the server until both are of one model.`,
  );
}

export function elements(shape: number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}
