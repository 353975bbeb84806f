/** The frame, prompts and enlarging, against numbers that the Python package and PyTorch gave. */

import { describe, expect, it } from "vitest";
import { colourWord, frameColumns, fullMask, paint } from "../src/decoder/enlarge";
import { imageFrame, toModel } from "../src/decoder/frame";
import { base64ToLogits, floatToHalf, halfToFloat, logitsToBase64 } from "../src/decoder/half";
import { checkFits, checkManifest, DecoderError, type Manifest } from "../src/decoder/manifest";
import { bestOf, isAmbiguous, type ObjectPrompt, promptKey, tokens, wantedMasks } from "../src/decoder/prompt";
import { maskToLogits } from "../src/decoder/saturated";
import { digest, sha256 } from "../src/decoder/sha256";
import { decodeRle, encodeRle } from "../src/mask/rle";
import known from "./fixtures/frame.json";

describe("frame", () => {
  it.each(known.frames)("$width×$height in $size", ({ height, width, size, resized, points, model }) => {
    const frame = imageFrame(height, width, size);
    expect([frame.h, frame.w]).toEqual(resized);
    points.forEach(([x, y], i) => {
      const found = toModel(frame, x!, y!);
      expect(found[0]).toBeCloseTo(model[i]![0]!, 9);
      expect(found[1]).toBeCloseTo(model[i]![1]!, 9);
    });
  });
});

describe("enlarging", () => {
  it.each(known.cases)("$width×$height from $side by way of $size is PyTorch's", (example) => {
    const frame = imageFrame(example.height, example.width, example.size);
    const columns = frameColumns(Float32Array.from(example.logits), example.side, frame);
    const [h, w] = example.resized as [number, number];
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) expect(columns[x * h + y]).toBeCloseTo(example.square[y * w + x]!, 4);
    }
    const runs = fullMask(columns, frame, example.threshold);
    expect(encodeRle(runs).counts).toBe(example.rle);
  });

  it("paints rows of pixels in one colour", () => {
    const frame = imageFrame(2, 3, 3);
    const pixels = paint(Float32Array.from([1, -1, -1, -1, -1, 1]), frame, 0, colourWord("#102030"));
    expect([...pixels.slice(0, 4)]).toEqual([0x10, 0x20, 0x30, 255]);
    expect([...pixels.slice(4, 8)]).toEqual([0, 0, 0, 0]);
    expect([...pixels.slice(20, 24)]).toEqual([0x10, 0x20, 0x30, 255]);
  });

  it.each(known.saturated)("a finished mask of $width×$height is a prompt of $side", ({ height, width, side, rle, logits }) => {
    const found = maskToLogits(decodeRle({ size: [height, width], counts: rle }), side);
    // Python's small picture is of whole bytes, so it is right to 1/255 of 40.
    found.forEach((value, i) => expect(Math.abs(value - logits[i]!)).toBeLessThan(0.35));
  });
});

