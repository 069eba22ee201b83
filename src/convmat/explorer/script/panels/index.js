// What hides behind the tabs of the page: one class each, with render() and, where it lights up, light(lit).

const PANEL_CLASSES = {
  parameters: ParametersPanel,
  ways: WaysPanel,
  sizes: SizesPanel,
  checkerboard: CheckerboardPanel,
  questions: QuestionsPanel,
  practice: PracticePanel,
  story: StoryPanel,
  kernel: KernelPanel,
  code: CodePanel,
};
