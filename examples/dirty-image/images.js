// A dirty app: pictures take long to draw, and would hold up every request of a web worker. Plain JavaScript, and PNG
// by node:zlib alone.
import { crc32, deflateSync } from 'node:zlib';
import { DirtyApp } from 'kirin';

const DRAWN_MAX = 32;
const TURNS_MAX = 500;

export class Images extends DirtyApp {
  // Drawn before, in this worker: a dirty worker keeps its state from call to call.
  #drawn = new Map();
  #palette = [];

  init() {
    for (let turns = 0; turns < TURNS_MAX; turns++) this.#palette.push(color(turns / TURNS_MAX));
  }

  /** A part of the Mandelbrot set as a PNG. */
  mandelbrot({ size, x, y, zoom }) {
    const key = `${size} ${x} ${y} ${zoom}`;
    let png = this.#drawn.get(key);
    if (png) return { png, drawnBefore: true };
    png = encode(size, this.#pixels(size, x, y, 3 / zoom));
    this.#drawn.set(key, png);
    if (this.#drawn.size > DRAWN_MAX) this.#drawn.delete(this.#drawn.keys().next().value);
    return { png, drawnBefore: false };
  }

  #pixels(size, x, y, width) {
    // Each row begins with a byte that says how it is filtered: not at all.
    const rows = Buffer.alloc(size * (1 + 3 * size));
    let at = 0;
    for (let row = 0; row < size; row++) {
      at++;
      for (let column = 0; column < size; column++) {
        const turns = turnsAt(x + (column / size - 0.5) * width, y + (row / size - 0.5) * width);
        const [red, green, blue] = this.#palette[turns] ?? [0, 0, 0];
        rows[at++] = red;
        rows[at++] = green;
        rows[at++] = blue;
      }
    }
    return rows;
  }
}

/** How often the point can be turned before it flies away. */
function turnsAt(x, y) {
  let [real, imaginary, turns] = [0, 0, 0];
  while (real * real + imaginary * imaginary < 4 && turns < TURNS_MAX) {
    [real, imaginary] = [real * real - imaginary * imaginary + x, 2 * real * imaginary + y];
    turns++;
  }
  return turns;
}

const color = (share) =>
  [0.1, 0.4, 0.7].map((phase) => Math.round(127 + 127 * Math.cos(6.28 * (8 * Math.sqrt(share) + phase))));

function encode(size, rows) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  // 8 bits a channel, red, green and blue.
  header.set([8, 2], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const framed = Buffer.alloc(12 + data.length);
  framed.writeUInt32BE(data.length, 0);
  framed.write(type, 4, 'latin1');
  data.copy(framed, 8);
  framed.writeUInt32BE(crc32(framed.subarray(4, 8 + data.length)), 8 + data.length);
  return framed;
}
