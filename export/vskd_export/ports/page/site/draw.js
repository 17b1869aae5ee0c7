// The canvases: signal, image or features, timeline.

const SPAN_S = 8;
const TIMELINE_S = 120;

// A label's colour; those without an activity are grey.
export function tone(label, labels) {
  const index = labels.indexOf(label);
  if (index < 0) return label === "unknown" ? "oklch(0.68 0.03 260)" : "oklch(0.8 0.015 260)";
  return `oklch(0.68 0.145 ${Math.round(index * 137.5 + 260) % 360})`; // by the golden angle, so that neighbours differ
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// A context whose unit is a CSS pixel.
function begin(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const tall = height ?? canvas.clientHeight;
  if (height) canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(tall * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, tall);
  return { context, width, height: tall };
}

// samples: [time_s, x, y, z], g.
export function drawSignal(canvas, samples) {
  const { context, width, height } = begin(canvas);
  const endS = samples.length ? samples.at(-1)[0] : 0;
  const shown = samples.filter(([atS]) => atS >= endS - SPAN_S && atS <= endS);
  const largest = Math.max(1.5, ...shown.map(([, ...xyz]) => Math.max(...xyz.map((value) => Math.abs(value) || 0))));
  const scale = (height / 2 - 8) / largest;
  context.font = "11px system-ui, sans-serif";
  context.lineWidth = 1;
  for (let value = -Math.floor(largest); value <= largest; value += largest > 4 ? 2 : 1) {
    const y = Math.round(height / 2 - value * scale) + 0.5;
    context.strokeStyle = style("--line");
    context.beginPath();
    context.moveTo(26, y);
    context.lineTo(width, y);
    context.stroke();
    context.fillStyle = style("--muted");
    context.fillText(String(value).replace("-", "\u2212"), 4, y + 4);
  }
  ["--x", "--y", "--z"].forEach((name, axis) => {
    context.strokeStyle = style(name);
    context.lineWidth = 1.8;
    context.lineJoin = "round";
    context.beginPath();
    shown.forEach((sample, i) => {
      const x = 28 + ((sample[0] - endS + SPAN_S) / SPAN_S) * (width - 30);
      const y = height / 2 - sample[axis + 1] * scale;
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.stroke();
  });
}

// Blue below, orange above, the card's colour at 0; value in [-1, 1].
function colour(value, isDark) {
  const strength = Math.sqrt(Math.min(1, Math.abs(value))); // so that weak parts are seen, too
  const middle = isDark ? [26, 31, 42] : [243, 245, 250];
  const end = value < 0 ? (isDark ? [96, 140, 255] : [33, 84, 214]) : isDark ? [255, 150, 87] : [214, 82, 20];
  return middle.map((part, i) => Math.round(part + (end[i] - part) * strength));
}

function isDark() {
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

// The channels of an image side by side; of a raw network the embedding as a field of squares.
export function drawView(canvas, { encoded, shape, embedding }, zeroPoint, isImage) {
  const [channels, rows, columns] = shape;
  const across = isImage ? Math.min(3, channels) : 1;
  const gap = 6;
  const width = canvas.clientWidth;
  const side = (width - gap * (across - 1)) / across;
  const down = Math.ceil(channels / across);
  const height = isImage ? Math.round(side * down + gap * (down - 1)) : 168;
  const { context } = begin(canvas, height);
  const dark = isDark();
  if (!isImage) {
    drawField(context, embedding ?? [], width, height, dark);
    return;
  }
  const picture = new OffscreenCanvas(columns, rows);
  const painter = picture.getContext("2d");
  const pixels = painter.createImageData(columns, rows);
  context.imageSmoothingEnabled = false;
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < rows * columns; i++) {
      const value = (encoded[channel * rows * columns + i] - zeroPoint) / 128;
      pixels.data.set([...colour(value, dark), 255], 4 * i);
    }
    painter.putImageData(pixels, 0, 0);
    const x = (channel % across) * (side + gap);
    const y = Math.floor(channel / across) * (side + gap);
    context.drawImage(picture, x, y, side, side);
  }
}

function drawField(context, values, width, height, dark) {
  const columns = Math.max(8, Math.ceil(Math.sqrt((values.length * width) / height)));
  const size = width / columns;
  const rows = Math.ceil(values.length / columns);
  const tall = Math.min(height / rows, size);
  const largest = Math.max(1e-9, ...values.map((value) => Math.abs(value)));
  values.forEach((value, i) => {
    context.fillStyle = `rgb(${colour(value / largest, dark).join(" ")})`;
    context.beginPath();
    context.roundRect((i % columns) * size + 1, Math.floor(i / columns) * tall + 1, size - 2, tall - 2, 3);
    context.fill();
  });
}

// events: the latest last; each is drawn from its window's end back to the one before.
export function drawTimeline(canvas, events, labels) {
  const { context, width, height } = begin(canvas);
  const endS = events.length ? events.at(-1).endS : 0;
  const beginS = events.length ? Math.max(endS - TIMELINE_S, Math.min(events[0].startS, endS - 20)) : -20;
  const place = (atS) => ((atS - beginS) / (endS - beginS)) * width;
  context.fillStyle = style("--ground");
  context.beginPath();
  context.roundRect(0, 0, width, height - 14, 8);
  context.fill();
  context.save();
  context.clip();
  let before = null;
  for (const event of events) {
    const from = before === null || event.startS > before ? event.startS : before;
    before = event.endS;
    if (event.endS < beginS) continue;
    context.fillStyle = tone(event.label, labels);
    const [left, right] = [Math.floor(place(from)), Math.ceil(place(event.endS))];
    context.fillRect(left, 0, right - left, height - 14);
  }
  context.restore();
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = style("--muted");
  const spanS = Math.round(endS - beginS);
  context.fillText(`\u2212${spanS} s`, 0, height - 1);
  context.textAlign = "right";
  context.fillText("now", width, height - 1);
  context.textAlign = "left";
}
