"use strict";
// The pages work without this file; it moves the focus, announces, and saves a click or two.
document.addEventListener("htmx:after:swap", () => {
  const said = document.getElementById("said");
  const news = document.querySelector("[data-say]") || document.getElementById("count");
  if (said && news) said.textContent = news.textContent;
  const head = document.querySelector("[data-focus]");
  if (head) head.focus();
});
// A condition that is ticked makes an approval conditional.
document.addEventListener("change", (event) => {
  if (event.target.name !== "condition" || !event.target.checked) return;
  const choice = document.querySelector('input[name="decision"][value="approve_with_conditions"]');
  if (choice && !document.querySelector('input[name="decision"]:is([value="send_back"], [value="reject"]):checked')) choice.checked = true;
});
