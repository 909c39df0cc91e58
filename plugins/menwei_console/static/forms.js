// Forms sent without leaving the page: a refusal is shown at the field, and nothing typed is lost.

/** Posts `given` as whom the page was drawn for. Who has signed in again meanwhile, in another tab, goes on from here. */
export async function sent(target, given, signal) {
  const post = () => fetch(target, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": document.querySelector("[name=_csrf]")?.value ?? "" },
    body: JSON.stringify(given),
    signal,
  });
  const response = await post();
  if (response.status !== 403 || (await problem(response.clone())).error !== "web.csrf") return response;
  return (await refusal()) ? response : post();
}

/** Why this page's forms can not be sent now; null when whom it was drawn for is signed in, whose session they then
 * carry. Somebody else's name must not stand under what another has typed. */
async function refusal() {
  const answer = await fetch("/api/me", { headers: { Accept: "application/json" } });
  if (!answer.ok) return problem(answer);
  const me = await answer.json();
  if (me.name !== document.body.dataset.account) return { error: "web.csrf", message: document.body.dataset.old };
  for (const field of document.querySelectorAll("[name=_csrf]")) field.value = me.csrf;
  return null;
}

/** Tells in `notice` what went wrong; whoever is signed out is offered to sign in beside what they have typed. */
export function tell(notice, { error, message }) {
  notice.textContent = message;
  if (error !== "web.sign_in" || !document.body.dataset.signIn) return;
  const link = Object.assign(document.createElement("a"), { href: "/login", target: "_blank" });
  link.textContent = document.body.dataset.signIn;
  notice.append(" · ", link);
}

/** Wraps one <form> that posts to the API. Its fields become JSON by their `data-type`; success goes to `_next`. */
export class SentForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.notice = this.querySelector("[role=alert]");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(event.submitter);
    });
  }

  async send(submitter) {
    if (submitter?.dataset.confirm && !confirm(submitter.dataset.confirm)) return;
    this.clear();
    this.busy(true);
    let leaves = false;
    try {
      const response = await this.post(submitter);
      if (response.ok) leaves = await this.done(response);
      else this.refuse(await problem(response));
    } catch (error) {
      if (error.name !== "AbortError") this.refuse({ message: this.dataset.offline ?? String(error), where: "" });
    } finally {
      if (!leaves) this.busy(false); // else a second press, while the next page loads, would do it twice
    }
  }

  post(submitter, signal) {
    const target = new URL(this.form.getAttribute("action"), location.href);
    target.search = "";
    return sent(target, fields(this.form, submitter), signal);
  }

  /** After a success. Answers whether the page is left. */
  async done(response) {
    const secret = this.querySelector("[data-secret]");
    if (secret) {
      secret.textContent = (await response.json()).secret;
      secret.closest("div").hidden = false;
      secret.focus();
      this.form.reset();
      await drawAgain(this.dataset.grows);
      return false;
    }
    if (this.dataset.done) {
      this.notice.className = "notice good";
      this.notice.textContent = this.dataset.done;
      this.form.reset();
      return false;
    }
    const next = new URL(this.form.getAttribute("action"), location.href).searchParams.get("_next") ?? location.pathname;
    const answer = await response.json();
    location.assign(next.replace("{id}", answer.id ?? ""));
    return true;
  }

  busy(on) {
    for (const button of this.form.querySelectorAll("button")) button.disabled = on;
  }

  clear() {
    this.notice.textContent = "";
    this.notice.classList.replace("good", "bad");
    for (const field of this.form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  refuse({ error, message, where }) {
    tell(this.notice, { error, message });
    const field = this.form.elements[(where ?? "").split(".")[1]];
    if (field instanceof HTMLElement) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  }
}

/** Wraps one <form> that the browser itself sends to a page: it leaves only as whom it was drawn for, so that a session
 * that is over costs nothing typed. */
export class KeptForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.notice = this.querySelector("[role=alert]");
    this.form.addEventListener("submit", (event) => {
      if (this.sure) { this.sure = false; return; }
      event.preventDefault();
      this.send(event.submitter);
    });
  }

  async send(submitter) {
    if (this.asking) return;
    this.asking = true;
    this.notice.textContent = "";
    try {
      const refused = await refusal();
      if (refused) tell(this.notice, refused);
      else {
        this.sure = true;
        this.form.requestSubmit(submitter);
      }
    } catch (error) {
      this.notice.textContent = this.dataset.offline;
      console.debug("it could not be asked who is signed in", error);
    } finally {
      this.asking = false;
    }
  }
}

