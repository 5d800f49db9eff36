"use strict";
// The forward pass of a GPT, token by token, as in tiny_gpt/models/gpt.py:
// pre-norm, learned positions, GELU by erf, a head of its own. Values are
// float32; sums are added up in double precision and then rounded.

class Network {
  // config: num_layers, num_heads, head_dim, layer_norm_epsilon.
  // shapes: [name, shape] of each array, in the order in which they lie.
  // values: Float32Array of all arrays, one after the other.
  constructor(config, shapes, values) {
    this.config = config;
    this.width = config.num_heads * config.head_dim;
    this.weights = {};
    let start = 0;
    for (const [name, shape] of shapes) {
      const size = shape.reduce((a, b) => a * b, 1);
      this.weights[name] = values.subarray(start, start + size);
      start += size;
    }
    if (start !== values.length)
      throw new Error(`${start} weights are needed, not ${values.length}`);
  }

  // Reads one more token. `state` is {layers: [{keys, values}]}, or empty.
  // Returns its logits, the residual stream at each point, and for each
  // layer and head how much it looks at the tokens up to this one.
  read(state, token) {
    state.layers ??= Array.from(
      { length: this.config.num_layers },
      () => ({ keys: [], values: [] }),
    );
    const position = state.layers[0].keys.length;
    let x = add(
      this.row("embedding/token_table", token),
      this.row("embedding/position_table", position),
    );
    const points = [x];
    const attention = [];
    state.layers.forEach((layer, i) => {
      const block = `block_${i}`;
      const mixed = this.attend(layer, block, x);
      attention.push(mixed.looks);
      x = add(x, this.dense(`${block}/attention/out`, mixed.heads));
      points.push(x);
      const inner = this.dense(
        `${block}/inner`,
        this.norm(`${block}/feed_forward_norm`, x),
      );
      x = add(x, this.dense(`${block}/outer`, inner.map(gelu)));
      points.push(x);
    });
    const logits = this.dense("head", this.norm("final_norm", x));
    return { logits, points, attention };
  }

  attend(layer, block, x) {
    const { num_heads: numHeads, head_dim: size } = this.config;
    const y = this.norm(`${block}/attention_norm`, x);
    const query = this.dense(`${block}/attention/query`, y);
    layer.keys.push(this.dense(`${block}/attention/key`, y));
    layer.values.push(this.dense(`${block}/attention/value`, y));
    const heads = new Float32Array(this.width);
    const looks = [];
    for (let head = 0; head < numHeads; head++) {
      const first = head * size;
      const logits = Float32Array.from(layer.keys, (key) => {
        let sum = 0;
        for (let i = first; i < first + size; i++) sum += query[i] * key[i];
        return sum / Math.sqrt(size);
      });
      const weights = softmax(logits);
      for (let i = first; i < first + size; i++) {
        let sum = 0;
        for (let t = 0; t < weights.length; t++)
          sum += weights[t] * layer.values[t][i];
        heads[i] = sum;
      }
      looks.push(weights);
    }
    return { heads, looks };
  }

  row(name, index) {
    const start = index * this.width;
    return this.weights[name].subarray(start, start + this.width);
  }

  dense(name, x) {
    return affine(this.weights[`${name}/kernel`], this.weights[`${name}/bias`], x);
  }

  norm(name, x) {
    const gamma = this.weights[`${name}/gamma`];
    const beta = this.weights[`${name}/beta`];
    let mean = 0;
    for (const value of x) mean += value / x.length;
    let variance = 0;
    for (const value of x) variance += (value - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + this.config.layer_norm_epsilon);
    return x.map((value, i) => (value - mean) * scale * gamma[i] + beta[i]);
  }

  // Reads a prompt, then writes words, each time the likeliest token.
  // `state` is of tokens read before. Returns the ids, and what was read at
  // each place that predicts a word.
  answer(prompt, numWords, state = {}) {
    const ids = [];
    const places = [];
    let found;
    for (const token of prompt) found = this.read(state, token);
    while (true) {
      places.push(found);
      ids.push(argmax(found.logits));
      if (ids.length === numWords) return { ids, places };
      found = this.read(state, ids[ids.length - 1]);
    }
  }
}

// kernel: shape (inputs, outputs), row by row. Four rows at once are faster.
function affine(kernel, bias, x) {
  const n = bias.length;
  const sums = new Float64Array(bias);
  const last = x.length - (x.length % 4);
  for (let i = 0; i < last; i += 4) {
    const a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
    for (let j = 0, k = i * n; j < n; j++, k++)
      sums[j] +=
        a * kernel[k] + b * kernel[k + n] + c * kernel[k + 2 * n] + d * kernel[k + 3 * n];
  }
  for (let i = last; i < x.length; i++)
    for (let j = 0; j < n; j++) sums[j] += x[i] * kernel[i * n + j];
  return new Float32Array(sums);
}

function add(x, y) {
  return x.map((value, i) => value + y[i]);
}

function argmax(values) {
  return values.reduce((best, v, i) => (v > values[best] ? i : best), 0);
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return Float32Array.from(powers, (power) => power / sum);
}

function gelu(x) {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

// 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!; all terms have one sign.
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x); // 1 - erf(6) is below 1e-16
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

// Base 64 of little-endian float32, the order of every browser's machine.
function decodeFloats(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return new Float32Array(bytes.buffer);
}
