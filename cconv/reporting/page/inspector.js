// One pixel of a map: its receptive field, its window, and the terms of its sum.

const TERMS = 10; // number of listed products of a dense layer, the largest ones

// The activations that the page computes; of others it shows only the name.
const ACTIVATIONS = {
  linear: (z) => z,
  relu: (z) => Math.max(z, 0),
  sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  tanh: Math.tanh,
};

let turn = 0; // number of the last request; results for earlier requests are dropped

// The terms of a pixel's sum: for each channel the window, the kernel, and the places outside of the input.
function windowOf(entry, values, kernel, shape, map, row, column, maps) {
  const [height, width, channels] = shape;
  const [kh, kw] = entry.size;
  const groups = entry.groups || 1;
  const own = entry.kind === "conv" ? channels / groups : 1;
  const first = entry.kind === "conv" ? Math.floor(map / (maps / groups)) * own : map;
  const parts = [];
  for (let channel = 0; channel < own; channel++) {
    const cells = [];
    for (let i = 0; i < kh; i++) {
      for (let j = 0; j < kw; j++) {
        const y = row * entry.strides[0] - entry.pads[0] + i * entry.dilation[0];
        const x = column * entry.strides[1] - entry.pads[1] + j * entry.dilation[1];
        const outside = y < 0 || x < 0 || y >= height || x >= width;
        const value = outside ? 0 : values[(y * width + x) * channels + first + channel];
        const weight = kernel ? kernel[((i * kw + j) * own + channel) * maps + map] : 1;
        cells.push({ value, weight, outside, product: value * weight });
      }
    }
    parts.push({ channel: first + channel, cells, sum: cells.reduce((sum, cell) => sum + cell.product, 0) });
  }
  return parts;
}

function grid(title, cells, columns, what, picked) {
  const largest = Math.max(...cells.map((cell) => Math.abs(cell[what]) || 0));
  const many = decimals(largest);
  const shown = (value) => (Number.isFinite(value) ? minus(value.toFixed(many)) : "NaN");
  const wide = Math.max(...cells.map((cell) => shown(cell[what]).length));
  const table = colours(true);
  const rows = [];
  for (let n = 0; n < cells.length; n += columns) {
    rows.push(el("tr", {}, ...cells.slice(n, n + columns).map((cell) => {
      const colour = signedColour(cell[what], largest, table);
      return el("td", { style: `background:${css(colour)};color:${inkOn(colour)};min-width:${wide}ch`, class: [cell.outside ? "outside" : "", cell === picked ? "picked" : ""].join(" ") },
        shown(cell[what]));
    })));
  }
  return el("figure", {}, el("figcaption", {}, title), el("table", { class: "numbers" }, el("tbody", {}, ...rows)));
}

// The last line: the sum, the bias, and the activation's result.
function total(entry, sum, bias, terms) {
  const z = sum + (bias || 0);
  const known = ACTIVATIONS[entry.activation];
  const parts = [el("span", {}, `Σ of ${count(terms)} products `, el("b", {}, digits(sum)))];
  if (bias !== null) parts.push(el("span", {}, `${bias < 0 ? "−" : "+"} bias `, el("b", {}, digits(Math.abs(bias)))), el("span", {}, "= ", el("b", {}, digits(z))));
  if (known && entry.activation !== "linear") parts.push(el("span", {}, `${entry.activation} → `, el("b", {}, digits(known(z)))));
  if (!known) parts.push(el("span", {}, `then ${entry.activation}`));
  const out = known ? known(z) : z;
  return el("p", { class: "total", id: "sum", "data-value": String(out) }, ...parts);
}

function convolutionSum(entry, parts, bias, kw) {
  const strongest = parts.reduce((best, part) => (Math.abs(part.sum) > Math.abs(best.sum) ? part : best));
  const part = parts.find((each) => each.channel === state.channel) || strongest;
  const reach = Math.max(...parts.map((each) => Math.abs(each.sum)), 1e-30);
  const chips = parts.length < 2 ? null : el("div", { class: "chips", role: "group", "aria-label": "Channels of the window" },
    ...parts.map((each) => el("button", { type: "button", "aria-pressed": String(each === part), "aria-label": `Channel ${each.channel}: ${digits(each.sum)}`,
      class: each.sum < 0 ? "below" : null, style: `--high:${((100 * Math.abs(each.sum)) / reach).toFixed(0)}%`, onclick: () => { state.channel = each.channel; inspect(); } }, String(each.channel))));
  const sum = parts.reduce((all, each) => all + each.sum, 0);
  return [
    chips ? el("p", { class: "soft" }, `Sums of the ${parts.length} channels; channel ${part.channel} is shown, which adds ${digits(part.sum)}.`) : null, chips,
    scrolling("Window, kernel and products", el("div", { class: "equation" },
      grid("window", part.cells, kw, "value"), el("span", {}, "×"), grid("kernel", part.cells, kw, "weight"), el("span", {}, "="), grid("products", part.cells, kw, "product"))),
    part.cells.some((cell) => cell.outside) ? el("p", { class: "soft" }, "Hatched: zeros of the padding.") : null,
    total(entry, sum, bias, parts.length * part.cells.length),
  ];
}

