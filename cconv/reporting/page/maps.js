// Maps: bytes from the pictures in the data, in colours; and arrays of numbers, unpacked.

const sprites = new WeakMap();
const arrays = new WeakMap();

// The bytes of a picture of maps, and how wide it is.
function bytesOf(sprite) {
  if (!sprites.has(sprite)) {
    const image = new Image();
    image.src = sprite.png;
    sprites.set(sprite, image.decode().then(() => {
      const canvas = el("canvas", { width: image.width, height: image.height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      return { width: image.width, data: context.getImageData(0, 0, image.width, image.height).data };
    }));
  }
  return sprites.get(sprite);
}

// An array of float32: first come the lowest bytes of all numbers, then the next ones.
function numbersOf(packed) {
  if (!arrays.has(packed)) {
    const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    arrays.set(packed, new Response(stream).arrayBuffer().then((buffer) => {
      const planes = new Uint8Array(buffer);
      const many = planes.length / 4;
      const whole = new Uint8Array(planes.length);
      for (let n = 0; n < many; n++) for (let b = 0; b < 4; b++) whole[4 * n + b] = planes[b * many + n];
      return new Float32Array(whole.buffer);
    }));
  }
  return arrays.get(packed);
}

// 256 colours, interpolated between the style sheet's, which differ in light and dark mode.
function colours(signed) {
  const stops = getComputedStyle(document.documentElement)
    .getPropertyValue(signed ? "--signed" : "--magnitude").trim().split(/\s+/)
    .map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, level) => {
    if (level === 0) return [230, 159, 0]; // not finite
    const place = ((level - 1) / 254) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    return stops[below].map((low, part) => low + (place - below) * (stops[below + 1][part] - low));
  });
}

// Black or white, whichever has more contrast (WCAG 2).
function inkOn(colour) {
  const parts = colour.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] > 0.179 ? "#000" : "#fff";
}

const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;

// The colour of a value on a signed scale.
function signedColour(value, reach, table) {
  if (!Number.isFinite(value)) return table[0];
  return table[Math.round(128 + 127 * Math.max(-1, Math.min(1, reach ? value / reach : 0)))];
}

// The byte of one pixel of a map.
function levelAt(sprite, bytes, index, row, column) {
  const [height, width] = sprite.size;
  const top = Math.floor(index / sprite.columns) * height;
  const left = (index % sprite.columns) * width;
  return bytes.data[4 * ((top + row) * bytes.width + left + column)];
}

// The pixel of a map that is farthest from zero.
function strongest(sprite, bytes, index) {
  const zero = sprite.signed ? 128 : 1;
  let best = [-1, 0, 0];
  for (let row = 0; row < sprite.size[0]; row++) {
    for (let column = 0; column < sprite.size[1]; column++) {
      const far = Math.abs(levelAt(sprite, bytes, index, row, column) - zero);
      if (far > best[0]) best = [far, row, column];
    }
  }
  return best.slice(1).map((at) => at * sprite.step);
}

// The value of a byte.
function valueOf(sprite, level) {
  if (level === 0) return null;
  return sprite.signed ? ((level - 128) / 127) * sprite.reach : ((level - 1) / 254) * sprite.reach;
}

// Draw a map in its own size; the style sheet enlarges it.
async function drawMap(canvas, sprite, index) {
  const bytes = await bytesOf(sprite);
  const [height, width] = sprite.size;
  const table = colours(sprite.signed);
  const image = new ImageData(width, height);
  for (let n = 0; n < height * width; n++) {
    const level = levelAt(sprite, bytes, index, Math.floor(n / width), n % width);
    image.data.set([...table[level].map(Math.round), 255], 4 * n);
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// A scale of colours between two ends.
function scale(low, high, signed, note) {
  const table = colours(signed);
  const stops = Array.from({ length: 17 }, (_, n) => css(table[1 + Math.round((n * 254) / 16)]));
  return el("div", { class: "legend" }, el("span", {}, low),
    el("span", { class: "bar", style: `background:linear-gradient(90deg,${stops.join(",")})` }), el("span", {}, high), note);
}

// The scale of maps.
function legend(sprite) {
  return scale(digits(sprite.signed ? -sprite.reach : 0, 3), digits(sprite.reach, 3), sprite.signed,
    sprite.signed ? el("span", { class: "soft" }, "blue below zero, red above") : null);
}

// A layer's view of a sample; if it is the same as the previous layer's, that one.
function viewOf(sample, number) {
  const view = sample.maps[number];
  return view.same === undefined ? view : viewOf(sample, view.same);
}
