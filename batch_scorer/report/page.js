// The review browser and the colour scheme button. Strings from the data become text nodes and attributes, never markup.
"use strict";
(() => {
  const INVISIBLE = /([\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}])/u;
  const BREAKS = /<br\s*\/?>|\r\n|[\r\x0b\x0c\x85\u2028\u2029]/gi;
  const STEPS = [0.25, 0.4, 0.6]; // shares of the strongest word at which a mark gets a stronger shade
  const PAGE = 25; // reviews listed at a time
  const MINUS = "\u2212";
  const MODES = { contribution: "Contribution", attention: "Attention" };

  const $ = (id) => document.getElementById(id);

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // Text as nodes, with each invisible character spelled out as its code point, such as U+202E.
  function textNodes(text) {
    const name = (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    const parts = String(text).split(INVISIBLE).map((part, at) => (at % 2 ? make("span", { class: "control" }, name(part)) : part));
    return parts.filter((part) => part !== "");
  }

  const bdi = (text, attributes) => make("bdi", attributes, ...textNodes(text));
  const sign = (n) => (n < 0 ? MINUS : n > 0 ? "+" : "");
  const thousandths = (n) => sign(n) + (Math.abs(n) / 1000).toFixed(3);
  const percent = (share) => (share * 100).toFixed(1) + "%";
  const number = (n) => n.toLocaleString("en");
  const reviews = (n) => `${number(n)} ${n === 1 ? "review" : "reviews"}`;
  const chance = (p) => (p > 0.9995 ? ">0.999" : p < 0.0005 ? "<0.001" : p.toFixed(3));
  // How a probability moves: three decimals, or as many more as a small move needs to be seen.
  const moved = (change) => {
    if (change === "") return "no word left";
    const size = Math.abs(change) / 100000;
    return sign(change) + size.toFixed(size >= 0.0095 || size === 0 ? 3 : size >= 0.00095 ? 4 : 5);
  };
  const side = (label) => (label === "positive" ? "pos" : "neg");

  function colourScheme() {
    const root = document.documentElement;
    const button = $("scheme");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : dark.matches);
    const name = () => { button.textContent = isDark() ? "Light colours" : "Dark colours"; };
    button.addEventListener("click", () => { root.dataset.scheme = isDark() ? "light" : "dark"; name(); });
    dark.addEventListener("change", name);
    name();
    button.hidden = false;
  }

  // Paper has no clicks: what is collapsed is opened for printing, and collapsed again.
  function printing() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")];
      opened.forEach((details) => { details.open = true; });
    });
    addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
  }

  // A command can be selected by a click, and copied by a button; a page from a disk may not use the clipboard itself.
  function copying(command) {
    const button = make("button", { type: "button", class: "quiet" }, "Copy");
    button.addEventListener("click", async () => {
      const code = command.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
    });
    command.append(button);
    return command;
  }

  // The tables of groups: searched, ordered, and shown some at a time. A row is a list, as `group_data.pack` writes it.
  function groups(tables) {
    const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const Z = 1.959964;
    const ORDERS = {
      moved: () => 0,
      reviews: (a, b) => b[1] - a[1],
      low: (a, b) => a[2] / a[1] - b[2] / b[1],
      high: (a, b) => b[2] / b[1] - a[2] / a[1],
      fell: (a, b) => (a[4] ?? 1e9) - (b[4] ?? 1e9),
      rose: (a, b) => (b[4] ?? -1e9) - (a[4] ?? -1e9),
      name: (a, b) => a[0].localeCompare(b[0], "en", { numeric: true }),
    };

    function interval(positive, n) { // Wilson's, as in `analysis.statistics`
      const spread = Z * Z / n;
      const centre = (positive / n + spread / 2) / (1 + spread);
      const half = Z * Math.sqrt((positive / n) * (1 - positive / n) / n + spread / (4 * n)) / (1 + spread);
      return `${percent(Math.max(centre - half, 0))} to ${percent(Math.min(centre + half, 1))}`;
    }

    function course(digits) {
      const svg = (tag, attributes, ...children) => {
        const element = document.createElementNS(document.querySelector("svg").namespaceURI, tag);
        for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
        element.append(...children);
        return element;
      };
      const steps = [];
      [...digits].forEach((digit, at) => {
        if (digit === ".") return;
        const isFirst = at === 0 || digits[at - 1] === ".";
        const isLast = at + 1 === digits.length || digits[at + 1] === ".";
        const x = ((at + 0.5) / digits.length) * 100;
        steps.push(`${isFirst ? "M" : "L"}${x.toFixed(1)} ${(20 - (DIGITS.indexOf(digit) / 63) * 20).toFixed(1)}${isFirst && isLast ? "h0" : ""}`);
      });
      return svg("svg", { class: "course", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { class: "line", d: steps.join(" ") }));
    }

    tables.forEach((table, index) => {
      const box = $("groups-" + index);
      const [search, order, found] = ["input", "select", ".found"].map((selector) => box.querySelector(selector));
      const [body, further] = ["tbody", ".further"].map((selector) => box.querySelector(selector));
      const isDated = box.querySelector("thead .drawn") !== null;
      let matching = [];
      let limit = PAGE;

      function row([name, n, positive, digits, change, hasMoved]) {
        const tag = hasMoved ? [" ", make("span", { class: "tag" }, "moved")] : [];
        const cell = (text) => make("td", { class: "n" }, text);
        return make("tr", { tabindex: "-1" }, make("th", { scope: "row" }, bdi(name), ...tag), ...(isDated ? [make("td", { class: "drawn" }, course(digits))] : []),
          cell(percent(positive / n)), cell(interval(positive, n)), cell(number(n)),
          ...(isDated ? [cell(change === null ? "" : sign(change) + (Math.abs(change) / 10).toFixed(1))] : []));
      }

      function fill() {
        body.replaceChildren(...matching.slice(0, limit).map(row));
        further.hidden = matching.length <= limit;
        const listed = matching.length === table.rows.length ? number(matching.length) : `${number(matching.length)} of ${number(table.rows.length)}`;
        found.textContent = `${listed} ${table.rows.length === 1 ? "group" : "groups"}` + (table.missing ? `; ${number(table.missing)} smaller ones are not listed` : "");
      }

      function update() {
        const query = search.value.trim().toLowerCase();
        matching = table.rows.filter((one) => one[0].toLowerCase().includes(query)).sort(ORDERS[order.value]);
        limit = PAGE;
        fill();
      }

      further.addEventListener("click", () => {
        limit += PAGE;
        fill();
        body.children[limit - PAGE].focus();
      });
      search.addEventListener("input", update);
      order.addEventListener("change", update);
      box.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
      box.querySelector("form").hidden = false;
      update();
    });
  }

  function browser(data) {
    const tabs = [...document.querySelectorAll("[role=tab]")];
    const panes = $("panes");
    let list = tabs[0].dataset.list;
    let mode = "contribution";
    let matching = []; // the reviews of the list that pass the filters
    let current = null;
    let limit = PAGE; // how many of them are listed
    const others = data.others === null ? null : data.others.split("\0").filter((id) => id !== "");

    const wordsOf = (review) => review.listed.map(([token, position, start, end, attention, contribution, byContribution, byAttention], at) =>
      ({ token, position, start, end, attention, contribution, byContribution, byAttention, change: review.measured?.words[at] ?? null }));

    // Every word that the text shows, of a review that was scored again; those that are not listed have a contribution alone.
    function everyWord(review, words, characters) {
      const listed = new Map(words.map((word) => [word.start, word]));
      const every = [];
      let at = 0;
      for (let i = 0; i < review.measured.colours.length; i += 3) {
        const [gap, length, contribution] = review.measured.colours.slice(i, i + 3);
        const [start, end] = [at + gap, at + gap + length];
        every.push(listed.get(start) ?? { token: characters.slice(start, end).join("").toLowerCase(), start, end, contribution, isOther: true });
        at = end;
      }
      return every;
    }

    function searchableText(review) {
      review.searchableText ??= [review.id, review.text ?? "", ...review.listed.map((word) => word[0]), ...review.kept.flat()].join("\n").toLowerCase();
      return review.searchableText;
    }

    function matches(review) {
      const label = $("label").value;
      const isRight = review.truth === null ? null : review.truth === review.label;
      const isLabel = !label || (label === "right" ? isRight === true : label === "wrong" ? isRight === false : review.label === label);
      const bound = (id, otherwise) => { const n = $(id).valueAsNumber; return Number.isNaN(n) ? otherwise : n; };
      return (list === "all" || list in review.lists) && isLabel &&
        review.probability >= bound("low", 0) && review.probability <= bound("high", 1) &&
        terms().every((term) => searchableText(review).includes(term));
    }

    // What is searched for: words in any order, those in quotes as they stand.
    function terms() {
      const found = $("query").value.toLowerCase().match(/"[^"]+"|\S+/g) ?? [];
      return found.map((term) => term.replace(/^"(.+)"$/, "$1"));
    }

    // The reviews that the search finds outside of the list: in others of this page, or by their ids alone in the run.
    function elsewhere() {
      const query = $("query").value.trim().toLowerCase();
      const notes = [];
      const inOtherLists = query && list !== "all" ? data.reviews.filter((review) => !(list in review.lists) && terms().every((term) => searchableText(review).includes(term))).length : 0;
      if (inOtherLists) notes.push(make("p", {}, `${reviews(inOtherLists)} in the other lists ${inOtherLists === 1 ? "matches" : "match"}: see \u201cAll of these\u201d.`));
      const beyond = query && others ? others.filter((id) => id.toLowerCase().includes(query)) : [];
      if (beyond.length) {
        const one = beyond.find((id) => id.toLowerCase() === query) ?? beyond[0];
        const count = beyond.length === 1 ? "One review of the run has this id and is" : `${number(beyond.length)} reviews of the run have such an id and are`;
        notes.push(make("p", {}, `${count} not on this page: `, bdi(one), beyond.length > 1 ? " and others. To see this one:" : ". To see it:"), copying(make("div", { class: "command" }, make("code", {}, `${data.lookUp} ${shellWord(one)}`))));
      } else if (query && others === null && !matching.length) {
        notes.push(make("p", {}, "This page has some reviews of the run only. Any other can be seen by its id:"), copying(make("div", { class: "command" }, make("code", {}, `${data.lookUp} ${shellWord($("query").value.trim())}`))));
      }
      $("elsewhere").replaceChildren(...notes);
    }

    // As it is typed in a shell; what cannot be seen is spelled out.
    function shellWord(word) {
      if (/^[\w@%+=:,./-]+$/.test(word) && !word.startsWith("-")) return word;
      if (!INVISIBLE.test(word) && !/[\n\t]/.test(word)) return "'" + word.replaceAll("'", "'\"'\"'") + "'";
      const spelled = Array.from(word).map((c) => (c === "'" || c === "\\" ? "\\" + c : INVISIBLE.test(c) || /\s/.test(c) ? "\\U" + c.codePointAt(0).toString(16).padStart(8, "0") : c));
      return "$'" + spelled.join("") + "'";
    }

    // The list of reviews.

    function snippet(review) {
      if (review.text === null) return wordsOf(review).map((word) => word.token).join(" … ");
      const flat = review.text.slice(0, 300).replace(BREAKS, " ").replace(/\s+/g, " ").trim();
      return Array.from(flat).slice(0, 110).join("") + (flat.length > 110 ? "…" : "");
    }

    function item(review) {
      const verdict = make("span", { class: "verdict " + side(review.label) }, chance(review.probability) + " " + review.label);
      const wrong = review.truth !== null && review.truth !== review.label ? [make("span", { class: "wrong" }, "actually " + review.truth)] : [];
      const isSure = /[<>]/.test(chance(review.probability)) ? [make("span", { class: "muted" }, `logit ${(review.logit / 1000).toFixed(1).replace("-", MINUS)} `)] : [];
      const button = make("button", { type: "button", tabindex: "-1" }, verdict, " ", ...isSure, bdi(review.id, { class: "name" }), " ", ...wrong, bdi(snippet(review), { class: "snippet" }));
      button.addEventListener("click", () => { show(review); reveal(); });
      return make("li", {}, button);
    }

    function fill() {
      $("items").replaceChildren(...matching.slice(0, limit).map(item));
      $("more").hidden = matching.length <= limit;
      hint();
    }

    function update() {
      matching = data.reviews.filter(matches).sort((a, b) => (a.lists[list] ?? 0) - (b.lists[list] ?? 0));
      limit = PAGE;
      fill();
      const all = data.reviews.filter((review) => list === "all" || list in review.lists).length;
      $("match-count").textContent = matching.length === all ? reviews(all) : `${number(matching.length)} of ${reviews(all)}`;
      elsewhere();
      if (!matching.includes(current)) show(matching[0] ?? null);
      else mark();
    }

    // Whether there is more of the list below what is seen of it.
    function hint() {
      const panel = $("panel");
      panel.toggleAttribute("data-more", panel.scrollHeight - panel.clientHeight - panel.scrollTop > 4);
    }

    function mark() {
      const buttons = [...$("items").querySelectorAll("button")];
      buttons.forEach((button, at) => {
        const isCurrent = matching[at] === current;
        button.tabIndex = isCurrent ? 0 : -1;
        if (isCurrent) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      });
      const here = matching.indexOf(current);
      for (const [id, at] of [["before", here - 1], ["after", here + 1]]) if ($(id)) $(id).disabled = !(at in matching);
    }

    // On a phone the review replaces the list.
    function reveal() {
      panes.dataset.shows = "review";
      if ($("back").offsetParent === null) return;
      $("review").focus({ preventScroll: true });
      $("review").scrollIntoView();
    }

    function back() {
      panes.dataset.shows = "list";
      const button = $("items").querySelector("[aria-current]");
      if (button) { button.focus(); button.scrollIntoView({ block: "nearest" }); }
    }

    function step(by) {
      const next = matching[matching.indexOf(current) + by];
      if (!next) return;
      if (matching.indexOf(next) >= limit) { limit += PAGE; fill(); }
      show(next);
      $("items").querySelector("[aria-current]").scrollIntoView({ block: "nearest" });
      $(by < 0 ? "before" : "after").focus();
    }

    // One review.

    function show(review) {
      current = review;
      const article = $("review");
      if (review === null) {
        article.replaceChildren(make("h3", { id: "review-title" }, "No matches"), make("p", {}, "No review in this list matches. Clear the filters, or choose another list."));
        return;
      }
      const words = wordsOf(review);
      article.replaceChildren(heading(review), facts(review), modes(), make("div", { id: "marked" }), make("div", { id: "tip", class: "tip", hidden: "" }),
        make("h4", {}, "The sum"), ...sum(review, words), ...phrases(review), ...sentences(review), ...kept(review), make("h4", {}, "Listed words"), table(review, words), ...difference(review));
      $("before").addEventListener("click", () => step(-1));
      $("after").addEventListener("click", () => step(1));
      $("back").addEventListener("click", back);
      article.querySelectorAll("[name=mode]").forEach((radio) => radio.addEventListener("change", () => { mode = radio.value; paint(review, words); }));
      paint(review, words);
      mark();
    }

    function heading(review) {
      const title = make("h3", { id: "review-title" }, "Review ", bdi(review.id));
      const steps = make("div", { class: "steps" },
        make("button", { type: "button", id: "back", class: "quiet" }, "Back to the list"),
        make("button", { type: "button", id: "before", class: "quiet" }, "Previous"),
        make("button", { type: "button", id: "after", class: "quiet" }, "Next"));
      return make("div", { class: "title" }, title, steps);
    }

    function facts(review) {
      const read = review.read < review.words ? `, of which ${number(review.read)} were read` : "";
      const place = review.source ? ["; ", bdi(review.source), ` at ${number(review.offset)}`] : [];
      const truth = review.truth === null ? [] : [", actually ", make("b", {}, review.truth), review.truth === review.label ? " (right)" : " (wrong)"];
      return make("div", { class: "facts" },
        make("p", {}, make("b", { class: side(review.label) }, review.label), ", probability of positive ", make("b", {}, chance(review.probability)), ...truth),
        make("p", { class: "muted" }, `${number(review.words)} ${review.words === 1 ? "word" : "words"}${read}, ${percent(review.unknown)} unknown`, ...place),
        ...(review.unusual ? [make("p", { class: "muted" }, `Unlike the texts of training: ${review.unusual}.`)] : []));
    }

    function modes() {
      const radios = Object.entries(MODES).map(([value, title]) => {
        const radio = make("input", { type: "radio", name: "mode", value, id: "mode-" + value });
        radio.checked = value === mode;
        return make("span", {}, radio, " ", make("label", { for: "mode-" + value }, title));
      });
      return make("fieldset", { class: "modes" }, make("legend", {}, "Mark words by"), ...radios, make("span", { id: "legend", class: "legend" }));
    }

    function legend() {
      const word = (classes, text) => make("span", { class: "word " + classes }, text);
      if (mode === "attention") return [word("a1", "some"), " ", word("a2", "more"), " ", word("a4", "most"), " attention"];
      return [word("p3 pos", "positive"), " ", word("n3 neg", "negative"), " stronger: larger contribution",
        ...(current.measured?.colours.length ? ["; thick line: listed below"] : [])];
    }

    const isMarked = (word) => (mode === "attention" ? word.byAttention : word.byContribution) > 0;
    const strength = (word) => (mode === "attention" ? word.attention : Math.abs(word.contribution));

    function label(word) {
      if (word.isOther) return [["contribution", thousandths(word.contribution), "part of the rest"]];
      const contributing = word.byContribution ? `rank ${word.byContribution}` : "part of the rest";
      const attended = word.byAttention ? `rank ${word.byAttention}` : "not among the top";
      const deleted = word.change === null ? [] : [["if deleted", moved(word.change), "probability"]];
      return [["contribution", thousandths(word.contribution), contributing], ["attention", word.attention.toFixed(3), attended], ...deleted];
    }

    function marked(word, text, largest) {
      const shade = 1 + STEPS.filter((share) => strength(word) / largest >= share).length;
      const kind = mode === "attention" ? "a" + shade : word.contribution < 0 ? `n${shade} neg` : `p${shade} pos`;
      const description = `${text}: ` + label(word).map((part) => part.join(" ")).join("; ").replaceAll(MINUS, "minus ");
      if (!word.isOther) return make("span", { class: "word " + kind, role: "button", tabindex: "-1", "aria-label": description }, ...textNodes(text));
      // Who listens to the text hears it as it is; a word says what it adds once the keyboard is on it.
      const span = make("span", { class: `word other ${kind}`, tabindex: "-1" }, ...textNodes(text));
      span.addEventListener("focus", () => { span.setAttribute("role", "note"); span.setAttribute("aria-label", description); });
      span.addEventListener("blur", () => { span.removeAttribute("role"); span.removeAttribute("aria-label"); });
      return span;
    }

    // The text with its listed words marked; without a text, just the listed words in order.
    function paint(review, words) {
      const largest = Math.max(...words.filter(isMarked).map(strength), 0) || 1;
      const parts = [];
      const spans = [];
      const add = (word, text) => { spans.push(marked(word, text, largest)); spans.at(-1).word = word; parts.push(spans.at(-1)); };
      if (review.text === null) {
        words.forEach((word, at) => {
          if (at && word.position !== words[at - 1].position + 1) parts.push(make("span", { class: "muted" }, " … "));
          else if (at) parts.push(" ");
          if (isMarked(word)) add(word, word.token); else parts.push(bdi(word.token));
        });
      } else {
        const characters = Array.from(review.text); // offsets count code points
        const between = (from, to) => textNodes(characters.slice(from, to).join("").replace(BREAKS, "\n"));
        let at = 0;
        const coloured = mode === "contribution" && review.measured ? everyWord(review, words, characters) : words.filter(isMarked);
        for (const word of coloured.length ? coloured : words.filter(isMarked)) {
          if (word.start < at || word.end > characters.length) continue;
          parts.push(...between(at, word.start));
          add(word, characters.slice(word.start, word.end).join(""));
          at = word.end;
        }
        parts.push(...between(at));
      }
      const notes = [];
      if (review.text === null) notes.push("The text is not available: these are the listed words, in order.");
      if (review.notMeasured) notes.push(review.notMeasured);
      if (review.isCut) notes.push("Only the beginning of the text is shown; the table below has every listed word.");
      if (review.text !== null && review.read < review.words) notes.push(`The model read only ${number(review.read)} of its words.`);
      const text = make("div", { class: "text", dir: "auto", role: "group", "aria-label": "Text; arrow keys move from word to word" }, ...parts);
      $("marked").replaceChildren(text, ...notes.map((note) => make("p", { class: "note" }, note)));
      $("legend").replaceChildren(...legend());
      if (spans.length) spans[0].tabIndex = 0;
      text.addEventListener("keydown", (event) => walk(event, spans));
      for (const span of spans) {
        span.addEventListener("mouseenter", () => tip(span));
        span.addEventListener("focus", () => tip(span));
        span.addEventListener("click", () => span.focus());
        span.addEventListener("mouseleave", () => { if (document.activeElement !== span) hideTip(); });
        span.addEventListener("blur", hideTip);
      }
    }

    function walk(event, spans) {
      const here = spans.indexOf(document.activeElement);
      const listed = (by) => { let at = here + by; while (spans[at]?.word.isOther) at += by; return at; };
      const goal = { ArrowRight: here + 1, ArrowDown: listed(1), ArrowLeft: here - 1, ArrowUp: listed(-1), Home: 0, End: spans.length - 1 }[event.key];
      if ((event.key === "Enter" || event.key === " ") && here >= 0) { event.preventDefault(); if (!spans[here].word.isOther) point(spans[here].word); }
      if (goal === undefined || !(goal in spans)) return;
      event.preventDefault();
      spans[here].tabIndex = -1;
      spans[goal].tabIndex = 0;
      spans[goal].focus();
    }

    // Enter goes from a word to its row in the table.
    function point(word) {
      const row = $("word-" + word.position);
      row.focus();
      row.scrollIntoView({ block: "nearest" });
    }

    function tip(span) {
      const box = $("tip");
      const rows = label(span.word).map(([name, value, rank]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "n" }, value), make("td", { class: "muted" }, rank)));
      box.replaceChildren(bdi(span.word.token), make("table", {}, make("tbody", {}, ...rows)));
      box.hidden = false;
      box.style.left = 0; // measured here, since at the right edge it would be narrower
      const around = $("review").getBoundingClientRect();
      const at = span.getClientRects()[0];
      box.style.left = Math.max(0, Math.min(at.left - around.left, around.width - box.offsetWidth)) + "px";
      box.style.top = at.top - around.top - box.offsetHeight - 6 + "px";
    }

    function hideTip() { if ($("tip")) $("tip").hidden = true; }

    function sum(review, words) {
      const total = words.filter((word) => word.byContribution).reduce((all, word) => all + word.contribution, 0);
      const term = (value, name, classes = "") => make("span", { class: "term " + classes }, make("b", {}, value), make("span", {}, name));
      const operator = (text) => make("span", { class: "sign" }, ` ${text} `);
      const plain = (n) => thousandths(n).replace("+", "");
      const added = (n, name) => [operator(n < 0 ? MINUS : "+"), term(plain(Math.abs(n)), name)];
      const logit = term(plain(review.logit), "logit");
      const parts = [term(plain(data.bias), "bias"), ...(words.length ? added(total, "listed words") : []), ...added(review.rest, "the rest"), operator("="), logit];
      const scaled = review.logit / review.temperature;
      const second = [logit.cloneNode(true), operator("÷"), term(review.temperature.toFixed(3), "temperature"), operator("="), term(plain(scaled), "calibrated"),
        operator("→"), term(chance(review.probability), "probability of positive", side(review.label))];
      return [make("p", { class: "sum" }, ...parts), make("p", { class: "sum" }, ...second)];
    }

    function kept(review) {
      if (!review.kept.length) return [];
      const pairs = review.kept.flatMap(([name, value]) => [make("dt", {}, bdi(name)), make("dd", { dir: "auto" }, bdi(value))]);
      return [make("h4", {}, "Kept columns"), make("dl", { class: "kept" }, ...pairs)];
    }

    const changed = (review, change) => (review.measured ? [make("td", { class: "n" }, change === null ? "" : moved(change))] : []);
    const changeHead = (review) => (review.measured ? [["if deleted", "n"]] : []);

    function phrases(review) {
      if (!review.phrases) return [];
      return segments(review, "Strongest phrases", "phrase", review.phrases.map((one, at) => [...one, review.measured?.phrases[at] ?? null]));
    }

    function sentences(review) {
      if (!review.measured?.sentences.length) return [];
      return segments(review, "Strongest sentences", "sentence", review.measured.sentences);
    }

    function segments(review, title, name, listed) {
      const characters = review.text === null ? [] : Array.from(review.text); // offsets count code points
      const place = (first, count) => (count === 1 ? `word ${number(first)}` : `words ${number(first)} to ${number(first + count - 1)}`);
      const rows = listed.map(([start, end, first, count, adds, change]) => make("tr", {},
        make("th", { scope: "row" }, end <= characters.length ? bdi(characters.slice(start, end).join("").replace(BREAKS, " ")) : place(first, count)),
        make("td", { class: "n" }, number(first)), make("td", { class: "n " + (adds < 0 ? "neg" : "pos") }, thousandths(adds)), ...changed(review, change)));
      const head = make("tr", {}, ...[[name], ["position", "n"], ["contribution", "n"], ...changeHead(review)]
        .map(([name, classes = ""]) => make("th", { scope: "col", class: classes }, name)));
      const box = make("div", { class: "scroll", role: "region", "aria-label": title, tabindex: "0" },
        make("table", { class: "listed " + name + "s" }, make("thead", {}, head), make("tbody", {}, ...rows)));
      return [make("h4", {}, title), box];
    }

    function table(review, words) {
      const head = make("tr", {}, ...[["word"], ["position", "n"], ["contribution", "n"], ...changeHead(review), ["rank", "n"], ["attention", "n"], ["rank", "n"]]
        .map(([name, classes = ""]) => make("th", { scope: "col", class: classes }, name)));
      const ordered = [...words].sort((a, b) => (a.byContribution || 999) - (b.byContribution || 999) || a.byAttention - b.byAttention);
      const rows = ordered.map((word) => make("tr", { id: "word-" + word.position, tabindex: "-1" },
        make("th", { scope: "row" }, bdi(word.token)), make("td", { class: "n" }, number(word.position)),
        make("td", { class: "n " + (word.contribution < 0 ? "neg" : "pos") }, thousandths(word.contribution)), ...changed(review, word.change),
        make("td", { class: "n" }, word.byContribution ? String(word.byContribution) : "rest"),
        make("td", { class: "n" }, word.attention.toFixed(3)), make("td", { class: "n" }, word.byAttention ? String(word.byAttention) : "\u2013")));
      const box = make("div", { class: "scroll", role: "region", "aria-label": "Listed words", tabindex: "0" },
        make("table", { class: "listed" }, make("thead", {}, head), make("tbody", {}, ...rows)));
      return words.length ? box : make("p", {}, "The run lists no words.");
    }

    // Why the two numbers of a part are not the same.
    function difference(review) {
      if (!review.measured) return [];
      return [make("p", { class: "note" }, "If deleted: how the probability of positive moves when the text is scored again without that part. A contribution is a part's " +
        "share of the score as it is, so the two differ: without the part, the model reads its neighbours differently, and a probability near 0 or 1 hardly moves.")];
    }

    // The controls.

    function selectTab(tab) {
      list = tab.dataset.list;
      tabs.forEach((other) => { other.setAttribute("aria-selected", String(other === tab)); other.tabIndex = other === tab ? 0 : -1; });
      $("panel").setAttribute("aria-labelledby", tab.id);
      panes.dataset.shows = "list";
      current = null;
      $("panel").scrollTop = 0;
      update();
    }

    function moveFocus(elements, event, act) {
      const here = elements.indexOf(document.activeElement);
      const goal = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: elements.length - 1 }[event.key];
      if (here < 0 || !elements[goal]) return;
      event.preventDefault();
      elements[goal].focus();
      act(elements[goal], goal);
    }

    tabs.forEach((tab) => tab.addEventListener("click", () => selectTab(tab)));
    $("lists").addEventListener("keydown", (event) => moveFocus(tabs, event, selectTab));
    $("items").addEventListener("keydown", (event) => moveFocus([...$("items").querySelectorAll("button")], event, (_, at) => { if (at !== undefined && innerWidth >= 800) show(matching[at]); }));
    $("filters").addEventListener("input", () => { panes.dataset.shows = "list"; update(); });
    $("filters").addEventListener("reset", () => setTimeout(update));
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
    $("more").addEventListener("click", () => {
      limit += PAGE;
      fill();
      mark();
      $("items").children[limit - PAGE].firstChild.focus();
    });
    $("panel").addEventListener("scroll", hint, { passive: true });
    addEventListener("resize", hint);
    $("browser").hidden = false;
    update();

    // From an example of a group that moved to the review itself.
    document.querySelectorAll(".opens").forEach((button) => {
      const review = data.reviews.find((one) => one.lists.movers === Number(button.dataset.rank));
      if (!review) return;
      button.hidden = false;
      button.addEventListener("click", () => {
        $("filters").reset();
        selectTab(tabs.find((tab) => tab.dataset.list === "movers"));
        while (matching.indexOf(review) >= limit) limit += PAGE;
        fill();
        show(review);
        panes.dataset.shows = "review";
        $("review").focus({ preventScroll: true });
        $("review").scrollIntoView();
      });
    });
  }

  colourScheme();
  printing();
  document.querySelectorAll(".command").forEach(copying);
  const data = JSON.parse($("data").textContent);
  if (data.groups) groups(data.groups);
  if ($("browser")) browser(data);
})();
