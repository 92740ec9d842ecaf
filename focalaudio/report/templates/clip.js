// One clip: what is said of it, why, and how far to trust it.
const PARTS = ["original", "kept", "removed"];

function viewsOf(explained) {
  return state.clip.views.filter((view) => view.explained === explained);
}

function quantilesOf(explained) {
  return unique(viewsOf(explained).map((view) => view.quantile))
    .sort((one, other) => one - other);
}

// null is a mask as drawn, which is near to no quantile
function distance(one, other) {
  if (one === other) return 0;
  return one === null || other === null ? Infinity : Math.abs(one - other);
}

// one view for each method, as near to the wanted quantile as it has one; the
// first of those that are as near
function currentViews() {
  if (!state.clip) return [];
  const views = viewsOf(state.explained);
  const far = (view) => distance(view.quantile, state.quantile);
  return unique(views.map((view) => view.method)).map((method) => {
    const own = views.filter((view) => view.method === method);
    return own.reduce((best, view) => (far(view) < far(best) ? view : best));
  });
}

function choice(title, values, current, write, choose, describe = () => null) {
  if (values.length < 2) return null;
  const buttons = values.map((value, index) => button(write(value), () => {
    choose(value);
    renderViews();
  }, { "aria-pressed": String(value === current),
    "aria-label": describe(value), "data-control": `${title} ${index}` }));
  return make("fieldset", { class: "choice" }, make("legend", { text: title }),
    make("div", { class: "group" }, ...buttons));
}

function renderVerdict(clip) {
  const entry = head.clips[state.entry];
  const isRight = clip.label === null ? "" :
    isWrong(entry) ? "wrong" : "right";
  const truth = clip.label === null ? null : make("span", { class: isRight,
    text: isRight === "right" && !head.separator ? "✓ true class"
      : `${isRight === "right" ? "✓" : "✗"} true class: ${clip.label || "none"}` });
  return make("div", { class: "verdict" },
    make("h2", { id: "clip-title", text: clip.id, tabindex: "-1" }),
    make("span", { class: "quiet", text: describeClip(clip) }),
    make("strong", { text: answerText(clip.refused, ...clip.top[0]) }),
    truth,
    make("span", { class: "steps" },
      button("‹ Before", () => step(-1), { "aria-label": "Clip before" }),
      button("After ›", () => step(1), { "aria-label": "Clip after" })));
}

function renderWarnings(sentences) {
  if (!sentences.length) return null;
  return make("div", { class: "warnings", role: "note" },
    make("strong", { text: "What not to trust here" }),
    make("ul", {}, ...sentences.map((text) => make("li", { text }))));
}

function renderProbabilities(clip) {
  const items = clip.top.map(([label, probability]) => make("li", {},
    make("span", { text: label, title: label }),
    make("progress", { max: 1, value: probability,
      "aria-label": `Probability of ${label}` }),
    make("span", { text: percent(probability) })));
  return make("div", {}, make("h3", { text: "Most probable classes" }),
    make("ol", { class: "probs" }, ...items));
}

function describeClip(clip) {
  const at = clip.start ? `, from ${clip.start.toFixed(2)} s of its recording` : "";
  return `${clip.seconds.toFixed(2)} s${at}, ${clip.rate / 1000} kHz`;
}

function renderClip() {
  const detail = byId("detail");
  const entry = head.clips[state.entry];
  stopPlaying();
  state.clip = null;
  if (!entry) {
    detail.replaceChildren(make("p", { class: "card quiet",
      text: "No clip fits these filters." }));
    return;
  }
  if (entry.block === null) {
    detail.replaceChildren(make("div", { class: "card" },
      make("h2", { id: "clip-title", text: entry.id, tabindex: "-1" }),
      make("p", { class: "quiet", text: "Only the numbers of this clip are in " +
        "this page: no sound and no picture of it was written." })));
    return;
  }
  const clip = state.clip = loadClip(entry.block);
  const explained = unique(clip.views.map((view) => view.explained));
  state.card = 0;
  state.part = "original";
  state.explained = explained[0] ?? null;
  const own = quantilesOf(state.explained);
  if (!own.includes(state.quantile))
    state.quantile = clip.views[0]?.quantile;
  detail.replaceChildren(...[
    make("div", { class: "card" }, renderVerdict(clip),
      renderWarnings(clip.warnings), make("div", { id: "controls" })),
    make("div", { id: "views", class: "views" }),
    make("div", { class: "facts" },
      make("section", { class: "card" }, renderProbabilities(clip)),
      renderNeighbors(clip)),
  ]);
  renderViews();
}

