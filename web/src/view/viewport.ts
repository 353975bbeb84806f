/** Where the image lies on the screen: zoom and pan as plain arithmetic. */

/** A place (x, y) of the image is seen at (x·scale + left, y·scale + top), in CSS pixels of the stage. */
export interface Viewport {
  readonly scale: number;
  readonly left: number;
  readonly top: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Place {
  x: number;
  y: number;
}

const MOST = 64;
const MARGIN = 16;
/** width of the tools on the left, with their margins */
const TOOLS = 64;

export function toImage(view: Viewport, x: number, y: number): Place {
  return { x: (x - view.left) / view.scale, y: (y - view.top) / view.scale };
}

export function toScreen(view: Viewport, x: number, y: number): Place {
  return { x: x * view.scale + view.left, y: y * view.scale + view.top };
}

/** The whole image beside the tools; a small image no larger than twice its size. */
export function fit(image: Size, stage: Size): Viewport {
  const room = { width: Math.max(1, stage.width - TOOLS - MARGIN), height: Math.max(1, stage.height - 2 * MARGIN) };
  const scale = Math.min(room.width / image.width, room.height / image.height, 2);
  const { left, top } = centred(image, room, scale);
  return { scale, left: left + TOOLS, top: top + MARGIN };
}

export function centred(image: Size, stage: Size, scale: number): Viewport {
  return {
    scale,
    left: (stage.width - image.width * scale) / 2,
    top: (stage.height - image.height * scale) / 2,
  };
}

/** Zoom by a factor; what lies at (x, y) on the stage stays there. */
export function zoomAt(view: Viewport, image: Size, stage: Size, factor: number, x: number, y: number): Viewport {
  const least = Math.min(fit(image, stage).scale, 1) / 2;
  const scale = Math.min(MOST, Math.max(least, view.scale * factor));
  const grown = scale / view.scale;
  return hold({ scale, left: x - (x - view.left) * grown, top: y - (y - view.top) * grown }, image, stage);
}

export function panBy(view: Viewport, image: Size, stage: Size, dx: number, dy: number): Viewport {
  return hold({ ...view, left: view.left + dx, top: view.top + dy }, image, stage);
}

/** Some of the image always stays in sight. */
function hold(view: Viewport, image: Size, stage: Size): Viewport {
  const keep = (at: number, length: number, room: number): number => {
    const seen = Math.min(80, length / 2, room / 2);
    return Math.min(room - seen, Math.max(seen - length, at));
  };
  return {
    scale: view.scale,
    left: keep(view.left, image.width * view.scale, stage.width),
    top: keep(view.top, image.height * view.scale, stage.height),
  };
}
