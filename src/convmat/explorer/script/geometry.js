// The tap table of one axis, by the formulas of convmat.Axis. It is the one place of the page with index arithmetic, and
// the tests hold it to Python's table.
//
//   source(o, t) = o*stride - lo + t*dilation
//
// is the fine cell (an input of the direct convolution C) that the coarse cell o (an output of C) meets through tap t.
// C reads fine cells and writes coarse ones; its transpose reads coarse cells and writes fine ones.

const MODES = ["zeros", "reflect", "replicate", "circular"];

/** What is wrong with a geometry: a key of the texts and its numbers, as in convmat.GeometryError. */
class GeometryError extends Error {
  constructor(key, values, axis = 0) {
    super(key);
    Object.assign(this, { key, values, axis });
  }
}

/** One axis: `fine` and `coarse` are the sizes that C reads and writes. */
class Axis {
  constructor(fine, coarse, kernel, stride = 1, dilation = 1, lo = 0, hi = 0, mode = "zeros") {
    Object.assign(this, { fine, coarse, kernel, stride, dilation, lo, hi, mode });
    checkMode(lo, hi, mode, fine);
    this.extent = dilation * (kernel - 1) + 1;
    this.padded = lo + fine + hi;
    this.full = (coarse - 1) * stride + this.extent; // the cells that stamps reach
    this.slack = this.padded - this.full; // what output_padding is to the transposed convolution
  }

  /** The axis of a convolution of `size` cells. */
  static conv(size, kernel, stride, lo, hi, dilation, mode) {
    const extent = dilation * (kernel - 1) + 1, padded = size + lo + hi;
    if (extent > padded) {
      throw new GeometryError("wrong.extent", { kernel, dilation, extent, size, lo, hi, padded });
    }
    return new Axis(size, Math.floor((padded - extent) / stride) + 1, kernel, stride, dilation, lo, hi, mode);
  }

  /** The axis of a transposed convolution of `size` cells: that of the direct one it transposes. */
  static convTranspose(size, kernel, stride, lo, hi, outputPadding, dilation, mode) {
    const limit = Math.max(stride, dilation);
    if (outputPadding < 0 || outputPadding >= limit) {
      throw new GeometryError("wrong.output_padding", { outputPadding, limit });
    }
    const full = (size - 1) * stride + dilation * (kernel - 1) + 1 + outputPadding;
    if (lo + hi >= full) throw new GeometryError("wrong.cropped", { lo, hi, full, most: full - 1 });
    return new Axis(full - lo - hi, size, kernel, stride, dilation, lo, hi, mode);
  }

  /** The entry of the tap table: a fine cell, or -1 where a zero of the padding is read. */
  source(coarse, tap) {
    return this.cell(this.place(coarse, tap));
  }

  /** Where a tap of a stamp lies on the canvas, whose cell 0 is the first padded one. */
  place(coarse, tap) {
    return coarse * this.stride + tap * this.dilation;
  }

  /** The fine cell that a cell of the canvas is a copy of, or -1. */
  cell(place) {
    const i = place - this.lo, last = this.fine - 1;
    if (this.mode === "circular") return ((i % this.fine) + this.fine) % this.fine;
    if (this.mode === "replicate") return Math.min(Math.max(i, 0), last);
    if (this.mode === "reflect") return last - Math.abs(last - Math.abs(i));
    return i >= 0 && i <= last ? i : -1;
  }

  /** All rows of the table. */
  table() {
    return range(this.coarse).map((o) => range(this.kernel).map((t) => this.source(o, t)));
  }

  /** The (tap, fine) pairs of a coarse cell. */
  reads(coarse) {
    return range(this.kernel).map((t) => [t, this.source(coarse, t)]).filter((pair) => pair[1] >= 0);
  }

  /** The (tap, coarse) pairs of a fine cell. */
  feeds(fine) {
    return this._pairs((place) => this.cell(place) === fine);
  }

  /** The (tap, coarse) pairs whose stamps reach a cell of the canvas. */
  reaching(place) {
    return this._pairs((other) => other === place);
  }

  _pairs(wanted) {
    const found = [];
    for (let o = 0; o < this.coarse; o++) {
      for (let t = 0; t < this.kernel; t++) if (wanted(this.place(o, t))) found.push([t, o]);
    }
    return found;
  }

  /** How many stamps reach each fine cell. */
  overlap() {
    const counts = new Array(this.fine).fill(0);
    for (const row of this.table()) for (const i of row) if (i >= 0) counts[i] += 1;
    return counts;
  }

  /** The cells of the canvas: all that stamps reach, and all of the frame. */
  get canvas() {
    return Math.max(this.full, this.lo + this.fine);
  }

  /** How far the frame's far edge lies inside the last stamp's end; negative: beyond it. */
  get far() {
    return this.full - this.lo - this.fine;
  }

  /** The residue of a fine cell: which taps can reach it. */
  phase(fine) {
    return (fine + this.lo) % this.stride;
  }

  /** The taps that feed each residue of Cᵀ's outputs. */
  phases() {
    return range(this.stride).map((r) => range(this.kernel).filter((t) => (t * this.dilation) % this.stride === r));
  }

  /** What Cᵀ pads around its inputs, zeros inserted, as a convolution of stride 1 (negative: crop). */
  zeroInsertion() {
    const reach = this.extent - 1;
    return [reach - this.lo, reach - this.hi + this.slack];
  }

  /** Fine cells after the last window: what the stride leaves unread at the far end (zero padding). */
  unread() {
    const counts = this.overlap();
    return range(this.fine).filter((i) => counts[i] === 0);
  }
}

function checkMode(lo, hi, mode, fine) {
  if (mode !== "reflect" && mode !== "circular") return;
  const limit = mode === "reflect" ? fine - 1 : fine;
  if (Math.max(lo, hi) > limit) throw new GeometryError(`wrong.${mode}`, { lo, hi, fine });
}

/** The axes of a geometry, as dictionaries write it (see state.js). Throws a GeometryError that names the axis. */
function axesOf(geometry) {
  return geometry.input_size.map((size, a) => {
    const [lo, hi] = geometry.padding[a];
    const kernel = geometry.kernel_size[a], stride = geometry.stride[a], dilation = geometry.dilation[a];
    try {
      return geometry.transposed
        ? Axis.convTranspose(size, kernel, stride, lo, hi, geometry.output_padding[a], dilation, geometry.padding_mode)
        : Axis.conv(size, kernel, stride, lo, hi, dilation, geometry.padding_mode);
    } catch (error) {
      if (error instanceof GeometryError) error.axis = a;
      throw error;
    }
  });
}

/** The padding of "same": a transposed convolution makes size*stride cells, a direct one ceil(size/stride). */
function samePadding(size, kernel, stride, dilation, transposed) {
  const extent = dilation * (kernel - 1) + 1;
  if (transposed) {
    const full = (size - 1) * stride + extent, total = Math.max(full - size * stride, 0);
    const lo = Math.floor(total / 2);
    return { lo, hi: total - lo, outputPadding: size * stride + total - full };
  }
  const outputs = Math.ceil(size / stride), total = Math.max((outputs - 1) * stride + extent - size, 0);
  return { lo: Math.floor(total / 2), hi: total - Math.floor(total / 2), outputPadding: 0 };
}

function range(count) {
  return Array.from({ length: count }, (_, index) => index);
}
