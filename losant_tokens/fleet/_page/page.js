// Replace the content of the page by a newer one, every few seconds while the page is visible.
(() => {
  "use strict";

  const seconds = Number(document.body.dataset.refresh);
  const status = document.getElementById("status");
  let last = new Date();

  async function refresh() {
    if (document.hidden) return;
    let page;
    try {
      const response = await fetch(location.href, { cache: "no-store", redirect: "error" });
      if (!response.ok) throw new Error(String(response.status));
      page = new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      document.body.classList.add("stale");
      status.textContent = `Not updated since ${last.toLocaleTimeString()}: the server does not respond.`;
      return;
    }
    last = new Date();
    document.body.classList.remove("stale");
    status.textContent = "";
    document.title = page.title;
    for (const id of ["summary", "content"]) {
      const [shown, found] = [document.getElementById(id), page.getElementById(id)];
      // A focused link or a selection would be lost, so an equal part stays as it is.
      if (found && shown.innerHTML !== found.innerHTML) update(shown, found);
    }
  }

  function update(shown, found) {
    const focused = shown.contains(document.activeElement) && document.activeElement.href;
    shown.replaceChildren(...document.adoptNode(found).childNodes);
    if (!focused) return;
    [...shown.querySelectorAll("a")].find((link) => link.href === focused)?.focus();
  }

  if (seconds > 0) setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
