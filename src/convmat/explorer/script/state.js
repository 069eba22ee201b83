// The state of the page: a plain object that fits into a link. Whatever comes from outside is clamped before anything is
// allocated, and mended to the nearest geometry that exists. LIMITS are those of limits.json: [least, most] of each number,
// the most cells of an axis of the canvas, and the most entries of the matrix with and without its zeros.

const LISTS = ["input_size", "kernel_size", "stride", "output_padding", "dilation"];
const PANELS = ["parameters", "ways", "sizes", "checkerboard", "questions", "practice", "story", "kernel", "code"];

function defaultState() {
  return {
    geometry: {
      transposed: true,
      input_size: [2, 3],
      kernel_size: [3, 3],
      stride: [2, 2],
      padding: [[1, 1], [1, 1]],
      output_padding: [1, 1],
      dilation: [1, 1],
      groups: 1,
      in_channels: 1,
      out_channels: 1,
      padding_mode: "zeros",
    },
    seed: 3,
    kernel: "random", // or a name of PROFILES, or "own" with the numbers in `weight`
    weight: null,
    input: null,
    show: "numbers", // or "symbols", "colours"
    gradient: false,
    turned: null, // whether the matrix is drawn as C; null: as the map, unless that is narrow
    panel: "",
    story: 0,
    pin: null, // a selection; see selection.js
    step: null, // stamps so far; null: all
    lang: null,
    theme: null,
    note: null, // what explore() left out of the layer: {key, values}
  };
}

/** An integer from anything, within limits. */
function integer(value, [least, most], otherwise) {
  const number = typeof value === "number" ? value : typeof value === "string" ? parseFloat(value) : NaN;
  if (Number.isNaN(number)) return otherwise;
  return Math.min(Math.max(Math.round(number), least), most);
}

/** A geometry within the limits, from anything; it may still be one that does not exist. */
function clampGeometry(given) {
  const standard = defaultState().geometry;
  if (!given || typeof given !== "object") return standard;
  const sizes = Array.isArray(given.input_size) ? given.input_size : standard.input_size;
  const ndim = Math.min(Math.max(sizes.length, 1), 2);
  const geometry = { ...standard, transposed: given.transposed !== false };
  for (const name of LISTS) {
    const list = Array.isArray(given[name]) ? given[name] : [given[name]];
    const otherwise = { input_size: 3, kernel_size: 3, stride: 1, output_padding: 0, dilation: 1 }[name];
    geometry[name] = range(ndim).map((a) => integer(list[Math.min(a, list.length - 1)], LIMITS[name], otherwise));
  }
  const padding = Array.isArray(given.padding) ? given.padding : [given.padding];
  geometry.padding = range(ndim).map((a) => {
    const one = padding[Math.min(a, padding.length - 1)];
    const pair = Array.isArray(one) ? one : [one, one];
    return [integer(pair[0], LIMITS.padding, 0), integer(pair[1], LIMITS.padding, 0)];
  });
  geometry.padding_mode = MODES.includes(given.padding_mode) ? given.padding_mode : "zeros";
  geometry.in_channels = integer(given.in_channels, LIMITS.channels, 1);
  geometry.out_channels = integer(given.out_channels, LIMITS.channels, 1);
  geometry.groups = integer(given.groups, LIMITS.channels, 1);
  return geometry;
}

/** Why a geometry cannot be shown: a GeometryError, or null if it can. Allocates nothing that grows with its sizes. */
function whatIsWrong(geometry) {
  try {
    checkLimits(geometry);
    const axes = axesOf(geometry);
    for (const name of ["in_channels", "out_channels"]) {
      if (geometry[name] % geometry.groups) {
        throw new GeometryError("wrong.groups", { name, channels: geometry[name], groups: geometry.groups });
      }
    }
    for (const [a, axis] of axes.entries()) {
      const cells = Math.max(axis.canvas, axis.padded);
      if (cells > LIMITS.canvas) throw new GeometryError("wrong.large", { cells, most: LIMITS.canvas }, a);
    }
    const product = (name) => axes.reduce((total, axis) => total * axis[name], 1);
    const channels = geometry.in_channels * geometry.out_channels;
    const entries = product("fine") * product("coarse") * channels;
    if (entries > LIMITS.entries) throw new GeometryError("wrong.entries", { entries, most: LIMITS.entries });
    const products = (product("coarse") * product("kernel") * channels) / geometry.groups;
    if (products > LIMITS.products) throw new GeometryError("wrong.entries", { entries: products, most: LIMITS.products });
  } catch (error) {
    if (error instanceof GeometryError) return error;
    throw error;
  }
  return null;
}

function checkLimits(geometry) {
  for (const path of pathsOf(geometry)) {
    const value = read(geometry, path), [least, most] = LIMITS[path[0]] || LIMITS.channels;
    if (!(value >= least && value <= most)) {
      throw new GeometryError("wrong.range", { name: path[0], value, least, most }, path[1] || 0);
    }
  }
}

