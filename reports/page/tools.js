"use strict";

/* Elements. What is text stays text, whatever is in it. */

function make(space, tag, attributes, children) {
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const html = (tag, attributes = {}, ...children) =>
  make("http://www.w3.org/1999/xhtml", tag, attributes, children);

const svg = (tag, attributes = {}, ...children) =>
  make("http://www.w3.org/2000/svg", tag, attributes, children);

const at = (id) => document.getElementById(id);

/* A select's options: pairs of a value and what is shown. Returns the value that is chosen. */
function choices(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => html("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
  return select.value;
}

/* Numbers, as the command line writes them. */

const NOT_FINITE = { nan: NaN, inf: Infinity, "-inf": -Infinity };

/* A number of the data: JSON has no word for one that is not finite, so it is a text there. */
const number = (value) => (typeof value === "string" ? NOT_FINITE[value] : value);

/* With so many decimals. Halves go to the even digit, as Python has it; toFixed rounds them up. */
function fixed(value, digits) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  const text = value.toFixed(digits);
  const isHalf = Math.abs(value * 2 ** (digits + 1)) % 2 === 1;
  return isHalf && text.at(-1) % 2 ? (value - (Math.sign(value) / 4) * 10 ** -digits).toFixed(digits) : text;
}

const isThere = (value) => value !== null && value !== undefined;
const percent = (value) => (isThere(value) ? `${fixed(100 * value, 2)} %` : "-");
const decimal = (value) => (isThere(value) ? fixed(value, 4) : "-");
const count = (value) => Math.round(value).toLocaleString("en-US");
const many = (runs) => `${count(runs.length)} ${runs.length === 1 ? "run" : "runs"}`;

function duration(seconds) {
  if (!isThere(seconds)) return "-";
  if (seconds < 60) return `${fixed(seconds, 1)} s`;
  const whole = Number(fixed(seconds, 0));
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/* How a measure is written: a loss, a count of units that a mask keeps, or a fraction. */
function writer(measure) {
  const [phase, ...name] = measure.split(" ");
  if (phase === "mask") return count;
  return name.join(" ").startsWith("loss") ? decimal : percent;
}

/* Statistics. */

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/* The deviation of a sample: n - 1 below the line. */
function deviation(values) {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
}
