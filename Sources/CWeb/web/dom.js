// Elements from values. Text is only ever text: nothing here, and nothing else in the page, turns a string into markup.

export const $ = id => document.getElementById(id);
export const on = (id, name, run) => $(id).addEventListener(name, run);

// An element, as `p.class`. Properties are optional; those that begin with `on` are listeners, false and null leave an attribute out.
export function h(name, properties, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  if (properties?.constructor !== Object) children.unshift(properties);
  else for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== 'string') element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  if (tag === 'button' && !element.hasAttribute('type')) element.type = 'button';
  fill(element, ...children);
  return element;
}

export function svg(name, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Puts children in place of those that are there; null and false are none.
export const fill = (element, ...children) => element.replaceChildren(...children.flat(4).filter(Boolean));

// Text as somebody else wrote it: marks that would reorder or hide text are shown as what they are, and it has an end.
export function clean(text, limit = 400) {
  const shown = String(text).slice(0, limit).replace(/(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu, mark => `\\u{${mark.codePointAt(0).toString(16)}}`);
  return String(text).length > limit ? `${shown}…` : shown;
}
export const code = (text, limit) => h('code', clean(text, limit));

// The same, by the id of the element.
export const put = (id, ...children) => fill($(id), ...children);

let lastSaid = '';
export function say(text) {
  if (text === lastSaid) return;
  lastSaid = text;
  $('live').textContent = text;
}

export function copyButton(text, label) {
  const button = h('button.quiet.small', { 'aria-label': label, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
      say('Copied');
    } catch {
      button.textContent = 'Select the text to copy it';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  } }, 'Copy');
  return button;
}

// Tabs after the ARIA pattern: arrows move, one stop for Tab. The list has labels and what makes their content.
export function tabs(name, list) {
  const panel = h('div', { role: 'tabpanel', id: `${name}-panel`, tabindex: '0' });
  const buttons = list.map(([label], index) => h('button', { role: 'tab', id: `${name}-${index}`, 'aria-controls': panel.id,
    onclick: () => show(index),
    onkeydown: event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const next = event.key === 'Home' ? 0 : event.key === 'End' ? list.length - 1
        : step ? (index + step + list.length) % list.length : null;
      if (next === null) return;
      event.preventDefault();
      show(next);
      buttons[next].focus();
    },
  }, label));
  function show(index) {
    buttons.forEach((button, at) => {
      button.ariaSelected = at === index;
      button.tabIndex = at === index ? 0 : -1;
    });
    panel.setAttribute('aria-labelledby', buttons[index].id);
    fill(panel, list[index][1]());
  }
  show(0);
  return h('div.tabs', h('div', { role: 'tablist', 'aria-label': name }, buttons), panel);
}

// Buttons of which one is pressed, as values, words and counts. Those that are there stay, and with them the focus.
export function segments(group, list, pressed, choose) {
  list.forEach(([value, word, count], index) => {
    const button = group.children[index] ?? group.appendChild(h('button', { onclick: () => choose(value) }));
    button.textContent = `${word[0].toUpperCase()}${word.slice(1)} ${count.toLocaleString('en')}`;
    button.ariaPressed = value === pressed;
  });
}

// Shows a dialog and answers what its form was sent with: the value of the button, or null. Focus returns by itself.
export function dialog(title, body, buttons) {
  const element = $('dialog');
  return new Promise(resolve => {
    const done = value => { resolve(value); element.close(); };
    const form = h('form', { method: 'dialog', onsubmit: event => {
      event.preventDefault();
      done(event.submitter?.value ?? null);
    } }, h('h2', { id: 'dialog-title' }, title), body,
      h('div.actions', buttons.map(([value, label, className]) =>
        h('button', { type: value === 'close' ? 'button' : 'submit', value, class: className ?? null,
          onclick: value === 'close' ? () => done(null) : null }, label))));
    fill(element, form);
    element.onclose = () => resolve(null);
    if (!element.open) element.showModal();
  });
}

export function problemBox(error) {
  const seen = new Set([error.message]);
  const findings = (error.diagnostics ?? []).filter(finding => !seen.has(finding.message) && seen.add(finding.message));
  // The message often is no more than all findings in a row.
  const isSaid = findings.length > 0 && findings.every(finding => error.message.includes(finding.message));
  return h('div.notice.error',
    h('p', h('strong', error.code === 'invalid_request' ? 'Not possible' : error.title), isSaid ? '' : [': ', clean(error.message, 2000)]),
    findings.length ? h('ul', findings.slice(0, 20).map(finding => h('li', clean(finding.message, 1000),
      finding.rule ? [' ', h('small.muted', finding.rule)] : null))) : null,
    findings.length > 20 && h('p', `and ${findings.length - 20} more`));
}

// Keeps what the browser remembers; a browser that remembers nothing is no fault.
export const memory = {
  get(key) { try { return localStorage.getItem(`zooport-${key}`); } catch { return null; } },
  set(key, value) {
    try {
      if (value === null) localStorage.removeItem(`zooport-${key}`); else localStorage.setItem(`zooport-${key}`, value);
    } catch { /* Private windows may refuse. */ }
  },
};
