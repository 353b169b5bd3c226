// Fetches the files that JupyterLab will load into the browser's cache while somebody types a password.
// `fetch` rather than <link rel=prefetch>: the page's policy (connect-src) covers it in every browser.

const AT_ONCE = 6;

async function fill(queue) {
  for (let url = queue.shift(); url; url = queue.shift()) {
    const answer = await fetch(url, { priority: "low" });
    await answer.arrayBuffer();
  }
}

async function prefetch(list) {
  const answer = await fetch(list, { priority: "low" });
  if (!answer.ok) return;
  const queue = await answer.json();
  await Promise.all(Array.from({ length: AT_ONCE }, () => fill(queue)));
}

const { list } = document.querySelector("script[data-list]").dataset;
const saves = navigator.connection?.saveData;
if (!saves) {
  // Failing changes nothing: JupyterLab will fetch for itself.
  const start = () => prefetch(list).catch(() => undefined);
  if (document.readyState === "complete") start();
  else addEventListener("load", start);
}
