// What is seen: the controls, and tables drawn again after each change.

const FIELDS = ["example-1", "example-2", "question"];

class Page {
  constructor(networks) {
    this.networks = networks;
    this.chosen = { network: 0, mapping: "A->C", head: 0 };
    // Words by number: held-out ones are the first, and are asked for.
    const { sentence_length: length, words } = networks[0];
    const all = [...words.A].map((_, number) => number);
    this.sentences = [all.slice(-length), all.slice(-length).reverse(), all.slice(0, length)];
    this.field = "question";
    this.kept = new Map(); // networks that were built
    choices(get("networks"), "network", networks.map((n) => n.title), 0, (i) => {
      this.chosen.network = i;
      this.chosen.epoch = this.network.epochs.length - 1;
      this.offer();
    });
    get("epoch").addEventListener("input", (event) => {
      this.chosen.epoch = Number(event.target.value);
      this.draw();
    });
    get("draw").addEventListener("click", () => {
      this.sentences = FIELDS.map(() => this.drawSentence());
      this.write();
    });
    for (const id of FIELDS) {
      get(id).addEventListener("focus", () => (this.field = id));
      get(id).addEventListener("input", () => this.draw());
    }
    this.chosen.epoch = this.network.epochs.length - 1;
    this.offer();
  }

  get network() {
    return this.networks[this.chosen.network];
  }

  get epoch() {
    return this.network.epochs[this.chosen.epoch];
  }

  // Takes the weights of an epoch; they come after the page, one by one.
  add(network, epoch, text) {
    this.networks[network].epochs[epoch].text = text;
    const isShown = this.chosen.network === network && this.chosen.epoch === epoch;
    if (isShown) this.draw();
  }

  // Returns a network at an epoch; undefined if its weights are not here yet.
  build(network, epoch) {
    const { config, shapes, epochs } = this.networks[network];
    const { text } = epochs[epoch];
    const key = `${network} ${epoch}`;
    if (text && !this.kept.has(key))
      this.kept.set(key, new Network(config, shapes, decodeFloats(text)));
    return this.kept.get(key);
  }

  // Offers what the chosen network can be asked.
  offer() {
    const { network } = this;
    const labels = Object.keys(network.mappings);
    if (!labels.includes(this.chosen.mapping)) this.chosen.mapping = "A->C";
    get("says").textContent = network.says;
    const slider = get("epoch");
    slider.max = network.epochs.length - 1;
    slider.value = this.chosen.epoch;
    choices(
      get("mappings"),
      "mapping",
      labels.map(arrows),
      labels.indexOf(this.chosen.mapping),
      (i) => {
        this.chosen.mapping = labels[i];
        this.write();
      },
    );
    this.write();
  }

  get source() {
    return this.network.words[this.chosen.mapping.split("->")[0]];
  }

  get target() {
    return this.network.words[this.chosen.mapping.split("->").at(-1)];
  }

  // Writes the sentences into their fields, and offers the words.
  write() {
    const { source } = this;
    FIELDS.forEach((id, i) => {
      get(id).value = this.sentences[i].map((n) => source[n]).join(" ");
    });
    const name = this.chosen.mapping[0];
    get("words-label").textContent = `Words of ${name}, for the field used last`;
    get("words").replaceChildren(
      ...[...source].map((word) => {
        const button = make("button", { type: "button" }, word);
        button.addEventListener("click", () => this.type(word));
        return button;
      }),
    );
    this.draw();
  }

  // Adds a word to a field; a full field begins anew.
  type(word) {
    const field = get(this.field);
    const words = split(field.value);
    const isFull = words.length >= this.network.sentence_length;
    field.value = [...(isFull ? [] : words), word].join(" ");
    this.draw();
  }

