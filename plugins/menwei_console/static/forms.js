// Forms sent without leaving the page: a refusal is shown at the field, and nothing typed is lost.

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
    try {
      const response = await this.post(submitter);
      if (response.ok) await this.done(response);
      else this.refuse(await problem(response));
    } catch (error) {
      if (error.name !== "AbortError") this.refuse({ message: this.dataset.offline ?? String(error), where: "" });
    } finally {
      this.busy(false);
    }
  }

  post(submitter, signal) {
    const target = new URL(this.form.getAttribute("action"), location.href);
    target.search = "";
    return fetch(target, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": this.form.elements._csrf?.value ?? "" },
      body: JSON.stringify(fields(this.form, submitter)),
      signal,
    });
  }

  async done(response) {
    const secret = this.querySelector("[data-secret]");
    if (secret) {
      secret.textContent = (await response.json()).secret;
      secret.closest("[hidden]").hidden = false;
      secret.focus();
      this.form.reset();
      return;
    }
    if (this.dataset.done) {
      this.notice.className = "notice good";
      this.notice.textContent = this.dataset.done;
      this.form.reset();
      return;
    }
    const next = new URL(this.form.getAttribute("action"), location.href).searchParams.get("_next") ?? location.pathname;
    const answer = await response.json();
    location.assign(next.replace("{id}", answer.id ?? ""));
  }

  busy(on) {
    for (const button of this.form.querySelectorAll("button")) button.disabled = on;
  }

  clear() {
    this.notice.textContent = "";
    this.notice.classList.replace("good", "bad");
    for (const field of this.form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  refuse({ message, where }) {
    this.notice.textContent = message;
    const field = this.form.elements[(where ?? "").split(".")[1]];
    if (field instanceof HTMLElement) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
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
      const response = await fetch("/api/documents/capture", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": this.form.elements._csrf?.value ?? "" },
        body: JSON.stringify({ reader: this.select.value, seconds: 60 }),
        signal: waiting.signal,
      });
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

async function problem(response) {
  try {
    return await response.json();
  } catch {
    return { message: `${response.status} ${response.statusText}`, where: "" };
  }
}
