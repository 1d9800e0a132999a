"use strict";
// Search, sort and copy: the page can be read without any of it.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const fill = (selector, text) => all(selector).forEach((element) => { element.textContent = text; });

  // The address of the channel is the one the page was found under, if it is fit for a command line.
  const here = new URL(document.body.dataset.root, location.href).href.replace(/\/$/, "");
  if (/^https?:\/\/[\w.:/%~@+,=[\]-]+$/.test(here)) fill(".url", here);

  const pick = () => {
    const row = one("tr:target");
    if (row && /^[\w.+!=-]+$/.test(row.dataset.spec)) {
      fill(".name", row.dataset.spec);
      one(".pick").hidden = true;
      one(".install").open = true;
      one(".install").classList.add("picked");
      row.scrollIntoView({ block: "nearest" });
    }
  };
  addEventListener("hashchange", pick);
  addEventListener("load", pick); // before, no element is the target yet

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
    commands.previousElementSibling.append(button);
  }

  const body = one("tbody");
  const find = one(".find");
  const box = one("input", find);
  const count = one("output", find);
  const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const show = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let hits = 0;
    for (const { row, text } of rows) {
      const hit = words.every((word) => text.includes(word));
      row.hidden = !hit;
      hits += hit;
    }
    count.textContent = `${hits} of ${rows.length}`;
  };
  find.hidden = false;
  box.addEventListener("input", show);
  addEventListener("pageshow", show); // a browser that goes back fills the box in again
  addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target === document.body) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && event.target === box) {
      box.value = "";
      show();
    }
  });

  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const keyOf = (cell) => one("data", cell)?.value ?? cell.textContent;
  for (const head of all("th[data-sort]")) {
    const byNumber = head.dataset.sort === "number";
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : !byNumber;
      for (const other of all("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = rows.map(({ row }) => [keyOf(row.cells[head.cellIndex]), row]);
      keyed.sort(byNumber ? (a, b) => a[0] - b[0] : (a, b) => compare(a[0], b[0]));
      if (!up) keyed.reverse();
      body.append(...keyed.map(([, row]) => row));
    });
  }
})();
