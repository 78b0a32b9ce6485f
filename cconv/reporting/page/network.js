// The network: samples to choose from, the graph as a list of layers, and the maps of the chosen one.

const state = { sample: 0, input: 0, layer: 1, map: null, pixel: null, channel: null };
const ROW = 60; // height of a layer in the list, in pixels; as in the style sheet
const LANE = 12;
const THUMBS = 3;
const BARS = 64; // maximum number of units that are drawn as bars
const LINES = 3; // maximum number of outputs that are named below a sample

function pressed(selector, chosen) {
  document.querySelectorAll(selector).forEach((button, n) => button.setAttribute("aria-pressed", String(n === chosen)));
}

// The samples, and the inputs whose pictures they can be.
function showSamples() {
  put("samples", ...DATA.samples.map((sample, n) => el("button", {
    type: "button", "aria-pressed": "false", class: OUTPUTS.some((output, o) => isWrong(output, sample.answers[o])) ? "wrong" : null,
    onclick: () => select({ sample: n }),
  }, pictureOf(sample.pictures[0]), el("span", { class: "hidden" }, `Sample ${count(sample.number)}: ${OUTPUTS.map((output, o) => named(output, sample.answers[o])).join("; ")}`), ...OUTPUTS.slice(0, LINES).map((output, o) => {
    const answer = sample.answers[o];
    return el("span", { class: isWrong(output, answer) ? "wrong" : null, "aria-hidden": "true" }, word(output, answer));
  }))));
  if (ONE_INPUT) return;
  document.getElementById("inputs").hidden = false;
  put("inputs", ...LAYERS.slice(0, DATA.inputs).map((layer, n) => el("button", { type: "button", "aria-pressed": "false", onclick: () => select({ input: n }) },
    layer.name, " ", el("span", { class: "soft" }, times(layer.shape)))));
}

// What is known of the chosen sample: a line for each output.
function said(sample) {
  const lines = OUTPUTS.map((output, n) => {
    const answer = sample.answers[n];
    return [titled(output) ? el("b", {}, output.name) : "", ` ${verdict(output, answer)}.`, isWrong(output, answer) ? el("strong", {}, " Wrong.") : ""];
  });
  return ONE_OUTPUT ? [`Sample ${count(sample.number)}`, ...lines[0]] : [`Sample ${count(sample.number)}`, ...lines.map((line) => el("span", {}, ...line))];
}

// Lines between layers that are not neighbours, each in a lane that is free over its whole length.
function lanes() {
  const lines = LAYERS.flatMap((layer, to) => layer.inputs.filter((from) => from !== to - 1).map((from) => ({ from, to })));
  lines.sort((a, b) => a.to - a.from - (b.to - b.from) || a.from - b.from);
  const taken = [];
  for (const line of lines) {
    line.lane = taken.findIndex((others) => others.every((other) => other.to <= line.from || line.to <= other.from));
    if (line.lane < 0) line.lane = taken.push([]) - 1;
    taken[line.lane].push(line);
  }
  return { lines, many: taken.length };
}

function rail() {
  const { lines, many } = lanes();
  const width = 16 + LANE * (many + 1);
  const x = width - 14;
  const middle = (n) => n * ROW + ROW / 2;
  const drawing = svg("svg", { class: "rail", width, height: ROW * LAYERS.length, "aria-hidden": "true" });
  LAYERS.forEach((layer, n) => {
    if (layer.inputs.includes(n - 1)) drawing.append(svg("path", { d: `M${x} ${middle(n - 1)}V${middle(n)}` }));
  });
  for (const { from, to, lane } of lines) {
    const side = x - LANE * (lane + 1);
    const [top, bottom] = [middle(from), middle(to)];
    drawing.append(svg("path", { d: `M${x} ${top}C${side} ${top + 4} ${side} ${top + 12} ${side} ${top + 26}V${bottom - 26}C${side} ${bottom - 12} ${side} ${bottom - 4} ${x} ${bottom}` }));
  }
  LAYERS.forEach((layer, n) => {
    drawing.append(svg("circle", { cx: x, cy: middle(n), r: layer.params ? 5 : 4, class: layer.params ? "weights" : "" }));
  });
  return { drawing, width };
}

