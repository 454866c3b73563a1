// A heat map of dwell times.

const CELL_PX = 8;

// Colours by share of the maximum: transparent, blue, green, yellow, red.
const STOPS = [
  [0, [38, 84, 200, 0]],
  [0.15, [38, 84, 200, 90]],
  [0.4, [32, 160, 140, 150]],
  [0.7, [245, 200, 60, 185]],
  [1, [225, 60, 60, 210]],
];

function colourAt(share) {
  const index = Math.max(1, STOPS.findIndex(([stop]) => share <= stop));
  const [[low, from], [high, to]] = [STOPS[index - 1], STOPS[index]];
  const way = (share - low) / (high - low);
  return from.map((value, channel) => value + way * (to[channel] - value));
}

const COLOURS = Uint8ClampedArray.from({ length: 256 }, (_, index) => index).reduce((table, index) => {
  table.set(colourAt(index / 255), 4 * index);
  return table;
}, new Uint8ClampedArray(1024));

export class Heat {
  #columns = 0;
  #rows = 0;
  #seconds = new Float32Array(0);
  #small = new OffscreenCanvas(1, 1);

  clear(width, height) {
    [this.#columns, this.#rows] = [Math.ceil(width / CELL_PX), Math.ceil(height / CELL_PX)];
    this.#seconds = new Float32Array(this.#columns * this.#rows);
    [this.#small.width, this.#small.height] = [Math.max(1, this.#columns), Math.max(1, this.#rows)];
  }

  /** Add a dwell time at a point, blurred by the calibration's error. */
  add([x, y], seconds, blurPx) {
    const [column, row, blur] = [x / CELL_PX, y / CELL_PX, Math.max(blurPx / CELL_PX, 2)];
    const reach = Math.ceil(2.5 * blur);
    for (let j = Math.max(0, Math.floor(row - reach)); j < Math.min(this.#rows, row + reach); j++) {
      for (let i = Math.max(0, Math.floor(column - reach)); i < Math.min(this.#columns, column + reach); i++) {
        const far = ((i + 0.5 - column) ** 2 + (j + 0.5 - row) ** 2) / (2 * blur * blur);
        this.#seconds[j * this.#columns + i] += seconds * Math.exp(-far);
      }
    }
  }

  draw(context, width, height) {
    const most = this.#seconds.reduce((a, b) => Math.max(a, b), 0);
    if (most === 0) return;
    const image = new ImageData(this.#columns, this.#rows);
    for (let cell = 0; cell < this.#seconds.length; cell++) {
      const level = 4 * Math.round((255 * this.#seconds[cell]) / most);
      image.data.set(COLOURS.subarray(level, level + 4), 4 * cell);
    }
    this.#small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.#small, 0, 0, this.#columns * CELL_PX, this.#rows * CELL_PX);
  }
}
