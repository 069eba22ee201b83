// What is lit: from one selected thing, all that it meets in every view.
//
// A selection is ["coarse", channel, row, column], ["fine", channel, row, column], ["place", row, column] (a cell of the
// canvas outside the frame) or ["weight", place in the weight].

const CHOSEN = 5; // the colour of what is selected
const MOST_COLOURS = 4; // terms that each get their own colour; more of them share one

/** The selection shown when nothing is: the output that most terms meet in, or the stamp that was just made. */
function usualSelection(model, state, channels) {
  const [height, width] = model.coarse;
  if (state.step !== null && state.step < height * width) {
    const cell = Math.max(state.step - 1, 0);
    return state.step === 0 ? null : ["coarse", channels.coarse, Math.floor(cell / width), cell % width];
  }
  if (!model.transposed) return ["coarse", channels.coarse, 0, Math.floor((width - 1) / 2)];
  const busiest = (counts) => counts.indexOf(Math.max(...counts));
  const [row, column] = model.axes.map((axis) => busiest(axis.overlap()));
  return ["fine", channels.fine, row, column];
}

/** A selection moved into the model's sizes, or null. */
function fitted(selection, model) {
  if (!selection) return null;
  const [kind, ...numbers] = selection;
  const within = (values, sizes) => values.map((value, a) => Math.min(Math.max(value, 0), sizes[a] - 1));
  if (kind === "weight") return ["weight", Math.min(numbers[0], model.weight.length - 1)];
  if (kind === "coarse") return ["coarse", ...within(numbers, [model.coarseChannels, ...model.coarse])];
  if (kind === "fine") return ["fine", ...within(numbers, [model.fineChannels, ...model.fine])];
  return ["place", ...within(numbers, model.canvas)];
}

/** All that a selection meets, each with a colour from 1 on. `channels` says which channels are on the stage. */
function litBy(selection, model, channels) {
  const lit = {
    selection, terms: [], coarse: new Map(), fine: new Map(), weights: new Map(), places: new Map(), stamps: new Map(),
  };
  if (!selection) return lit;
  const [kind, ...numbers] = selection;
  if (kind === "weight") lit.terms = model.termsOfWeight(numbers[0]);
  if (kind === "coarse") lit.terms = model.termsOfCoarse(numbers[0], numbers[1] * model.coarse[1] + numbers[2]);
  if (kind === "fine") lit.terms = model.termsOfFine(numbers[0], numbers[1] * model.fine[1] + numbers[2]);
  if (kind === "place") lit.terms = model.termsOfPlace(channels.fine, numbers[0], numbers[1]);
  const gathers = kind === "fine" || kind === "place";
  const several = gathers && lit.terms.length <= MOST_COLOURS;
  lit.terms.forEach((term, index) => {
    term.colour = several ? index + 1 : 1;
    if (term.coarse >= 0) lit.coarse.set(term.coarse, term.colour);
    if (term.fine >= 0) lit.fine.set(term.fine, term.colour);
    lit.weights.set(term.weight, term.colour);
    if (several) lit.stamps.set(term.coarse % area(model.coarse), term.colour);
  });
  lightPlaces(lit, model, channels, kind, numbers);
  return lit;
}

function lightPlaces(lit, model, channels, kind, numbers) {
  const width = model.canvas[1];
  if (kind === "coarse") {
    const cell = numbers[1] * model.coarse[1] + numbers[2];
    for (const { place } of model.stamp(cell)) lit.places.set(place, 1);
    lit.stamps.set(cell, 1);
    lit.coarse.set(numbers[0] * area(model.coarse) + cell, CHOSEN);
  } else if (kind === "fine") {
    const cell = numbers[1] * model.fine[1] + numbers[2];
    lit.fine.set(numbers[0] * area(model.fine) + cell, CHOSEN);
    lit.places.set(model.placeOf(cell), CHOSEN);
  } else if (kind === "place") {
    lit.places.set(numbers[0] * width + numbers[1], CHOSEN);
  } else {
    for (const term of lit.terms) {
      const cell = term.coarse % area(model.coarse);
      const under = model.stamp(cell).find(({ tap }) => tap === term.tap);
      lit.places.set(under.place, 1);
    }
  }
}

/** The selection of a cell of the canvas: a fine cell inside the frame, a place outside of it. */
function selectionAt(model, channels, u, v) {
  if (!model.inFrame(u, v)) return ["place", u, v];
  return ["fine", channels.fine, u - model.axes[0].lo, v - model.axes[1].lo];
}
