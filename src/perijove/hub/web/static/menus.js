// Menus are <details>, which work without script. With it, Escape closes the open one and goes back to what opened it,
// and so does looking elsewhere, without going back.

const open = () => document.querySelector("details.services[open], details.more[open]");

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" ? open() : null;
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.addEventListener("click", (event) => {
  const menu = open();
  if (menu && !menu.contains(event.target)) menu.open = false;
});