function poolingSum(entry, cells, kw) {
  const inside = cells.filter((cell) => !cell.outside);
  const values = (entry.padded ? cells : inside).map((cell) => cell.value);
  const largest = inside.reduce((best, cell) => (cell.value > best.value ? cell : best), inside[0]);
  const result = entry.kind === "max" ? largest.value : values.reduce((sum, value) => sum + value, 0) / values.length;
  return [
    scrolling("Window", el("div", { class: "equation" }, grid("window", cells, kw, "value", entry.kind === "max" ? largest : null))),
    el("p", { class: "total", id: "sum", "data-value": String(result) }, el("span", {}, entry.kind === "max" ? "the largest is " : `the mean of ${values.length} is `, el("b", {}, digits(result)))),
  ];
}

async function denseSum(entry, packed) {
  const [values, kernel] = [await numbersOf(packed), await numbersOf(entry.kernel)];
  const units = entry.kernel.shape[1];
  const bias = entry.bias ? (await numbersOf(entry.bias))[state.map] : null;
  const terms = Array.from(values, (value, n) => ({ n, value, weight: kernel[n * units + state.map], product: value * kernel[n * units + state.map] }));
  const sum = terms.reduce((all, term) => all + term.product, 0);
  terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const rest = terms.slice(TERMS);
  const others = rest.reduce((all, term) => all + term.product, 0);
  const whats = ["value", "weight", "product"];
  const largest = whats.map((what) => Math.max(...terms.slice(0, TERMS).map((term) => Math.abs(term[what]) || 0)));
  const shown = (value, column) => el("td", {}, Number.isFinite(value) ? minus(value.toFixed(decimals(largest[column]) + 1)) : "NaN");
  const rows = terms.slice(0, TERMS).map((term) => el("tr", {}, el("th", { scope: "row" }, String(term.n)), ...whats.map((what, column) => shown(term[what], column))));
  if (rest.length) rows.push(el("tr", {}, el("th", { scope: "row" }, `${count(rest.length)} others`), el("td"), el("td"), shown(others, 2)));
  const head = el("tr", {}, ...["input", "value", "weight", "product"].map((name) => el("th", { scope: "col" }, name)));
  return [scrolling("Largest products", el("table", { class: "terms" }, el("thead", {}, head), el("tbody", {}, ...rows))), total(entry, sum, bias, terms.length)];
}

// The pixel's receptive field, drawn on the picture of an input; without a field all of it.
function seen([height, width], given, row, column) {
  const field = given || [[height, width], [0, 0], [0, 0]];
  const box = [row, column].map((at, axis) => field[2][axis] + at * field[1][axis]);
  // Behind layers that enlarge, fields begin and end between pixels: a pixel's copies see the whole of it.
  const whole = (at) => Math.floor(at + 1e-6);
  const ends = box.map((at, axis) => Math.min(whole(at + field[0][axis]), [height, width][axis]));
  const begins = box.map((at) => Math.max(whole(at), 0));
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "seen", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("path", { class: "shade", "fill-rule": "evenodd", d: `M0 0H${width}V${height}H0ZM${begins[1]} ${begins[0]}V${ends[0]}H${ends[1]}V${begins[0]}Z` }),
    svg("rect", { x: begins[1], y: begins[0], width: Math.max(ends[1] - begins[1], 0), height: Math.max(ends[0] - begins[0], 0), "vector-effect": "non-scaling-stroke" }));
}