/** The paths of all numbers of a geometry, as read() takes them. */
function pathsOf(geometry) {
  const axes = range(geometry.input_size.length);
  return [
    ...LISTS.flatMap((name) => axes.map((a) => [name, a])),
    ...axes.flatMap((a) => [["padding", a, 0], ["padding", a, 1]]),
    ["groups"], ["in_channels"], ["out_channels"],
  ];
}

/** The nearest value of one number of a geometry with which it can be shown, or null if there is none. */
function nearestValue(geometry, path) {
  const [name, a, end] = path;
  const limits = LIMITS[name] || LIMITS.channels;
  const now = read(geometry, path);
  for (let distance = 1; distance <= limits[1] + 1; distance++) {
    for (const value of [now - distance, now + distance]) {
      if (value < limits[0] || value > limits[1]) continue;
      if (!whatIsWrong(changed(geometry, [name, a, end], value))) return value;
    }
  }
  return null;
}

/** The number of a geometry at a path as ["padding", 0, 1] or ["groups"]. */
function read(geometry, [name, a, end]) {
  const value = geometry[name];
  return a === undefined ? value : end === undefined ? value[a] : value[a][end];
}

/** A geometry with one number changed. */
function changed(geometry, [name, a, end], value) {
  const copy = { ...geometry };
  if (a === undefined) copy[name] = value;
  else {
    copy[name] = geometry[name].map((item) => (Array.isArray(item) ? [...item] : item));
    if (end === undefined) copy[name][a] = value;
    else copy[name][a][end] = value;
  }
  return copy;
}

/** The nearest numbers, all moved by as much, at some paths of a geometry with which it can be shown; null if none. */
function nearestNumbers(geometry, paths) {
  const now = paths.map((path) => read(geometry, path));
  const set = (numbers) => paths.reduce((next, path, k) => {
    const [least, most] = LIMITS[path[0]] || LIMITS.channels;
    return changed(next, path, Math.min(Math.max(numbers[k], least), most));
  }, geometry);
  for (let distance = 0; distance <= LIMITS.padding[1]; distance++) {
    for (const by of [-distance, distance]) {
      const next = set(now.map((number) => number + by));
      if (!whatIsWrong(next)) return next;
    }
  }
  return null;
}

/** The nearest geometry that can be shown: numbers are mended one at a time, the fewest first. */
function mend(geometry) {
  let best = geometry;
  for (let round = 0; round < 12; round++) {
    const wrong = whatIsWrong(best);
    if (!wrong) return best;
    best = mendOnce(best, wrong);
  }
  return whatIsWrong(best) ? defaultState().geometry : best;
}

function mendOnce(geometry, wrong) {
  const a = wrong.axis;
  const first = {
    "wrong.output_padding": [["output_padding", a]],
    "wrong.cropped": [["padding", a, 1], ["padding", a, 0]],
    "wrong.extent": [["kernel_size", a], ["dilation", a]],
    "wrong.reflect": [["padding", a, 0], ["padding", a, 1]],
    "wrong.circular": [["padding", a, 0], ["padding", a, 1]],
    "wrong.groups": [["groups"]],
    "wrong.large": [["input_size", a], ["stride", a], ["kernel_size", a]],
    "wrong.entries": [["in_channels"], ["out_channels"], ["input_size", 0], ["input_size", geometry.stride.length - 1]],
  }[wrong.key];
  for (const path of first) {
    const value = nearestValue(geometry, path);
    if (value !== null) return changed(geometry, path, value);
  }
  // No single number does: go halfway with all that have a part in it.
  return first.reduce((halved, path) => {
    const least = (LIMITS[path[0]] || LIMITS.channels)[0];
    return changed(halved, path, Math.max(least, Math.floor(read(halved, path) / 2)));
  }, geometry);
}

/** A whole state from anything: of a link, of explore(), of a widget. */
function cleanState(given) {
  const state = defaultState();
  if (!given || typeof given !== "object") return state;
  state.geometry = mend(clampGeometry(given.geometry));
  state.seed = integer(given.seed, [0, 999999], state.seed);
  state.kernel = given.kernel in PROFILES && Object.hasOwn(PROFILES, given.kernel) ? given.kernel : "random";
  const shapes = shapesOf(state.geometry), count = (shape) => shape[0] * shape[1] * shape[2];
  state.weight = numbersOf(given.weight, count(shapes.weight));
  state.input = numbersOf(given.input, count(shapes.input));
  if (state.weight) state.kernel = "own";
  if (["numbers", "symbols", "colours"].includes(given.show)) state.show = given.show;
  if (PANELS.includes(given.panel)) state.panel = given.panel;
  state.gradient = given.gradient === true;
  state.turned = typeof given.turned === "boolean" ? given.turned : null;
  state.story = integer(given.story, [0, 10], 0);
  state.step = given.step === null || given.step === undefined ? null : integer(given.step, [0, 4096], null);
  if (["en", "zh"].includes(given.lang)) state.lang = given.lang;
  if (["light", "dark"].includes(given.theme)) state.theme = given.theme;
  state.pin = cleanSelection(given.pin);
  if (given.note && typeof given.note === "object" && typeof given.note.key === "string") {
    state.note = { key: given.note.key, values: { ...given.note.values } };
  }
  return state;
}