// What a layer is, and the outputs that it gives if the network has several.
function about(layer, number) {
  const ends = ONE_OUTPUT ? [] : DATA.ends.filter(([value]) => value === number).map(([, name]) => (name === layer.name ? "output" : `output ${apart(name)}`));
  return [...ends, layer.type, layer.text].filter(Boolean).join(" · ");
}

function showLayers() {
  const { drawing, width } = rail();
  const rows = LAYERS.map((layer, n) => {
    const others = layer.inputs.filter((from) => from !== n - 1).map((from) => LAYERS[from].name);
    return el("li", {}, el("button", { type: "button", "aria-pressed": "false", onclick: () => select({ layer: n }) },
      el("span", { class: "what" }, el("b", {}, el("span", {}, layer.name), el("span", { class: "shape" }, times(layer.shape))), el("span", {}, about(layer, n))),
      others.length ? el("span", { class: "hidden" }, `takes ${layer.inputs.map((from) => LAYERS[from].name).join(", ")}`) : null,
      el("canvas", { class: "thumbs", width: THUMBS * 34 - 4, height: 30, "aria-hidden": "true" })));
  });
  put("layers", el("div", { class: "graph", style: `--rail:${width}px` }, drawing, el("ol", {}, ...rows)));
}

// A few maps of a layer, or its units as bars, beside it in the list.
async function drawThumbs(canvas, view) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (view.units) {
    const values = view.units.slice(0, BARS);
    const reach = Math.max(...values.map((value) => Math.abs(value || 0)), 1e-30);
    const table = colours(true);
    const low = values.some((value) => value < 0) ? canvas.height / 2 : canvas.height;
    const wide = canvas.width / values.length;
    const plain = css(colours(false)[170]);
    values.forEach((value, n) => {
      context.fillStyle = low < canvas.height ? css(table[value < 0 ? 20 : 236]) : plain;
      const high = ((value || 0) / reach) * low;
      context.fillRect(n * wide, low - Math.max(high, 0), Math.max(wide - 1, 1), Math.max(Math.abs(high), 1));
    });
    return;
  }
  context.imageSmoothingEnabled = false;
  const [height, width] = view.size;
  const scale = Math.min(30 / height, 30 / width);
  for (let n = 0; n < Math.min(THUMBS, view.count); n++) {
    const one = el("canvas");
    await drawMap(one, view, n);
    context.drawImage(one, n * 34 + (30 - scale * width) / 2, (30 - scale * height) / 2, scale * width, scale * height);
  }
}

function drawAllThumbs() {
  const sample = DATA.samples[state.sample];
  document.querySelectorAll("#layers canvas").forEach((canvas, n) => drawThumbs(canvas, viewOf(sample, n)));
}

