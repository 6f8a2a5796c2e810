"use strict";
(() => {
  const root = document.documentElement;
  const tip = document.getElementById("tip");
  const readouts = JSON.parse(document.getElementById("report-readouts").textContent);
  const svgNs = "http://www.w3.org/2000/svg";
  root.classList.add("js");

  /* Theme: follows the system until the switch is used, then remembers (where the browser lets a file remember). */
  const toggle = document.getElementById("theme");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const remember = (theme) => { try { localStorage.setItem("rlkit-theme", theme); } catch { /* private mode */ } };
  const recall = () => { try { return localStorage.getItem("rlkit-theme"); } catch { return null; } };
  const labelToggle = () => {
    toggle.textContent = isDark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  if (["light", "dark"].includes(recall())) root.dataset.theme = recall();
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    labelToggle();
  });
  systemDark.addEventListener("change", labelToggle);
  labelToggle();

  /* Highlight one run everywhere. */
  const chips = [...document.querySelectorAll(".chip")];
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      const isOn = chip.getAttribute("aria-pressed") === "true";
      for (const other of chips) other.setAttribute("aria-pressed", String(other === chip && !isOn));
      if (isOn) delete document.body.dataset.focus;
      else document.body.dataset.focus = chip.dataset.colour;
    });
  }

  /* Which run the differences are against: all were written into the page, only the chosen ones show. */
  document.getElementById("against")?.addEventListener("change", (event) => {
    for (const element of document.querySelectorAll("[data-against]")) {
      element.hidden = element.dataset.against !== event.target.value;
    }
  });

  /* One tooltip for everything; texts only ever enter it as text. */
  const place = (x, y) => {
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = x + 16 + width > innerWidth - 8 ? Math.max(8, x - 16 - width) : x + 16;
    const top = Math.min(Math.max(8, y - height / 2), Math.max(8, innerHeight - height - 8));
    tip.style.transform = `translate(${left}px, ${top}px)`;
  };
  const hide = () => { tip.hidden = true; };
  for (const element of document.querySelectorAll("[data-tip]")) {
    const show = () => {
      const box = element.getBoundingClientRect();
      tip.textContent = element.dataset.tip;
      place(box.right - 8, box.top + box.height / 2);
    };
    element.addEventListener("pointerenter", show);
    element.addEventListener("focus", show);
    element.addEventListener("pointerleave", hide);
    element.addEventListener("blur", hide);
  }

  /* Line charts: the nearest x, a rule and all runs' numbers, by pointer or arrow keys. */
  const create = (name, attributes) => {
    const element = document.createElementNS(svgNs, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const nearest = (xs, x) => xs.reduce((best, value, i) => (Math.abs(value - x) < Math.abs(xs[best] - x) ? i : best), 0);
  const readOut = (svg, data, i) => {
    const cursor = svg.querySelector(".cursor");
    cursor.replaceChildren(create("line", { x1: data.x[i], x2: data.x[i], y1: data.top, y2: data.bottom }));
    const head = document.createElement("b");
    head.textContent = data.heads[i];
    tip.replaceChildren(head);
    const shown = data.runs.filter((run) => run.y[i] !== null).sort((a, b) => a.y[i] - b.y[i]);
    for (const run of shown) {
      const dot = create("circle", { cx: data.x[i], cy: run.y[i], r: 4, class: `run-${run.colour}` });
      cursor.append(dot);
      const row = document.createElement("div");
      row.className = `run-${run.colour}`;
      const [swatch, name, text] = ["i", "span", "span"].map((kind) => document.createElement(kind));
      name.textContent = run.name;
      text.textContent = run.text[i];
      row.append(swatch, name, text);
      tip.append(row);
    }
  };
  for (const svg of document.querySelectorAll(".has-readout")) {
    const data = readouts[svg.id];
    if (!data) continue;
    let at = data.x.length - 1;
    const clear = () => { svg.querySelector(".cursor").replaceChildren(); hide(); };
    const follow = (event) => {
      const box = svg.getBoundingClientRect();
      at = nearest(data.x, ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width);
      readOut(svg, data, at);
      place(event.clientX, event.clientY);
    };
    const stand = () => {
      const box = svg.getBoundingClientRect();
      readOut(svg, data, at);
      place(box.left + (data.x[at] / svg.viewBox.baseVal.width) * box.width, box.top + box.height / 3);
    };
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    /* A finger leaves the moment it lifts; what it tapped stays readable until something else is touched. */
    svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") clear(); });
    svg.addEventListener("focus", () => { if (svg.matches(":focus-visible")) stand(); });
    svg.addEventListener("blur", clear);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      at = Math.min(Math.max(at + step, 0), data.x.length - 1);
      stand();
    });
  }
  addEventListener("scroll", hide, { passive: true });
})();
