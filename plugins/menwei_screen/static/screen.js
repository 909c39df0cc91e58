// A door screen. Written for browsers of 2016 (ES2015, no modules): what hangs at doors is old.
//
// It shows what the server says is true now and nothing else: a result lives for the seconds that came with it, and
// nothing of it is left when the connection is. Nothing is stored but whether the voice is muted.
(function () {
  "use strict";

  const LOST_AFTER = 5000; // ms without a sign of life; the server gives one every 2 s
  const ANEW_AFTER = 12000; // ms of silence after which the connection is made anew
  const AGAIN = 2000; // ms between two tries to begin
  const TYPING = 15000; // ms without a key after which a half-typed number is forgotten
  const OWN_LANGUAGE = 60000; // ms after which the screen speaks the site's language again
  const LONGEST = 16; // digits

  const body = document.body;
  const API = body.getAttribute("data-api");
  const WORDS = JSON.parse(body.getAttribute("data-words"));
  const LANGUAGES = Object.keys(WORDS);
  const at = (id) => document.getElementById(id);

  let language = body.getAttribute("data-language");
  let chosenAt = 0; // when somebody chose another language than the site's
  let state = null; // what the server said last; null when it is not known
  let resultUntil = 0;
  let spoken = { start: "", number: 0 }; // the result that was said aloud last, and in which life of the server
  let source = null;
  let heardAt = Date.now();
  let beginning = 0;
  let typed = null; // digits; null while the keypad is shut
  let typedAt = 0;
  let refusedUntil = 0;
  let tapped = false;
  let muted = remembered("menwei-screen-muted") === "yes";

  const word = (name) => (WORDS[language] || WORDS[LANGUAGES[0]])[name];
  const say = (texts) => (texts && texts[language]) || "";

  // ------------------------------------------------------------------------------------------------- the connection

  function begin() {
    clearTimeout(beginning);
    if (source) source.close();
    source = null;
    send("/begin", {}, function (status, answer) {
      if (status === 200) return listen();
      if (status === 403 && answer.error === "web.csrf") return reload();
      beginning = setTimeout(begin, AGAIN);
    });
  }

  function listen() {
    const mine = (source = new EventSource(API + "/events"));
    heardAt = Date.now();
    mine.addEventListener("beat", function () { heardAt = Date.now(); });
    mine.addEventListener("state", function (event) {
      heardAt = Date.now();
      take(JSON.parse(event.data), event.lastEventId);
    });
    mine.addEventListener("gone", function () { // paired, revoked or the code is over: begin as what we are now
      mine.close();
      forget();
      begin();
    });
    mine.addEventListener("elsewhere", function () { mine.close(); }); // another tab has the code; this one asks later
    mine.onerror = function () {
      if (mine !== source) return;
      forget();
      if (mine.readyState === 2) beginning = setTimeout(begin, AGAIN); // the browser has given up; it retries otherwise
    };
  }

  /** The connection is lost: what was shown may not be true any more. */
  function forget() {
    state = null;
    resultUntil = 0;
    shut();
    hush();
    show();
  }

  function watch() {
    const silent = Date.now() - heardAt;
    if (source && silent > LOST_AFTER && state) forget();
    if (source && silent > ANEW_AFTER) {
      heardAt = Date.now();
      begin();
    }
    if (resultUntil && Date.now() >= resultUntil) {
      resultUntil = 0;
      if (state && state.result && state.result.digits) shut();
      show();
    }
    if (refusedUntil && Date.now() >= refusedUntil) {
      refusedUntil = 0;
      show();
    }
    if (typed !== null && !(showing() && showing().digits) && Date.now() - typedAt > TYPING) {
      shut();
      show();
    }
    if (chosenAt && Date.now() - chosenAt > OWN_LANGUAGE && !showing() && state && state.language) {
      chosenAt = 0;
      language = state.language;
      show();
    }
  }

  function send(path, content, done) {
    const request = new XMLHttpRequest();
    request.open("POST", API + path);
    request.timeout = 8000;
    request.setRequestHeader("Content-Type", "application/json");
    if (body.getAttribute("data-csrf")) request.setRequestHeader("X-CSRF-Token", body.getAttribute("data-csrf"));
    request.onloadend = function () {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch (error) {
        answer = {}; // no answer, or none of ours: the status says so
      }
      done(request.status, answer);
    };
    request.send(JSON.stringify(content));
  }

  /** The page is older than the session of whoever signed in here: it needs that session's mark. */
  function reload() {
    setTimeout(function () { location.reload(); }, AGAIN);
  }

  // ------------------------------------------------------------------------------------------------------ what is said

  function take(next, id) {
    state = next;
    if (!chosenAt && state.language) language = state.language;
    const result = state.result;
    resultUntil = result ? Date.now() + result.seconds * 1000 : 0;
    refusedUntil = 0;
    if (result) {
      if (result.digits && state.keypad) { if (typed === null) open(); } else shut();
      const start = id.split("-")[0];
      if (start !== spoken.start || result.number > spoken.number) {
        spoken = { start: start, number: result.number };
        speak([say(result.title), say(result.next)].concat(result.lines.map(say)));
      }
    }
    show();
  }

  function showing() {
    return state && state.result && Date.now() < resultUntil ? state.result : null;
  }

  function show() {
    const result = showing();
    const code = state && state.code;
    const served = state && state.screen && state.served;
    const keypad = typed !== null;
    document.documentElement.lang = language;
    let look = "lost", title = word("lost"), next = word("lost.hint"), asks = [], lines = [];
    if (code) {
      look = "code";
      title = code.slice(0, 3) + " " + code.slice(3);
      next = word("code.hint");
    } else if (result) {
      look = result.kind;
      title = say(result.title);
      next = say(result.next);
      lines = result.lines;
    } else if (served) {
      look = "idle";
      title = refusedUntil ? word("refused") : keypad ? word("keypad") : word("ask");
      next = !tapped && !muted && state.voice && canSpeak() ? word("tap_for_voice") : "";
      asks = refusedUntil || keypad ? [] : state.asks;
    } else if (state) {
      title = word("no_door");
      next = word("no_door.hint");
    }
    body.className = look + (keypad ? " typing" : "");
    put("title", title);
    put("next", next);
    put("door", (state && state.door) || "");
    put("side", (state && state.side) || "");
    list("lines", lines.map(say));
    list("asks", asks.map(function (name) { return word("ask." + name); }));
    list("notices", state && state.notices ? state.notices.map(say) : []);
    at("open-keypad").hidden = keypad || !!result || asks.indexOf("pin") < 0 || !state.keypad;
    put("open-keypad", word("keypad"));
    at("language").hidden = false;
    put("language", word("language"));
    at("mute").hidden = !(canSpeak() && state && state.voice);
    at("mute").setAttribute("aria-pressed", String(muted));
    put("mute", muted ? word("unmute") : word("mute"));
    at("keypad").hidden = !keypad;
    at("keypad").setAttribute("aria-label", word("keypad"));
    at("clear").setAttribute("aria-label", word("keypad.clear"));
    at("send").setAttribute("aria-label", word("keypad.send"));
    put("close-keypad", word("keypad.back"));
    put("typed", keypad ? new Array(typed.length + 1).join("●") : "");
    at("typed").setAttribute("aria-label", word("typed"));
    fit();
  }

  /** Long sentences become smaller until they fit; short ones stay as tall as the screen allows. */
  function fit() {
    const title = at("title"), next = at("next"), room = at("said");
    title.style.fontSize = next.style.fontSize = "";
    for (let part = 0.92; part > 0.4; part -= 0.08) {
      const words = room.querySelector(".words");
      if (words.scrollHeight <= room.clientHeight && words.scrollWidth <= words.clientWidth + 1) return;
      [title, next].forEach(function (element) {
        element.style.fontSize = "";
        element.style.fontSize = parseFloat(getComputedStyle(element).fontSize) * part + "px";
      });
    }
  }

  function put(id, text) {
    const element = at(id);
    if (element.textContent !== text) element.textContent = text;
  }

  function list(id, texts) {
    const element = at(id);
    const wanted = texts.filter(Boolean);
    const now = Array.prototype.map.call(element.children, function (child) { return child.textContent; });
    if (now.join("\n") !== wanted.join("\n")) {
      while (element.firstChild) element.removeChild(element.firstChild);
      wanted.forEach(function (text) {
        element.appendChild(document.createElement("li")).textContent = text;
      });
    }
    element.hidden = !wanted.length;
  }

  // ------------------------------------------------------------------------------------------------------------- voice

  function canSpeak() {
    return "speechSynthesis" in window && "SpeechSynthesisUtterance" in window;
  }

  function speak(texts) {
    if (muted || !canSpeak() || !state.voice) return;
    hush();
    texts.filter(Boolean).forEach(function (text) {
      const sentence = new SpeechSynthesisUtterance(text);
      sentence.lang = language;
      speechSynthesis.speak(sentence);
    });
  }

  function hush() {
    if (canSpeak()) speechSynthesis.cancel();
  }

  /** Browsers let a page speak, and keep the screen lit, after somebody has touched it once. */
  function touched() {
    if (!tapped) {
      tapped = true;
      show();
    }
    light();
  }

  let lit = null;
  function light() {
    if (!("wakeLock" in navigator) || document.visibilityState !== "visible" || lit) return;
    navigator.wakeLock.request("screen").then(function (lock) {
      lit = lock;
      lock.addEventListener("release", function () { lit = null; });
    }, function (error) {
      console.info("the screen may go dark: " + error.message); // the docs say how to keep it lit in the tablet's settings
    });
  }

  // ------------------------------------------------------------------------------------------------------------ keypad

  function open() {
    typed = "";
    typedAt = Date.now();
  }

  function shut() {
    typed = null;
  }

  function key(text) {
    if (typed === null) return;
    typedAt = Date.now();
    if (text === "C") typed = "";
    else if (text === "#") return enter();
    else if (typed.length < LONGEST) typed += text;
    show();
  }

  function enter() {
    const digits = typed;
    if (!digits) return;
    shut();
    show();
    send("/digits", { digits: digits }, function (status) {
      if (status === 200) return;
      if (status === 401) return begin();
      refusedUntil = Date.now() + 4000;
      show();
    });
  }

  // -------------------------------------------------------------------------------------------------------------- life

  function remembered(name) {
    try {
      return localStorage.getItem(name);
    } catch (error) {
      return null; // storage is switched off: the voice is on at every start
    }
  }

  at("language").addEventListener("click", function () {
    language = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
    chosenAt = Date.now();
    show();
  });
  at("mute").addEventListener("click", function () {
    muted = !muted;
    if (muted) hush();
    try {
      localStorage.setItem("menwei-screen-muted", muted ? "yes" : "no");
    } catch (error) {
      console.info("not remembered: " + error.message);
    }
    show();
  });
  at("open-keypad").addEventListener("click", function () { open(); show(); });
  at("close-keypad").addEventListener("click", function () { shut(); show(); });
  Array.prototype.forEach.call(document.querySelectorAll(".keys button"), function (button) {
    button.addEventListener("click", function () { key(button.textContent); });
  });
  document.addEventListener("click", touched, true);
  document.addEventListener("visibilitychange", light);
  window.addEventListener("resize", fit);
  setInterval(watch, 250);
  light();
  show();
  begin();
})();
