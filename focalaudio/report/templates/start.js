// Tabs, keys, and the first picture.
const TABS = { clips: "Clips", scores: "Scores", evidence: "Evidence" };

function hasTab(name) {
  return { clips: true, evidence: head.profiles.length > 0,
    scores: head.run.methods.length > 0 || head.links.length > 0 ||
      Object.keys(head.settings).length > 0 }[name];
}

function openTab(name) {
  state.tab = name;
  for (const each of Object.keys(TABS)) {
    byId(`panel-${each}`).hidden = each !== name;
    byId(`tab-${each}`)?.setAttribute("aria-selected", String(each === name));
  }
  if (name === "clips" && state.clip) drawAll();
}

function renderTabs() {
  const names = Object.keys(TABS).filter(hasTab);
  if (names.length < 2) return;
  byId("tabs").append(...names.map((name) => button(TABS[name],
    () => openTab(name), { id: `tab-${name}`, role: "tab",
      "aria-controls": `panel-${name}` })));
}

function summarize() {
  const known = head.clips.filter((clip) => clip.label !== null);
  const right = known.filter((clip) => !isWrong(clip)).length;
  const texts = [`${head.clips.length} clip${head.clips.length === 1 ? "" : "s"}`];
  if (known.length)
    texts.push(`${right} of ${known.length} ` +
      (head.separator ? "with a true class on top " : "classified right ") +
      `(${percent(right / known.length)})`);
  return texts.join(", ");
}

function isTyping(event) {
  return event.target.closest("input:not([type=checkbox]), select, dialog[open]") ||
    event.ctrlKey || event.metaKey || event.altKey;
}

const KEYS = {
  "ArrowLeft": () => step(-1),
  "ArrowRight": () => step(1),
  "1": () => playPart("original", state.card),
  "2": () => playPart("kept", state.card),
  "3": () => playPart("removed", state.card),
  "c": () => cycle("explained", unique(state.clip.views.map((v) => v.explained))),
  "q": () => cycle("quantile", quantilesOf(state.explained)),
  "l": toggleLoudness,
  "/": () => byId("search").focus(),
};

function onKey(event) {
  if (isTyping(event)) return;
  if (head.listening_test) return;
  if (event.key === "?") { byId("help").showModal(); return; }
  const inList = state.tab === "clips";
  if (event.key === " " && inList && state.clip) {
    // a clip of the list opens with Enter; other controls have this key
    if (event.target.closest("button:not([data-entry]), input, summary, a"))
      return;
    event.preventDefault();
    togglePlay();
    return;
  }
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || !inList) return;
  if (!state.clip && !event.key.startsWith("Arrow")) return;
  event.preventDefault();
  act();
}

byId("help-open").addEventListener("click", () => byId("help").showModal());
document.addEventListener("keydown", onKey);
window.addEventListener("resize", () => { if (state.clip) drawAll(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
  () => { if (state.clip) drawAll(); });

if (head.listening_test) {
  byId("summary").textContent = "Listening test";
  byId("help-open").hidden = true;
  startTest();
} else {
  byId("summary").textContent = summarize();
  renderTabs();
  renderRun();
  if (head.profiles.length) renderEvidence();
  openTab(head.n_blocks || !hasTab("scores") ? "clips" : "scores");
  renderClips();
}
document.documentElement.dataset.ready = "yes";
follow();
