// A geometry, a weight and an input become numbers: the entries of C, the outputs, the sum of stamps, what meets what.
// Everything is two-dimensional inside; one axis alone has a first axis of a single cell before it.
//
// Cells are numbered in row-major order. Coarse and fine channels are those of C's rows and columns.

/** All that the views draw. Throws a GeometryError where the geometry is wrong. */
class Model {
  constructor(geometry, weight, input) {
    const axes = axesOf(geometry);
    this.geometry = geometry;
    this.ndim = axes.length;
    this.axes = this.ndim === 1 ? [new Axis(1, 1, 1), axes[0]] : axes;
    this.transposed = geometry.transposed;
    this.weight = weight;
    this.input = input;
    this.coarse = this.axes.map((axis) => axis.coarse);
    this.fine = this.axes.map((axis) => axis.fine);
    this.taps = this.axes.map((axis) => axis.kernel);
    // A transposed convolution is shown the sum of its stamps, a direct one its padded input.
    this.canvas = this.axes.map((axis) => (this.transposed ? axis.canvas : axis.padded));
    const { in_channels: ins, out_channels: outs, groups } = geometry;
    [this.coarseChannels, this.fineChannels] = this.transposed ? [ins, outs] : [outs, ins];
    this.coarsePerGroup = this.coarseChannels / groups;
    this.finePerGroup = this.fineChannels / groups;
    this.rows = this.coarseChannels * area(this.coarse);
    this.columns = this.fineChannels * area(this.fine);
    this.entries = this._entries();
    this.output = this._apply();
  }

  /** The nonzero entries of C, tap by tap: row, column, and the place of the tap in the weight. */
  _entries() {
    const perChannel = [];
    for (let o = 0; o < this.coarse[0]; o++) {
      for (let p = 0; p < this.coarse[1]; p++) {
        for (const [s, i] of this.axes[0].reads(o)) {
          for (const [t, j] of this.axes[1].reads(p)) {
            perChannel.push([o * this.coarse[1] + p, i * this.fine[1] + j, s * this.taps[1] + t]);
          }
        }
      }
    }
    const row = [], column = [], tap = [];
    for (let a = 0; a < this.coarseChannels; a++) {
      for (const b of this.finesOf(a)) {
        for (const [o, i, t] of perChannel) {
          row.push(a * area(this.coarse) + o);
          column.push(b * area(this.fine) + i);
          tap.push(this.weightPlace(a, b, t));
        }
      }
    }
    return { row, column, tap, count: row.length };
  }

  /** The fine channels that a coarse one meets: those of its group. */
  finesOf(coarseChannel) {
    const group = Math.floor(coarseChannel / this.coarsePerGroup);
    return range(this.finePerGroup).map((b) => group * this.finePerGroup + b);
  }

  /** The coarse channels that a fine one meets. */
  coarsesOf(fineChannel) {
    const group = Math.floor(fineChannel / this.finePerGroup);
    return range(this.coarsePerGroup).map((a) => group * this.coarsePerGroup + a);
  }

  meets(a, b) {
    return Math.floor(a / this.coarsePerGroup) === Math.floor(b / this.finePerGroup);
  }

  /** Where the weight of a pair of channels and a tap lies: (coarse, fine in its group, tap). */
  weightPlace(a, b, tap) {
    return (a * this.finePerGroup + (b % this.finePerGroup)) * area(this.taps) + tap;
  }

  /** C @ input, or its transpose. */
  _apply() {
    return this.multiply(this.input, this.transposed);
  }

  /** C @ vector, or with `transposed` its transpose @ vector. */
  multiply(vector, transposed) {
    const { row, column, tap, count } = this.entries;
    const result = new Float64Array(transposed ? this.columns : this.rows);
    for (let e = 0; e < count; e++) {
      if (transposed) result[column[e]] += this.weight[tap[e]] * vector[row[e]];
      else result[row[e]] += this.weight[tap[e]] * vector[column[e]];
    }
    return result;
  }

  /** C, row by row. */
  matrix() {
    if (!this._matrix) {
      this._matrix = new Float64Array(this.rows * this.columns);
      const { row, column, tap, count } = this.entries;
      for (let e = 0; e < count; e++) this._matrix[row[e] * this.columns + column[e]] += this.weight[tap[e]];
    }
    return this._matrix;
  }

  /** The taps that meet in each entry of C, as a map from row*columns + column to places in the weight. */
  tapsAt() {
    if (!this._tapsAt) {
      this._tapsAt = new Map();
      const { row, column, tap, count } = this.entries;
      for (let e = 0; e < count; e++) {
        const at = row[e] * this.columns + column[e];
        if (this._tapsAt.has(at)) this._tapsAt.get(at).push(tap[e]);
        else this._tapsAt.set(at, [tap[e]]);
      }
    }
    return this._tapsAt;
  }

