// Shows how a server comes up, and goes there when it is up. Reads the event stream of the REST API with
// `fetch`, because EventSource can send no header and the token does not belong into a URL.

const box = document.getElementById("waiting");
const bar = box.querySelector("progress");
const text = box.querySelector(".progress-text");
const RETRY_MS = 1000;

function fail(event) {
  const card = box.querySelector("[data-failure]");
  card.querySelector("[data-failure-text]").textContent = event.message;
  if (event.log?.length) {
    const log = card.querySelector("[data-failure-log]");
    log.textContent = event.log.join("\n");
    log.hidden = false;
  }
  bar.hidden = true;
  text.textContent = "";
  card.hidden = false;
}

function show(event) {
  if (event.progress !== undefined) bar.value = event.progress;
  if (event.failed) fail(event);
  else if (event.ready) location.reload(); // this address leads on when the server is up
  else text.textContent = event.message;
  return Boolean(event.ready || event.failed);
}

async function watch() {
  const answer = await fetch(box.dataset.progress, { headers: { "X-XSRFToken": box.dataset.xsrf } });
  if (!answer.ok) return false;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      if (frame.startsWith("data: ") && show(JSON.parse(frame.slice(6)))) return true;
    }
  }
}

const ended = await watch().catch(() => false);
// The stream broke (the hub was restarted, the network went away): the page itself knows how things are.
if (!ended) setTimeout(() => location.reload(), RETRY_MS);
