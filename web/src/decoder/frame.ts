/** How an image sits in the model's square frame: the rule of `ImageFrame` in src/anymask/task/frame.py. */

export interface Frame {
  readonly height: number;
  readonly width: number;
  readonly size: number;
  /** sides of the image inside the frame, before padding */
  readonly h: number;
  readonly w: number;
}

export function imageFrame(height: number, width: number, size: number): Frame {
  const scale = size / Math.max(height, width);
  const side = (length: number): number => Math.max(1, Math.floor(length * scale + 0.5));
  return { height, width, size, h: side(height), w: side(width) };
}

/** x and y in original pixels to the model frame. */
export function toModel(frame: Frame, x: number, y: number): [number, number] {
  return [(x * frame.w) / frame.width, (y * frame.h) / frame.height];
}
