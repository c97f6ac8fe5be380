// What a page does beside being there: it follows what happens, sends a token, and switches without going elsewhere.
// Pages work without it, as long as no token is needed.
"use strict";
(() => {
  const KEY = "mirrorlab-token";
  const byId = (id) => document.getElementById(id);
  const body = document.body;

  // The token: in this tab alone, in a header alone.
  const token = () => sessionStorage.getItem(KEY);
  const headers = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

  function alert(text) {
    byId("alert").textContent = text;
    byId("alert").hidden = !text;
  }

  // A whole page in the place of this one, without what is around it.
  function show(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const main = page.getElementById("main");
    if (!main) return null;
    byId("main").replaceWith(document.importNode(main, true));
    document.title = page.title;
    return main;
  }

  // The same page again, with the token where there is one.
  async function load() {
    const answer = await fetch(location.href, { headers: headers(), cache: "no-store" });
    const focused = document.activeElement && document.activeElement.id;
    show(await answer.text());
    if (focused) (byId(focused) || byId("main")).focus();
    return answer;
  }

  const wantsToken = () => byId("main").dataset.withheld && body.dataset.tokens !== undefined;

  function tellToken() {
    const button = byId("token-button");
    button.hidden = body.dataset.tokens === undefined;
    button.textContent = token() ? "Token is set" : "Enter token";
  }

  // Asks for a token; whether there is another one then.
  function ask() {
    return new Promise((done) => {
      const dialog = byId("token-dialog");
      byId("token-input").value = "";
      dialog.addEventListener("close", () => {
        const said = byId("token-input").value.trim();
        byId("token-input").value = "";
        if (dialog.returnValue === "use" && said) sessionStorage.setItem(KEY, said);
        if (dialog.returnValue === "forget") sessionStorage.removeItem(KEY);
        tellToken();
        done(dialog.returnValue === "use" && said !== "");
      }, { once: true });
      dialog.returnValue = "";
      dialog.showModal();
    });
  }

  byId("token-button").addEventListener("click", async () => {
    await ask();
    alert("");
    const answer = await load();
    again();
    if (answer.status === 401 && token()) alert("This token is not known here.");
  });

  // Switches. A form is sent as it would be, and the token with it.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.getAttribute("method") !== "post") return;
    event.preventDefault();
    const data = new URLSearchParams(new FormData(form, event.submitter));
    if (event.submitter) event.submitter.disabled = true;
    try {
      await press(form.getAttribute("action"), data);
    } catch {
      alert("The proxy did not answer; whether it was done is not known.");
    } finally {
      if (event.submitter) event.submitter.disabled = false;
    }
  });

  async function press(action, data) {
    // What leads back to a page was done; the page is the one that is shown.
    const answer = await fetch(action, { method: "POST", body: data, headers: headers(), redirect: "manual" });
    if (answer.type === "opaqueredirect") {
      alert("");
      await load();
      again();
      return;
    }
    const html = await answer.text();
    if (answer.status === 401 && (await ask())) return press(action, data);
    const page = new DOMParser().parseFromString(html, "text/html");
    const why = page.querySelector("#main .notice p");
    alert(why ? why.textContent : `Refused with status ${answer.status}.`);
  }

  // What happens. The stream ends while nobody looks, and is taken up again whenever it breaks.
  let source = null;
  // Something comes every 30 seconds at least; whoever hears nothing has lost a connection that nobody ended.
  const SILENT = 75000;
  let silence = 0;
  let failures = 0;
  let retry = 0;
  let first = null;
  const waiting = new Map();

  function tell(lost, text) {
    const element = byId("connection");
    element.hidden = false;
    element.classList.toggle("lost", lost);
    element.textContent = text;
  }

  function listen() {
    clearTimeout(retry);
    if (document.hidden || source) return;
    source = new EventSource(body.dataset.live);
    source.onopen = () => tell(false, "Live");
    source.onmessage = (event) => {
      failures = 0;
      heard();
      tell(false, "Live");
      take(JSON.parse(event.data));
    };
    source.onerror = lost;
    heard();
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENT);
  }

  function lost() {
    leave();
    failures += 1;
    tell(true, "Connection lost, trying again");
    retry = setTimeout(listen, Math.min(1000 * failures, 10000));
  }

  function leave() {
    clearTimeout(silence);
    if (source) source.close();
    source = null;
  }

  // A stream tells what has changed since it began, so that another page needs another one.
  function again() {
    leave();
    listen();
  }

  function take(news) {
    if (body.dataset.run && body.dataset.run !== news.run) {
      // Another process: what it knows has nothing to do with what is shown.
      location.reload();
      return;
    }
    for (const [id, html] of Object.entries(news.sections || {})) put(id, html);
    for (const [id, html] of Object.entries(news.rows || {})) putRow(id, html);
    if (news.order) order(news.order);
    if (!news.sections && first) renew(news);
    first = news;
  }

  // Nobody's typing is taken away: what comes meanwhile is put there afterwards.
  const isTyped = (place) => [...place.querySelectorAll("input")].some((it) => it.value !== it.defaultValue || it === document.activeElement);

  function put(id, html) {
    const place = byId(id);
    if (!place) return;
    const template = document.createElement("template");
    template.innerHTML = html;
    if (template.innerHTML === place.innerHTML) return;
    if (isTyped(place)) {
      waiting.set(id, html);
      return;
    }
    const active = document.activeElement;
    const focused = place.contains(active) ? active.id : "";
    const open = [...place.querySelectorAll("details[open]")].map((it) => it.id);
    place.innerHTML = html;
    open.forEach((it) => it && byId(it) && (byId(it).open = true));
    if (focused && byId(focused)) byId(focused).focus();
  }

  document.addEventListener("focusout", () => setTimeout(() => {
    const all = [...waiting];
    waiting.clear();
    for (const [id, html] of all) put(id, html);
  }));

  function putRow(id, html) {
    const rows = byId("live-rows");
    if (!rows) return;
    const template = document.createElement("template");
    template.innerHTML = html;
    const row = template.content.firstElementChild;
    const old = byId(id);
    const had = old && old.contains(document.activeElement);
    if (old) old.replaceWith(row);
    else rows.append(row);
    if (had) row.querySelector("a").focus();
    const none = byId("no-rows");
    if (none) none.remove();
  }

  function order(ids) {
    const rows = byId("live-rows");
    if (!rows) return;
    const active = document.activeElement;
    ids.map(byId).filter(Boolean).forEach((row) => rows.append(row));
    [...rows.children].filter((row) => !ids.includes(row.id)).forEach((row) => row.remove());
    if (rows.contains(active)) active.focus();
  }

  // Pages that are no overview are asked for again, as a whole and now and then, unless somebody is at work there.
  let renewed = Date.now();
  async function renew(news) {
    const page = location.pathname.split("/").pop();
    const is = { route: news.pairs !== first.pairs, timeline: news.events !== first.events, settings: news.revision !== first.revision };
    if (is[page]) stale = true;
    const atWork = byId("main").contains(document.activeElement) && document.activeElement !== byId("main");
    if (!stale || atWork || Date.now() - renewed < 5000 || byId("main").querySelector("details[open]")) return;
    renewed = Date.now();
    stale = false;
    try { await load(); } catch { stale = true; }
  }
  let stale = false;

  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", listen);

  tellToken();
  if (token() && wantsToken()) load().catch(() => alert("The proxy does not answer."));
  listen();
})();
