/** float16 numbers as they come over the wire, to float32 and back. */

let table: Float32Array | null = null;

function halves(): Float32Array {
  if (table) return table;
  table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

export function halfToFloat(values: Uint16Array): Float32Array {
  const known = halves();
  const floats = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) floats[i] = known[values[i]!]!;
  return floats;
}

const word = new Float32Array(1);
const bitsOf = new Uint32Array(word.buffer);

export function floatToHalf(values: Float32Array): Uint16Array {
  const halfWords = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    word[0] = values[i]!;
    halfWords[i] = roundToHalf(bitsOf[0]!);
  }
  return halfWords;
}

/** Round the bits of a float32 to the nearest float16, ties to even. */
function roundToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return sign | 0x7e00;
  if (rest >= 0x477ff000) return sign | 0x7c00;
  if (rest < 0x38800000) {
    bitsOf[0] = rest;
    return sign | roundEven(word[0]! * 2 ** 24);
  }
  return sign | ((rest - 0x38000000 + 0xfff + ((rest >>> 13) & 1)) >>> 13);
}

function roundEven(value: number): number {
  const low = Math.floor(value);
  const over = value - low;
  return over > 0.5 || (over === 0.5 && low % 2 === 1) ? low + 1 : low;
}

export function logitsToBase64(logits: Float32Array): string {
  const bytes = new Uint8Array(floatToHalf(logits).buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

export function base64ToLogits(text: string): Float32Array {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return halfToFloat(new Uint16Array(bytes.buffer));
}
