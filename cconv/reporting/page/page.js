"use strict";
// Shared by all parts of the page: the data, making elements, and formatting numbers.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LAYERS = DATA.layers;
const CLASSES = DATA.kind === "classes";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// An HTML element; strings among the children become text, never markup.
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function put(id, ...children) {
  document.getElementById(id).replaceChildren(...children.filter((child) => child !== null));
}

const minus = (text) => text.replace(/-/g, "\u2212");
const count = (number) => number.toLocaleString("en-US");
const percent = (share) => (share === null ? "not finite" : `${(100 * share).toFixed(1)} %`);
const times = (extents) => extents.join("×");

// A number with `many` significant digits.
function digits(value, many = 4) {
  if (value === null || !Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return minus(value.toExponential(many - 1));
  return minus(value.toPrecision(many).replace(/e\+?0$/, ""));
}

// The decimals that give the largest number three significant digits, so that columns align.
function decimals(largest) {
  return largest > 0 ? Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(largest)))) : 0;
}

const nameOf = (label) => (label < 0 ? "nothing finite" : DATA.names[label]);

// A name isolated from the text around it, in case its writing direction differs.
const apart = (name) => `\u2068${name}\u2069`;

// A sample's truth and prediction in one line.
function verdict(sample) {
  if (!CLASSES) {
    return sample.truth.map((truth, n) => `${apart(DATA.names[n])} is ${digits(truth, 3)}, answered ${digits(sample.answer[n], 3)}`).join("; ");
  }
  const sure = sample.best.length ? `, ${percent(sample.best[0][1])}` : "";
  return `is ${apart(nameOf(sample.truth))}, answered ${apart(nameOf(sample.guess))}${sure}`;
}

const isWrong = (sample) => CLASSES && sample.truth !== sample.guess;

function pictureOf(sample, alt = "") {
  return el("img", { src: sample.picture.png, alt, class: sample.picture.size[0] === 1 ? "strip" : null });
}
