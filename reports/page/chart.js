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

   lines: [{label, points: [{x, y, low, high, note}]}], x rising; y that is not finite is a gap.
   across, up: {label, text, log}: what the axes are, how their values are written.
   name: what the chart shows, for those who cannot see it. */
function chart(figure, { lines, across, up, name }) {
  const points = lines.flatMap((line) => line.points.filter((point) => drawable(point, across, up)));
  if (!points.length) {
    figure.replaceChildren(html("p", { class: "empty" }, "There is nothing to draw."));
    return;
  }
  const width = Math.max(300, Math.min(figure.clientWidth || 640, 900));
  const height = Math.round(Math.min(340, 180 + width / 5));
  const ranges = [span(points.map((point) => point.x), across), span(points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]), up)];
  const x = scale(ranges[0], [MARGIN.left, width - MARGIN.right], across.log);
  const y = scale(ranges[1], [height - MARGIN.bottom, MARGIN.top], up.log);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": name });
  drawing.append(...axes({ x, y, ranges, across, up, width, height }));
  lines.forEach((line, place) => drawing.append(...marks(line.points, place, x, y, across, up)));
  const tip = html("div", { class: "tip", hidden: true, role: "status" });
  pointing({ drawing, tip, lines, x, y, across, up, width, height });
  figure.replaceChildren(drawing, tip, legend(lines));
}

const drawable = ({ x, y }, across, up) =>
  Number.isFinite(x) && Number.isFinite(y) && (!across.log || x > 0) && (!up.log || y > 0);

/* The least and the greatest value; where the axis is linear, rounded to ticks, and their distance. */
function span(values, { log }) {
  const finite = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  let [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (log) return low === high ? [low / 1.1, high * 1.1] : [low, high];
  if (low === high) [low, high] = [low - (Math.abs(low) / 10 || 0.5), high + (Math.abs(high) / 10 || 0.5)];
  const step = niceStep(high - low);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step, step];
}

function niceStep(length) {
  const power = 10 ** Math.floor(Math.log10(length / 4));
  return power * [1, 2, 2.5, 5, 10].find((factor) => length / (power * factor) <= 6);
}

function scale([low, high], [from, to], log) {
  const of = log ? Math.log : (value) => value;
  return (value) => from + ((of(value) - of(low)) / (of(high) - of(low))) * (to - from);
}

function ticks([low, high, step], log) {
  if (!log) {
    return Array.from({ length: Math.round((high - low) / step) + 1 }, (_, place) => low + place * step);
  }
  const decades = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) decades.push(power);
  const factors = decades.length > 4 ? [1] : [1, 2, 5];
  const found = decades.flatMap((power) => factors.map((factor) => factor * 10 ** power))
    .filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return found.length ? found : [Math.sqrt(low * high)];
}

function axes({ x, y, ranges, across, up, width, height }) {
  const bottom = height - MARGIN.bottom;
  const middle = (MARGIN.top + bottom) / 2;
  return [
    ...ticks(ranges[1], up.log).flatMap((value) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      svg("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, up.tick(value)),
    ]),
    ...ticks(ranges[0], across.log).flatMap((value) => [
      svg("line", { class: "grid", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 5 }),
      svg("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, across.tick(value)),
    ]),
    svg("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 4, "text-anchor": "middle" }, across.label),
    svg("text", { transform: `translate(12 ${middle}) rotate(-90)`, "text-anchor": "middle" }, up.label),
  ];
}

/* The band, the line and the dots of one line. */
function marks(points, place, x, y, across, up) {
  const there = points.filter((point) => drawable(point, across, up));
  const banded = there.filter((point) => point.high > point.low && (!up.log || point.low > 0));
  const edge = [...banded.map((point) => [point.x, point.high]), ...banded.reverse().map((point) => [point.x, point.low])];
  const drawn = [svg("path", { class: `line ${style(place)}`, d: path(points, x, y, across, up) })];
  if (edge.length > 2) drawn.unshift(svg("polygon", { class: `band ${style(place)}`, points: edge.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
  if (there.length <= DOTS) drawn.push(...there.map((point) => svg("circle", { class: `dot ${style(place)}`, cx: x(point.x).toFixed(1), cy: y(point.y).toFixed(1), r: 2.6 })));
  return drawn;
}

/* Where a point cannot be drawn, the pen is lifted. */
function path(points, x, y, across, up) {
  let pen = "M";
  return points.map((point) => {
    if (!drawable(point, across, up)) { pen = "M"; return ""; }
    const step = `${pen}${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`;
    pen = "L";
    return step;
  }).join("");
}

/* The values at the place that the pointer, or an arrow key, goes to. */
function pointing({ drawing, tip, lines, x, y, across, up, width, height }) {
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" });
  drawing.append(cursor);
  const stops = [...new Set(lines.flatMap((line) => line.points.map((point) => point.x)))]
    .filter((value) => !across.log || value > 0).sort((a, b) => a - b);
  let place = -1;

  const hide = () => { tip.hidden = true; cursor.setAttribute("visibility", "hidden"); };
  const show = (next) => {
    place = Math.max(0, Math.min(stops.length - 1, next));
    const pixel = x(stops[place]);
    cursor.setAttribute("x1", pixel);
    cursor.setAttribute("x2", pixel);
    cursor.setAttribute("visibility", "visible");
    const rows = lines.map((line, index) => ({ line, index, point: nearest(line.points, pixel, x) }))
      .filter(({ point }) => point)
      .sort((a, b) => b.point.y - a.point.y);
    const told = rows.slice(0, TOLD).map(({ line, index, point }) =>
      html("div", {}, swatch(index), html("b", {}, point.note ?? up.text(point.y)), html("span", {}, line.label)));
    const rest = rows.length > TOLD ? [html("div", {}, `and ${rows.length - TOLD} below`)] : [];
    tip.replaceChildren(html("div", {}, `${across.label} ${across.text(stops[place])}`), ...told, ...rest);
    tip.hidden = false;
    const share = pixel / width;
    tip.style.left = share < 0.5 ? `${100 * share + 2}%` : "auto";
    tip.style.right = share < 0.5 ? "auto" : `${100 * (1 - share) + 2}%`;
  };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const pixel = ((event.clientX - box.left) / box.width) * width;
    show(stops.reduce((best, value, index) => (Math.abs(x(value) - pixel) < Math.abs(x(stops[best]) - pixel) ? index : best), 0));
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

/* The point of a line at this place, if there is one. */
function nearest(points, pixel, x) {
  const distance = (point) => Math.abs(x(point.x) - pixel);
  const best = points.reduce((one, other) => (distance(other) < distance(one) ? other : one), points[0]);
  return best && distance(best) <= NEAR ? best : undefined;
}

const legend = (lines) =>
  html("ul", { class: "legend" }, ...lines.map((line, place) => html("li", {}, swatch(place), html("span", {}, line.label, line.remark ? ` ${line.remark}` : ""))));
