"use strict";
(() => {
  const OUTCOMES = ["done", "gone", "changed", "protected", "failed", "unknown", "pending"];
  const LABELS = OUTCOMES.map((outcome) => (outcome === "pending" ? "not started" : outcome));
  const SLICE = 200; // rows drawn at once
  const [OUTCOME, NAME, ID, OWNER, REASON, NOTE] = [0, 1, 2, 3, 4, 5];
  const find = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(find(id).textContent);
  const number = new Intl.NumberFormat("en");
  const collator = new Intl.Collator("en", { numeric: true });

  function make(tag, className, text) {
    const element = document.createElement(tag);
    element.className = className;
    if (text !== undefined) element.textContent = text; // never as HTML, because names come from users
    return element;
  }

  // Characters that could hide or reverse other text become escapes.
  const visible = (text) => text.replace(/\p{C}/gu, (char) =>
    `\\u{${char.codePointAt(0).toString(16)}}`);

  // --- Tokens ---

  const rows = read("data");
  const texts = rows.map((row) =>
    [row[NAME], row[ID], row[OWNER], row[REASON], row[NOTE]].join("\n").toLowerCase());
  const chosen = new Set();
  const headers = [...document.querySelectorAll("thead th")];
  let order = rows.map((_, index) => index);
  let shown = order;
  let drawn = 0;

  function drawRow(row) {
    const line = document.createElement("tr");
    const outcome = OUTCOMES[row[OUTCOME]];
    const is = make("td", "is");
    const dot = make("span", "dot");
    dot.style.setProperty("--c", `var(--${outcome})`);
    is.append(dot, LABELS[row[OUTCOME]]);
    const why = make("td", "why", visible(row[REASON]));
    if (row[NOTE]) why.append(make("div", outcome === "failed" ? "error" : "note", visible(row[NOTE])));
    const owner = make("td", "owner", row[OWNER]);
    owner.title = row[OWNER];
    line.append(is, make("td", "name", visible(row[NAME])), make("td", "id", row[ID]), owner, why);
    return line;
  }

  function drawMore() {
    const slice = document.createDocumentFragment();
    for (const index of shown.slice(drawn, drawn + SLICE)) slice.append(drawRow(rows[index]));
    find("rows").append(slice);
    drawn = Math.min(drawn + SLICE, shown.length);
    find("more").hidden = drawn >= shown.length;
  }

  function show() {
    const wanted = find("text").value.trim().toLowerCase();
    shown = order.filter((index) =>
      (chosen.size === 0 || chosen.has(rows[index][OUTCOME])) && texts[index].includes(wanted));
    drawn = 0;
    find("rows").textContent = "";
    drawMore();
    find("count").textContent = shown.length === rows.length
      ? `${number.format(rows.length)} tokens`
      : `${number.format(shown.length)} of ${number.format(rows.length)} tokens`;
    if (shown.length === 0) {
      const cell = make("td", "none", rows.length ? "No token matches." : "The plan has no tokens.");
      cell.colSpan = 5;
      find("rows").append(cell);
    }
  }

  function sortBy(column) {
    const up = headers[column].getAttribute("aria-sort") !== "ascending";
    const compare = column === OUTCOME
      ? (a, b) => rows[a][OUTCOME] - rows[b][OUTCOME]
      : (a, b) => collator.compare(rows[a][column], rows[b][column]);
    order = rows.map((_, index) => index).sort(up ? compare : (a, b) => compare(b, a));
    headers.forEach((header, index) => {
      if (index === column) header.setAttribute("aria-sort", up ? "ascending" : "descending");
      else header.removeAttribute("aria-sort");
    });
    show();
  }

  function addChip(outcome, count) {
    const chip = make("button", "chip");
    chip.type = "button";
    chip.setAttribute("aria-pressed", "false");
    const dot = make("i", "dot");
    dot.style.setProperty("--c", `var(--${OUTCOMES[outcome]})`);
    chip.append(dot, LABELS[outcome], make("span", "", number.format(count)));
    chip.addEventListener("click", () => {
      const on = !chosen.delete(outcome);
      if (on) chosen.add(outcome);
      chip.setAttribute("aria-pressed", String(on));
      show();
    });
    find("chips").append(chip);
  }

  const counts = OUTCOMES.map(() => 0);
  for (const row of rows) counts[row[OUTCOME]] += 1;
  counts.forEach((count, outcome) => count && addChip(outcome, count));
  find("tokens").classList.toggle("one", new Set(rows.map((row) => row[OWNER])).size < 2);
  headers.forEach((header, index) =>
    header.firstElementChild.addEventListener("click", () => sortBy(index)));
  let waiting;
  find("text").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 80);
  });
  find("more").addEventListener("click", drawMore);
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && drawMore(),
    { rootMargin: "800px" }).observe(find("more"));
  show();

  // --- Request rate: the sample under the pointer ---

  const pace = read("pace");
  const plots = [...document.querySelectorAll(".plot")];
  const outputs = [...document.querySelectorAll(".panel output")];
  const resting = outputs.map((output) => [...output.childNodes]);

  function point(event) {
    const box = plots[0].getBoundingClientRect();
    const end = pace.at(-1)[0];
    const at = ((event.clientX - box.left) / box.width) * end;
    const sample = pace.reduce((best, one) =>
      Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best);
    plots.forEach((plot, index) => {
      const cursor = plot.querySelector(".cursor");
      cursor.hidden = false;
      cursor.style.left = `${(sample[0] / end) * 100}%`;
      outputs[index].replaceChildren(make("b", "", number.format(Math.round(sample[index + 1]))),
        ` at ${sample[0].toFixed(1)} s`);
    });
  }

  function leave() {
    plots.forEach((plot, index) => {
      plot.querySelector(".cursor").hidden = true;
      outputs[index].replaceChildren(...resting[index]);
    });
  }

  for (const plot of plots) {
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", leave);
  }
})();
