// Browsers start no worker from a page that was opened as a file, and the search runs in one. For such pages this class
// takes its place: it runs the worker's script in a hidden frame. Pages from a server keep the browser's own workers.
if (location.protocol === "file:") {
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) =>
        urls.reduce((before, next) => before.then(() => load(frame.contentDocument, next)), Promise.resolve());
      this.inside = load(frame.contentDocument, url).then(() => inside);
    }

    postMessage(data) {
      this.inside.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  }

  function load(page, url) {
    return new Promise((loaded, failed) => {
      const script = page.createElement("script");
      script.src = new URL(url, document.baseURI);
      script.onload = loaded;
      script.onerror = failed;
      page.head.append(script);
    });
  }

  window.IFrameWorker = IFrameWorker; // the search asks for this name to find its dictionaries
  window.Worker = IFrameWorker;
}
