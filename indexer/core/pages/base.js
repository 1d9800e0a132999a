"use strict";
// The address of the channel, and buttons that copy commands: a page can be read without any of it.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];

  // The address of the channel is the one the page was found under, if it is fit for a command line.
  const here = new URL(document.body.dataset.root, location.href).href.replace(/\/$/, "");
  if (/^https?:\/\/[\w.:/%~@+,=[\]-]+$/.test(here)) all(".url").forEach((place) => { place.textContent = here; });

  for (const commands of all("pre")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy the commands for ${commands.dataset.tool}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(commands.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(commands);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    commands.after(button);
  }
})();
