// Shows how a server comes up. Whatever ends the stream, this address knows how to go on: it leads into a server
// that is up, and explains a start that failed. Reads the event stream of the REST API with `fetch`, because
// EventSource can send no header and the token does not belong into a URL.

const box = document.getElementById("waiting");
const bar = box.querySelector("progress");
const text = box.querySelector(".progress-text");
const RETRY_MS = 1000;

function show(event) {
  if (event.progress !== undefined) bar.value = event.progress;
  if (event.message) text.textContent = event.message;
  return Boolean(event.ready || event.failed);
}

// Whether the stream told its end.
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

const told = await watch().catch(() => false);
// A stream that just broke (the hub restarts, the network is away) is not asked again at once.
setTimeout(() => location.reload(), told ? 0 : RETRY_MS);
