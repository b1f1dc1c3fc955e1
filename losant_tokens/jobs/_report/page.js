"use strict";
(() => {
  const PAGE_SIZES = [50, 200, 1000];
  const PRINTED_UNASKED = 2000; // rows; a longer list is printed completely only if the user asks
  const PRINTED_AT_MOST = 5000; // rows, in 300 sheets; a browser takes minutes for more
  const SHOWN_SCOPES = 4;
  const DATE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;
  const CAN_CREATE = "can create tokens";
  const [STATE, NAME, ID, REASON, NOTE, CREATOR, SCOPES, CREATED, EXPIRES, UPDATED, OWNER, DESCRIPTION,
    CREATES] = Array(13).keys();
  const find = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(find(id).textContent);
  const number = new Intl.NumberFormat("en");
  const format = (count) => number.format(count);
  const plural = (count, noun) => `${format(count)} ${noun}${count === 1 ? "" : "s"}`;
  const collator = new Intl.Collator("en", { numeric: true });

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text; // never as HTML, because names come from users
    return element;
  }

  function makeButton(text, onClick) {
    const button = make("button", "", text);
    button.type = "button";
    button.addEventListener("click", onClick);
    return button;
  }

  // Characters that could hide or reverse other text become escapes.
  const visible = (text) => text.replace(/\p{C}/gu, (char) =>
    `\\u{${char.codePointAt(0).toString(16)}}`);

  const meta = read("meta"); // {states: [[key, label], ...], columns: [[key, label], ...]}
  const rows = read("data");
  const columns = meta.columns.map(([key]) => key);
  const labels = Object.fromEntries(meta.columns);
  const headers = [...document.querySelectorAll("thead th")];

  // --- One row ---

  function makeDot(state) {
    const dot = make("span", "dot");
    dot.style.setProperty("--c", `var(--${meta.states[state][0]})`);
    return dot;
  }

  function drawDate(cell, time, missing) {
    if (!time) {
      cell.append(make("span", "date", missing));
      return;
    }
    const date = make("time", "", time.slice(0, 10));
    date.dateTime = time;
    date.title = time;
    cell.append(date);
  }

  /** Return a line of text whose dates do not wrap. */
  function drawLine(className, text) {
    const line = make("div", className);
    for (const part of visible(text).split(/([0-9]{4}-[0-9]{2}-[0-9]{2})/)) {
      line.append(DATE.test(part) ? make("span", "date", part) : part);
    }
    return line;
  }

  function drawScopes(cell, row) {
    if (isPrinting) cell.append(visible(row[SCOPES].join(", ")), " ");
    else drawFoldedScopes(cell, row);
    if (row[CREATES]) cell.append(make("span", "tag", CAN_CREATE));
  }

  /** Return a scope that may wrap after a dot. */
  function drawScope(scope) {
    const line = make("span");
    for (const part of visible(scope).split(/(?<=\.)/)) line.append(part, make("wbr"));
    return line;
  }

  function drawFoldedScopes(cell, row) {
    const scopes = row[SCOPES].map(drawScope);
    cell.append(...scopes.slice(0, SHOWN_SCOPES));
    if (scopes.length > SHOWN_SCOPES) {
      const more = make("details");
      more.append(make("summary", "", `and ${format(scopes.length - SHOWN_SCOPES)} more`),
        ...scopes.slice(SHOWN_SCOPES));
      cell.append(more);
    }
  }

  const DRAW = {
    name(cell, row) {
      cell.append(visible(row[NAME]));
      if (row[DESCRIPTION]) {
        cell.append(make("small", "", visible(row[DESCRIPTION].replace(/\s+/g, " "))));
      }
    },
    id: (cell, row) => cell.append(visible(row[ID])),
    state: (cell, row) => cell.append(makeDot(row[STATE]), meta.states[row[STATE]][1]),
    detail(cell, row) {
      const failed = meta.states[row[STATE]][0] === "failed";
      if (row[NOTE]) cell.append(drawLine(failed ? "error" : "", row[NOTE]));
      cell.append(drawLine("", row[REASON]));
    },
    creator: (cell, row) => cell.append(visible(row[CREATOR])),
    scopes: drawScopes,
    created: (cell, row) => drawDate(cell, row[CREATED], ""),
    expires: (cell, row) => drawDate(cell, row[EXPIRES], "never"),
    updated: (cell, row) => drawDate(cell, row[UPDATED], ""),
    owner: (cell, row) => cell.append(visible(row[OWNER])),
  };

  function drawRow(row) {
    const line = make("tr");
    line.setAttribute("role", "row");
    for (const column of columns) {
      const isHead = column === "name";
      const cell = make(isHead ? "th" : "td", column);
      cell.setAttribute("role", isHead ? "rowheader" : "cell");
      if (isHead) cell.scope = "row";
      DRAW[column](cell, row);
      if (!cell.textContent) cell.classList.add("empty");
      if (!isHead) cell.prepend(make("span", "label", labels[column]));
      line.append(cell);
    }
    return line;
  }

  // --- Filter, sort, page ---

  const SORT_KEYS = {
    name: (row) => row[NAME],
    id: (row) => row[ID],
    detail: (row) => row[NOTE] || row[REASON],
    creator: (row) => row[CREATOR],
    scopes: (row) => row[SCOPES].join(" "),
    created: (row) => row[CREATED],
    expires: (row) => row[EXPIRES],
    updated: (row) => row[UPDATED],
    owner: (row) => row[OWNER],
  };
  const ORDINAL = new Set(["id", "created", "expires", "updated"]); // compared by character

  const counts = meta.states.map(() => 0);
  for (const row of rows) counts[row[STATE]] += 1;
  const creating = rows.filter((row) => row[CREATES]).length;
  const chosen = new Set();
  let onlyCreating = false; // whether tokens that cannot create tokens are hidden
  let texts; // the text of each row that a filter searches, made for the first filter
  let order = []; // all rows, sorted
  let shown = []; // the rows that match the filters
  let sorted = { column: "state", up: true };
  let size = 200;
  let page = 0;
  let isPrinting = false;
  let printsAll = false; // rather than the page that is shown

  /** Return a function that compares two rows by number. An empty value comes last. */
  function comparison(column) {
    if (column === "state") return (a, b) => rows[a][STATE] - rows[b][STATE];
    const keys = rows.map(SORT_KEYS[column]);
    const compare = ORDINAL.has(column)
      ? (a, b) => (a < b ? -1 : Number(a > b))
      : collator.compare;
    return (a, b) => {
      const [one, other] = [keys[a], keys[b]];
      return one && other ? compare(one, other) : Number(!one) - Number(!other);
    };
  }

  function sortBy(column, up) {
    sorted = { column, up };
    const compare = comparison(column);
    order = rows.map((_, index) => index).sort(up ? compare : (a, b) => compare(b, a));
    for (const header of headers) {
      if (header.dataset.column !== column) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", up ? "ascending" : "descending");
    }
    find("sort").value = column;
    find("direction").textContent = up ? "Ascending \u2191" : "Descending \u2193";
    filter();
  }

  const wanted = () => find("text").value.trim().toLowerCase();

  function filter() {
    const text = wanted();
    if (text && !texts) {
      texts = rows.map((row) => [row[NAME], row[ID], row[REASON], row[NOTE], row[CREATOR],
        row[SCOPES].join(" "), row[CREATES] ? CAN_CREATE : "", row[OWNER],
        row[DESCRIPTION], row[EXPIRES] ? "" : "never"].join("\n").toLowerCase());
    }
    shown = order.filter((index) => (chosen.size === 0 || chosen.has(rows[index][STATE]))
      && (!onlyCreating || rows[index][CREATES]) && (!text || texts[index].includes(text)));
    find("clear").hidden = !text && chosen.size === 0 && !onlyCreating;
    showPage(0);
  }

  const canPrintAll = () => shown.length <= PRINTED_AT_MOST;
  const lastPage = () => Math.max(0, Math.ceil(shown.length / size) - 1);

  function range() {
    if (!shown.length) return "0 of 0";
    const first = page * size;
    return `${format(first + 1)}\u2013${format(Math.min(first + size, shown.length))} of `
      + format(shown.length);
  }

  function showPage(wantedPage) {
    page = Math.min(Math.max(wantedPage, 0), lastPage());
    const part = isPrinting && printsAll ? shown : shown.slice(page * size, (page + 1) * size);
    const drawn = document.createDocumentFragment();
    for (const index of part) drawn.append(drawRow(rows[index]));
    if (!part.length) {
      const line = make("tr");
      const cell = make("td", "none", rows.length ? "No token matches." : "The plan has no tokens.");
      line.setAttribute("role", "row");
      cell.setAttribute("role", "cell");
      cell.colSpan = columns.length;
      line.append(cell);
      drawn.append(line);
    }
    find("rows").replaceChildren(drawn);
    const isFiltered = shown.length < rows.length;
    const rest = isFiltered ? ` (${plural(rows.length, "token")} without filters)` : "";
    for (const pager of pagers) {
      pager.querySelector(".range").textContent = range() + rest;
      pager.classList.toggle("single", shown.length <= PAGE_SIZES[0]);
      for (const button of pager.querySelectorAll("button")) {
        const leads = PAGE_OF[button.dataset.to]();
        button.setAttribute("aria-disabled", String(leads === page || leads < 0 || leads > lastPage()));
      }
    }
    find("pages-below").hidden = lastPage() === 0;
    find("status").textContent = `Tokens ${range()}${rest}`;
    find("print").textContent = shown.length <= size ? "Print"
      : `Print ${canPrintAll() ? `all ${format(shown.length)}` : range()}`;
  }

  // --- The controls ---

  const PAGE_OF = { First: () => 0, Previous: () => page - 1, Next: () => page + 1, Last: lastPage };
  const pagers = [...document.querySelectorAll(".pager")];

  // The buttons below the list lead back to its top, and the focus goes to their twins there. The
  // next press of the key then turns the next page.
  function turn(event) {
    const button = event.currentTarget;
    if (button.getAttribute("aria-disabled") === "true") return;
    showPage(PAGE_OF[button.dataset.to]());
    if (button.closest(".pager") === pagers[0]) return;
    find("tokens").scrollIntoView();
    pagers[0].querySelector(`[data-to="${button.dataset.to}"]`).focus({ preventScroll: true });
  }

  for (const pager of pagers) {
    for (const name of Object.keys(PAGE_OF)) {
      const button = makeButton(name, turn);
      button.dataset.to = name;
      pager.append(button);
    }
  }

  const label = make("label", "", "Rows per page ");
  const sizes = make("select");
  for (const choice of PAGE_SIZES) sizes.append(new Option(format(choice), choice));
  sizes.value = size;
  sizes.addEventListener("change", () => {
    const first = page * size;
    size = Number(sizes.value);
    showPage(Math.floor(first / size));
  });
  label.append(sizes);
  pagers[0].append(label);

  /** Add a button that filters the list. `toggle` returns whether it is pressed. */
  function addChip(content, count, toggle) {
    const chip = makeButton("", () => {
      chip.setAttribute("aria-pressed", String(toggle()));
      filter();
    });
    chip.className = "chip";
    chip.setAttribute("aria-pressed", "false");
    chip.append(...content, make("span", "", format(count)));
    find("chips").append(chip);
  }

  counts.forEach((count, state) => {
    if (!count || meta.states.length < 2) return;
    addChip([makeDot(state), meta.states[state][1]], count, () => {
      const on = !chosen.delete(state);
      if (on) chosen.add(state);
      return on;
    });
  });
  if (creating && creating < rows.length) {
    addChip([CAN_CREATE], creating, () => {
      onlyCreating = !onlyCreating;
      return onlyCreating;
    });
  }

  for (const header of headers) {
    const { column } = header.dataset;
    header.replaceChildren(makeButton(labels[column], () =>
      sortBy(column, !(sorted.column === column && sorted.up))));
  }
  if (!columns.includes("state")) find("sort").append(new Option("Order of the plan", "state"));
  for (const column of columns) find("sort").append(new Option(labels[column], column));
  find("sort").addEventListener("change", () => sortBy(find("sort").value, true));
  find("direction").addEventListener("click", () => sortBy(sorted.column, !sorted.up));

  let waiting;
  find("text").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  });
  find("clear").addEventListener("click", () => {
    find("text").value = "";
    chosen.clear();
    onlyCreating = false;
    for (const chip of find("chips").children) chip.setAttribute("aria-pressed", "false");
    filter();
    find("text").focus();
  });

  // --- Paper ---

  function describePrint() {
    const states = [...chosen].sort().map((state) => meta.states[state][1]).join(", ");
    const filters = [states, onlyCreating && CAN_CREATE, wanted() && `\u201c${find("text").value.trim()}\u201d`].filter(Boolean);
    const matching = filters.length ? ` that match ${filters.join(" and ")}` : "";
    const all = `${plural(shown.length, "token")}${matching}`;
    if (printsAll || shown.length <= size) return `All ${all}.`;
    const advice = canPrintAll()
      ? "To print all of them, choose \u201cPrint all\u201d on the page."
      : `To print others, show their page, or filter the list to ${format(PRINTED_AT_MOST)} tokens.`;
    return `Tokens ${range()}${matching}. ${advice}`;
  }

  // The rows are drawn once more for paper, which has all of their scopes.
  function startPrinting() {
    if (isPrinting) return;
    isPrinting = true;
    printsAll ||= shown.length <= PRINTED_UNASKED;
    showPage(page);
    find("on-paper").textContent = describePrint();
  }

  function endPrinting() {
    isPrinting = false;
    printsAll = false;
    showPage(page);
  }

  addEventListener("beforeprint", startPrinting);
  addEventListener("afterprint", endPrinting);
  find("print").addEventListener("click", () => {
    printsAll = canPrintAll();
    print();
  });

  find("chips").hidden = !find("chips").children.length;
  find("controls").hidden = false;
  sortBy("state", true);

  // --- Request rate: the sample under the pointer ---

  const { pace } = meta;
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
      outputs[index].replaceChildren(make("b", "", format(Math.round(sample[index + 1]))),
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
