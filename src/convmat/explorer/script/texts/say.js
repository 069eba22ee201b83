// What the page says, in the language of whoever reads it. english.js and chinese.js have the same keys.

/** The text of a key, its {placeholders} filled in. */
function say(language, key, values = {}) {
  const words = language === "zh" ? CHINESE : ENGLISH;
  const text = Object.hasOwn(words, key) ? words[key] : key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (Object.hasOwn(values, name) ? String(values[name]).slice(0, 200) : all));
}
