// Gives every password field a button that shows and hides what was typed. Without script there is none.

for (const box of document.querySelectorAll("[data-secret]")) {
  const field = box.querySelector("input");
  const button = document.createElement("button");
  button.type = "button";
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(shown));
  };
  button.setAttribute("aria-label", "Show password");
  button.addEventListener("click", () => show(field.type === "password"));
  // Hidden again before it is sent, or browsers do not offer to keep it.
  field.form.addEventListener("submit", () => show(false));
  show(false);
  box.append(button);
}