describe("prompts", () => {
  const frame = imageFrame(100, 200, 50);
  const point = (x: number, y: number, label: 0 | 1) => ({ x, y, label });
  const none: ObjectPrompt = { points: [], box: null, logits: null };

  it("of points end with a token that is no point", () => {
    const found = tokens({ ...none, points: [point(20, 40, 1), point(8, 4, 0)] }, frame);
    expect([...found.coords]).toEqual([5, 10, 2, 1, 0, 0]);
    expect([...found.labels]).toEqual([1n, 0n, -1n]);
    expect([...found.present]).toEqual([1, 1, 1]);
  });

  it("with a box end with its corners", () => {
    const found = tokens({ ...none, points: [point(20, 40, 1)], box: [0, 4, 8, 12] }, frame);
    expect([...found.coords]).toEqual([5, 10, 0, 1, 2, 3]);
    expect([...found.labels]).toEqual([1n, 2n, 3n]);
  });

  it("are ambiguous when they are one click and nothing else", () => {
    const one = { ...none, points: [point(1, 1, 1)] };
    expect(isAmbiguous(one)).toBe(true);
    expect(wantedMasks(one)).toEqual([1, 2, 3]);
    expect(wantedMasks({ ...none, points: [point(1, 1, 0)] })).toEqual([1, 2, 3]);
    expect(wantedMasks({ ...one, logits: new Float32Array(4) })).toEqual([0]);
    expect(wantedMasks({ ...one, box: [0, 0, 2, 2] })).toEqual([0]);
    expect(wantedMasks({ ...none, box: [0, 0, 2, 2] })).toEqual([0]);
    expect(wantedMasks({ ...none, points: [point(1, 1, 1), point(2, 2, 1)] })).toEqual([0]);
  });

  it("show the best score first, the earlier of equals", () => {
    expect(bestOf([0.2, 0.9, 0.9])).toBe(1);
  });

  it("are the same when they are at the same place, with the same logits", () => {
    expect(promptKey({ ...none, points: [point(1, 2, 1)] })).toBe(promptKey({ ...none, points: [point(1, 2, 1)] }));
    expect(promptKey({ ...none, points: [point(1, 2, 1)] })).not.toBe(promptKey({ ...none, points: [point(1, 2, 0)] }));
    const logits = new Float32Array(1);
    expect(promptKey({ ...none, logits })).toBe(promptKey({ ...none, logits }));
    expect(promptKey({ ...none, logits })).not.toBe(promptKey({ ...none, logits: new Float32Array(1) }));
    expect(promptKey({ ...none, logits })).not.toBe(promptKey(none));
  });
});

describe("numbers over the wire", () => {
  it("are NumPy's float16", () => {
    const { floats, bits } = known.halves;
    expect([...floatToHalf(Float32Array.from(floats))]).toEqual(bits);
    const back = halfToFloat(Uint16Array.from(bits));
    back.forEach((value, i) => expect(Math.abs(value - floats[i]!)).toBeLessThanOrEqual(Math.max(1e-7, Math.abs(floats[i]!) / 1000)));
    expect([...halfToFloat(Uint16Array.of(0x7c00, 0xfc00, 0x7e00))]).toEqual([Infinity, -Infinity, NaN]);
    expect([...base64ToLogits(logitsToBase64(Float32Array.of(1.5, -20)))]).toEqual([1.5, -20]);
  });

  it("have the SHA-256 that the browser's own says, also without it", async () => {
    for (const length of [0, 3, 55, 56, 63, 64, 1000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7) % 256);
      const hex = Array.from(digest(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
      expect(hex).toBe(await sha256(bytes.buffer));
    }
  });
});

describe("manifest", () => {
  const graph = { file: "a.onnx", sha256: "", bytes: 1, inputs: [], outputs: [] };
  const manifest: Manifest = {
    format: 1,
    model: "nano",
    weights: "0123456789abcdef",
    precision: "float32",
    frame: 512,
    mask_size: 256,
    mask_threshold: 0,
    embedding: [{ name: "features", shape: [1, 256, 64, 64] }],
    graphs: { answer: graph, answer_masks: graph, upscale: graph },
  };

  it("of another format, or without its graphs, is refused", () => {
    expect(checkManifest(manifest)).toBe(manifest);
    expect(() => checkManifest({ ...manifest, format: 2 })).toThrow(DecoderError);
    expect(() => checkManifest({ ...manifest, graphs: { answer: graph } })).toThrow("incomplete");
    expect(() => checkManifest(null)).toThrow(DecoderError);
  });

  it("refuses the embedding of another model, and lets pass what is not said", () => {
    expect(() => checkFits(manifest, "nano", "0123456789abcdef")).not.toThrow();
    expect(() => checkFits(manifest, null, null)).not.toThrow();
    expect(() => checkFits(manifest, "vit_b", null)).toThrow("embedded with vit_b");
    expect(() => checkFits(manifest, "nano", "ffff")).toThrow(DecoderError);
  });
});
