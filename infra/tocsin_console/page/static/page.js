// Tocsin's page: moments in the browser's own zone, filters, what is live. Without it, everything else works.
"use strict";

const zone = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

function showTimes(root) {
  for (const one of root.querySelectorAll("time[datetime]")) {
    const at = new Date(one.dateTime);
    if (Number.isNaN(at.getTime()) || !one.dateTime) continue;
    const today = Math.abs(Date.now() - at.getTime()) < 43200000;
    if (!one.title) one.title = one.textContent;
    one.textContent = (today ? hours : zone).format(at);
  }
}
showTimes(document);

// On a phone the pages stand in a row that scrolls: where one is shall be seen.
const here = document.querySelector(".side nav [aria-current]");
if (here) here.closest("nav").scrollLeft = here.offsetLeft - 40;

// A filter takes effect when it is chosen; text when it is left or Enter is pressed. The address keeps it.
for (const form of document.querySelectorAll("form[data-filters]")) {
  form.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}
// Twice pressed is done once.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => setTimeout(() => { if (event.submitter) event.submitter.disabled = true; }));
}

// What was done, or why not, is where one is after a form; and after a part was drawn anew, one is where one was.
const news = document.querySelector("main .news");
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex='0']";
const place = sessionStorage.getItem("place");
sessionStorage.removeItem("place");
if (news) news.focus();
else if (place !== null) {
  const [path, number] = JSON.parse(place);
  const one = path === location.pathname ? document.querySelectorAll(FOCUSABLE)[number] : null;
  if (one) one.focus({ preventScroll: true });
}
function drawAnew() {
  const number = [...document.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  if (number >= 0) sessionStorage.setItem("place", JSON.stringify([location.pathname, number]));
  location.reload();
}

// -- the feed ------------------------------------------------------------------------------------------------

const feed = document.querySelector("[data-feed]");
if (feed) {
  const list = feed.querySelector(".feed"), pulse = feed.querySelector(".pulse");
  const said = feed.querySelector("[data-said]"), hold = feed.querySelector("[data-hold]");
  const waits = feed.querySelector("[data-held]");
  const form = document.querySelector("template#line");
  const held = new Map();
  let paused = false, source = null;

  function fill(line, one) {
    line.href = "/notification/" + one.id;
    line.dataset.id = one.id;
    for (const slot of line.querySelectorAll("[data-slot]")) slot.textContent = one[slot.dataset.slot] || "";
    const when = line.querySelector("time");
    when.dateTime = one.at;
    const badge = line.querySelector(".badge");
    badge.className = "badge " + one.tone;
    badge.textContent = one.state;
    line.querySelector(".stages").replaceChildren(...one.stages.map((stage) => {
      const span = document.createElement("span");
      if (stage.bad) span.className = "bad";
      span.append(stage.word + " ");
      if (stage.at) {
        const time = document.createElement("time");
        time.dateTime = stage.at;
        time.textContent = stage.at;
        span.append(time);
      }
      return span;
    }));
    showTimes(line);
  }

  function put(one) {
    let line = [...list.children].find((known) => known.dataset.id === one.id);
    if (!one.matches) { if (line) line.remove(); return; }
    const fresh = !line;
    if (fresh) line = form.content.firstElementChild.cloneNode(true);
    fill(line, one);
    if (fresh) list.prepend(line);
    line.classList.remove("fresh");
    void line.offsetWidth;
    line.classList.add("fresh");
    while (list.children.length > 200) list.lastElementChild.remove();
    const empty = feed.querySelector(".empty");
    if (empty) empty.remove();
  }

  // It pauses while somebody reads: a line under the pointer or the keyboard must not run away.
  function reads() { return list.matches(":hover") || list.contains(document.activeElement); }
  function release() {
    if (paused || reads()) { tell(); return; }
    for (const one of held.values()) put(one);
    held.clear();
    tell();
  }
  function tell() {
    const on = source && source.readyState === EventSource.OPEN;
    pulse.classList.toggle("on", Boolean(on) && !paused);
    // Beside what is read aloud: it changes all the time.
    waits.textContent = held.size ? "· " + held.size + (held.size === 1 ? " change waits" : " changes wait") : "";
    const now = paused ? "Paused" : !on ? "Not live: the console does not answer" : reads() ? "Live, and still while you read" : "Live";
    if (said.textContent !== now) said.textContent = now;
    hold.textContent = paused ? "Go on" : "Pause";
    hold.setAttribute("aria-pressed", String(paused));
  }
  function listen() {
    if (source || document.hidden) return;
    source = new EventSource(feed.dataset.feed);
    source.addEventListener("line", (event) => { const one = JSON.parse(event.data); held.set(one.id, one); release(); });
    source.addEventListener("trouble", (event) => { said.textContent = event.data; });
    source.onopen = source.onerror = tell;
  }
  function stop() { if (source) { source.close(); source = null; } }
  hold.hidden = false;
  hold.addEventListener("click", () => { paused = !paused; release(); });
  list.addEventListener("mouseleave", () => setTimeout(release, 50));
  list.addEventListener("focusout", () => setTimeout(release, 50));
  list.addEventListener("mouseenter", tell);
  // Nobody looks: nothing is read.
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else { listen(); tell(); } });
  listen();
  tell();
}

