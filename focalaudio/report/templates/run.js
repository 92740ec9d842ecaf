// What a run amounts to: scores, curves, confusions; and evidence by class.
const SVG = "http://www.w3.org/2000/svg";
const COLORS = ["#2b7bba", "#e0701a", "#2a9d6e", "#b05fb0", "#d1a000",
  "#6c8ebf", "#c0504d"];

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes))
    element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const WAYS = { up: "↑ higher is better", down: "↓ lower is better", "": "" };

function renderScores() {
  const { metrics, methods } = head.run;
  if (!methods.length) return null;
  const headings = metrics.map((metric) => make("th", { scope: "col",
    title: `${metric.words}. ${metric.formula}` },
  metric.name.replaceAll("_", " "),
  make("small", { class: "quiet", text: " " +
    ({ up: "↑", down: "↓" }[metric.direction] ?? "") })));
  const rows = methods.map((method) => make("tr", {},
    make("td", {}, method.name,
      method.kind ? make("span", { class: "tag", text: method.kind }) : null),
    make("td", { text: method.n_clips }),
    ...metrics.map(({ name }) => scoreCell(method.scores[name]))));
  return make("section", { class: "card" }, make("h2", { text: "Scores" }),
    make("p", { class: "quiet", text: "Means over the clips; below each its " +
      "95 % bootstrap interval. A floor knows nothing of the classifier, a " +
      "ceiling knows the sources. ↑ higher is better, ↓ lower is better; " +
      "point at a name for its formula." }),
    make("div", { class: "scroll", tabindex: "0", role: "region",
      "aria-label": "Table of scores" },
    make("table", { id: "scores" }, make("thead", {}, make("tr", {},
      make("th", { scope: "col", text: "method" }),
      make("th", { scope: "col", text: "clips" }), ...headings)),
    make("tbody", {}, ...rows))));
}

function scoreCell(score) {
  if (!score || score[0] === null) return make("td", { text: "–" });
  const [mean, low, high, undefinedClips] = score;
  const interval = low === null ? "" : `${fixed(low)} to ${fixed(high)}`;
  const missing = undefinedClips ? `, ${undefinedClips} undefined` : "";
  return make("td", {}, fixed(mean), make("small", { text: interval + missing }));
}

function renderConfusion() {
  const counts = new Map(head.run.confusion.map(([label, said, count]) =>
    [JSON.stringify([label, said]), count]));
  if (!counts.size) return null;
  const used = new Set(head.run.confusion.flatMap(([one, other]) => [one, other]));
  const labels = unique([...head.labels, ...used]).filter((l) => used.has(l));
  const rows = labels.map((label) => {
    const total = labels.reduce((sum, said) =>
      sum + (counts.get(JSON.stringify([label, said])) ?? 0), 0);
    return make("tr", {}, make("th", { scope: "row", text: label }),
      ...labels.map((said) => confusionCell(label, said,
        counts.get(JSON.stringify([label, said])) ?? 0, total)));
  });
  return make("section", { class: "card" },
    make("h2", { text: "Which classes are taken for which" }),
    make("p", { class: "quiet", text: "True class by row, predicted class by " +
      "column. A cell opens its clips." }),
    make("div", { class: "scroll" }, make("table", { id: "confusion",
      class: "matrix" },
    make("thead", {}, make("tr", {}, make("td", {}),
      ...labels.map((text) => make("th", { scope: "col", text })))),
    make("tbody", {}, ...rows))));
}

function confusionCell(label, said, count, total) {
  if (!count) return make("td", { text: "" });
  const share = count / total, own = label === said;
  const cell = button(String(count), () => showOnly(label, said), {
    "aria-label": `${count} of ${label} taken for ${said}: show them`,
    class: share > 0.55 ? "hot" : null });
  const color = own ? "43 123 186" : "200 70 50";
  cell.style.background = `rgb(${color} / ${0.12 + 0.88 * share})`;
  return make("td", {}, cell);
}

function renderCurves() {
  const series = head.run.curves;
  if (!series.length) return null;
  const names = head.run.metrics.map((metric) => metric.name).filter((name) =>
    series.some(({ points }) => points.some((p) => p.scores[name])));
  const figure = make("div");
  const wanted = names.includes("faithfulness") ? "faithfulness" : names[0];
  const pick = make("select", { id: "curve-metric", "aria-label": "Score",
    onchange: (event) => figure.replaceChildren(
      ...drawCurves(series, event.target.value)) },
  ...names.map((name) => make("option", { value: name,
    text: name.replaceAll("_", " "), selected: name === wanted })));
  figure.replaceChildren(...drawCurves(series, wanted));
  return make("section", { class: "card" },
    make("h2", { text: "Scores against the quantile" }),
    make("p", { class: "quiet", text: "The quantile is the share of cells that " +
      "is dropped; bands are 95 % intervals." }), pick, figure);
}

