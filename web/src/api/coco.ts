/** COCO's instance JSON of all objects, made in the page. */

import { area, bounds } from "../mask/runs";
import { decodeRle } from "../mask/rle";
import type { ImageRecord, Label, MaskObject } from "./types";

/** Category 0 stands for objects without a label, where there are any. */
export function cocoJson(images: { image: ImageRecord; objects: MaskObject[] }[], labels: Label[]): unknown {
  const category = new Map(labels.map((label, i) => [label.id, i + 1]));
  const annotations = images.flatMap(({ image, objects }) =>
    objects.map((object) => {
      const runs = decodeRle(object.segmentation);
      const box = bounds(runs);
      return {
        image_id: image.id,
        category_id: category.get(object.label ?? "") ?? 0,
        segmentation: object.segmentation,
        area: area(runs),
        bbox: box ? [box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0] : [0, 0, 0, 0],
        iscrowd: 0,
        ...(object.score === null ? {} : { score: object.score }),
      };
    }),
  );
  const unlabelled = annotations.some((annotation) => annotation.category_id === 0);
  return {
    images: images.map(({ image }) => ({
      id: image.id,
      file_name: image.name,
      width: image.width,
      height: image.height,
    })),
    annotations: annotations.map((annotation, i) => ({ id: i + 1, ...annotation })),
    categories: [
      ...(unlabelled ? [{ id: 0, name: "object" }] : []),
      ...labels.map((label, i) => ({ id: i + 1, name: label.name })),
    ],
  };
}
