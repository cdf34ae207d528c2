/* A chart of lines: axes, lines with bands and dots, values under the pointer, a legend. */

const COLOURS = 8;
const MARGIN = { left: 72, right: 28, top: 10, bottom: 40 };
const DOTS = 40; // A line of more points than so many has no dots.
const NEAR = 8; // Pixels.
const TOLD = 14; // Lines whose values are told at once.

/* The classes of the line at a place: a colour each, dashed where colours begin anew. */
const style = (place) => `c${place % COLOURS}${Math.floor(place / COLOURS) % 2 ? " dashed" : ""}`;

const swatch = (place) =>
  svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" },
    svg("path", { class: `line ${style(place)}`, d: "M0,4L22,4" }));

/* Draw into a figure.

   lines: [{label, remark, points: [{x, y, low, high, note}]}], x rising; y that is not finite is a gap.
   across, up: {label, text, tick, log}: what the axes are, how their values are written.
   name: what the chart shows, for those who cannot see it. */
function chart(figure, { lines, across, up, name }) {
  const points = lines.flatMap((line) => line.points).filter((point) => drawable(point, across, up));
  if (!points.length) {
    figure.replaceChildren(html("p", { class: "empty" }, "There is nothing to draw."));
    return;
  }
  const frame = framed(figure.clientWidth || 640, points, across, up);
  const { width, height } = frame;
  const look = { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": name };
  const drawing = svg("svg", look, ...axes(frame));
  lines.forEach((line, place) => drawing.append(...marks(line.points, place, frame)));
  const tip = html("div", { class: "tip", hidden: true, role: "status" });
  pointing(drawing, tip, lines, frame);
  figure.replaceChildren(drawing, tip, legend(lines));
}

const drawable = ({ x, y }, across, up) =>
  Number.isFinite(x) && Number.isFinite(y) && (!across.log || x > 0) && (!up.log || y > 0);

/* The size of the drawing, and where a value lies on its axes. */
function framed(space, points, across, up) {
  const width = Math.max(300, Math.min(space, 900));
  const height = Math.round(Math.min(340, 180 + width / 5));
  const edges = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  const spans = { x: span(points.map((point) => point.x), across.log), y: rounded(span(edges, up.log), up.log) };
  return {
    width, height, across, up, spans,
    x: scale(spans.x, [MARGIN.left, width - MARGIN.right], across.log),
    y: scale(spans.y, [height - MARGIN.bottom, MARGIN.top], up.log),
  };
}

/* The least and the greatest value, a little apart if they are the same. */
function span(values, log) {
  const finite = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (log) return low === high ? [low / 1.1, high * 1.1] : [low, high];
  const pad = low === high ? Math.abs(low) / 10 || 0.5 : 0;
  return [low - pad, high + pad];
}

/* From tick to tick, where the axis is linear. */
function rounded([low, high], log) {
  const step = niceStep(high - low);
  return log ? [low, high] : [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}

function niceStep(length) {
  const power = 10 ** Math.floor(Math.log10(length / 4));
  return power * [1, 2, 2.5, 5, 10].find((factor) => length / (power * factor) <= 7);
}

function scale([low, high], [from, to], log) {
  const of = log ? Math.log : (value) => value;
  return (value) => from + ((of(value) - of(low)) / (of(high) - of(low))) * (to - from);
}

function ticks([low, high], log) {
  if (!log) {
    const step = niceStep(high - low);
    const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
    return Array.from({ length: last - first + 1 }, (_, place) => (first + place) * step);
  }
  const decades = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) decades.push(power);
  const factors = decades.length > 4 ? [1] : [1, 2, 5];
  const found = decades.flatMap((power) => factors.map((factor) => factor * 10 ** power))
    .filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return found.length ? found : [Math.sqrt(low * high)];
}

function axes({ width, height, across, up, spans, x, y }) {
  const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, height - MARGIN.bottom];
  const upright = `translate(12 ${(MARGIN.top + bottom) / 2}) rotate(-90)`;
  return [
    ...ticks(spans.y, up.log).flatMap((value) => [
      svg("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, up.tick(value)),
    ]),
    ...ticks(spans.x, across.log).flatMap((value) => [
      svg("line", { class: "grid", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 5 }),
      svg("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, across.tick(value)),
    ]),
    svg("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, across.label),
    svg("text", { transform: upright, "text-anchor": "middle" }, up.label),
  ];
}

/* The band, the line and the dots of one line. */
function marks(points, place, frame) {
  const { x, y, across, up } = frame;
  const there = points.filter((point) => drawable(point, across, up));
  const drawn = [svg("path", { class: `line ${style(place)}`, d: path(points, frame) })];
  const edge = band(there, frame);
  if (edge) drawn.unshift(svg("polygon", { class: `band ${style(place)}`, points: edge }));
  if (there.length > DOTS) return drawn;
  const dot = (point) => ({ class: `dot ${style(place)}`, cx: x(point.x).toFixed(1), cy: y(point.y).toFixed(1), r: 2.6 });
  return [...drawn, ...there.map((point) => svg("circle", dot(point)))];
}

/* Above the line from left to right, and below it back. */
function band(points, { x, y, up }) {
  const wide = points.filter((point) => point.high > point.low && (!up.log || point.low > 0));
  const corner = (at, value) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`;
  const above = wide.map((point) => corner(point.x, point.high));
  const below = wide.map((point) => corner(point.x, point.low)).reverse();
  return wide.length > 1 ? [...above, ...below].join(" ") : "";
}

/* Where a point cannot be drawn, the pen is lifted. */
function path(points, { x, y, across, up }) {
  let pen = "M";
  return points.map((point) => {
    const step = drawable(point, across, up) ? `${pen}${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}` : "";
    pen = step ? "L" : "M";
    return step;
  }).join("");
}

/* The values at the place that the pointer, or an arrow key, goes to. */
function pointing(drawing, tip, lines, { width, height, across, up, x }) {
  const ends = { y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" };
  const cursor = svg("line", { class: "cursor", ...ends });
  drawing.append(cursor);
  const every = new Set(lines.flatMap((line) => line.points.map((point) => point.x)));
  const stops = [...every].filter((value) => !across.log || value > 0).sort((a, b) => a - b);
  const far = (pixel) => (value) => Math.abs(x(value) - pixel);
  let place = -1;

  const hide = () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  };
  const show = (next) => {
    place = Math.max(0, Math.min(stops.length - 1, next));
    const pixel = x(stops[place]);
    for (const [name, value] of [["x1", pixel], ["x2", pixel], ["visibility", "visible"]]) cursor.setAttribute(name, value);
    tip.replaceChildren(html("div", {}, `${across.label} ${across.text(stops[place])}`), ...told(lines, far(pixel), up));
    tip.hidden = false;
    const isLeft = pixel < width / 2;
    tip.style.left = isLeft ? `${(100 * pixel) / width + 2}%` : "auto";
    tip.style.right = isLeft ? "auto" : `${100 - (100 * pixel) / width + 2}%`;
  };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const distance = far(((event.clientX - box.left) / box.width) * width);
    show(stops.indexOf(least(stops, distance)));
  });
  drawing.addEventListener("pointerleave", hide);
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!move) return;
    event.preventDefault();
    show(place + move);
  });
}

const least = (items, of) => items.reduce((one, other) => (of(other) < of(one) ? other : one));

/* The values of the lines that have a point near a place, the greatest first. */
function told(lines, distance, up) {
  const near = lines.map((line, place) => ({ line, place }))
    .filter(({ line }) => line.points.length)
    .map(({ line, place }) => ({ line, place, point: least(line.points, (point) => distance(point.x)) }))
    .filter(({ point }) => distance(point.x) <= NEAR)
    .sort((a, b) => b.point.y - a.point.y);
  const rows = near.slice(0, TOLD).map(({ line, place, point }) =>
    html("div", {}, swatch(place), html("b", {}, point.note ?? up.text(point.y)), html("span", {}, line.label)));
  return near.length > TOLD ? [...rows, html("div", {}, `and ${near.length - TOLD} below`)] : rows;
}

const legend = (lines) =>
  html("ul", { class: "legend" }, ...lines.map((line, place) =>
    html("li", {}, swatch(place), html("span", {}, line.label, line.remark ? ` ${line.remark}` : ""))));