  // Reads the fields; returns what is wrong with them, or nothing.
  read() {
    const { source } = this;
    const length = this.network.sentence_length;
    let error = "";
    FIELDS.forEach((id, i) => {
      const words = split(get(id).value);
      const isLeftOut = words.length === 0 && id !== "question";
      const isSentence =
        words.length === length &&
        new Set(words).size === length &&
        words.every((word) => source.includes(word));
      get(id).setAttribute("aria-invalid", String(!isSentence && !isLeftOut));
      if (isSentence || isLeftOut)
        this.sentences[i] = words.map((word) => source.indexOf(word));
      else
        error ||=
          `A sentence of ${this.chosen.mapping[0]} has ${length} different words of: ` +
          [...source].join(" ");
    });
    get("error").textContent = error;
    return error;
  }

  translate(sentence, label = this.chosen.mapping) {
    return sentence.map((n) => this.network.mappings[label][n]);
  }

  // Returns the prompt as words, and the part that each belongs to.
  prompt() {
    const { source } = this;
    const [first, second, question] = this.sentences;
    const words = [];
    const parts = [];
    const push = (part, ...more) => {
      words.push(...more);
      parts.push(...more.map(() => part));
    };
    [first, second].forEach((sentence, i) => {
      if (!sentence.length) return;
      const right = this.translate(sentence);
      const said = sentence.map((n) => source[n]);
      push(`Example ${i + 1}`, ...said, ".", ...right, "|");
    });
    push("Sentence to translate", ...question.map((n) => source[n]), ".");
    return { words, parts };
  }

  drawSentence() {
    const left = [...this.source].map((_, number) => number);
    return Array.from(
      { length: this.network.sentence_length },
      () => left.splice(Math.floor(Math.random() * left.length), 1)[0],
    );
  }

  draw() {
    const { epoch, network } = this;
    get("epoch-text").textContent = epochs(epoch.epoch);
    get("epoch").setAttribute("aria-valuetext", epochs(epoch.epoch));
    get("accuracy").textContent = accuracies(epoch.accuracy, network.num_sentences);
    if (this.read()) return;
    [0, 1].forEach((i) => {
      const right = this.translate(this.sentences[i]).join(" ");
      get(`right-${i + 1}`).textContent = right && `. ${right} |`;
    });
    const built = this.build(this.chosen.network, this.chosen.epoch);
    if (!built) {
      get("status").textContent = "The weights of this epoch are still loading.";
      return;
    }
    const { words, parts } = this.prompt();
    const ids = words.map((word) => network.tokens.indexOf(word));
    const found = built.answer(ids, network.sentence_length);
    const said = found.ids.map((id) => network.tokens[id]);
    this.found = { ...found, said, words, parts, built };
    showAnswer(this);
    showProbabilities(this);
    showHeads(this);
    showAttention(this);
    showInside(this);
    this.firstAnswer ??= performance.now();
  }
}

function get(id) {
  return document.getElementById(id);
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Fills a fieldset with radio buttons; its legend stays.
function choices(fieldset, name, labels, checked, onChoice) {
  for (const old of fieldset.querySelectorAll(".choice")) old.remove();
  labels.forEach((label, i) => {
    const radio = make("input", { type: "radio", name });
    radio.checked = i === checked;
    radio.addEventListener("change", () => onChoice(i));
    fieldset.append(make("label", { class: "choice" }, radio, label));
  });
}

function split(text) {
  return [...text.replace(/\s/g, "")];
}

function arrows(label) {
  return label.replace("->", " → ");
}

function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function epochs(number) {
  return number === 1 ? "1 epoch" : `${number} epochs`;
}

function accuracies(byMapping, numSentences) {
  const parts = Object.entries(byMapping).map(
    ([label, tiers]) => `${arrows(label)} ${percent(tiers.all_sentences)}`,
  );
  const held = byMapping["A->C"].held_out_words;
  const more = held === undefined ? "" : `; held-out words of A → C ${percent(held)}`;
  return `Words right over all ${numSentences} sentences: ${parts.join(", ")}${more}.`;
}
