"use strict";
// Charts of the benchmarks: a row for each network or layer, a mark for each framework.
(() => {
  const { peers, views } = JSON.parse(document.getElementById("results").textContent);
  const place = document.getElementById("charts");
  const SVG = "http://www.w3.org/2000/svg";
  const names = Object.keys(peers);
  const hidden = new Set();
  let view = views[0], relative = false, row = 0;

  // Shapes tell frameworks apart as colours do (those of Okabe and Ito; the last is the text's own).
  const SHAPES = [
    "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z", "M-5-5H5V5H-5z", "M0-6.5 6.5 0 0 6.5-6.5 0z", "M0-6 6 5H-6z", "M0 6-6-5H6z",
    "M-6 0 5-6V6z", "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z", "M-5-6 0-2 5-6 6-5 2 0 6 5 5 6 0 2-5 6-6 5-2 0-6-5z", "M-3-5H3L6 0 3 5H-3L-6 0z",
  ];
  const COLOURS = ["#0072b2", "#d55e00", "#e69f00", "#f0e442", "#009e73", "#999999", "#cc79a7", "currentColor", "#56b4e9"];

  function element(kind, attributes = {}, ...children) {
    const made = kind.startsWith("svg:") ? document.createElementNS(SVG, kind.slice(4)) : document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  const mark = (name, more = {}) => element("svg:path", {
    d: SHAPES[names.indexOf(name)], fill: COLOURS[names.indexOf(name)], stroke: "currentColor", "stroke-width": name === names[0] ? 1.4 : 0.7, ...more,
  });
  const number = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 5 });
  const shown = ([, values]) => names.filter((name) => name in values && !hidden.has(name));
  const value = ([, values], name) => (relative ? values[name] / values[names[0]] : values[name]);
  const unit = () => (relative ? "times cconv's" : view.unit);

  // Whole steps on a linear axis, 1, 2, 5, 10 … on a logarithmic one.
  function ticks(low, high) {
    const found = [];
    if (view.log) {
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        for (const digit of [1, 2, 5]) found.push(Number(`${digit}e${power}`));
    } else {
      const raw = high / 5, size = 10 ** Math.floor(Math.log10(raw));
      const step = [1, 2, 5, 10].find((factor) => factor * size >= raw) * size;
      for (let at = 0; at <= high; at += step) found.push(at);
    }
    return found.filter((tick) => tick >= low && tick <= high);
  }

  function draw() {
    const width = Math.max(chart.clientWidth, 280), narrow = width < 560;
    const left = narrow ? 12 : 230, right = width - 16, high = narrow ? 46 : 30, top = 6;
    const bottom = top + view.rows.length * high;
    const all = view.rows.flatMap((one) => shown(one).map((name) => value(one, name)));
    const least = view.log ? Math.min(...all, 1e9) / 1.15 : 0, most = Math.max(...all, view.log ? 0 : 100) * (view.log ? 1.15 : 1.05);
    const scale = view.log ? Math.log : (given) => given;
    const x = (given) => left + ((scale(given) - scale(least)) / (scale(most) - scale(least))) * (right - left);
    const svg = element("svg:svg", { width, height: bottom + 42, role: "img", "aria-label": `${view.name}: ${unit()}. The numbers are in the table.` });
    for (const tick of all.length ? ticks(least, most) : []) {
      svg.append(element("svg:line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom, class: tick === (relative ? 1 : view.log ? NaN : 100) ? "one" : "rule" }));
      if (!narrow || view.log ? x(tick) > left + 4 || !narrow : true)
        svg.append(element("svg:text", { x: x(tick), y: bottom + 16, "text-anchor": "middle" }, number(tick)));
    }
    svg.append(element("svg:text", { x: (left + right) / 2, y: bottom + 36, "text-anchor": "middle" }, unit()));
    view.rows.forEach((one, index) => {
      const middle = top + index * high + (narrow ? 31 : high / 2);
      const group = element("svg:g", { class: index === row ? "row chosen" : "row" });
      group.append(element("svg:rect", { x: 0, y: top + index * high, width, height: high }));
      group.append(element("svg:text", narrow ? { x: left, y: middle - 15 } : { x: left - 14, y: middle + 4, "text-anchor": "end" }, one[0]));
      group.append(element("svg:line", { x1: left, x2: right, y1: middle, y2: middle, class: "rule" }));
      // Ours comes last, in front of the others.
      for (const name of shown(one).reverse())
        group.append(mark(name, { transform: `translate(${x(value(one, name))} ${middle})` }));
      group.addEventListener("pointerenter", () => choose(index));
      svg.append(group);
    });
    chart.replaceChildren(svg);
    tell();
  }

  function choose(index) {
    if (index === row) return;
    row = index;
    chart.querySelectorAll(".row").forEach((group, at) => group.classList.toggle("chosen", at === row));
    tell();
  }

  function tell() {
    const one = view.rows[row];
    const sorted = shown(one).sort((a, b) => value(one, a) - value(one, b));
    said.replaceChildren(element("strong", {}, one[0]), ` (${unit()}): `,
      sorted.map((name) => `${peers[name]} ${number(value(one, name))}`).join(", ") || "nothing is shown");
  }

  function tabulate() {
    const used = names.filter((name) => view.rows.some(([, values]) => name in values));
    const head = element("tr", {}, element("td"), ...used.map((name) => element("th", { scope: "col" }, peers[name])));
    const body = view.rows.map((one) => element("tr", {}, element("th", { scope: "row" }, one[0]),
      ...used.map((name) => element("td", {}, name in one[1] ? number(value(one, name)) : "–"))));
    table.replaceChildren(element("caption", {}, `${view.name}: ${unit()}`), element("thead", {}, head), element("tbody", {}, ...body));
  }

  function legend() {
    buttons.replaceChildren(...names.filter((name) => view.rows.some(([, values]) => name in values)).map((name) => {
      const icon = element("svg:svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" }, mark(name));
      const button = element("button", { type: "button", "aria-pressed": String(!hidden.has(name)) }, icon, peers[name]);
      button.addEventListener("click", () => {
        if (!hidden.delete(name)) hidden.add(name);
        button.setAttribute("aria-pressed", String(!hidden.has(name)));
        draw();
      });
      return button;
    }));
  }

  function all() {
    legend();
    draw();
    tabulate();
  }

  const select = element("select", { id: "what" }, ...views.map((one, index) => element("option", { value: index }, one.name)));
  const times = element("input", { type: "checkbox", id: "times" });
  const chart = element("div", { class: "chart", tabindex: "0", role: "group", "aria-label": "Chart: arrow keys go from row to row" });
  const said = element("p", { "aria-live": "polite", class: "said" });
  const buttons = element("div", { class: "legend", role: "group", "aria-label": "Frameworks" });
  const table = element("table");
  select.addEventListener("change", () => { view = views[select.value]; row = 0; all(); });
  times.addEventListener("change", () => { relative = times.checked; draw(); tabulate(); });
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(Math.min(Math.max(row + step, 0), view.rows.length - 1));
  });
  place.replaceChildren(
    element("p", { class: "controls" }, element("label", { for: "what" }, "Show "), select, " ", element("label", {}, times, " as multiples of cconv's")),
    buttons, chart, said,
    element("details", {}, element("summary", {}, "The numbers"), element("div", { class: "scrolled", tabindex: "0", role: "group", "aria-label": "Table" }, table)),
  );
  all();
  new ResizeObserver(draw).observe(place);
})();
