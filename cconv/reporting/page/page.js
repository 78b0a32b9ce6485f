"use strict";
// Shared by all parts of the page: the data, making elements, and formatting numbers.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LAYERS = DATA.layers;
const OUTPUTS = DATA.outputs; // those with targets
const [ONE_INPUT, ONE_OUTPUT] = [DATA.inputs === 1, DATA.ends.length === 1];

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

const isClasses = (output) => output.kind === "classes";
const nameOf = (output, label) => (label < 0 ? "nothing finite" : output.names[label]);

// A name isolated from the text around it, in case its writing direction differs.
const apart = (name) => `\u2068${name}\u2069`;

// An output's truth and prediction for a sample in one line.
function verdict(output, answer) {
  if (output.image) return `is ${digits(answer.error, 3)} away on average`;
  if (!isClasses(output)) {
    return answer.truth.map((truth, n) => `${apart(output.names[n])} is ${digits(truth, 3)}, answered ${digits(answer.answer[n], 3)}`).join("; ");
  }
  const sure = answer.best.length ? `, ${percent(answer.best[0][1])}` : "";
  return `is ${apart(nameOf(output, answer.truth))}, answered ${apart(nameOf(output, answer.guess))}${sure}`;
}

// Whether the output must be named with it: numbers have names of their own.
const titled = (output) => !ONE_OUTPUT && (isClasses(output) || output.image);
const named = (output, answer) => `${titled(output) ? `${apart(output.name)} ` : ""}${verdict(output, answer)}`;

// The answer in a word.
function word(output, answer) {
  if (output.image) return `± ${digits(answer.error, 2)}`;
  return isClasses(output) ? nameOf(output, answer.guess) : digits(answer.answer[0], 3);
}

const isWrong = (output, answer) => isClasses(output) && answer.truth !== answer.guess;

function pictureOf(picture, alt = "") {
  return el("img", { src: picture.png, alt, class: picture.size[0] === 1 ? "strip" : null });
}

// An entry of a table of layers; a layer that is used again has it under another number.
function entryOf(table, number) {
  const entry = table[number];
  return entry && entry.like !== undefined ? { ...table[entry.like], from: entry.from } : entry;
}

// What a layer sees of the inputs, as texts.
function sees(layer) {
  return Object.entries(layer.sees).map(([input, field]) => {
    const name = ONE_INPUT ? "the input" : apart(LAYERS[input].name);
    if (!field) return `all of ${name}`;
    const size = times(field[0].map(Math.round));
    return ONE_INPUT ? `${size} pixels` : `${size} pixels of ${name}`;
  });
}
