"use strict";
// Search, filters and sorting of a table; the words that are searched for are in the address, so that a link keeps them.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const body = one("tbody");
  const find = one(".find");
  const box = one("input", find);
  const count = one("output", find);
  const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));

  // A column with data-filter has one value in each row, or many with commas between them.
  const filters = all("th[data-filter]").map((head) => {
    const many = head.dataset.filter === "many";
    const values = rows.map(({ row }) => {
      const text = row.cells[head.cellIndex].textContent;
      return many ? text.split(", ") : [text];
    });
    const label = document.createElement("label");
    const select = document.createElement("select");
    const names = [...new Set(values.flat())].filter(Boolean).sort(compare);
    select.append(new Option("all", ""), ...names.map((name) => new Option(name, name)));
    label.append(head.textContent, select);
    find.insertBefore(label, count);
    return { key: head.textContent.toLowerCase(), select, values };
  });

  const show = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = filters.filter(({ select }) => select.value);
    let hits = 0;
    rows.forEach(({ row, text }, at) => {
      const hit = words.every((word) => text.includes(word))
        && chosen.every(({ select, values }) => values[at].includes(select.value));
      row.hidden = !hit;
      hits += hit;
    });
    count.textContent = `${hits} of ${rows.length}`;
  };
  const keep = () => {
    const kept = new URLSearchParams();
    if (box.value) kept.set("search", box.value);
    for (const { key, select } of filters) if (select.value) kept.set(key, select.value);
    history.replaceState(null, "", String(kept) ? `#${kept}` : location.pathname + location.search);
  };
  const restore = () => {
    const kept = new URLSearchParams(location.hash.slice(1));
    box.value = kept.get("search") ?? "";
    for (const { key, select } of filters) select.value = kept.get(key) ?? "";
    for (const { select } of filters) if (select.selectedIndex < 0) select.value = "";
    show();
  };
  const change = () => { show(); keep(); };
  find.hidden = false;
  box.addEventListener("input", change);
  for (const { select } of filters) select.addEventListener("change", change);
  addEventListener("pageshow", restore); // a browser that goes back fills the box in by itself
  addEventListener("hashchange", restore);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target === document.body) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && event.target === box) {
      box.value = "";
      change();
    }
  });

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
