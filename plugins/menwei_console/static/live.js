// Live passages and live doors over one Server-Sent Events stream. The browser resumes it by the last event's id.

let stream = null;
const listeners = new Set();

/** Opens the one stream of this page at the first listener; `from` is the position the page was rendered at. */
function listen(from, listener) {
  listeners.add(listener);
  if (stream === null) {
    stream = new EventSource(`/api/events?after=${encodeURIComponent(from)}`);
    stream.onopen = () => tell("state", "on");
    stream.onerror = () => {
      tell("state", "off");
      if (stream.readyState === EventSource.CLOSED) signedOut(); // refused: the browser does not try again by itself
    };
    stream.addEventListener("entry", (event) => tell("entry", JSON.parse(event.data)));
    stream.addEventListener("gap", () => location.reload());
    stream.addEventListener("signed-out", () => location.reload()); // which leads to signing in
  }
  return () => listeners.delete(listener);
}

/** Whoever has been signed out elsewhere is led to signing in; a refusal for any other reason leaves the page as it is. */
async function signedOut() {
  try {
    if ((await fetch("/api/me")).status === 401) location.reload();
  } catch (error) {
    console.debug("it could not be asked who is signed in", error);
  }
}

function tell(kind, value) {
  for (const listener of listeners) listener(kind, value);
}

addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

/** A list that grows at the top. Attributes: `from`, `door` (only this one), `most` (rows kept). */
export class LivePassages extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector("ul");
    this.template = this.querySelector("template");
    this.light = this.querySelector(".live");
    this.stop = listen(this.getAttribute("from"), (kind, value) => (kind === "state" ? this.state(value) : this.add(value)));
    this.querySelector("[data-refresh]")?.remove();
    if (this.light) this.light.hidden = false;
  }

  disconnectedCallback() { this.stop?.(); }

  state(state) {
    if (!this.light) return;
    this.light.dataset.state = state === "on" ? "on" : "off";
    this.light.textContent = state === "on" ? this.light.dataset.on : this.light.dataset.off;
  }

  add(entry) {
    const door = this.getAttribute("door");
    if (!entry.shown || (door && entry.door !== door)) return;
    const row = this.template.content.cloneNode(true).firstElementChild;
    row.querySelector(".mark").classList.add(entry.tone);
    row.querySelector("time").textContent = entry.time.slice(11, 19);
    row.querySelector("time").dateTime = entry.time;
    row.querySelector("[data-text]").textContent = entry.text;
    row.querySelector("[data-place]").textContent = entry.place;
    row.querySelector("[data-detail]").textContent = entry.detail;
    this.list.querySelector(".empty")?.remove();
    this.list.prepend(row);
    const most = Number(this.getAttribute("most") ?? 50);
    while (this.list.children.length > most) this.list.lastElementChild.remove();
  }
}

/** A part of the page that the server draws again, from `src`, every `every` seconds. What has the focus keeps it by its
 * `data-keep`. */
export class LivePart extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.refresh(), Number(this.getAttribute("every") ?? 15) * 1000);
  }

  disconnectedCallback() { clearInterval(this.timer); }

  /** At most one request at a time; what happens meanwhile asks for one more. */
  async refresh() {
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    try {
      const response = await fetch(this.getAttribute("src"), { headers: { Accept: "text/html" } });
      if (response.redirected || response.status === 401) location.reload();
      else if (response.ok) this.replace(await response.text());
    } catch (error) {
      console.debug("the page could not be asked for news", error); // it is asked again soon
    } finally {
      this.busy = false;
      if (this.again) { this.again = false; this.refresh(); }
    }
  }

  replace(html) {
    if (html === this.html) return;
    this.html = html;
    const focused = this.contains(document.activeElement) ? document.activeElement.dataset.keep : null;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    this.replaceChildren(...parsed.body.children);
    if (focused) this.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
  }
}

/** The doors' cards, drawn again also when an entry says that a door changed. */
export class LiveDoors extends LivePart {
  connectedCallback() {
    super.connectedCallback();
    const from = this.getAttribute("from"); // empty for who may see doors but not who comes and goes
    if (from) {
      this.stop = listen(from, (kind, value) => {
        if (kind === "entry" ? value.door : value === "on") this.refresh();
      });
    }
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.stop?.();
  }
}
