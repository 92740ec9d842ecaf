// Spectrogram, heat, outline and boxes, with axes in seconds and kHz. Pictures
// are laid over one another; no pixel is read, so that files beside the page
// work too.
const images = new Map();
const OUTLINE = "rgb(53 224 255 / .85)", BOX = "#ffe14d";
const FINE = 480; // pixels of a picture whose mask has an outline

function loadImage(uri) {
  if (!images.has(uri)) {
    if (images.size > 60) images.clear();
    images.set(uri, new Promise((done) => {
      const image = new Image();
      image.onload = () => done(image);
      image.onerror = () => done(null);
      image.src = uri;
    }));
  }
  return images.get(uri);
}

function niceStep(span, most) {
  const raw = span / most, power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5, 10].find((each) => each * power >= raw));
}

function ticks(from, to, most) {
  const step = niceStep(to - from, most), found = [];
  for (let at = Math.ceil(from / step) * step; at <= to + 1e-9; at += step)
    found.push(Math.abs(at) < 1e-9 ? 0 : at);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((at) => [at, at.toFixed(digits)]);
}

// what is removed, in the dark: where cells are too small for an outline
function shadeOf(mask, width, height) {
  const shade = new OffscreenCanvas(width, height);
  const context = shade.getContext("2d");
  context.fillStyle = "rgb(0 0 0 / .75)";
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(mask, 0, 0, width, height);
  return shade;
}

function outlineOf(mask, width, height, thick) {
  const plain = new OffscreenCanvas(width, height);
  const own = plain.getContext("2d");
  own.imageSmoothingEnabled = false;
  own.drawImage(mask, 0, 0, width, height);
  const line = new OffscreenCanvas(width, height);
  const context = line.getContext("2d");
  for (let turn = 0; turn < 8; turn += 1) {
    const angle = turn * Math.PI / 4;
    context.drawImage(
      plain, Math.round(thick * Math.cos(angle)),
      Math.round(thick * Math.sin(angle)));
  }
  context.globalCompositeOperation = "source-in";
  context.fillStyle = OUTLINE;
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(plain, 0, 0);
  return line;
}

function drawAxes(context, plot, clip) {
  const { left, top, width, height, from, to, low, high } = plot;
  context.fillStyle = context.strokeStyle =
    getComputedStyle(context.canvas).color;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const [at, text] of ticks(from + clip.start, to + clip.start,
    width < 380 ? 5 : 10)) {
    const x = left + width * (at - clip.start - from) / (to - from);
    context.fillRect(x, top + height, 1, 4);
    context.fillText(text, x, top + height + 6);
  }
  context.fillText("Time (s)", left + width / 2, top + height + 20);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [at, text] of ticks(low / 1000, high / 1000, 6)) {
    const y = top + height * (1 - (1000 * at - low) / (high - low));
    if (y > top + height + 1) continue;
    context.fillRect(left - 4, y, 4, 1);
    context.fillText(text, left - 7, y);
  }
  context.save();
  context.translate(11, top + height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText("Frequency (kHz)", 0, 0);
  context.restore();
}

function drawBoxes(context, plot, boxes) {
  const { left, top, width, height, from, to, low, high } = plot;
  context.lineWidth = 1.5;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "bottom";
  boxes.forEach(({ edges, score }, index) => {
    const x = left + width * (edges[0] - from) / (to - from);
    const w = width * (edges[1] - edges[0]) / (to - from);
    const y = top + height * (1 - (edges[3] - low) / (high - low));
    const h = height * (edges[3] - edges[2]) / (high - low);
    context.strokeStyle = BOX;
    context.strokeRect(x, y, w, h);
    const text = `${index + 1}: ${score.toFixed(2)}`;
    const above = y - top > 14 ? y - 1 : y + 14;
    context.fillStyle = "rgb(0 0 0 / .7)";
    context.fillRect(x, above - 13, context.measureText(text).width + 6, 14);
    context.fillStyle = BOX;
    context.fillText(text, x + 3, above);
  });
}

async function drawPicture(stage, clip, view) {
  const canvas = stage.querySelector("canvas");
  const wanted = [clip.picture, view && clip.maps[view.map], view && view.mask];
  const [base, heat, mask] = await Promise.all(
    wanted.map((uri) => (uri ? loadImage(uri) : null)));
  if (!stage.isConnected || !canvas.clientWidth) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const [from, to, low, high] = clip.extent;
  const plot = stage.plot = {
    left: 46, top: 8, width: canvas.clientWidth - 56,
    height: canvas.clientHeight - 44, from, to, low, high,
  };
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const place = [plot.left, plot.top, plot.width, plot.height];
  context.fillStyle = "#000";
  context.fillRect(...place);
  context.save();
  context.beginPath();
  context.rect(...place);
  context.clip();
  context.imageSmoothingQuality = "high";
  if (base) context.drawImage(base, ...place);
  if (heat && state.layers.saliency) context.drawImage(heat, ...place);
  if (mask && state.layers.mask) {
    const size = [plot.width, plot.height].map((n) => Math.round(n * ratio));
    const layer = plot.width < FINE ? shadeOf(mask, ...size)
      : outlineOf(mask, ...size, ratio);
    context.drawImage(layer, ...place);
  }
  if (view && state.layers.boxes) drawBoxes(context, plot, view.boxes);
  context.restore();
  drawAxes(context, plot, clip);
  canvas.dataset.drawn = view ? String(clip.views.indexOf(view)) : "none";
}

function makeStage(clip, view, card) {
  const label = view
    ? `Spectrogram of ${clip.id}: what speaks for ${view.explained}, ` +
      `by ${view.method}; ${percent(view.kept_fraction)} is kept`
    : `Spectrogram of ${clip.id}`;
  const canvas = make("canvas", { role: "img", "aria-label": label });
  const stage = make("div", { class: "stage" }, canvas,
    make("div", { class: "cursor", hidden: true }));
  canvas.addEventListener("click", (event) => {
    const { left, width, from, to } = stage.plot;
    const at = from + (to - from) * (event.offsetX - left) / width;
    playPart(state.part, card, Math.max(0, at));
  });
  return stage;
}

function drawAll() {
  const views = currentViews();
  document.querySelectorAll("#views .stage").forEach((stage, index) =>
    drawPicture(stage, state.clip, views[index] ?? null));
}
