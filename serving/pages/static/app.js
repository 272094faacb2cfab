"use strict";
// The pages work without this file; it moves the focus, announces, and saves a click or two.
document.addEventListener("htmx:after:swap", () => {
  const count = document.getElementById("count");
  const said = document.getElementById("said");
  if (count && said) said.textContent = count.textContent;
});
