// Charts: learning curves, points of truth and prediction.

// About `about` round numbers from low to high.
function ticks(low, high, about = 5) {
  const rough = (high - low || Math.abs(high) || 1) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + step / 1e6; n++) found.push(+(n * step).toPrecision(6));
  return found;
}

const FRAME = { width: 520, height: 260, left: 52, right: 76, top: 24, bottom: 38 };

// An empty chart, and the functions from numbers to positions in it.
function frame(title, across, up, xTitle, yTitle) {
  const { width, height, left, right, top, bottom } = FRAME;
  const x = (n) => left + ((n - across[0]) / (across[1] - across[0] || 1)) * (width - left - right);
  const y = (n) => height - bottom - ((n - up[0]) / (up[1] - up[0] || 1)) * (height - top - bottom);
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: "chart" });
  for (const n of ticks(...up)) {
    chart.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(n), y2: y(n) }),
      svg("text", { x: left - 8, y: y(n) + 4, "text-anchor": "end" }, minus(String(n))));
  }
  for (const n of ticks(...across, 6)) {
    if (xTitle !== "epoch" || Number.isInteger(n)) {
      chart.append(svg("text", { x: x(n), y: height - bottom + 18, "text-anchor": "middle" }, minus(String(n))));
    }
  }
  chart.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xTitle));
  if (yTitle) chart.append(svg("text", { x: 4, y: 10 }, yTitle));
  return { chart, x, y };
}

// A chart of one quantity, for training and validation: values, and the epochs that they are of.
function curve(name, lines) {
  const all = Object.values(lines).flatMap((line) => line.values).filter((n) => n !== null);
  const long = Math.max(...Object.values(lines).map((line) => line.epochs.at(-1) ?? 0));
  const up = [Math.min(...all), Math.max(...all)];
  const spread = up[1] - up[0] || Math.abs(up[1]) || 1;
  const { chart, x, y } = frame(`${name} by epoch`, [1, Math.max(long, 2)], [up[0] - 0.05 * spread, up[1] + 0.05 * spread], "epoch", "");
  const labels = [];
  for (const [which, line] of Object.entries(lines)) {
    const points = line.values.map((n, at) => (n === null ? null : [x(line.epochs[at]), y(n)]));
    let path = "";
    points.forEach((p, at) => { if (p) path += `${points[at - 1] ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`; });
    const last = points.filter(Boolean).at(-1);
    if (!last) continue;
    chart.append(svg("path", { d: path, class: `line ${which}` }), svg("circle", { cx: last[0], cy: last[1], r: 3, class: which }));
    labels.push({ which, at: last });
  }
  // Labels at the ends of the lines, without overlaps.
  labels.sort((a, b) => a.at[1] - b.at[1]);
  labels.forEach((label, n) => {
    const before = n ? labels[n - 1].y + 14 : -Infinity;
    label.y = Math.max(label.at[1] + 4, before);
    chart.append(svg("text", { x: label.at[0] + 8, y: label.y, class: `label ${label.which}` }, label.which));
  });
  const rows = Array.from({ length: long }, (_, at) => el("tr", {}, el("th", { scope: "row" }, String(at + 1)),
    ...Object.values(lines).map((line) => el("td", {}, line.epochs.includes(at + 1) ? digits(line.values[line.epochs.indexOf(at + 1)]) : ""))));
  const head = el("tr", {}, el("th", { scope: "col" }, "epoch"), ...Object.keys(lines).map((which) => el("th", { scope: "col" }, which)));
  return el("figure", {}, el("figcaption", {}, name), chart,
    el("details", {}, el("summary", {}, "Numbers"), scrolling(`${name} by epoch`, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)))));
}

// A scrollable region for wide or long content, which the keyboard can reach too.
function scrolling(label, ...children) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);
}

function showLearning() {
  const names = Object.keys(DATA.history);
  const charts = names.filter((name) => !(name.startsWith("val_") && names.includes(name.slice(4)))).map((name) => {
    const line = (of) => ({ values: DATA.history[of], epochs: DATA.epochs[of] });
    const lines = { training: line(name) };
    if (names.includes(`val_${name}`)) lines.validation = line(`val_${name}`);
    return Object.values(lines).some((each) => each.values.some((n) => n !== null)) ? curve(name, lines) : null;
  });
  const drawn = charts.filter((chart) => chart !== null);
  put("curves", ...(drawn.length ? drawn : [el("p", { class: "soft" }, "No figures of epochs were given: report(…, history=model.fit(…)).")]));
}

// Truth on the horizontal axis, prediction on the vertical one; they are equal on the line.
function scatter(name, points, what) {
  const all = points.flat().filter((n) => n !== null);
  const ends = [Math.min(...all), Math.max(...all)];
  const { chart, x, y } = frame(`${name}: truth and prediction of ${count(points.length)} ${what}`, ends, ends, "truth", "prediction");
  chart.append(svg("line", { class: "same", x1: x(ends[0]), y1: y(ends[0]), x2: x(ends[1]), y2: y(ends[1]) }));
  for (const [truth, answer] of points) {
    chart.append(svg("circle", { cx: x(truth).toFixed(1), cy: y(answer).toFixed(1), r: 3, class: "point" }));
  }
  return el("figure", {}, el("figcaption", {}, name), chart);
}
