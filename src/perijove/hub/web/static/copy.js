// Gives what is shown once a button that copies it.

for (const box of document.querySelectorAll("[data-copy]")) {
  const field = box.querySelector("input");
  field.addEventListener("focus", () => field.select());
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  });
  box.append(button);
}