function facts(layer) {
  const lines = [
    ["Output", times(layer.shape)], ["Parameters", layer.again ? "shared, counted above" : count(layer.params)], ["Multiply-adds", count(layer.madds)],
    ["Sees", sees(layer).join(", ")],
    ["Time", layer.ms === undefined ? (layer.within === undefined ? "–" : `in that of ${LAYERS[layer.within].name}`) : `${layer.ms.toFixed(3)} ms`],
  ];
  return el("dl", { class: "facts" }, ...lines.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function mapsOf(view) {
  const shown = Array.from({ length: view.count }, (_, n) => {
    const canvas = el("canvas", { "aria-hidden": "true" });
    drawMap(canvas, view, n);
    return el("button", { type: "button", "aria-label": `Map ${n}`, "aria-pressed": String(n === state.map), onclick: () => select({ map: n }) }, canvas);
  });
  const note = view.count < view.of ? `the first ${view.count} of ${view.of}` : view.of === 1 ? "the only one" : `all ${view.of}`;
  return el("div", {}, el("h4", {}, "Feature maps ", el("span", { class: "soft" }, note)),
    el("div", { class: "maps", role: "group", "aria-label": "Feature maps" }, ...shown), legend(view));
}

// A layer without maps: a bar for each unit, with the names of classes in the output layer.
function unitsOf(view, number) {
  const output = OUTPUTS.find((each) => isClasses(each) && each.value === number && each.names.length === view.of);
  const reach = Math.max(...view.units.map((value) => Math.abs(value || 0)), 1e-30);
  const signed = view.units.some((value) => value < 0);
  const explained = entryOf(DATA.sums, number)?.kind === "dense";
  const bars = view.units.map((value, n) => el("button", {
    type: "button", class: value < 0 ? "bar below" : "bar", style: `--high:${((100 * Math.abs(value || 0)) / reach).toFixed(1)}%`,
    "aria-label": `${output ? output.names[n] : `Unit ${n}`}: ${digits(value)}`, title: `${output ? output.names[n] : `unit ${n}`}: ${digits(value)}`,
    "aria-pressed": String(n === state.map), disabled: explained ? null : "", onclick: () => select({ map: n }),
  }, output && view.units.length <= 20 ? el("span", {}, output.names[n]) : null));
  const note = view.units.length < view.of ? `the first ${view.units.length} of ${view.of}` : `all ${view.of}`;
  return el("div", {}, el("h4", {}, "Units ", el("span", { class: "soft" }, `${note}; the highest bar is ${digits(reach, 3)}`)),
    el("div", { class: `units${signed ? " signed" : ""}${view.units.length > BARS ? " many" : ""}`, role: "group", "aria-label": "Units" }, ...bars));
}

function kernelsOf(number) {
  const kernel = DATA.kernels[DATA.kernels[number]?.like ?? number];
  if (!kernel) return null;
  const [channels, filters] = kernel.shown;
  const rows = Array.from({ length: Math.min(channels, 4) }, (_, channel) => el("div", { class: "kernels" },
    ...Array.from({ length: filters }, (_, filter) => {
      const canvas = el("canvas", { role: "img", "aria-label": `Filter ${filter}, channel ${channel}` });
      drawMap(canvas, kernel, channel * filters + filter);
      return canvas;
    })));
  const [all, every] = kernel.all;
  const parts = [`${filters < every ? `the first ${filters} of ${every}` : every === 1 ? "the only" : `all ${every}`} filter${every === 1 ? "" : "s"}`, `${channels < all ? `the first ${channels} of ${all}` : all === 1 ? "the only" : `all ${all}`} channel${all === 1 ? "" : "s, a row each"}`];
  return el("div", {}, el("h4", {}, "Kernels ", el("span", { class: "soft" }, parts.join(", "))), ...rows, legend(kernel));
}

function showLayer() {
  const layer = LAYERS[state.layer];
  const view = viewOf(DATA.samples[state.sample], state.layer);
  if (state.map === null) state.map = view.best;
  put("layer", el("h3", {}, layer.name, " ", el("span", { class: "soft" }, about(layer, state.layer))),
    facts(layer), view.units ? unitsOf(view, state.layer) : mapsOf(view), el("div", { id: "inspector" }), kernelsOf(state.layer));
  showInspector(view);
}

// Apply a choice, and redraw what depends on it.
function select(choice) {
  const again = choice.layer !== undefined && choice.layer !== state.layer;
  Object.assign(state, again ? { map: null, pixel: null, channel: null } : {}, choice);
  if (choice.map !== undefined) state.channel = null;
  const sample = DATA.samples[state.sample];
  pressed("#samples button", state.sample);
  pressed("#inputs button", state.input);
  pressed("#layers button", state.layer);
  put("sample", ...said(sample));
  if (choice.input !== undefined) {
    document.querySelectorAll("#samples img").forEach((image, n) => image.replaceWith(pictureOf(DATA.samples[n].pictures[state.input])));
    return;
  }
  if (choice.sample !== undefined) drawAllThumbs();
  const focused = document.activeElement && document.activeElement.getAttribute("aria-label");
  showLayer();
  if (focused) { // the focused element was replaced
    const same = [...document.querySelectorAll("#layer [aria-label]")].find((node) => node.getAttribute("aria-label") === focused);
    if (same) same.focus({ preventScroll: true });
  }
}