  /**
   * The canvas of one fine channel. Transposed: the sum of the first `steps` stamps of each coarse channel, before
   * cropping. Direct: the padded input. `counts` says how many stamps reached each cell.
   */
  canvasOf(fineChannel, steps = Infinity) {
    const [height, width] = this.canvas;
    const values = new Float64Array(height * width), counts = new Int32Array(height * width);
    if (!this.transposed) {
      for (let u = 0; u < height; u++) {
        for (let v = 0; v < width; v++) {
          const cell = this.fineAt(u, v);
          if (cell < 0) continue;
          values[u * width + v] = this.input[fineChannel * area(this.fine) + cell];
          counts[u * width + v] = 1;
        }
      }
      return { values, counts };
    }
    const last = Math.min(steps, area(this.coarse));
    for (const a of this.coarsesOf(fineChannel)) {
      for (let o = 0; o < last; o++) {
        for (const { place, tap } of this.stamp(o)) {
          values[place] += this.weight[this.weightPlace(a, fineChannel, tap)] * this.input[a * area(this.coarse) + o];
          counts[place] += 1;
        }
      }
    }
    return { values, counts };
  }

  /** The cells of the canvas under the stamp, or window, of a coarse cell: places with their taps. */
  stamp(o) {
    const [row, column] = [Math.floor(o / this.coarse[1]), o % this.coarse[1]];
    const found = [];
    for (let s = 0; s < this.taps[0]; s++) {
      for (let t = 0; t < this.taps[1]; t++) {
        const u = this.axes[0].place(row, s), v = this.axes[1].place(column, t);
        found.push({ place: u * this.canvas[1] + v, tap: s * this.taps[1] + t });
      }
    }
    return found;
  }

  /** The fine cell at a place of the canvas, or -1 for a zero of the padding (transposed: what is cropped). */
  fineAt(u, v) {
    const i = this.axes[0].cell(u), j = this.axes[1].cell(v);
    return i < 0 || j < 0 ? -1 : i * this.fine[1] + j;
  }

  /** Whether a place of the canvas lies in the frame: on the fine cells themselves. */
  inFrame(u, v) {
    return [u, v].every((at, a) => at >= this.axes[a].lo && at < this.axes[a].lo + this.axes[a].fine);
  }

  /** The place on the canvas of a fine cell. */
  placeOf(fineCell) {
    const [i, j] = [Math.floor(fineCell / this.fine[1]), fineCell % this.fine[1]];
    return (i + this.axes[0].lo) * this.canvas[1] + j + this.axes[1].lo;
  }

  /** The terms of a coarse cell: all {coarse, fine, tap, weight} that its row of C holds. */
  termsOfCoarse(a, o) {
    const [row, column] = [Math.floor(o / this.coarse[1]), o % this.coarse[1]];
    return this._terms(this.axes[0].reads(row), this.axes[1].reads(column), this.finesOf(a), (b, i, tap) => ({
      coarse: a * area(this.coarse) + o,
      fine: b * area(this.fine) + i[0] * this.fine[1] + i[1],
      tap,
      weight: this.weightPlace(a, b, tap),
    }));
  }

  /** The terms of a fine cell: its column of C. */
  termsOfFine(b, i) {
    const [row, column] = [Math.floor(i / this.fine[1]), i % this.fine[1]];
    return this._terms(this.axes[0].feeds(row), this.axes[1].feeds(column), this.coarsesOf(b), (a, o, tap) => ({
      coarse: a * area(this.coarse) + o[0] * this.coarse[1] + o[1],
      fine: b * area(this.fine) + i,
      tap,
      weight: this.weightPlace(a, b, tap),
    }));
  }

  /** The terms of a weight: all entries that hold it. */
  termsOfWeight(place) {
    const { row, column, tap, count } = this.entries;
    const found = [];
    for (let e = 0; e < count; e++) {
      if (tap[e] === place) {
        found.push({ coarse: row[e], fine: column[e], tap: place % area(this.taps), weight: place });
      }
    }
    return found;
  }

  /** The stamps that reach a place of the canvas, cropped or not. */
  termsOfPlace(b, u, v) {
    const fineCell = this.fineAt(u, v);
    return this._terms(this.axes[0].reaching(u), this.axes[1].reaching(v), this.coarsesOf(b), (a, o, tap) => ({
      coarse: a * area(this.coarse) + o[0] * this.coarse[1] + o[1],
      fine: fineCell < 0 ? -1 : b * area(this.fine) + fineCell,
      tap,
      weight: this.weightPlace(a, b, tap),
    }));
  }

  _terms(first, second, channels, make) {
    const found = [];
    for (const channel of channels) {
      for (const [s, i] of first) {
        for (const [t, j] of second) found.push(make(channel, [i, j], s * this.taps[1] + t));
      }
    }
    return found;
  }

  /** The value that a coarse or fine cell brings to a sum: of the input, whichever side that is. */
  read(term) {
    return this.input[this.transposed ? term.coarse : term.fine];
  }
}

function area(sizes) {
  return sizes[0] * sizes[1];
}