function cleanSelection(given) {
  if (!Array.isArray(given) || !["coarse", "fine", "weight", "place"].includes(given[0])) return null;
  const numbers = given.slice(1, 4).map((value) => integer(value, [0, 9999], 0));
  return [given[0], ...numbers];
}

/** The shapes of the weight and of the input, as (channels, height, width). */
function shapesOf(geometry) {
  const flat = (sizes) => (sizes.length === 1 ? [1, sizes[0]] : sizes);
  const channels = (geometry.in_channels * geometry.out_channels) / geometry.groups;
  return {
    weight: [channels, ...flat(geometry.kernel_size)],
    input: [geometry.in_channels, ...flat(geometry.input_size)],
  };
}

/** So many finite numbers, or null. */
function numbersOf(values, count) {
  if (!Array.isArray(values) && !(values instanceof Float64Array)) return null;
  if (values.length !== count) return null;
  const numbers = Float64Array.from(values);
  return numbers.every(Number.isFinite) ? numbers : null;
}

/** The model of a state: its own numbers, those of a preset, or those of the seed. */
function modelOf(state) {
  const shapes = shapesOf(state.geometry);
  const input = state.input || smallIntegers(shapes.input, state.seed, 4);
  const weight = state.weight || smallIntegers(shapes.weight, state.seed + 1000, 3);
  const model = new Model(state.geometry, weight, input);
  if (!state.weight && state.kernel !== "random") return new Model(state.geometry, presetWeight(state.kernel, model), input);
  return model;
}

// -- links -------------------------------------------------------------------------------------------------------------

/** The part of a link after "#". Only what differs from the default is written. */
function toHash(state) {
  const standard = defaultState(), { geometry } = state;
  const parts = [];
  const add = (name, text, usual) => {
    if (text !== usual) parts.push(`${name}=${encodeURIComponent(text).replace(/%2C/g, ",").replace(/%3A/g, ":")}`);
  };
  const list = (values) => values.map((value) => (Array.isArray(value) ? value.join(":") : value)).join("x");
  add("map", geometry.transposed ? "transposed" : "direct", "transposed");
  for (const name of [...LISTS, "padding"]) add(name, list(geometry[name]), list(standard.geometry[name]));
  for (const name of ["in_channels", "out_channels", "groups"]) add(name, String(geometry[name]), "1");
  add("padding_mode", geometry.padding_mode, "zeros");
  add("seed", String(state.seed), String(standard.seed));
  if (state.weight) add("weight", written(state.weight), "");
  else add("kernel", state.kernel, "random");
  if (state.input) add("input", written(state.input), "");
  for (const name of ["show", "panel"]) add(name, state[name], standard[name]);
  if (state.gradient) add("gradient", "1", "");
  if (state.turned !== null) add("turned", state.turned ? "1" : "0", "");
  if (state.panel === "story") add("story", String(state.story), "0");
  if (state.pin) add("pin", state.pin.join(","), "");
  if (state.step !== null) add("step", String(state.step), "");
  for (const name of ["lang", "theme"]) if (state[name]) add(name, state[name], "");
  return parts.join("&");
}

function written(numbers) {
  return Array.from(numbers, (value) => String(Number(value.toPrecision(6)))).join(",");
}

/** What a link says, as cleanState takes it. */
function fromHash(hash) {
  const given = { geometry: { ...defaultState().geometry } };
  const text = String(hash).replace(/^#/, "").slice(0, LIMITS.characters);
  for (const [name, value] of new URLSearchParams(text)) {
    if (LISTS.includes(name)) given.geometry[name] = value.split("x").slice(0, 2);
    else if (name === "padding") given.geometry.padding = value.split("x").slice(0, 2).map((one) => one.split(":"));
    else if (name === "map") given.geometry.transposed = value !== "direct";
    else if (["in_channels", "out_channels", "groups", "padding_mode"].includes(name)) given.geometry[name] = value;
    else if (name === "weight" || name === "input") given[name] = value.split(",").map(Number);
    else if (name === "pin") given.pin = value.split(",");
    else if (name === "gradient") given.gradient = value === "1";
    else if (name === "turned") given.turned = value === "1";
    else if (["seed", "kernel", "show", "panel", "story", "step", "lang", "theme"].includes(name)) given[name] = value;
  }
  const padding = given.geometry.padding.map((one) => (one.length === 1 ? [one[0], one[0]] : one));
  given.geometry.padding = padding;
  return given;
}
