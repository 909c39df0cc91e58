// Opening a door: one tap shows the reasons, the second opens. Without this module the button leads to a page.

export class OpenDoor extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-open]");
      if (!link || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.ask(link);
    });
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    for (const form of this.dialog.querySelectorAll("form")) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.open(form, event.submitter);
      });
    }
  }

  ask(link) {
    this.door = link.dataset.open;
    this.dialog.querySelector("[data-name]").textContent = link.dataset.name;
    this.tell("", "");
    for (const form of this.dialog.querySelectorAll("form")) form.reset();
    this.dialog.showModal();
  }

  async open(form, submitter) {
    const data = new FormData(form, submitter);
    this.busy(true);
    try {
      const response = await fetch(`/api/doors/${encodeURIComponent(this.door)}/command`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": data.get("_csrf") },
        body: JSON.stringify({ mode: "Accessed", reason: data.get("reason") }),
      });
      const answer = await response.json();
      this.tell(answer.message, response.ok ? "good" : "bad");
      if (response.ok) setTimeout(() => this.dialog.close(), 1200);
    } catch (error) {
      this.tell(this.dialog.dataset.offline, "bad");
      console.debug("the command was not sent", error);
    } finally {
      this.busy(false);
    }
  }

  tell(text, tone) {
    const notice = this.dialog.querySelector("[role=alert]");
    notice.textContent = text;
    notice.className = `notice ${tone}`;
  }

  busy(on) {
    for (const button of this.dialog.querySelectorAll("button")) button.disabled = on;
  }
}
