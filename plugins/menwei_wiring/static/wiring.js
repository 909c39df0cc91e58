// A wiring test that moves by itself: the server draws it again whenever the devices have reported something.

class WiringTest extends HTMLElement {
  connectedCallback() {
    document.querySelector("[data-refresh]")?.parentElement.remove();
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(event.target);
    });
    this.timer = setInterval(() => this.count(), 1000);
    this.follow();
  }

  disconnectedCallback() {
    this.ended = true;
    clearInterval(this.timer);
    this.asking?.abort();
  }

  /** Ask for the next change, for ever; the server answers as soon as there is one. */
  async follow() {
    while (!this.ended) {
      try {
        const after = this.firstElementChild?.dataset.version ?? "0";
        if (after === "0") return;
        if (this.leaving) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          continue;
        }
        await this.ask(`?after=${after}`);
      } catch (error) {
        if (this.ended) return;
        this.say(this.dataset.offline);
        console.debug("the test could not be asked for", error);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }

  async ask(query) {
    this.asking = new AbortController();
    const response = await fetch(this.dataset.src + query, { headers: { Accept: "text/html" }, signal: this.asking.signal });
    if (response.redirected || response.status === 401) location.reload();
    else if (response.ok) this.replace(await response.text());
    else throw new Error(`${response.status}`);
  }

  replace(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
    const [before, after] = [this.firstElementChild, fresh].map((part) => Number(part?.dataset.version ?? 0));
    if (after === before) return;
    if (after === 0) {
      if (!this.leaving) location.reload(); // somebody else has ended it; who ends it here goes to the report
      return;
    }
    if (after < before) return;
    const typing = this.querySelector("details[open]");
    const step = typing?.closest("[data-step]")?.dataset.step;
    const text = typing?.querySelector("input[name=reason]")?.value;
    this.replaceChildren(fresh);
    const again = step && this.querySelector(`[data-step="${CSS.escape(step)}"] details`);
    if (again) {
      again.open = true;
      again.querySelector("input[name=reason]").value = text;
    }
  }

  async send(form) {
    this.say("");
    this.leaving = form.dataset.leave;
    const buttons = [...this.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    try {
      const target = new URL(form.getAttribute("action"), location.href);
      target.search = "";
      const given = Object.fromEntries([...new FormData(form)].filter(([name]) => !name.startsWith("_")));
      const response = await fetch(target, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": form.elements._csrf?.value ?? "" },
        body: JSON.stringify(given),
      });
      if (!response.ok) {
        this.leaving = "";
        this.say((await response.json()).message);
      } else if (this.leaving) {
        this.ended = true;
        location.assign(this.leaving);
      } else await this.show();
    } catch (error) {
      this.leaving = "";
      this.say(this.dataset.offline ?? String(error));
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  /** What the press has changed, at once. */
  async show() {
    const response = await fetch(this.dataset.src, { headers: { Accept: "text/html" } });
    if (response.ok) this.replace(await response.text());
  }

  say(text) {
    const notice = this.querySelector("[data-alert]");
    if (notice) notice.textContent = text;
  }

  count() {
    const left = this.querySelector("[data-left]");
    if (!left) return;
    left.dataset.left = String(Math.max(0, Number(left.dataset.left) - 1));
    left.textContent = left.dataset.left;
  }
}

customElements.define("menwei-wiring", WiringTest);

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
