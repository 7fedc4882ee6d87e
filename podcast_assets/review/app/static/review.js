// The review page: keys, and the time that somebody spends at an item. The player is in player.js.
import { Player } from "./player.js";

const RENEW_MS = 4 * 60 * 1000;
const IDLE_MS = 5 * 60 * 1000;

let player = null;
let attended = 0; // ms at this item while it was visible
let since = 0; // when it became visible, or 0
let active = Date.now(); // the last key or click

const find = (selector) => document.querySelector(selector);

function say(text, failed = false) {
  const said = find("#said");
  if (!said) return;
  said.textContent = text;
  said.classList.toggle("error", failed);
}

function show() {
  player?.end();
  const data = find("#player-data");
  player = data ? new Player(JSON.parse(data.textContent), say) : null;
  attended = 0;
  since = document.hidden ? 0 : performance.now();
  find("#show-keys")?.addEventListener("click", () => find("#keys")?.showModal());
  find("#use-second")?.addEventListener("click", (event) => {
    const text = find("#text");
    text.value = event.currentTarget.dataset.text;
    text.focus();
  });
}

// -- keys --------------------------------------------------------------------------------------------------------------

const SHORTCUTS = new Set("nsuecmpbg");

function isTyping(target) {
  if (target.matches("textarea, select")) return true;
  return target.matches("input") && !["checkbox", "radio", "button", "submit"].includes(target.type);
}

function use(element) {
  if (!element) return false;
  if (element.matches("textarea, select, input:not([type=checkbox], [type=radio])")) {
    if (element.matches("select")) element.selectedIndex = (element.selectedIndex + 1) % element.options.length;
    else element.focus();
  } else element.click();
  return true;
}

function pressed(event) {
  active = Date.now();
  const target = event.target instanceof Element ? event.target : document.body;
  if (find("#keys")?.open) {
    if (event.key === "?") find("#keys").close();
    return false;
  }
  const control = event.ctrlKey || event.metaKey;
  if (isTyping(target)) {
    if (event.key === "Escape") target.blur();
    else if (control && event.key === "Enter") find("#decision")?.requestSubmit();
    else if (control && event.key === " ") player?.toggle();
    else return false;
    return true;
  }
  if (control || event.altKey) return false;
  // space and Enter belong to the button, link or box that has the focus
  if (event.key === " " && target.matches("button, a, summary, input")) return false;
  if (event.key === "?") find("#keys")?.showModal();
  else if (/^[1-9]$/.test(event.key)) return use(find(`[data-key="${event.key}"]`));
  else if (SHORTCUTS.has(event.key)) return use(find(`[data-shortcut="${event.key}"]`));
  else return player?.key(event.key) ?? false;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (!event.isComposing && pressed(event)) event.preventDefault();
});
document.addEventListener("pointerdown", () => { active = Date.now(); });

// -- time and leases ------------------------------------------------------------------------------------------------------

document.addEventListener("visibilitychange", () => {
  if (document.hidden && since) attended += performance.now() - since;
  since = document.hidden ? 0 : performance.now();
});

// before htmx reads the form
document.addEventListener("submit", (event) => {
  const field = event.target.elements?.namedItem("seconds");
  if (field) field.value = ((attended + (since ? performance.now() - since : 0)) / 1000).toFixed(1);
}, { capture: true });

async function renew() {
  const form = find("#decision");
  if (!form || Date.now() - active > IDLE_MS) return;
  const all = new FormData(form);
  const body = new URLSearchParams(["csrf", "kind", "batch", "episode", "item"].map((name) => [name, all.get(name)]));
  try {
    const answer = await fetch("/renew", { method: "POST", body });
    if (answer.status === 409) say("Somebody else has this item now. Go on with the next one.", true);
    else if (answer.status === 401 || answer.status === 403) say("Your session has ended: log in again.", true);
  } catch {
    say("The server does not answer. What you enter cannot be saved now.", true);
  }
}
setInterval(renew, RENEW_MS);

// -- pages that htmx swaps ---------------------------------------------------------------------------------------------------

document.addEventListener("htmx:beforeSwap", () => player?.end());
document.addEventListener("htmx:afterSettle", () => {
  show();
  find("#main")?.focus({ preventScroll: true });
});
document.addEventListener("htmx:sendError", () => say("The server does not answer. Nothing was saved.", true));
show();
