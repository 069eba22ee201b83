// Start wherever a document holds an element with data-convmat: the state to begin with, as JSON. The page itself also
// keeps its state in the address, where it may: frames of a notebook have none.

function start() {
  for (const root of document.querySelectorAll("[data-convmat]")) {
    if (root.convmat) continue;
    const options = JSON.parse(root.dataset.convmat || "{}");
    root.convmat = options.embedded ? mount(root, options) : startPage(root, options.state || {});
  }
}

function startPage(root, state) {
  const given = location.hash.length > 1 ? { ...state, ...fromHash(location.hash) } : state;
  let timer = null, own = "";
  const app = mount(root, {
    state: given,
    onChange: (now) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        own = `#${toHash(now)}`;
        try {
          history.replaceState(null, "", own);
        } catch {
          app.hasNoAddress = true; // inside a frame
        }
      }, 200);
    },
  });
  addEventListener("hashchange", () => {
    if (location.hash !== own) app.update({ ...fromHash(location.hash) });
  });
  document.documentElement.lang = app.language() === "zh" ? "zh-Hans" : "en";
  return app;
}

/** Whether the address of the page can hold its state. */
function hasAddress() {
  return location.protocol !== "about:" && location.origin !== "null" || location.protocol === "file:";
}

if (typeof document !== "undefined") {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
}