/** The form that waits for a card to be touched: shows where, counts down, and can be given up. */
export class CaptureForm extends SentForm {
  async send(submitter) {
    this.dialog = this.querySelector("dialog");
    const reader = this.form.elements.reader;
    this.dialog.querySelector("[data-reader]").textContent = reader.selectedOptions[0]?.textContent ?? "";
    const bar = this.dialog.querySelector("progress");
    const end = Date.now() + bar.max * 1000;
    const timer = setInterval(() => { bar.value = Math.max(0, (end - Date.now()) / 1000); }, 250);
    this.given = new AbortController();
    this.dialog.addEventListener("close", () => this.given.abort(), { once: true });
    this.dialog.showModal();
    try {
      await super.send(submitter);
    } finally {
      clearInterval(timer);
      if (this.dialog.open) this.dialog.close();
    }
  }

  post(submitter) { return super.post(submitter, this.given.signal); }
}

/** Inside a <form>: waits for an identity document at an enrolment reader and fills in the name and the handle under
 * which the document is held (`data-field`). The number never comes here. Fires "read" with what was learned. */
export class DocumentField extends HTMLElement {
  connectedCallback() {
    this.hidden = false;
    this.form = this.closest("form");
    this.select = this.querySelector("select");
    this.button = this.querySelector("button");
    this.status = this.querySelector("[role=status]");
    this.held = this.form.elements[this.dataset.field];
    this.button.addEventListener("click", () => (this.waiting ? this.stop() : this.read()));
    this.form.addEventListener("reset", () => { this.stop(); this.say(""); this.held.value = ""; this.known([]); });
  }

  disconnectedCallback() { this.stop(); }

  stop() {
    this.waiting?.abort();
    this.waiting = null;
    this.button.textContent = this.dataset.read;
  }

  async read() {
    this.stop();
    const waiting = (this.waiting = new AbortController());
    this.button.textContent = this.dataset.cancel;
    this.say(this.dataset.waits);
    try {
      const response = await sent("/api/documents/capture", { reader: this.select.value, seconds: 60 }, waiting.signal);
      if (response.ok) this.fill(await response.json());
      else this.say((await problem(response)).message, true);
    } catch (error) {
      if (error.name !== "AbortError") this.say(this.dataset.offline ?? String(error), true);
      else if (this.waiting === null) this.say("");
    } finally {
      if (this.waiting === waiting) this.stop();
    }
  }

  fill(found) {
    const name = this.form.elements.name;
    if (name) name.value = found.name;
    this.held.value = found.handle;
    this.say(this.dataset.done.replace("{name}", found.name).replace("{last}", found.last_four));
    this.known(found.holders);
    this.dispatchEvent(new CustomEvent("read", { detail: found }));
  }

  known(holders) {
    const line = this.querySelector("[data-known]");
    if (!line) return;
    line.hidden = holders.length === 0;
    if (holders.length) line.querySelector("a").href = `/people/${holders[0]}`;
  }

  say(text, bad = false) {
    this.status.textContent = text;
    this.status.classList.toggle("bad", bad);
  }
}

function fields(form, submitter) {
  const found = {};
  for (const [name, value] of new FormData(form, submitter)) {
    if (name.startsWith("_")) continue;
    const field = form.elements[name];
    const type = (field instanceof RadioNodeList ? field[0] : field)?.dataset?.type;
    if (type === "list") (found[name] ??= []).push(value);
    else if (value !== "") found[name] = type === "number" ? Number(value) : type === "yes" ? true : value;
  }
  return found;
}

/** Brings the part `selector` of this page up to date, and leaves the rest with what is typed and shown there. */
async function drawAgain(selector) {
  try {
    const response = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector(selector);
    if (fresh) document.querySelector(selector).replaceWith(fresh);
  } catch (error) {
    console.debug("the page could not be asked for news", error); // what was done is done and told
  }
}

async function problem(response) {
  try {
    return await response.json();
  } catch {
    return { message: `${response.status} ${response.statusText}`, where: "" };
  }
}
