// Counts down to what is told with a time. Without script the page says in words how long it is.

const SECOND_MS = 1000;
const times = [...document.querySelectorAll("time[data-countdown]")];

function left(time) {
  return Math.round((new Date(time.dateTime) - Date.now()) / SECOND_MS);
}

function show() {
  for (const time of times) {
    const seconds = Math.max(left(time), 0);
    const rest = String(seconds % 60).padStart(2, "0");
    time.textContent = seconds < 60 ? `in ${seconds} seconds` : `in ${Math.floor(seconds / 60)}:${rest} minutes`;
  }
  // Whatever has become of it, the page as it is then says so. Later than that, so that it has happened.
  if (times.some((time) => left(time) < -5)) {
    location.reload();
    return;
  }
  setTimeout(show, SECOND_MS);
}

if (times.length > 0) show();
