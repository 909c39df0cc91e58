// The registration desk: find the flat by typing, read the document, Enter, touch the card; then the next member.
// Built on the console's own elements, so refusals, waiting and giving up look the same everywhere.

await customElements.whenDefined("menwei-capture");
const Sent = customElements.get("menwei-form");
const Capture = customElements.get("menwei-capture");
const PAUSE = 150; // milliseconds without a key before the list is asked for

class Register extends Capture {
  connectedCallback() {
    super.connectedCallback();
    this.find = this.querySelector("#find");
    this.list = this.querySelector("#found");
    this.place = this.querySelector("[data-place]");
    this.homes = this.querySelector("[data-homes]");
    this.days = this.querySelector("[data-lease-days]");
    this.document_ = this.querySelector("menwei-document");
    this.joins = this.querySelector("[data-joins-note]");
    this.find.addEventListener("input", () => this.later());
    this.find.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("click", (event) => this.choose(event.target.closest("[role=option]")?.flat));
    this.form.addEventListener("change", () => this.fit());
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.otherFlat(); // an input method shuts its own list so
    });
    this.form.elements.name.addEventListener("input", () => this.forgetDocument());
    this.querySelector("[data-other]").addEventListener("click", () => this.otherFlat());
    this.document_?.addEventListener("read", (event) => this.read(event.detail));
    this.remember("reader", this.form.elements.reader);
    this.remember("document-reader", this.document_?.querySelector("select"));
    this.find.focus();
  }

  remember(name, select) {
    if (!select) return;
    const kept = localStorage.getItem(`menwei-${name}`);
    if ([...select.options].some((option) => option.value === kept)) select.value = kept;
    select.addEventListener("change", () => localStorage.setItem(`menwei-${name}`, select.value));
  }

  // ---- the flat

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.search(), PAUSE);
  }

  async search() {
    clearTimeout(this.timer);
    const text = this.find.value.trim();
    this.asked = text;
    const found = text ? (await this.get(`/api/tenancy/flats?limit=8&search=${encodeURIComponent(text)}`))?.flats : [];
    if (found === undefined || this.asked !== text) return null; // told already, or typed on meanwhile
    this.list.replaceChildren(...found.map((flat, at) => this.option(flat, at)));
    this.mark(0);
    this.open(found.length > 0);
    this.place.textContent = text && !found.length ? this.dataset.none : "";
    return found;
  }

  option(flat, at) {
    const line = document.createElement("li");
    line.id = `flat-${at}`;
    line.role = "option";
    line.flat = flat;
    line.textContent = label(flat) + (flat.households ? "" : ` · ${this.dataset.empty}`);
    return line;
  }

  mark(at) {
    const lines = [...this.list.children];
    this.at = Math.max(0, Math.min(at, lines.length - 1));
    lines.forEach((line, number) => line.setAttribute("aria-selected", String(number === this.at)));
    if (lines.length) this.find.setAttribute("aria-activedescendant", `flat-${this.at}`);
    else this.find.removeAttribute("aria-activedescendant");
  }

  open(on) {
    this.list.hidden = !on;
    this.find.setAttribute("aria-expanded", String(on));
  }

  async key(event) {
    if (event.isComposing) return; // Enter of an input method chooses a character
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.mark(this.at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.asked !== this.find.value.trim() || this.list.hidden) await this.search();
      if (!this.list.hidden) await this.choose(this.list.children[this.at]?.flat);
    } else if (event.key === "Escape") this.open(false);
  }

  async choose(flat) {
    if (!flat) return;
    this.open(false);
    const homes = (await this.get(`/api/tenancy/flats/${flat.id}/households`))?.households;
    if (!homes) return;
    this.find.value = label(flat);
    this.asked = null;
    this.form.elements.flat.value = flat.id;
    this.form.hidden = false;
    this.next(homes.filter((home) => home.state === "active"));
  }

  otherFlat() {
    this.document_?.stop();
    this.form.hidden = true;
    this.clear();
    this.find.value = "";
    this.find.focus();
  }

  // ---- the member

  /** Empties the form for whoever comes next, in one of `homes` or a new household. */
  next(homes, chosen = homes[0]?.id) {
    const flat = this.form.elements.flat.value, reader = this.form.elements.reader.value;
    const read = this.document_?.select.value;
    this.form.reset();
    this.clear();
    this.form.elements.flat.value = flat;
    this.form.elements.reader.value = reader;
    if (this.document_) this.document_.select.value = read;
    this.joins.hidden = true;
    this.form.elements.holder.value = "";
    const lines = homes.map((home) => this.home(home.id, this.about(home), home.id === chosen));
    this.homes.replaceChildren(this.homes.firstElementChild, ...lines, this.home("", this.dataset.new, chosen === undefined));
    const living = homes.find((home) => home.id === chosen)?.members.some((member) => !member.left);
    this.form.elements.role.value = living ? "co-applicant" : "lessee";
    this.fit();
    if (homes.length > 1) this.homes.querySelector(":checked").focus();
    else this.form.elements.name.focus();
    this.document_?.read();
  }

  home(id, text, checked) {
    const line = document.createElement("label");
    line.className = "tick";
    const choice = Object.assign(document.createElement("input"), { type: "radio", name: "household", value: id, checked });
    choice.dataset.type = "number";
    line.append(choice, text);
    return line;
  }

  about(home) {
    const days = this.dataset.lease.replace("{first}", home.first_day ?? "…").replace("{last}", home.last_day ?? this.dataset.forever);
    const people = home.members.filter((member) => !member.left).map((member) => this.called(member));
    return [days, ...people].join(" · ");
  }

  called(member) {
    const role = this.getAttribute(`data-role-${member.role}`);
    const who = member.name ?? (member.document ? this.dataset.endsIn.replace("{last}", member.document) : this.dataset.sealed);
    return `${role} ${who}`;
  }

  fit() {
    const fresh = this.homes.querySelector(":checked")?.value === "";
    this.days.hidden = !fresh;
    for (const day of this.days.querySelectorAll("input")) day.disabled = !fresh;
    const needed = this.form.elements.role.value === "cohabitant" && this.form.elements.reader.value !== "";
    const consent = this.form.elements.consent;
    consent.closest("label").hidden = !needed;
    consent.disabled = !needed;
    consent.required = needed;
  }

  read(found) {
    this.form.elements.holder.value = found.holders[0] ?? "";
    this.joins.hidden = !found.holders.length;
    this.joins.textContent = found.holders.length ? this.dataset.joins : "";
    this.form.querySelector("[name=role]:checked").focus();
  }

  forgetDocument() {
    this.form.elements.document.value = "";
    this.form.elements.holder.value = "";
    this.joins.hidden = true;
    this.document_?.say("");
    this.document_?.known([]);
  }

  async send(submitter) {
    this.document_?.stop();
    if (this.form.elements.reader.value) await super.send(submitter);
    else await Sent.prototype.send.call(this, submitter);
  }

  post(submitter) {
    if (this.form.elements.reader.value) return super.post(submitter);
    return Sent.prototype.post.call(this, submitter);
  }

  async done(response) {
    const made = await response.json();
    const name = this.form.elements.name.value;
    const role = this.getAttribute(`data-role-${this.form.elements.role.value}`);
    const line = document.createElement("li");
    const mark = Object.assign(document.createElement("span"), { className: made.credential ? "mark good" : "mark warn" });
    const text = Object.assign(document.createElement("div"), { className: "grow" });
    const words = made.credential ? this.dataset.done : this.dataset.doneLater;
    text.textContent = `${this.find.value} · ${role} ${name}: ${words}`;
    line.append(mark, text);
    const entered = this.querySelector("[data-entered]");
    entered.querySelector(".empty")?.remove();
    entered.prepend(line);
    const flat = this.form.elements.flat.value;
    const homes = (await this.get(`/api/tenancy/flats/${flat}/households`))?.households ?? [];
    this.again = { homes: homes.filter((home) => home.state === "active"), chosen: made.household };
  }

  busy(on) {
    super.busy(on);
    if (!on && this.again) { // after the dialog is closed, which gives the focus back
      const { homes, chosen } = this.again;
      this.again = null;
      queueMicrotask(() => setTimeout(() => this.next(homes, chosen)));
    }
  }

  async get(path) {
    try {
      const response = await fetch(path, { headers: { Accept: "application/json" } });
      const answer = await response.json();
      if (response.ok) return answer;
      this.place.textContent = answer.message;
    } catch (error) {
      this.place.textContent = this.dataset.offline;
      console.debug("the list could not be asked for", error);
    }
    return undefined;
  }
}

function label(flat) {
  return [flat.building, flat.unit === flat.building ? "" : flat.unit, flat.name].filter(Boolean).join(" ");
}

customElements.define("menwei-register", Register);