// writes the controls and the cards again; the focus stays where it was
function renderViews() {
  const clip = state.clip;
  const focused = byId("controls").contains(document.activeElement)
    ? document.activeElement.dataset.control : null;
  const explained = unique(clip.views.map((view) => view.explained));
  const quantiles = quantilesOf(state.explained);
  if (quantiles.length && !quantiles.includes(state.quantile))
    state.quantile = quantiles[quantiles.length - 1];
  const toggles = Object.keys(state.layers)
    .filter((name) => name !== "boxes" || clip.views.some((v) => v.boxes.length))
    .map((name) => make("label", { class: "check" },
      make("input", { type: "checkbox", checked: state.layers[name],
        "data-control": name,
        onchange: (event) => {
          state.layers[name] = event.target.checked; drawAll();
        } }), name));
  const rows = [
    choice("Why", explained, state.explained, (label) => label, (label) => {
      state.explained = label; }),
    choice("Cells that are kept", quantiles, state.quantile, nameQuantile,
      (quantile) => { state.quantile = quantile; }, describeQuantile),
    make("fieldset", { class: "choice" }, make("legend", { text: "Sound" }),
      make("div", { class: "group" }, button("Equal loudness", toggleLoudness,
        { id: "loudness", "aria-pressed": String(state.matched),
          "data-control": "loudness" }))),
    clip.views.length ? make("fieldset", { class: "choice" },
      make("legend", { text: "Picture" }),
      make("div", { class: "group" }, ...toggles)) : null,
  ];
  byId("controls").replaceChildren(make("div", { class: "controls" },
    ...rows.filter((row) => row)));
  const views = currentViews();
  const cards = (views.length ? views : [null]).map(renderView);
  byId("views").replaceChildren(...cards);
  byId("views").classList.toggle("single", cards.length === 1);
  if (focused)
    byId("controls").querySelector(`[data-control="${focused}"]`)?.focus();
  drawAll();
  followSwitch();
}

function keptText(quantile) {
  if (quantile === null) return "as drawn";
  const views = viewsOf(state.explained).filter((v) => v.quantile === quantile);
  return percent(views[0].kept_fraction);
}

// of several quantiles the same share may be kept
function nameQuantile(quantile) {
  const kept = keptText(quantile);
  const same = quantilesOf(state.explained).filter((q) => keptText(q) === kept);
  return same.length > 1 ? `quantile ${quantile}: ${kept}` : kept;
}

function describeQuantile(quantile) {
  const kept = keptText(quantile);
  return quantile === null ? kept : `quantile ${quantile}: ${kept} is kept`;
}

// what plays goes on in the new view, at the same place
function followSwitch() {
  if (!playing || !playing.startsWith("part ")) return;
  if (state.part === "original" || audio.paused) { refreshPlayers(); return; }
  playPart(state.part, Math.min(state.card, currentViews().length - 1));
}

