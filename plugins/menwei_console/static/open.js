// Opening a door: one tap shows the reasons, the second opens. Without this module the button leads to a page.
import { sent, tell } from "./forms.js";

const READ_WITHIN = 1200; // milliseconds in which "done" is read before the dialog shuts

export class OpenDoor extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.opening = new Set(); // doors whose command is on its way, or was done while the dialog still says so
    this.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-open]");
      if (!link || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.ask(link);
    });
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => { if (!this.dialog.open) this.shut(); });
    for (const form of this.dialog.querySelectorAll("form")) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.open(form, event.submitter);
      });
    }
  }

  ask(link) {
    this.shut();
    this.door = link.dataset.open;
    this.dialog.querySelector("[data-name]").textContent = link.dataset.name;
    this.say({ message: "" }, "");
    for (const form of this.dialog.querySelectorAll("form")) form.reset();
    this.busy();
    this.dialog.showModal();
  }

  /** Sends the command for the door that the dialog asks about now; it may ask about another when the answer comes. */
  async open(form, submitter) {
    const door = this.door;
    const reason = new FormData(form, submitter).get("reason");
    this.opening.add(door);
    this.busy();
    let done = false;
    try {
      const response = await sent(`/api/doors/${encodeURIComponent(door)}/command`, { mode: "Accessed", reason });
      const answer = await response.json();
      if (this.door === door) this.say(answer, response.ok ? "good" : "bad");
      done = response.ok && this.door === door;
    } catch (error) {
      if (this.door === door) this.say({ message: this.dialog.dataset.offline }, "bad");
      console.debug("the command was not sent", error);
    }
    if (done) this.closing = setTimeout(() => this.dialog.close(), READ_WITHIN);
    else this.free(door);
  }

  /** Whatever way the dialog was shut. What is still on its way is told to nobody but the list of passages. */
  shut() {
    if (this.closing) this.free(this.door);
    clearTimeout(this.closing);
    this.closing = this.door = null;
  }

  free(door) {
    this.opening.delete(door);
    this.busy();
  }

  say(answer, tone) {
    const notice = this.dialog.querySelector("[role=alert]");
    tell(notice, answer);
    notice.className = `notice ${tone}`;
  }

  busy() {
    for (const button of this.dialog.querySelectorAll("form button")) button.disabled = this.opening.has(this.door);
  }
}
