/** RLE against strings that pycocotools made. */

import { describe, expect, it } from "vitest";
import { decodeRle, encodeRle, MaskError, runLengths } from "../src/mask/rle";
import { area, bounds, contains } from "../src/mask/runs";
import known from "./fixtures/rle.json";
import { draw, noise, show } from "./masks";

describe("COCO's run lengths", () => {
  it.each(known.masks.map((mask, i) => [i, mask] as const))("reads and writes mask %i as pycocotools does", (_, mask) => {
    const size = mask.size as [number, number];
    const runs = decodeRle({ size, counts: mask.counts });
    expect(show(runs)).toEqual(show(draw(mask.pixels)));
    expect(encodeRle(draw(mask.pixels))).toEqual({ size, counts: mask.counts });
  });

  it("knows area, bounds and pixels of a mask that it does not unpack", () => {
    const { size, counts, area: pixels, box } = known.large;
    const runs = decodeRle({ size: size as [number, number], counts });
    expect(area(runs)).toBe(pixels);
    const found = bounds(runs)!;
    expect([found.x0, found.y0, found.x1, found.y1]).toEqual(box);
    expect(contains(runs, 5, 3)).toBe(true);
    expect(contains(runs, 55.5, 45.5)).toBe(false);
    expect(contains(runs, 4.99, 3)).toBe(false);
    expect(contains(runs, -1, 3)).toBe(false);
  });

  it("gives back noise of many runs", () => {
    const runs = noise(40, 60, 0.5, 5);
    expect(decodeRle(encodeRle(runs))).toEqual(runs);
    expect(runLengths(runs).reduce((a, b) => a + b)).toBe(2400);
  });

  it("refuses counts that are cut, or of another size", () => {
    expect(() => decodeRle({ size: [3, 4], counts: "`" })).toThrow(MaskError);
    expect(() => decodeRle({ size: [3, 5], counts: encodeRle(draw(["#..", "..#"])).counts })).toThrow(MaskError);
  });
});
