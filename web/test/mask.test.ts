/** Set operations, strokes, polygons and parts of masks. */

import { describe, expect, it } from "vitest";
import { differ, intersect, subtract, union } from "../src/mask/combine";
import { fill, signedArea } from "../src/mask/polygon";
import { parts, tidy } from "../src/mask/regions";
import { area, emptyRuns, isEmpty, rescale } from "../src/mask/runs";
import { coarsen, simplify } from "../src/mask/simplify";
import { stroke } from "../src/mask/stroke";
import { trace } from "../src/mask/trace";
import { draw, noise, show } from "./masks";

describe("set operations", () => {
  const a = noise(9, 11, 0.5, 1);
  const b = noise(9, 11, 0.4, 2);
  const by = (keep: (x: boolean, y: boolean) => boolean): string[] =>
    show(a).map((row, y) => [...row].map((_, x) => (keep(show(a)[y]![x] === "#", show(b)[y]![x] === "#") ? "#" : ".")).join(""));

  it("agree with what each pixel says", () => {
    expect(show(union(a, b))).toEqual(by((x, y) => x || y));
    expect(show(intersect(a, b))).toEqual(by((x, y) => x && y));
    expect(show(subtract(a, b))).toEqual(by((x, y) => x && !y));
    expect(show(differ(a, b))).toEqual(by((x, y) => x !== y));
  });

  it("keep the empty mask empty, and refuse another size", () => {
    expect(isEmpty(subtract(a, a))).toBe(true);
    expect(union(a, emptyRuns(9, 11))).toEqual(a);
    expect(() => union(a, emptyRuns(9, 12))).toThrow("cannot be combined");
  });
});

describe("rings", () => {
  it.each([
    ["one pixel", ["...", ".#.", "..."]],
    ["a hole", ["#####", "#...#", "#.#.#", "#...#", "#####"]],
    ["two parts that touch by a corner", ["##..", "##..", "..##", "..##"]],
    ["two holes that touch by a corner", ["#####", "#.###", "##.##", "#####"]],
    ["the whole image", ["###", "###"]],
    ["a column to the edge and the next from the edge", ["..#", ".#.", ".#."]],
  ])("of %s give it back", (_, rows) => {
    const mask = draw(rows);
    expect(show(fill(trace(mask), mask.height, mask.width))).toEqual(show(mask));
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])("of noise %i give it back", (seed) => {
    const mask = noise(23, 17, seed / 9, seed);
    expect(fill(trace(mask), 23, 17)).toEqual(mask);
  });

  it("run clockwise around parts and the other way around holes", () => {
    const rings = trace(draw(["#####", "#...#", "#...#", "#####"]));
    expect(rings.map((ring) => Math.sign(signedArea(ring)))).toEqual([1, -1]);
    expect(rings.map((ring) => Math.abs(signedArea(ring)) / 2)).toEqual([20, 6]);
    expect(trace(draw(["#..", ".#.", "..#"]))).toHaveLength(3);
  });

  it("keep their corners and lose the rest when they are simplified", () => {
    expect(simplify([0, 0, 5, 0.1, 10, 0, 10, 5, 10, 10, 0, 10, 0, 5], 0.5)).toEqual([0, 0, 10, 0, 10, 10, 0, 10]);
    const mask = draw(Array.from({ length: 60 }, (_, y) => Array.from({ length: 60 }, (_, x) => (Math.hypot(x - 30, y - 30) < 25 ? "#" : ".")).join("")));
    const ring = trace(mask)[0]!;
    const simple = simplify(ring, 1);
    expect(simple.length).toBeLessThan(ring.length / 4);
    expect(area(differ(mask, fill([simple], 60, 60)))).toBeLessThan(0.04 * area(mask));
    expect(coarsen(ring, 4).length).toBeLessThan(ring.length / 2);
  });

  it("are filled at pixel centres, also where they leave the image", () => {
    expect(show(fill([[-5, -5, 2.6, -5, 2.6, 2.4, -5, 2.4]], 4, 4))).toEqual(["###.", "###.", "....", "...."]);
    expect(isEmpty(fill([[1, 1, 3, 3]], 4, 4))).toBe(true);
  });
});

describe("strokes", () => {
  it("cover the pixels whose centres are within the radius of the line", () => {
    const points = [5.3, 4.1, 14.2, 9.7, 15, 3];
    const radius = 2.3;
    const near = (x: number, y: number): boolean =>
      [0, 2].some((i) => {
        const [ax, ay, bx, by] = points.slice(i, i + 4) as [number, number, number, number];
        const t = Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)));
        return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)) <= radius;
      });
    const expected = Array.from({ length: 14 }, (_, y) => Array.from({ length: 20 }, (_, x) => (near(x + 0.5, y + 0.5) ? "#" : ".")).join(""));
    expect(show(stroke(points, radius, 14, 20))).toEqual(expected);
  });

  it("mark a pixel however thin the pen is, and nothing off the image", () => {
    expect(area(stroke([3.5, 2.5], 0.1, 6, 6))).toBe(1);
    expect(isEmpty(stroke([-9, -9], 3, 6, 6))).toBe(true);
    expect(area(stroke([0, 0], 100, 6, 6))).toBe(36);
  });
});

describe("parts", () => {
  it("are joined by sides and corners, the largest first", () => {
    const found = parts(draw(["##...#", "##...#", "..#...", "......", "#....#"]));
    expect(found.map(area)).toEqual([5, 2, 1, 1]);
  });

  it("are found in a shape that closes only at its end", () => {
    expect(parts(draw(["#.###", "#.#.#", "###.#"]))).toHaveLength(1);
  });

  it("that are specks go, and pinholes are filled", () => {
    const mask = draw(["##########", "####.#####", "##########", "..........", "#.........", ".........."]);
    expect(show(tidy(mask, 0.1))).toEqual(["##########", "##########", "##########", "..........", "..........", ".........."]);
    expect(show(tidy(mask, 0.01))).toEqual(show(mask));
  });
});

describe("rescale", () => {
  it("takes the nearest pixel", () => {
    expect(show(rescale(draw(["#.", ".#"]), 4, 4))).toEqual(["##..", "##..", "..##", "..##"]);
    expect(show(rescale(draw(["##..", "##..", "..##", "..##"]), 2, 2))).toEqual(["#.", ".#"]);
  });
});
