"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    head.setAttribute("aria-sort", "none");
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const number = (text) => parseFloat(text.replace(/[,$+]/g, "").replace("−", "-").replace(/^< /, ""));
      const rows = [...body.rows].map((row) => [row, row.cells[at].textContent.trim()]);
      rows.sort(([, a], [, b]) => {
        const [x, y] = [number(a), number(b)];
        const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
        return up ? order : -order;
      });
      body.append(...rows.map(([row]) => row));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
  });
}
const form = document.querySelector("form.filter");
if (form) {
  const items = [...document.querySelectorAll(".item")];
  const fill = (name, values) => {
    const select = form.elements[name];
    for (const value of [...new Set(values)].filter(Boolean).sort()) {
      const option = document.createElement("option");
      option.value = option.textContent = value;
      select.append(option);
    }
    if (select.options.length < 2) select.parentElement.hidden = true;
  };
  fill("dataset", items.map((item) => item.dataset.dataset));
  fill("status", items.flatMap((item) => item.dataset.status.split(" ")));
  fill("field", items.flatMap((item) => item.dataset.fields.split("\n")));
  const apply = () => {
    const want = Object.fromEntries(["flip", "dataset", "status", "field", "text"].map((name) => [name, form.elements[name].value]));
    const text = want.text.toLowerCase();
    let shown = 0;
    for (const item of items) {
      const d = item.dataset;
      const fits = (!want.flip || d.flip === want.flip) && (!want.dataset || d.dataset === want.dataset)
        && (!want.status || d.status.includes(` ${want.status} `))
        && (!want.field || d.fields.split("\n").includes(want.field))
        && (!text || item.textContent.toLowerCase().includes(text));
      item.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    form.querySelector("output").textContent = `${shown} of ${items.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = items.length === 0;
  apply();
}
addEventListener("beforeprint", () => document.querySelectorAll("section:not(#items) details").forEach((fold) => { fold.open = true; }));
