// A list of rooms and people: checked as a whole, shown by row and column, entered with a progress bar. The file stays
// in the browser between the two; sent again after an interruption, it goes on where it was.

const SHOWN = 200; // rows of a table; the rest is counted

class Upload extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.notice = this.querySelector("[data-notice]");
    this.result = this.querySelector("[data-result]");
    this.enter = this.querySelector("[data-enter]");
    this.box = this.querySelector("[data-progress-box]");
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.check(); });
    this.form.elements.file.addEventListener("change", () => { this.result.hidden = true; this.tell(""); });
    this.enter.addEventListener("submit", (event) => { event.preventDefault(); this.write(); });
    this.enter.elements.accept.addEventListener("change", () => this.ready());
  }

  async check() {
    const file = this.form.elements.file.files[0];
    if (!file) return;
    if (file.size > Number(this.dataset.largest)) { this.tell(this.dataset.tooLarge, "bad"); return; }
    this.result.hidden = true;
    this.tell(this.dataset.checking, "");
    await this.send("?dry_run=true", (line) => { if ("faults" in line) this.show(line); });
  }

  async write() {
    const likely = this.found.likely.length > 0;
    let ended = false;
    this.box.hidden = false;
    this.enter.hidden = true;
    this.tell("");
    this.progress(0, this.found.people);
    await this.send(`?accept_likely=${likely}`, (line) => {
      if ("done" in line) this.progress(line.done, line.of);
      else if ("entered" in line) { ended = true; this.tell(fill(this.dataset.entered, line.entered), "good"); }
      else if ("refused" in line) { ended = true; this.tell(line.refused.message, "bad"); }
      else if (line.faults?.length) { ended = true; this.show(line); } // the house changed since the check
    });
    if (!ended && !this.failed) this.tell(this.dataset.broken, "bad");
    this.box.hidden = true;
    this.enter.hidden = ended;
  }

  /** Posts the file and hands over each line of the answer as it arrives. */
  async send(query, each) {
    this.busy(true);
    this.failed = false;
    try {
      const response = await fetch(this.form.getAttribute("action") + query, {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream", "X-CSRF-Token": this.form.elements._csrf.value },
        body: this.form.elements.file.files[0],
      });
      if (!response.ok) throw new Refused((await response.json()).message);
      await lines(response.body, each);
    } catch (error) {
      this.failed = true;
      this.tell(error instanceof Refused ? error.message : this.dataset.broken, "bad");
      if (!(error instanceof Refused)) console.debug("the upload was interrupted", error);
    } finally {
      this.busy(false);
    }
  }

  show(found) {
    this.found = found;
    this.result.hidden = false;
    this.querySelector("[data-summary]").textContent = fill(this.dataset.found, found);
    const added = this.querySelector("[data-new-places]"), names = found.new.slice(0, SHOWN).join(this.dataset.comma);
    added.hidden = found.new.length === 0;
    added.textContent = fill(this.dataset.new, { count: found.new.length, names });
    this.table("faults", found.faults, ["row", "column", "message"]);
    this.table("likely", found.likely, ["row", "message"]);
    this.enter.hidden = found.faults.length > 0;
    this.enter.querySelector("[data-accept]").hidden = found.likely.length === 0;
    this.ready();
    if (found.faults.length) this.tell(this.dataset.mend, "bad");
    else if (found.likely.length) this.tell(this.dataset.undecided, "warn");
    else this.tell(this.dataset.clean, "good");
    this.querySelector("[data-summary]").focus();
  }

  ready() {
    const undecided = this.found.likely.length > 0 && !this.enter.elements.accept.checked;
    this.enter.querySelector("button").disabled = undecided;
  }

  table(name, rows, columns) {
    const part = this.querySelector(`[data-${name}-table]`);
    part.hidden = rows.length === 0;
    part.querySelector("h3").textContent = fill(this.dataset[name], { count: rows.length });
    const lines = rows.slice(0, SHOWN).map((row) => {
      const line = document.createElement("tr");
      line.append(...columns.map((column) => cell(row[column] || "")));
      return line;
    });
    if (rows.length > SHOWN) {
      const last = document.createElement("tr"), rest = cell(fill(this.dataset.more, { count: rows.length - SHOWN }));
      rest.colSpan = columns.length;
      last.append(rest);
      lines.push(last);
    }
    part.querySelector("tbody").replaceChildren(...lines);
  }

  progress(done, of) {
    const bar = this.box.querySelector("progress");
    bar.max = Math.max(1, of);
    bar.value = done;
    this.box.querySelector("[data-progress]").textContent = fill(this.dataset.progress, { done, of });
  }

  busy(on) {
    for (const button of this.querySelectorAll("button")) button.disabled = on;
    if (!on && this.found) this.ready();
  }

  tell(text, tone = "") {
    this.notice.textContent = text;
    this.notice.className = `notice ${tone}`;
  }
}

class Refused extends Error {}

function cell(text) {
  return Object.assign(document.createElement("td"), { textContent: text });
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

async function lines(body, each) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const line of whole) each(JSON.parse(line));
  }
  if (rest.trim()) each(JSON.parse(rest));
}

customElements.define("menwei-upload", Upload);
