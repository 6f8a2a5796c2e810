"use strict";
(() => {
  const source = document.getElementById("report-samples");
  const list = document.getElementById("browse-list");
  if (!source || !list) return;
  const [pane, search, filter, count] = ["browse-problem", "browse-search", "browse-filter", "browse-count"].map(
    (id) => document.getElementById(id),
  );
  const swatches = [...document.getElementById("browse-swatches").children];
  /* Some megabytes: parsed when the browser is first seen or asked for, not while the page loads. */
  let data = null;
  let only = null;
  let current = null;
  const load = () => {
    if (data) return;
    data = JSON.parse(source.textContent);
    data.byId = new Map(data.problems.map((problem) => [problem.id, problem]));
    render();
  };

  /* Every text of a model enters the page through textContent, so it cannot become markup. */
  const make = (name, className, ...children) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children.filter((child) => child !== null));
    return element;
  };
  const runClass = (i) => `run run-${data.runs[i].colour}`;

  const matching = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = filter.value;
    const found = data.problems.filter((problem) => {
      if (only && !only.has(problem.id)) return false;
      if (wanted && wanted !== "changed" && !problem.tags.includes(wanted)) return false;
      const text = `${problem.id} ${problem.prompt}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    return wanted === "changed" ? found.sort((a, b) => b.change - a.change) : found;
  };

  const share = (run, i) => {
    const bar = make("i", "");
    bar.style.width = `${run.n ? (100 * run.c) / run.n : 0}%`;
    return make("span", `${runClass(i)} share`, make("span", "share-track", bar));
  };
  const item = (problem) => {
    const button = make("button", "", make("span", "id", problem.id));
    const shares = make("span", "shares", ...problem.runs.map(share));
    shares.setAttribute("aria-hidden", "true");
    button.append(shares);
    button.type = "button";
    button.dataset.id = problem.id;
    button.addEventListener("click", () => open(problem.id));
    return make("li", "", button);
  };
  const render = () => {
    const found = matching();
    list.replaceChildren(...found.map(item));
    count.textContent = `${found.length} problem${found.length === 1 ? "" : "s"}`;
    if (only) {
      const all = make("button", "reset", "show all");
      all.type = "button";
      all.addEventListener("click", () => { only = null; render(); });
      count.append(" ", all);
    }
    if (found.length && !found.some((problem) => problem.id === current)) show(found[0].id);
    else mark();
  };
  const mark = () => {
    for (const button of list.querySelectorAll("button")) {
      button.toggleAttribute("aria-current", button.dataset.id === current);
    }
  };

  const signs = { correct: "✓", wrong: "✕", cut_off: "…", unscored: "?" };
  const words = { correct: "correct", cut_off: "cut off", unscored: "not scored" };
  const oneClass = (group, position) => {
    const named = [words[group.kind], group.kind === "correct" ? null : group.label.replaceAll("_", " ")];
    const label = [...new Set(named.filter(Boolean))].join(": ");
    const summary = make("summary", "", make("b", "", `${group.count} ×`), " ", make("span", "sign", signs[group.kind]));
    summary.append(` ${label}`);
    if (group.kind === "correct" && group.off) summary.append(`, ${group.off} cut off`);
    if (group.key) summary.append(" ", make("code", "key", group.key));
    const text = make("pre", "", group.text || "(empty)");
    if (group.cut) text.append(make("span", "quiet", ` … (${group.cut} more characters)`));
    text.tabIndex = 0;
    const details = make("details", `class is-${group.kind.replace("_", "-")}`, summary, text);
    details.open = position < 4;
    return details;
  };
  const column = (run, i) => {
    const rate = run.n ? ` = ${(run.c / run.n).toFixed(2)}` : "";
    const head = make("h4", "", swatches[i].cloneNode(true), " ", data.runs[i].name);
    const line = make("p", "caption", `${run.c} of ${run.n} correct${rate}`);
    const [classes, samples] = run.rest;
    const kinds = new Set();
    const groups = run.classes.map((group, at) => {
      const first = !kinds.has(group.kind);
      kinds.add(group.kind);
      return oneClass(group, first ? 0 : at);
    });
    const rest = classes ? make("p", "caption", `${classes} more classes, ${samples} completions`) : null;
    const none = run.classes.length ? null : make("p", "caption", "no samples");
    return make("div", `${runClass(i)} answers`, head, line, ...groups, rest, none);
  };
  const show = (id) => {
    const problem = data.byId.get(id);
    if (!problem) return false;
    current = id;
    const prompt = make("pre", "prompt", problem.prompt || "(no prompt on record)");
    prompt.tabIndex = 0;
    const columns = make("div", "answer-columns", ...problem.runs.map(column));
    pane.replaceChildren(make("h3", "", id), prompt, columns);
    mark();
    return true;
  };
  const open = (id, moveFocus = false) => {
    if (!show(id)) return;
    const button = [...list.querySelectorAll("button")].find((each) => each.dataset.id === id);
    button?.scrollIntoView({ block: "nearest" });
    if (moveFocus) button?.focus({ preventScroll: true });
    if (matchMedia("(max-width: 900px)").matches) pane.scrollIntoView({ block: "start" });
  };

  search.addEventListener("input", () => { only = null; render(); });
  filter.addEventListener("change", () => { only = null; render(); });
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const last = buttons.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    buttons[Math.min(Math.max(to, 0), last)].focus();
    open(document.activeElement.dataset.id);
  });

  /* Marks and links anywhere in the page open their problems here. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-problems]");
    if (!link) return;
    event.preventDefault();
    load();
    const ids = JSON.parse(link.dataset.problems).filter((id) => data.byId.has(id));
    const heading = document.getElementById("browse");
    if (ids.length) {
      search.value = "";
      filter.value = "";
      only = ids.length > 1 ? new Set(ids) : null;
      current = null;
      render();
      open(ids[0], true);
    } else {
      pane.replaceChildren(make("p", "caption", "This problem was left out of the page; samples.jsonl has it."));
    }
    heading.scrollIntoView();
  });
  const watch = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) load(); }, { rootMargin: "600px" });
  watch.observe(list);
})();