function renderView(view, card) {
  const clip = state.clip;
  const stage = makeStage(clip, view, card);
  const parts = view ? PARTS : ["original"];
  const players = parts.map((part) => {
    const name = make("span", { text: "▶ " });
    const own = make("button", { type: "button",
      "aria-label": `Play ${part}${view ? ` (${view.method})` : ""}`,
      "data-plays": `part ${part} ${card}`, onclick: () => {
        state.part = part; state.card = card; togglePlay();
      } }, name, part);
    const gain = make("span", { class: "gain", text: gainText(view, part) });
    return make("span", { class: "group" }, own, gain);
  });
  const save = view ? make("details", {}, make("summary", { text: "Numbers, files" }),
    renderNumbers(view),
    make("div", { class: "group" }, ...PARTS.map((part) =>
      button(saveText(clip, part), () => saveSound(part, card))))) : null;
  const several = currentViews().length > 1;
  return make("article", { class: "card", "aria-label": view
    ? `Why ${view.explained}, by ${view.method}` : "Original" },
  several ? make("h3", { text: describeView(view) }) : null,
  stage, make("div", { class: "group players" }, ...players),
  view ? make("div", { class: "sentences" },
    ...view.sentences.map((text) => make("p", { text })),
    several ? null : make("p", { class: "quiet", text: `By ${describeView(view)}.` })) : null,
  view ? renderWarnings(view.warnings) : null, save);
}

// browsers show a file beside the page rather than save it
function saveText(clip, part) {
  const ending = endingOf(clip);
  return `${ending === "wav" ? "Save" : "Open"} ${part} as ${ending.toUpperCase()}`;
}

function describeView(view) {
  const at = view.quantile === null ? "" : `, quantile ${view.quantile}`;
  return `${view.method}${at}: ${percent(view.kept_fraction)} is kept`;
}

function gainText(view, part) {
  if (!state.matched || !view || part === "original") return "";
  const gain = gainOf(view, part);
  return `${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(1)} dB`;
}

function renderNumbers(view) {
  const { start } = state.clip;  // of a window in its recording
  const rows = Object.entries(view.scores).map(([name, value]) => make("tr", {},
    make("td", { text: name.replaceAll("_", " ") }),
    make("td", { text: fixed(value) })));
  const boxes = view.boxes.map(({ edges, score, label }, index) => {
    const [begin, end] = edges.slice(0, 2).map((at) => start + at);
    const [low, high] = edges.slice(2);
    return make("tr", {}, make("td", { text: `box ${index + 1}: ${label}` }),
      make("td", { text: `${begin.toFixed(2)}–${end.toFixed(2)} s, ` +
        `${low.toFixed(0)}–${high.toFixed(0)} Hz, ${score.toFixed(2)}` }));
  });
  return make("div", { class: "scroll" },
    make("table", {}, make("tbody", {}, ...rows, ...boxes)));
}

function renderNeighbors(clip) {
  if (!clip.neighbors.length) return null;
  const items = clip.neighbors.map((one) => {
    const own = make("button", { type: "button",
      "data-plays": `neighbor ${one.sound}`,
      "aria-label": `Play training clip ${one.name}`,
      onclick: () => playNeighbor(one) }, make("span", { text: "▶ " }), "play");
    const relation = one.relation === "true" ? "true class" : "predicted class";
    return make("li", {}, own, make("div", {},
      make("strong", { text: one.label }),
      make("span", { class: "quiet", text: ` ${relation}, distance ` +
        `${one.distance.toFixed(3)}` }),
      make("div", { class: "quiet", text: one.name })));
  });
  return make("section", { class: "card" },
    make("h3", { text: "What should it sound like?" }),
    make("p", { class: "quiet", text: "The training clips that the classifier " +
      "finds most alike (1 less the cosine of the embeddings: 0 is the same)." }),
    make("ul", { class: "neighbors" }, ...items));
}

function toggleLoudness() {
  state.matched = !state.matched;
  tell(state.matched ? "Equal loudness" : "Loudness as it is");
  const going = !audio.paused;
  renderViews();
  if (going && playing && playing.startsWith("part "))
    playPart(state.part, state.card);
}

function cycle(name, values) {
  if (values.length < 2) return;
  state[name] = values[(values.indexOf(state[name]) + 1) % values.length];
  renderViews();
  tell(name === "explained" ? `Why ${state.explained}`
    : describeQuantile(state.quantile));
}
