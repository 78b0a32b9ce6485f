// The parts that do not change: figures at the top, confusion matrix, mistakes, costs and settings.

const MOST_WRITTEN = 20; // maximum number of classes for a matrix with numbers
const OFTEN = 12; // number of confusions that are listed for more classes

function figure([name, value, note]) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, el("strong", {}, minus(value)), el("span", {}, note)));
}

// What an output gives.
function task(output) {
  const many = output.names.length;
  if (output.image) return `an image of ${times(output.image)}`;
  return isClasses(output) ? `${count(many)} classes` : `${count(many)} number${many > 1 ? "s" : ""}`;
}

const ofOutput = (output) => (ONE_OUTPUT ? "" : ` of ${apart(output.name)}`);
const unknownOf = ({ results }) => (results.unknown ? figure(["Not finite", count(results.unknown), "answers that are no numbers"]) : null);

function showFigures() {
  const total = (what) => LAYERS.reduce((sum, layer) => sum + layer[what], 0);
  const [first] = OUTPUTS;
  const purpose = ONE_OUTPUT ? `${isClasses(first) ? "for" : "that gives"} ${task(first)}`
    : `with ${count(DATA.ends.length)} outputs, ${OUTPUTS.map((output) => `${apart(output.name)} (${task(output)})`).join(", ")}`;
  const given = LAYERS.slice(0, DATA.inputs).map((layer) => (ONE_INPUT ? times(layer.shape) : `${apart(layer.name)} ${times(layer.shape)}`));
  put("lead", `A network ${purpose}: ${given.join(", ")} in, ${count(LAYERS.length - DATA.inputs)} layers.`);
  const headlines = OUTPUTS.flatMap((output) => output.results.figures.slice(0, 1).map(([name, ...rest]) => figure([`${name}, ${apart(output.name)}`, ...rest])));
  put("figures", ...(ONE_OUTPUT ? first.results.figures.map(figure) : headlines),
    figure(["Parameters", count(total("params")), "numbers in weights and states"]),
    figure(["Multiply-adds", count(total("madds")), "for one sample"]),
    ONE_OUTPUT ? unknownOf(first) : null);
}

// The matrix as a table: rows are true classes, colours are fractions of the row.
function writtenMatrix(output, number) {
  const { names, results } = output;
  const note = `matrix-note-${number}`;
  const { pairs, truths, guesses } = results;
  const counts = new Map(pairs.map(([truth, guess, often]) => [`${truth} ${guess}`, often]));
  const at = (truth, guess) => counts.get(`${truth} ${guess}`) || 0;
  const share = (part, whole) => (whole ? String(Math.round((100 * part) / whole)) : "–");
  const head = el("tr", {}, el("th", { scope: "col" }, "true"), ...names.map((name) => el("th", { scope: "col" }, name)),
    el("th", { scope: "col", class: "sum" }, "recall, %"));
  const table = colours(false);
  const rows = names.map((name, truth) => el("tr", {}, el("th", { scope: "row" }, name),
    ...names.map((_, guess) => {
      const often = at(truth, guess);
      const part = truths[truth] ? often / truths[truth] : 0;
      const colour = table[1 + Math.round(254 * part)];
      return el("td", { style: `background:${css(colour)};color:${inkOn(colour)}` }, often ? count(often) : "");
    }), el("td", { class: "sum" }, share(at(truth, truth), truths[truth]))));
  const last = el("tr", {}, el("th", { scope: "row" }, "precision, %"),
    ...names.map((_, guess) => el("td", { class: "sum" }, share(at(guess, guess), guesses[guess]))), el("td", { class: "sum" }));
  return el("div", {}, el("p", { class: "soft", id: note }, "Confusion matrix: a row is a true class, a column an answer. Colours are shares of the row."),
    scrolling(`Confusion matrix${ofOutput(output)}`, el("table", { class: "matrix", "aria-describedby": note },
      el("thead", {}, head), el("tbody", {}, ...rows), el("tfoot", {}, last))), scale("0", "100 %", false, null));
}

// The matrix of many classes as a picture, and its largest entries off the diagonal as a table.
function drawnMatrix(output) {
  const { names, results } = output;
  const many = names.length;
  const canvas = el("canvas", { width: many, height: many, class: "heat", role: "img", "aria-label": `Confusion matrix of all classes${ofOutput(output)}` });
  const table = colours(false);
  const image = new ImageData(many, many);
  for (let n = 0; n < many * many; n++) image.data.set([...table[1].map(Math.round), 255], 4 * n);
  for (const [truth, guess, often] of results.pairs) {
    const level = 1 + Math.round((254 * often) / results.truths[truth]);
    image.data.set(table[level].map(Math.round), 4 * (truth * many + guess));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  const often = results.pairs.filter(([truth, guess]) => truth !== guess).slice(0, OFTEN);
  const rows = often.map(([truth, guess, n]) => el("tr", {}, el("th", { scope: "row" }, nameOf(output, truth)), el("td", { class: "text" }, nameOf(output, guess)), el("td", {}, count(n))));
  const head = el("tr", {}, ...["true", "answered"].map((name) => el("th", { scope: "col", class: "text" }, name)), el("th", { scope: "col" }, "times"));
  return el("div", { class: "pair" }, el("figure", {}, canvas, el("figcaption", {}, "A row is a true class, a column an answer; the diagonal is right. Colours are shares of the row."), scale("0", "100 %", false, null)),
    el("div", {}, el(ONE_OUTPUT ? "h3" : "h4", {}, "Most frequent confusions"), el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows))));
}

