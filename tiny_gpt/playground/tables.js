// The tables of one answer; each takes the page.

function showAnswer(page) {
  const { chosen, network, found } = page;
  const question = page.sentences[2];
  const right = page.translate(question);
  const marked = found.said.map((word, i) => mark(word, word === right[i]));
  const heldOut = question.map((n) => n < network.held_out && chosen.mapping === "A->C");
  const rows = [
    row("sentence", question.map((n, i) => page.source[n] + (heldOut[i] ? " (held out)" : ""))),
    row("the network says", marked),
    row("right", right),
  ];
  if (network.is_scrambled && chosen.mapping === "A->C")
    rows.push(row("by way of B", composed(page, question)));
  get("answer").replaceChildren(table("✓ marks a right word, ✗ a wrong one.", [], rows));
  const numRight = found.said.filter((word, i) => word === right[i]).length;
  get("status").textContent =
    `The network says ${found.said.join(" ")}: ${numRight} of ${right.length} words are right.`;
}

function composed(page, sentence) {
  const { words } = page.network;
  const inB = page.translate(sentence, "A->B").map((word) => words.B.indexOf(word));
  return page.translate(inB, "B->C");
}

function showProbabilities(page) {
  const { found, network } = page;
  const right = page.translate(page.sentences[2]);
  const shares = found.places.map((place) => softmax(place.logits));
  const rows = [...page.target].map((word) => {
    const id = network.tokens.indexOf(word);
    return row(
      make("b", {}, word),
      shares.map((share, i) =>
        bar(share[id], word === right[i] ? " ✓" : ""),
      ),
    );
  });
  const others = shares.map((share) => {
    const ids = [...page.target].map((word) => network.tokens.indexOf(word));
    return bar(Math.max(0, 1 - ids.reduce((sum, id) => sum + share[id], 0)));
  });
  rows.push(row("others", others));
  const heads = page.sentences[2].map((n) => `for ${page.source[n]}`);
  get("probabilities").replaceChildren(
    table("In percent; ✓ marks the right word.", ["word", ...heads], rows),
  );
}

function showHeads(page) {
  const { config } = page.network;
  const names = [];
  for (let layer = 0; layer < config.num_layers; layer++)
    for (let head = 0; head < config.num_heads; head++)
      names.push([layer, head]);
  const labels = names.map(([layer, head]) => {
    const looks = page.found.places.map((place) => place.attention[layer][head]);
    const text = `Layer ${layer + 1}, head ${head + 1}`;
    return make("span", { class: "head" }, text, small(looks));
  });
  const hasFocus = document.activeElement?.name === "head";
  choices(get("heads"), "head", labels, page.chosen.head, (i) => {
    page.chosen.head = i;
    showAttention(page);
  });
  if (hasFocus) get("heads").querySelector(":checked").focus();
}

// A small picture of a head: a row for each word said, a column for each token.
function small(rows) {
  const name = "http://www.w3.org/2000/svg";
  const width = rows.at(-1).length;
  const picture = document.createElementNS(name, "svg");
  picture.setAttribute("viewBox", `0 0 ${width} ${rows.length}`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  rows.forEach((weights, y) =>
    weights.forEach((weight, x) => {
      if (weight < 0.01) return;
      const cell = document.createElementNS(name, "rect");
      for (const [key, value] of Object.entries({ x, y, width: 1, height: 1 }))
        cell.setAttribute(key, value);
      cell.setAttribute("fill-opacity", weight.toFixed(2));
      picture.append(cell);
    }),
  );
  return picture;
}

function showAttention(page) {
  const { found, chosen } = page;
  const { num_heads: numHeads } = page.network.config;
  const layer = Math.floor(chosen.head / numHeads);
  const head = chosen.head % numHeads;
  const looks = found.places.map((place) => place.attention[layer][head]);
  const tokens = [...found.words, ...found.said.slice(0, -1)];
  const parts = tokens.map((_, i) => found.parts[i] ?? "Answer");
  const rows = [];
  tokens.forEach((token, i) => {
    if (parts[i] !== parts[i - 1])
      rows.push(
        make("tr", { class: "group" }, make("th", { colspan: 1 + looks.length, scope: "rowgroup" }, parts[i])),
      );
    const cells = looks.map((weights) => (i < weights.length ? bar(weights[i]) : "–"));
    rows.push(row(make("b", {}, token), cells));
  });
  const heads = page.sentences[2].map((n) => `for ${page.source[n]}`);
  get("attention").replaceChildren(
    table(`Layer ${layer + 1}, head ${head + 1}, in percent`, ["token", ...heads], rows),
  );
}

function showInside(page) {
  const { found, network, epoch } = page;
  const { words } = network;
  const source = page.chosen.mapping[0];
  const right = page.sentences[2].map((n) =>
    source === "B" ? words.B[n] : network.mappings["A->B"][n],
  );
  const rows = network.points.map((point, i) => {
    const said = found.places.map((place) => {
      const read = affine(
        found.built.weights[`probe_${i}/kernel`],
        found.built.weights[`probe_${i}/bias`],
        place.points[i],
      );
      return words.B[argmax(read)];
    });
    const often = epoch.probe[page.chosen.mapping][i];
    const cells = said.map((word, k) => mark(word, word === right[k]));
    return row(point, [...cells, percent(often)]);
  });
  rows.unshift(row("right", [...right, ""]));
  const heads = page.sentences[2].map((n) => `for ${page.source[n]}`);
  get("inside").replaceChildren(
    table(
      "The B word that the probe reads, ✓ if it is right.",
      ["after", ...heads, "overall"],
      rows,
    ),
  );
}

function mark(word, isRight) {
  const kind = isRight ? "right" : "wrong";
  return make("span", { class: kind }, `${word} ${isRight ? "✓" : "✗"}`);
}

function bar(share, more = "") {
  const number = (100 * share).toFixed(1);
  const cell = make("td", { class: "share" }, `${number}${more}`);
  cell.style.setProperty("--share", `${number}%`);
  return cell;
}

function row(title, cells) {
  const made = cells.map((cell) => (cell.tagName === "TD" ? cell : make("td", {}, cell)));
  return make("tr", {}, make("th", { scope: "row" }, title), ...made);
}

function table(caption, heads, rows) {
  const made = make("table", {}, make("caption", {}, caption));
  if (heads.length) {
    const cells = heads.map((text) => make("th", { scope: "col" }, text));
    made.append(make("thead", {}, make("tr", {}, ...cells)));
  }
  made.append(make("tbody", {}, ...rows));
  return make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption }, made);
}