// Show the pixel that the user chose by pointer or keys.
function showInspector(view) {
  const place = document.getElementById("inspector");
  const layer = LAYERS[state.layer];
  const entry = entryOf(DATA.sums, state.layer);
  if (view.units) {
    if (entry && entry.kind === "dense") inspect();
    return;
  }
  if (layer.shape.length < 3) return;
  const [rows, columns] = layer.shape;
  state.map = Math.min(state.map, view.count - 1);
  const canvas = el("canvas", { class: "large" });
  drawMap(canvas, view, state.map);
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (part, whole, many) => Math.min(many - 1, Math.max(0, Math.floor((part / whole) * many)));
    move(at(event.clientY - box.top, box.height, rows), at(event.clientX - box.left, box.width, columns));
  };
  const keys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const stage = el("div", { class: "stage", tabindex: "0", role: "application", "aria-roledescription": "map", "aria-label": `Map ${state.map} of ${layer.name}: the arrow keys move the pixel`, "aria-describedby": "pixel",
    onpointermove: point, onpointerdown: point,
    onkeydown: (event) => {
      const step = keys[event.key];
      if (!step) return;
      event.preventDefault();
      if (state.pixel) move(Math.min(rows - 1, Math.max(0, state.pixel[0] + step[0])), Math.min(columns - 1, Math.max(0, state.pixel[1] + step[1])));
    } }, canvas, el("span", { class: "cursor" }));
  const sample = DATA.samples[state.sample];
  place.replaceChildren(el("h4", {}, "One pixel ", el("span", { class: "soft", id: "pixel", "aria-live": "polite" })),
    el("div", { class: `pair stages${Object.keys(layer.sees).length > 1 ? " many" : ""}` }, el("figure", {}, stage, el("figcaption", {}, `map ${state.map}`)),
      ...Object.keys(layer.sees).map((input) => {
        const name = ONE_INPUT ? "the input" : apart(LAYERS[input].name);
        return el("figure", {}, el("div", { class: "stage seen-of", "data-input": input }, pictureOf(sample.pictures[input], ONE_INPUT ? "The sample" : `The sample's ${name}`)), el("figcaption", {}, `what it sees of ${name}`));
      })),
    el("div", { id: "sums" }));
  inspect();
}

function move(row, column) {
  if (state.pixel && state.pixel[0] === row && state.pixel[1] === column) return;
  state.pixel = [row, column];
  inspect();
}

async function inspect() {
  const mine = ++turn;
  const layer = LAYERS[state.layer];
  const sample = DATA.samples[state.sample];
  const entry = entryOf(DATA.sums, state.layer);
  const packed = entry ? sample.values[entry.from] : undefined;
  const view = viewOf(sample, state.layer);
  if (view.units) {
    const title = el("h4", {}, `Unit ${state.map} `, el("span", { class: "soft" }, digits(view.units[state.map])));
    const parts = packed ? await denseSum(entry, packed) : [left(entry)];
    if (mine === turn) document.getElementById("inspector").replaceChildren(title, ...parts);
    return;
  }
  const [rows, columns] = layer.shape;
  const bytes = await bytesOf(view);
  if (!state.pixel) state.pixel = strongest(view, bytes, state.map);
  const [row, column] = state.pixel;
  const value = valueOf(view, levelAt(view, bytes, state.map, Math.floor(row / view.step), Math.floor(column / view.step)));
  let parts = [left(entry)];
  if (packed) {
    const values = await numbersOf(packed);
    const kernel = entry.kernel ? await numbersOf(entry.kernel) : null;
    const bias = entry.bias ? (await numbersOf(entry.bias))[state.map] : null;
    const found = windowOf(entry, values, kernel, LAYERS[entry.from].shape, state.map, row, column, layer.shape[2]);
    parts = entry.kind === "conv" ? convolutionSum(entry, found, bias, entry.size[1]) : poolingSum(entry, found[0].cells, entry.size[1]);
  }
  if (mine !== turn) return;
  document.getElementById("pixel").textContent = `row ${row}, column ${column}: about ${digits(value, 2)}`;
  const cursor = document.querySelector(".cursor");
  cursor.style.cssText = `left:${(100 * column) / columns}%;top:${(100 * row) / rows}%;width:${100 / columns}%;height:${100 / rows}%`;
  for (const place of document.querySelectorAll(".seen-of")) {
    const { input } = place.dataset;
    place.replaceChildren(place.firstChild, seen(sample.pictures[input].size, layer.sees[input], row, column));
  }
  document.getElementById("sums").replaceChildren(...parts.filter((part) => part !== null));
}

// The text that replaces missing numbers.
function left(entry) {
  return el("p", { class: "soft" }, entry ? "The numbers behind this sum were left out: the page would be too large." : "The sums are shown for the first convolutions and poolings, and the last dense layers.");
}
