// The other way to compute Cᵀ: insert zeros between the inputs, pad, flip the kernel, and slide it with stride 1.

/**
 * One channel of the input with zeros inserted and padded: its cells as {value, kind, coarse}, row by row. Kinds are
 * "input", "inserted" (zeros between inputs) and "padding". Negative padding crops.
 */
function zeroInserted(model, channel) {
  const along = model.axes.map((axis) => {
    const [before, after] = axis.zeroInsertion();
    return range((axis.coarse - 1) * axis.stride + 1 + before + after).map((cell) => {
      const at = cell - before;
      if (at < 0 || at > (axis.coarse - 1) * axis.stride) return { kind: "padding", coarse: -1 };
      return at % axis.stride ? { kind: "inserted", coarse: -1 } : { kind: "input", coarse: at / axis.stride };
    });
  });
  const rows = along[0].map((row) => along[1].map((column) => {
    const kinds = [row.kind, column.kind];
    if (kinds.includes("padding")) return { kind: "padding", value: 0, coarse: -1 };
    if (kinds.includes("inserted")) return { kind: "inserted", value: 0, coarse: -1 };
    const coarse = row.coarse * model.coarse[1] + column.coarse;
    return { kind: "input", value: model.input[channel * area(model.coarse) + coarse], coarse };
  }));
  return { height: along[0].length, width: along[1].length, cells: rows.flat() };
}

/** The flipped kernel of a pair of channels with dilation's zeros between its taps: cells as {value, tap}. */
function flippedKernel(model, a, b) {
  const [first, second] = model.axes;
  const cells = [];
  for (let u = 0; u < first.extent; u++) {
    for (let v = 0; v < second.extent; v++) {
      const s = (first.extent - 1 - u) / first.dilation, t = (second.extent - 1 - v) / second.dilation;
      const isTap = Number.isInteger(s) && Number.isInteger(t);
      const tap = isTap ? s * model.taps[1] + t : -1;
      cells.push({ tap, value: isTap ? model.weight[model.weightPlace(a, b, tap)] : 0 });
    }
  }
  return { height: first.extent, width: second.extent, cells };
}

/** One fine channel of Cᵀ's output, gathered that way (zero padding). */
function gathered(model, b) {
  const output = new Float64Array(area(model.fine));
  for (const a of model.coarsesOf(b)) {
    const grid = zeroInserted(model, a), kernel = flippedKernel(model, a, b);
    for (let i = 0; i < model.fine[0]; i++) {
      for (let j = 0; j < model.fine[1]; j++) {
        for (let u = 0; u < kernel.height; u++) {
          for (let v = 0; v < kernel.width; v++) {
            output[i * model.fine[1] + j] += kernel.cells[u * kernel.width + v].value * grid.cells[(i + u) * grid.width + j + v].value;
          }
        }
      }
    }
  }
  return output;
}
