// Photos of a person are sent without leaving the page, and a camera's guidance is shown as it changes.

const EVERY = 400; // milliseconds between two looks at what the camera says

async function answer(response) {
  try {
    return await response.json();
  } catch {
    return { message: `${response.status} ${response.statusText}` };
  }
}

class Base extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.notice = this.querySelector("[role=alert]");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
  }

  send(path, body, headers = {}) {
    return fetch(path, { method: "POST", headers: { "X-CSRF-Token": this.form.elements._csrf.value, ...headers }, body });
  }

  async run() {
    this.tell("", "bad");
    this.busy(true);
    try {
      await this.work();
    } catch (error) {
      this.tell(this.dataset.offline, "bad");
      console.debug("it was not sent", error);
    } finally {
      this.busy(false);
    }
  }

  tell(text, tone) {
    this.notice.textContent = text;
    this.notice.className = `notice ${tone}`;
  }

  busy(on) {
    for (const button of this.form.querySelectorAll("button")) button.disabled = on;
  }
}

/** Sends the chosen files, and says of each what became of it. */
class Photos extends Base {
  async work() {
    const list = this.querySelector(".results");
    list.replaceChildren();
    const response = await this.send(this.form.getAttribute("action"), new FormData(this.form));
    const told = await answer(response);
    if (!response.ok) return this.tell(told.message, "bad");
    if (told.enrolled) return location.reload();
    this.tell(told.message, "bad");
    for (const photo of told.photos) list.append(this.row(photo));
    list.hidden = false;
    this.form.reset();
    return undefined;
  }

  row(photo) {
    const row = document.createElement("li");
    const mark = document.createElement("span");
    mark.className = `mark ${photo.why.length ? "bad" : "good"}`;
    const text = document.createElement("div");
    text.className = "grow";
    const said = photo.messages.length ? photo.messages : [photo.used ? this.dataset.used : this.dataset.spare];
    for (const line of [photo.name, ...said]) {
      const part = document.createElement("p");
      part.textContent = line;
      text.append(part);
    }
    row.append(mark, text);
    return row;
  }
}

/** Begins a session before a camera, shows what the person should do, and ends it when the dialog is closed. */
class FaceCamera extends Base {
  async work() {
    const dialog = this.querySelector("dialog");
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ camera: this.form.elements.camera.value });
    const response = await this.send(this.form.getAttribute("action"), body, headers);
    let told = await answer(response);
    if (!response.ok) return this.tell(told.message, "bad");
    const path = this.dataset.sessions + encodeURIComponent(told.id);
    this.show(told);
    dialog.showModal();
    while (dialog.open && !["done", "failed", "ended"].includes(told.state)) {
      await new Promise((resolve) => { setTimeout(resolve, EVERY); });
      const next = await fetch(path);
      told = await answer(next);
      if (!next.ok) break;
      this.show(told);
    }
    if (told.state === "done") return location.reload();
    if (dialog.open) dialog.close();
    else await this.send(`${path}/end`, "{}", headers);
    if (told.state !== "looking" && told.state !== "starting") this.tell(told.message, "bad");
    return undefined;
  }

  show(told) {
    const text = this.querySelector(".guidance");
    if (told.message && text.textContent !== told.message) text.textContent = told.message; // only changes are read out
    const bar = this.querySelector("progress");
    bar.max = told.need ?? bar.max;
    bar.value = told.have ?? 0;
  }
}

customElements.define("menwei-photos", Photos);
customElements.define("menwei-face-camera", FaceCamera);
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
