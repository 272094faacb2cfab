"use strict";
// The pages work without this file; it moves the focus, announces, and saves a click or two.
const above = () => document.getElementById("alert");
const toNews = () => {
  const head = document.querySelector("[data-focus]");
  if (!head) return;
  head.focus();
  head.removeAttribute("data-focus");
};
toNews();
document.addEventListener("htmx:after:swap", () => {
  const head = document.querySelector("[data-focus]");
  const fault = above()?.firstElementChild;
  if (fault && fault !== head) above().textContent = "";
  const said = document.getElementById("said");
  const news = document.querySelector("[data-say]") || document.getElementById("count");
  if (said && news) said.textContent = news.textContent;
  for (const box of document.querySelectorAll('[form="decide"]')) box.disabled = !document.getElementById("decide");
  toNews();
});
// The service did not answer at all: what was typed stays, and this is said above it.
document.addEventListener("htmx:error", () => {
  const said = document.createElement("p");
  said.className = "faults";
  said.textContent = "The service cannot be reached. Nothing was recorded; try again in a moment.";
  above()?.replaceChildren(said);
  said.scrollIntoView({ block: "center" });
});
// A condition that is ticked makes an approval conditional.
document.addEventListener("change", (event) => {
  if (event.target.name !== "condition" || !event.target.checked) return;
  const choice = document.querySelector('input[name="decision"][value="approve_with_conditions"]');
  if (choice && !document.querySelector('input[name="decision"]:is([value="send_back"], [value="reject"]):checked')) choice.checked = true;
});
