// The story: the pages of the tutorial as ten steps, each a link with its state.

const STORY_LAYER = { transposed: false, input_size: [3, 6], kernel_size: [2, 3], stride: [1, 1], padding: [[0, 0], [0, 0]], output_padding: [0, 0] };
const STORY_UP = { input_size: [2, 3], kernel_size: [4, 4], stride: [2, 2], padding: [[1, 1], [1, 1]], output_padding: [0, 0] };
// What each step shows beside the state it begins with, and the panel that goes further.
const STORY = [
  { geometry: STORY_LAYER, step: 1 },
  { geometry: STORY_LAYER, pin: ["coarse", 0, 0, 1] },
  { geometry: STORY_LAYER, turned: true, pin: ["coarse", 0, 1, 2] },
  { geometry: { ...STORY_LAYER, transposed: true, input_size: [2, 4] }, step: 3 },
  { geometry: STORY_UP, kernel: "bilinear", more: "kernel" },
  { geometry: { ...STORY_UP, kernel_size: [2, 3], stride: [2, 3], padding: [[0, 0], [0, 0]] }, more: "ways" },
  { geometry: { ...STORY_UP, kernel_size: [3, 3], padding: [[0, 0], [0, 0]] }, kernel: "ones", more: "checkerboard" },
  { geometry: {}, gradient: true, more: "questions" },
  { geometry: { ...STORY_LAYER, transposed: true, input_size: [3, 3], kernel_size: [3, 3] }, more: "practice" },
  { geometry: { ...STORY_LAYER, input_size: [5, 6], kernel_size: [3, 3], padding: [[1, 1], [1, 1]] }, show: "colours", more: "code" },
];

class StoryPanel {
  constructor(app) {
    this.app = app;
  }

  /** The state of a step. */
  stateOf(index) {
    const { lang, theme } = this.app.state, step = STORY[index];
    return { ...step, geometry: { ...defaultState().geometry, ...step.geometry }, panel: "story", story: index, lang, theme };
  }

  go(by) {
    const next = Math.min(Math.max(this.app.state.story + by, 0), STORY.length - 1);
    this.app.update(this.stateOf(next));
    this.app._tell();
  }

  render() {
    const { app } = this, { t } = app, now = Math.min(app.state.story, STORY.length - 1), { more } = STORY[now];
    const link = (index) => h("a", {
      href: `#${toHash(cleanState(this.stateOf(index)))}`, "aria-current": index === now ? "step" : null, "data-key": `story:${index}`,
      onclick: (event) => { event.preventDefault(); app.update(this.stateOf(index)); app._tell(); },
    }, t(`story.${index}.title`));
    return h("div", { class: "story" },
      h("ol", {}, STORY.map((_, index) => h("li", {}, link(index)))),
      h("div", {}, h("h3", {}, `${now + 1}. ${t(`story.${now}.title`)}`), paragraph(t(`story.${now}.text`)),
        h("div", { class: "row" }, button(t("story.back"), () => this.go(-1), { disabled: now === 0 || null, "data-key": "story-back" }), button(t("story.next"), () => this.go(1), { class: "primary", disabled: now === STORY.length - 1 || null, "data-key": "story-next" }),
          more ? button(`${t("story.more")}: ${t(`panel.${more}`)}`, () => app.openPanel(more), { class: "quiet", "data-key": "story-more" }) : null)));
  }
}
