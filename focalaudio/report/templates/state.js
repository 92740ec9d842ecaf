"use strict";
// What the page knows, and how it makes elements. Every text comes in through
// textContent or an attribute: nothing of it is ever read as HTML.
const head = JSON.parse(document.getElementById("head").textContent);
const blocks = document.querySelectorAll("script.clip");
const sounds = new Map();
const state = {
  clip: null, entry: -1, explained: null, quantile: undefined, part: "original",
  card: 0, matched: false, tab: "clips",
  layers: { saliency: true, mask: true, boxes: true },
  shown: [],
};
const parsed = new Map();

function byId(id) { return document.getElementById(id); }

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function button(text, onclick, options = {}) {
  return make("button", { type: "button", text, onclick, ...options });
}

function loadClip(block) {
  if (!parsed.has(block)) {
    if (parsed.size > 7) parsed.delete(parsed.keys().next().value);
    parsed.set(block, JSON.parse(blocks[block].textContent));
  }
  return parsed.get(block);
}

function findSound(key) {
  if (!sounds.size)
    for (const each of document.querySelectorAll("script.sound")) {
      const sound = JSON.parse(each.textContent);
      sounds.set(sound.key, sound.sound);
    }
  return sounds.get(key);
}

function percent(share) {
  if (share === null || share === undefined) return "";
  const value = 100 * share, whole = Math.round(value);
  return (Math.abs(value - whole) < 0.05 ? whole : value.toFixed(1)) + " %";
}

function fixed(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

// the closest class of a clip that is given none is no answer
function answerText(refused, label, probability) {
  if (!refused) return `${label} ${percent(probability)}`;
  return `${refused} (closest: ${label}, ${percent(probability)})`;
}

let fading = null;
function tell(text) {
  const status = byId("status");
  status.textContent = text;
  status.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => status.classList.remove("shown"), 1800);
}

function unique(values) { return [...new Set(values)]; }
