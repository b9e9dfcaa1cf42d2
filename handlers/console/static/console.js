// Beside htmx, which asks every few seconds whether a page has something new: what is open stays open, and a page
// that is not reached any more says so.
(() => {
  const bar = () => document.getElementById("unreached");
  const open = new Set();
  const nameOf = (details) => [...document.querySelectorAll("main details")].indexOf(details) +
    details.querySelector("summary").textContent;

  document.addEventListener("htmx:before:swap", () => {
    open.clear();
    document.querySelectorAll("main details[open]").forEach((details) => open.add(nameOf(details)));
  });
  document.addEventListener("htmx:after:swap", () => {
    document.querySelectorAll("main details").forEach((details) => {
      if (open.has(nameOf(details))) details.open = true;
    });
  });

  let reached = new Date();
  const lost = (why) => {
    bar().hidden = false;
    bar().textContent = `${why} This page is as of ${reached.toLocaleTimeString()}.`;
  };
  document.addEventListener("htmx:error", () => lost("The console is not reached."));
  document.addEventListener("htmx:after:request", (event) => {
    const status = event.detail.ctx.response.status;
    if (status < 400) {
      reached = new Date();
      bar().hidden = true;
    } else if (status === 403) {
      lost("The console was started anew: open the link that it printed.");
    } else if (status === 404) {
      lost("What this page shows is not there any more: load it again.");
    } else {
      lost("The console has no answer just now.");
    }
  });
})();
