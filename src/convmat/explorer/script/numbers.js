// The numbers on the page: small integers from a seed, kernels by name, and how numbers are written.

/** A generator of random numbers in 0..1 that a seed fixes (mulberry32, public domain). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Small integers, none of them zero, of an array of this shape. A cell keeps its number when the shape changes. */
function smallIntegers([channels, height, width], seed, most) {
  const numbers = new Float64Array(channels * height * width);
  let at = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        numbers[at++] = 1 + Math.floor(randomFrom(seed + 7919 * c + 104729 * i + 1299709 * j)() * most);
      }
    }
  }
  return numbers;
}

/** An array of another shape that keeps what it can; the rest comes from `filling`, of the new shape. */
function reshaped(numbers, [, oldHeight, oldWidth], [channels, height, width], filling) {
  const result = Float64Array.from(filling), before = numbers.length / (oldHeight * oldWidth);
  for (let c = 0; c < Math.min(channels, before); c++) {
    for (let i = 0; i < Math.min(height, oldHeight); i++) {
      for (let j = 0; j < Math.min(width, oldWidth); j++) {
        result[(c * height + i) * width + j] = numbers[(c * oldHeight + i) * oldWidth + j];
      }
    }
  }
  return result;
}

/** One axis of a kernel by name: what upsampling by the stride would use. */
const PROFILES = {
  ones: (size) => range(size).map(() => 1),
  nearest: (size, stride) => range(size).map((t) => (t < stride ? 1 : 0)),
  bilinear: (size) => {
    const middle = (size - 1) / 2, reach = Math.floor((size + 1) / 2);
    return range(size).map((t) => 1 - Math.abs(t - middle) / reach);
  },
  binomial: (size) => {
    let row = [1];
    for (let step = 1; step < size; step++) row = [1, ...row.slice(1).map((value, t) => value + row[t]), 1];
    return row;
  },
};

/** The weight of a preset: the product of the profiles of both axes, between equal channels only. */
function presetWeight(name, model) {
  const { coarseChannels, finePerGroup, taps, axes } = model;
  const profiles = axes.map((axis) => PROFILES[name](axis.kernel, axis.stride));
  const weight = new Float64Array(coarseChannels * finePerGroup * area(taps));
  for (let a = 0; a < coarseChannels; a++) {
    for (let b = 0; b < finePerGroup; b++) {
      if (finePerGroup > 1 && b !== a % finePerGroup) continue;
      for (let s = 0; s < taps[0]; s++) {
        for (let t = 0; t < taps[1]; t++) {
          weight[(a * finePerGroup + b) * area(taps) + s * taps[1] + t] = profiles[0][s] * profiles[1][t];
        }
      }
    }
  }
  return weight;
}

/** A number in as few characters as show it: 3, -0.25, 1.4e7. */
function shortNumber(value, digits = 3) {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  if (!Number.isFinite(value)) return String(value);
  const text = Math.abs(value) >= 1e6 || (Math.abs(value) < 1e-3 && value !== 0)
    ? value.toExponential(1).replace("e+", "e")
    : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

/** A number for a small cell: two digits, and no zero before the point. */
function cellNumber(value) {
  return Number.isInteger(value) ? shortNumber(value) : shortNumber(value, 2).replace(/^(−?)0\./, "$1.");
}

/** A number as a factor: negative ones in brackets. */
function factor(value) {
  return value < 0 ? `(${shortNumber(value)})` : shortNumber(value);
}

function sizeText(sizes) {
  return sizes.join("×");
}
