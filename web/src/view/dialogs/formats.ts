/** Names of file formats as people know them. */

const NAMES: Record<string, string> = {
  auto: "find out",
  sa1b: "SA-1B",
  coco: "COCO",
  coco_panoptic: "COCO panoptic",
  lvis: "LVIS",
  yolo: "YOLO",
  labelme: "LabelMe",
  via: "VIA",
  cvat: "CVAT",
  voc: "Pascal VOC",
  cityscapes: "Cityscapes",
  instance_png: "PNG, instances",
  semantic_png: "PNG, classes",
  object_png: "PNG, an object each",
  youtube_vis: "YouTube-VIS",
  bsds: "BSDS",
  mat: "MATLAB",
  visor: "VISOR",
  woodscape: "WoodScape",
};

/** A format without a known name is called what the server calls it. */
export function formatName(format: string): string {
  return NAMES[format] ?? format.replaceAll("_", " ");
}
