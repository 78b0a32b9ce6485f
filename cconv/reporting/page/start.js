// Draw the page once; redraw what depends on light or dark mode when the mode changes.

showFigures();
showSamples();
showLayers();
showResults();
showLearning();
showCosts();
showSettings();
const first = LAYERS.findIndex((layer) => layer.family === "conv");
select({ sample: 0, layer: first > 0 ? first : Math.min(DATA.inputs, LAYERS.length - 1) });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  showMatrices();
  select({ sample: state.sample });
});
