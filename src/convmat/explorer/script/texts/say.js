// What the page says, in the language of whoever reads it.

const WORDS = { ...STAGE_WORDS, ...PANEL_WORDS };
const LANGUAGES = ["en", "zh"];

/** The text of a key in a language, its {placeholders} filled in. */
function say(language, key, values = {}) {
  const text = Object.hasOwn(WORDS, key) ? WORDS[key][LANGUAGES.indexOf(language)] : String(key).slice(0, 200);
  return text.replace(/\{(\w+)\}/g, (all, name) => (Object.hasOwn(values, name) ? String(values[name]).slice(0, 200) : all));
}
