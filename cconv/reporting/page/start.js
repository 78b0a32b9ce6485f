// The page, drawn once; what depends on light or dark is drawn again when that changes.

showFigures();
showSamples();
showLayers();
showResults();
showLearning();
showCosts();
showSettings();
const first = LAYERS.findIndex((layer) => layer.family === "conv");
select({ sample: 0, layer: first > 0 ? first : 1 });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  showMatrix();
  select({ sample: state.sample });
});
