// The list of clips: search, filter, sort.
const MANY = 400;
const filters = { text: "", show: "all", label: "", predicted: "", sort: "given" };
const SORTS = {
  given: ["as they came", null],
  wrong: ["wrong ones first", (clip) => (isWrong(clip) ? 0 : 1)],
  faithless: ["least faithful first", (clip) => clip.faithfulness ?? 9],
  unsure: ["least sure first", (clip) => clip.probability ?? 9],
  doubtful: ["most warnings first", (clip) => -clip.warnings],
  name: ["by name", (clip) => clip.id],
  class: ["by class", (clip) => clip.label ?? clip.predicted],
};
let most = MANY;

function isWrong(clip) {
  return clip.label !== null && !labelsOf(clip).includes(clip.predicted);
}

function labelsOf(clip) {  // a clip may have several, or none
  return head.separator ? clip.label.split(head.separator) : [clip.label];
}

function fits(clip) {
  const text = filters.text.toLowerCase();
  const words = [clip.id, clip.label ?? "", clip.predicted, clip.refused].join(" ");
  const shown = {
    all: true, wrong: isWrong(clip), right: !isWrong(clip),
    doubtful: clip.warnings > 0, heard: clip.block !== null,
  };
  return shown[filters.show] && words.toLowerCase().includes(text) &&
    (!filters.label || clip.label === filters.label) &&
    (!filters.predicted || clip.predicted === filters.predicted);
}

function sortClips(entries) {
  const rank = SORTS[filters.sort][1];
  if (!rank) return entries;
  const order = (one, other) => {
    const [a, b] = [rank(head.clips[one]), rank(head.clips[other])];
    return a < b ? -1 : a > b ? 1 : one - other;
  };
  return entries.sort(order);
}

function select(label, values, name) {
  const options = values.map(([value, text]) => make("option",
    { value, text, selected: filters[name] === value }));
  return make("select", { "aria-label": label, "data-filter": name,
    onchange: (event) => { filters[name] = event.target.value; renderList(); } },
  ...options);
}

function renderFilters() {
  const known = head.clips.some((clip) => clip.label !== null);
  const classes = (name) => unique(head.clips.map((clip) => clip[name]))
    .filter((label) => label !== null).sort().map((label) => [label, label]);
  const shows = [["all", "all clips"], ["wrong", "wrong ones"],
    ["right", "right ones"], ["doubtful", "with warnings"],
    ["heard", "with sound"]].filter(([value]) =>
    known || !["wrong", "right"].includes(value));
  const sorts = Object.entries(SORTS).map(([value, [text]]) => [value, text]);
  const search = make("input", { type: "search", id: "search",
    placeholder: "Search", "aria-label": "Search names and classes",
    oninput: (event) => { filters.text = event.target.value; renderList(); } });
  return make("div", { class: "filters" }, search, make("details",
    { open: matchMedia("(min-width: 761px)").matches },
    make("summary", { text: "Filter and sort" }),
    select("Sort", sorts, "sort"), select("Show", shows, "show"),
    known ? select("True class", [["", "any true class"],
      ...classes("label")], "label") : null,
    select("Predicted class", [["", "any predicted class"],
      ...classes("predicted")], "predicted")));
}

function renderItem(entry) {
  const clip = head.clips[entry];
  const mark = clip.label === null ? "" : isWrong(clip) ? "✗" : "✓";
  const truth = isWrong(clip) ? `, true: ${clip.label}` : "";
  const doubts = clip.warnings ? " ⚠" : "";
  return make("li", {}, make("button", { type: "button", "data-entry": entry,
    "aria-current": String(entry === state.entry),
    onclick: () => openClip(entry) },
  make("span", { class: "name", text: clip.id, title: clip.id }),
  make("span", { class: `mark ${isWrong(clip) ? "wrong" : "right"}`,
    text: mark + doubts }),
  make("span", { class: "said",
    text: answerText(clip.refused, clip.predicted, clip.probability) + truth })));
}

function renderList() {
  state.shown = sortClips(head.clips.map((_, entry) => entry)
    .filter((entry) => fits(head.clips[entry])));
  const items = state.shown.slice(0, most).map(renderItem);
  const rest = state.shown.length - items.length;
  if (rest > 0)
    items.push(make("li", {}, button(`Show ${rest} more`, () => {
      most = Infinity; renderList();
    })));
  byId("list").replaceChildren(...items);
  byId("count").textContent = `${state.shown.length} of ${head.clips.length} clips`;
  if (!state.shown.includes(state.entry)) openClip(state.shown[0] ?? -1);
}

function openClip(entry) {
  state.entry = entry;
  for (const each of document.querySelectorAll("#list [data-entry]")) {
    const own = Number(each.dataset.entry) === entry;
    each.setAttribute("aria-current", String(own));
    if (own) {
      const list = byId("list"), top = each.offsetTop - list.offsetTop;
      if (top < list.scrollTop || top + each.offsetHeight >
        list.scrollTop + list.clientHeight)
        list.scrollTop = top - list.clientHeight / 3;
    }
  }
  renderClip();
}

function step(by) {
  const place = state.shown.indexOf(state.entry);
  const next = state.shown[place + by];
  if (next === undefined) tell(by > 0 ? "The last clip" : "The first clip");
  else openClip(next);
}

function showOnly(label, predicted) {
  Object.assign(filters, { text: "", show: "all", label, predicted });
  openTab("clips");
  byId("side").replaceChild(renderFilters(), byId("side").firstChild);
  renderList();
}

function renderClips() {
  byId("panel-clips").append(make("div", { class: "clips" },
    make("aside", { id: "side", class: "card side", "aria-label": "Clips" },
      renderFilters(), make("p", { id: "count", class: "quiet",
        "aria-live": "polite" }), make("ul", { id: "list", class: "list" })),
    make("div", { id: "detail" })));
  renderList();
}