// The matrix, or truth and prediction of numbers.
function answersOf(output, number) {
  if (isClasses(output)) return output.names.length <= MOST_WRITTEN ? writtenMatrix(output, number) : drawnMatrix(output);
  const known = output.results.points.filter((points) => points.length);
  return el("div", { class: "charts" }, ...known.map((points, n) => scatter(output.names[n], points, output.image ? "pixels" : "samples")));
}

// Drawn again for light and dark mode.
function showMatrices() {
  document.querySelectorAll(".answers").forEach((place, n) => place.replaceChildren(answersOf(OUTPUTS[n], n)));
}

function mistakesOf(output) {
  const shown = output.mistakes.map((mistake) => {
    const followed = DATA.samples.findIndex((sample) => sample.number === mistake.number);
    const given = DATA.pictures[mistake.number].map((picture, n) => [picture, ONE_INPUT ? "input" : LAYERS[n].name]);
    const pictures = [...given, ...(mistake.pictures || []).map((picture, n) => [picture, ["truth", "answer"][n]])];
    const inside = el("span", { class: pictures.length > 1 ? "card high" : "card" }, el("span", { class: "pictures" },
      ...pictures.map(([picture, name]) => el("span", {}, pictureOf(picture), pictures.length > 1 ? el("span", { class: "soft" }, name) : null))), el("span", {}, verdict(output, mistake)));
    const known = followed >= 0 ? el("button", { type: "button", onclick: () => { select({ sample: followed }); document.getElementById("network").scrollIntoView(); } }, inside) : inside;
    return el("li", {}, known);
  });
  return el("div", { class: "mistakes" }, el(ONE_OUTPUT ? "h3" : "h4", {}, isClasses(output) ? "Surest mistakes" : "Largest errors"),
    shown.length ? el("ul", { class: "gallery", style: `--wide:${62 * (DATA.inputs + (output.image ? 2 : 0))}px` }, ...shown) : el("p", { class: "soft" }, "None: every answer is right."));
}

function showResults() {
  if (!OUTPUTS.some(isClasses)) document.getElementById("results-title").textContent = "Truth and prediction";
  put("outputs", ...OUTPUTS.map((output, n) => el("div", { class: "output" },
    ...(ONE_OUTPUT ? [] : [el("h3", { id: `output-${n}` }, output.name, " ", el("span", { class: "soft" }, task(output))),
      el("dl", { class: "figures" }, ...output.results.figures.map(figure), unknownOf(output))]),
    el("div", { class: "answers" }), mistakesOf(output))));
  showMatrices();
  if (OUTPUTS.length < 2) return;
  document.getElementById("each").hidden = false;
  put("each", ...OUTPUTS.map((output, n) => el("a", { href: `#output-${n}` }, output.name)));
}

function showCosts() {
  const most = Math.max(...LAYERS.map((layer) => layer.ms || 0), 1e-9);
  const all = LAYERS.reduce((sum, layer) => sum + (layer.ms || 0), 0);
  const rows = LAYERS.slice(DATA.inputs).map((layer) => el("tr", {}, el("th", { scope: "row" }, layer.name, el("span", { class: "soft" }, layer.type)),
    el("td", { class: "wide" }, times(layer.shape)), el("td", {}, count(layer.params)), el("td", {}, count(layer.madds)),
    el("td", { class: "wide" }, ...(ONE_INPUT ? [layer.sees[0] ? times(layer.sees[0][0].map(Math.round)) : "all"] : sees(layer).map((text) => el("div", {}, text)))),
    el("td", { class: "text wide" }, layer.algorithm || ""),
    layer.within === undefined
      ? el("td", { class: "time", style: `--share:${((100 * layer.ms) / most).toFixed(1)}%` }, layer.ms.toFixed(3))
      : el("td", { class: "time soft" }, `in ${LAYERS[layer.within].name}`)));
  const heads = [["Layer", "text"], ["Output", "wide"], ["Parameters", ""], ["Multiply-adds", ""], ["Sees", "wide"], ["Algorithm", "text wide"], ["ms", ""]];
  const sums = el("tr", {}, el("th", { scope: "row" }, "In all"), el("td", { class: "wide" }), el("td", {}, count(LAYERS.reduce((n, l) => n + l.params, 0))),
    el("td", {}, count(LAYERS.reduce((n, l) => n + l.madds, 0))), el("td", { class: "wide" }), el("td", { class: "wide" }), el("td", {}, all.toFixed(3)));
  put("table", scrolling("Costs of the layers", el("table", { class: "costs" },
    el("caption", {}, `For one sample; times are those of a batch of ${DATA.batch}, by sample, on the machine below. “Sees” is in pixels of the input${ONE_INPUT ? "" : "s"}.`),
    el("thead", {}, el("tr", {}, ...heads.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))),
    el("tbody", {}, ...rows), el("tfoot", {}, sums))));
}

function copying(text) {
  const button = el("button", { type: "button", class: "copy", onclick: async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } }, "Copy");
  return button;
}

function showSettings() {
  put("settings", ...DATA.settings.map(([title, lines]) => {
    if (title === "Configuration") return el("details", { class: "whole" }, el("summary", {}, title), scrolling(title, el("pre", {}, lines[0][1])));
    if (title === "Command") return el("div", { class: "whole" }, el("h3", {}, title), el("div", { class: "command" }, el("code", {}, lines[0][1]), copying(lines[0][1])));
    return el("div", {}, el("h3", {}, title), el("dl", {}, ...lines.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
  }));
  put("left", DATA.left.length ? el("div", {}, el("h2", {}, "What this page leaves out"), el("p", {}, "It holds at most 3 MB."), el("ul", {}, ...DATA.left.map((line) => el("li", {}, line)))) : null,
    el("p", { class: "soft" }, `Written by cconv ${DATA.version}.`));
}