// -- parts that the server draws anew ---------------------------------------------------------------------------

// An element with data-watch is fetched again while something goes on there, and stops when it says so.
for (const part of document.querySelectorAll("[data-watch]")) {
  const every = Number(part.dataset.every || 1000);
  async function again() {
    if (document.hidden || part.contains(document.activeElement) && document.activeElement.matches("input, textarea")) { setTimeout(again, every); return; }
    try {
      const answer = await fetch(part.dataset.watch, { headers: { "X-Part": "1" } });
      if (answer.redirected || !answer.ok) { drawAnew(); return; }
      const drawn = await answer.json();
      if (drawn.go) { location.assign(drawn.go); return; }
      if (drawn.mark !== part.dataset.mark) { drawAnew(); return; }
      for (const slot of part.querySelectorAll("[data-slot]")) {
        const value = drawn[slot.dataset.slot];
        if (value === undefined) continue;
        if (slot.tagName === "PROGRESS") slot.value = value; else if (slot.textContent !== String(value)) slot.textContent = value;
      }
    } catch { /* the console may be away for a moment */ }
    setTimeout(again, every);
  }
  setTimeout(again, every);
}
for (const one of document.querySelectorAll("[data-until]")) {
  const until = Number(one.dataset.until) * 1000;
  const show = () => { one.textContent = Math.max(0, Math.round((until - Date.now()) / 1000)) + " s"; };
  show();
  setInterval(show, 500);
}
for (const one of document.querySelectorAll("[data-copy]")) {
  one.hidden = false;
  one.addEventListener("click", async () => {
    const from = document.getElementById(one.dataset.copy);
    await navigator.clipboard.writeText(from.value || from.textContent);
    one.textContent = "Copied";
  });
}

// -- a text while it is typed -----------------------------------------------------------------------------------

const typing = document.querySelector("form[data-try]");
if (typing) {
  const screen = typing.querySelector(".phone-screen"), findings = typing.querySelector("[data-findings]");
  const tags = { bold: "strong", italic: "em", struck: "s", code: "code", link: "u" };
  let waits = 0, asked = 0;

  function piece(run) {
    let node = document.createTextNode(run.text);
    for (const mark of run.marks) {
      const around = document.createElement(tags[mark] || "span");
      if (!tags[mark]) around.className = mark;
      around.append(node);
      node = around;
    }
    return node;
  }
  async function tryOut() {
    const number = ++asked;
    const answer = await fetch(typing.dataset.try, { method: "POST", body: new URLSearchParams(new FormData(typing)) });
    if (!answer.ok || number !== asked) return;
    const seen = await answer.json();
    const words = seen.findings.map((one) => (one.line ? "Line " + one.line + ": " : "") + one.text);
    findings.hidden = !words.length;
    typing.querySelector("#text").setAttribute("aria-invalid", String(words.length > 0));
    // The same again would be read aloud again.
    if (words.join("\n") !== [...findings.children].map((item) => item.textContent).join("\n")) {
      findings.replaceChildren(...words.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    }
    const bubble = document.createElement(seen.failure ? "p" : "div");
    bubble.className = seen.failure ? "mute" : "bubble";
    if (seen.failure) bubble.textContent = seen.failure; else bubble.append(...seen.runs.map(piece));
    screen.replaceChildren(bubble);
  }
  typing.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(tryOut, 300); });
}