function drawCurves(series, name) {
  const metric = head.run.metrics.find((each) => each.name === name);
  const points = series.map((one) => one.points.filter((p) =>
    p.scores[name] && p.scores[name][0] !== null));
  const values = points.flat().flatMap((p) =>
    p.scores[name].filter((v) => v !== null));
  const quantiles = points.flat().map((p) => p.quantile);
  const [least, last] = [Math.min(...values), Math.max(...values)];
  const pad = 0.05 * (last - least) || 0.05;
  const [x0, x1] = [Math.min(...quantiles), Math.max(...quantiles)];
  const x = (q) => 56 + 560 * (q - x0) / (x1 - x0 || 1);
  const y = (v) => 256 - 236 * (v - least + pad) / (last - least + 2 * pad);
  const plot = svg("svg", { viewBox: "0 0 640 300", class: "curves",
    role: "img", "aria-label": `${name} against the quantile` });
  for (const [at, text] of ticks(least - pad, last + pad, 5)) {
    plot.append(svg("line", { x1: 56, x2: 616, y1: y(at), y2: y(at),
      class: "grid" }));
    plot.append(svg("text", { x: 50, y: y(at) + 4, "text-anchor": "end" }, text));
  }
  for (const q of unique(quantiles))
    plot.append(svg("text", { x: x(q), y: 275, "text-anchor": "middle" },
      String(q)));
  plot.append(svg("text", { x: 336, y: 294, "text-anchor": "middle" },
    `quantile — ${name.replaceAll("_", " ")} ${WAYS[metric.direction]}`));
  points.forEach((own, index) => {
    const color = COLORS[index % COLORS.length];
    const edge = (place) => own.map((p) =>
      `${x(p.quantile)},${y(p.scores[name][place] ?? p.scores[name][0])}`);
    plot.append(svg("polygon", { fill: color, opacity: 0.15,
      points: [...edge(2), ...edge(1).reverse()].join(" ") }));
    plot.append(svg("polyline", { fill: "none", stroke: color,
      "stroke-width": 2, points: edge(0).join(" ") }));
    for (const at of edge(0)) {
      const [cx, cy] = at.split(",");
      plot.append(svg("circle", { cx, cy, r: 3, fill: color }));
    }
  });
  const legend = make("ul", { class: "legend" }, ...series.map((one, index) => {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = COLORS[index % COLORS.length];
    return make("li", {}, swatch, one.name);
  }));
  return [plot, legend];
}

function renderEvidence() {
  const bands = head.bands.map((edge) => Math.round(edge));
  const rows = head.profiles.flatMap((profile) => [
    make("div", {}, make("strong", { text: profile.label }),
      make("div", { class: "quiet", text: `${profile.n_clips} clip` +
        (profile.n_clips === 1 ? "" : "s") })),
    strip(profile, "bands", `Evidence for ${profile.label} by frequency`),
    strip(profile, "moments", `Evidence for ${profile.label} over time`)]);
  const axis = (...texts) => make("div", { class: "axis" },
    ...texts.map((text) => make("span", { text })));
  const middle = bands[Math.floor(bands.length / 2)];
  byId("panel-evidence").append(make("section", { class: "card" },
    make("h2", { text: "Where the evidence for each class lies" }),
    make("p", { class: "quiet", text: "The mean saliency of the clips in which " +
      "a class was heard, by frequency (left) and over the clip (right). The " +
      "gray below is where the sound itself is. Evidence in a narrow band that " +
      "all clips of a class share, such as a hum, or at the very start, such " +
      "as a cut, or where there is no sound, has little to do with the class." }),
    make("div", { class: "profile", id: "profiles" },
      make("div", {}), make("h3", { text: "Frequency" }),
      make("h3", { text: "Time" }), ...rows, make("div", {}),
      axis("0 Hz", `${middle} Hz`, `${bands[bands.length - 1]} Hz`),
      axis("start", "middle", "end"))));
}

function strip(profile, key, label) {
  const canvas = make("canvas", { role: "img", "aria-label": label });
  const values = profile[key], loud = profile[`loud_${key}`];
  canvas.width = values.length * 8;
  canvas.height = 34;
  const context = canvas.getContext("2d");
  const most = Math.max(...values, 1e-9), loudest = Math.max(...loud, 1e-9);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, 34);
  values.forEach((value, index) => {
    const share = value / most, gray = Math.round(210 * loud[index] / loudest);
    context.fillStyle = `hsl(${20 + 35 * share} 95% ${62 * share ** 0.8}%)`;
    context.fillRect(8 * index, 0, 8, 25);
    context.fillStyle = `rgb(${gray} ${gray} ${gray})`;
    context.fillRect(8 * index, 26, 8, 8);
  });
  return canvas;
}

function renderRun() {
  const parts = [renderScores(), renderConfusion(), renderCurves()];
  byId("panel-scores").append(...parts.filter((part) => part));
  const rows = Object.entries(head.settings).map(([key, value]) => make("tr", {},
    make("td", { text: key.replaceAll("_", " ") }), make("td", { text: value })));
  const links = head.links.map(([text, href]) =>
    make("li", {}, make("a", { href, text })));
  if (links.length)
    byId("panel-scores").append(make("section", { class: "card" },
      make("h2", { text: "Pages to look at and listen to" }),
      make("ul", {}, ...links)));
  if (rows.length)
    byId("panel-scores").append(make("section", { class: "card" },
      make("h2", { text: "How it was made" }), make("div", { class: "scroll" },
        make("table", {}, make("tbody", {}, ...rows)))));
}
