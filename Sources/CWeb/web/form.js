import { askCaller, caller, get, hasToken, maySubmit, newKey, post } from './api.js';
import { showCommands } from './command.js';
import { $, clean, code, fill, h, put, on, problemBox, say } from './dom.js';
import { showNoPlan, showPlan } from './plan.js';
import { bytes, duration, formatName, percent, plural, sum } from './text.js';
import { Upload } from './tus.js';

// The form: files or a repository, the formats, options as the API describes them; all of it is one submission.

const ROLES = { config: 'Config', checkpoint: 'Checkpoint', none: 'Not used' };
const files = [];
// Unfinished uploads that the service knows, perhaps of another browser.
let unfinished = [];
let models = [];
const conversions = new Map();
let options = {};
let touchedTarget = false;
let key = { body: '', text: '' };
let onSubmitted = () => {};
let planning = { body: '', stop: null, timer: 0, result: null };

function guessRole(path) {
  const name = path.split('/').pop().toLowerCase();
  if (/\.index\.json$/.test(name)) return 'checkpoint';
  if (/\.(bin|safetensors|mdl|pt|pth|ckpt|h5|hdf5)$/.test(name)) return 'checkpoint';
  if (/^(generation_config|tokenizer.*|vocab|special_tokens_map|added_tokens|preprocessor_config)\.json$/.test(name)) return 'none';
  return /\.(json|ya?ml)$/.test(name) ? 'config' : 'none';
}

// The name under which a file is sent: its own, or that of a folder within the chosen one before it.
function nameOf(file) {
  const parts = (file.webkitRelativePath || file.name).split('/');
  return parts.length > 2 ? parts.slice(-2).join('/') : parts[parts.length - 1];
}

function addFiles(list) {
  for (const file of list) {
    const name = nameOf(file);
    if (files.some(entry => entry.name === name && entry.upload.size === file.size)) continue;
    const entry = { name, role: guessRole(name), upload: new Upload(file, name, () => draw(entry)) };
    // Of several configs of one model the first is likely to be meant.
    if (entry.role === 'config' && !name.includes('/') && files.some(other => other.role === 'config')) entry.role = 'none';
    entry.upload.address ??= unfinished.find(other => other.filename === name && other.size === file.size)?.url ?? null;
    files.push(entry);
    if (entry.role !== 'none') entry.upload.start();
  }
  drawFiles();
  guessTarget();
}

async function removeFile(entry) {
  files.splice(files.indexOf(entry), 1);
  if (!files.length) touchedTarget = false;
  drawFiles();
  guessTarget();
  $('files').focus();
  await entry.upload.remove();
}

function drawFiles() {
  put('file-list', files.length ? h('table.stack', h('caption.hidden', 'Files and what they are for'),
    h('thead', h('tr', ['File', 'Used as', 'Progress', 'Actions'].map(name => h('th', { scope: 'col' }, name)))),
    h('tbody', files.map(entry => {
      entry.progress = h('td');
      entry.actions = h('td');
      const row = h('tr', h('th', { scope: 'row', class: 'file-name' }, code(entry.name, 120), entry.upload.file && h('small', ` ${bytes(entry.upload.size)}`)),
        h('td', h('select', { 'aria-label': `What ${clean(entry.name, 100)} is used as`, onchange: event => {
          entry.role = event.target.value;
          if (entry.role !== 'none') entry.upload.start();
          guessTarget();
        } }, Object.entries(ROLES).map(([role, label]) => h('option', { value: role, selected: role === entry.role }, label)))),
        entry.progress, entry.actions);
      draw(entry, true);
      return row;
    }))) : null);
}

// Shows how far a file is. Buttons are made anew only when they change, so that none loses the focus.
function draw(entry, quiet = false) {
  const { upload } = entry;
  if (!entry.progress) return;
  const name = clean(entry.name, 100);
  const part = percent(upload.sent, upload.size) ?? 0;
  const speed = upload.rate > 0 ? `, ${bytes(upload.rate)}/s, ${duration((upload.size - upload.sent) / upload.rate * 1000)} left` : '';
  const word = {
    waiting: entry.role === 'none' ? 'not sent' : 'waits', paused: `paused at ${part} %`, done: 'on the service', failed: 'failed', sending: `${part} %${speed}`,
  }[upload.state] ?? '';
  if (upload.state === 'sending' && !upload.error && entry.bar?.isConnected) {
    entry.bar.value = upload.sent;
    entry.word.textContent = word;
  } else {
    entry.bar = h('progress', { max: upload.size || 1, value: upload.sent, 'aria-label': `Upload of ${name}` });
    entry.word = h('span', word);
    fill(entry.progress, ['sending', 'paused'].includes(upload.state) && entry.bar, entry.word, upload.error && h('p.error-text', clean(upload.error.message)));
  }
  if (entry.state === upload.state && entry.actions.childElementCount) { drawReady(); return; }
  entry.state = upload.state;
  const button = (label, run) => h('button.quiet.small', { 'aria-label': `${label} ${name}`, onclick: run }, label);
  const focused = entry.actions.contains(document.activeElement);
  const start = { sending: ['Pause', () => upload.pause()], paused: ['Go on', () => upload.start()], failed: ['Try again', () => upload.start()] }[upload.state];
  fill(entry.actions, h('div.actions', start && button(...start), button('Remove', () => removeFile(entry))));
  if (focused) entry.actions.querySelector('button').focus();
  if (quiet) return;
  if (['done', 'failed'].includes(upload.state)) say(`${name}: ${word}`);
  changed();
}

async function drawUnfinished() {
  try {
    unfinished = (await get('/v1/uploads?limit=200')).uploads.filter(upload => upload.expires_at !== null && upload.sha256 === null && upload.offset > 0);
  } catch { return; }
  const left = unfinished.filter(upload => !files.some(entry => entry.upload.address === upload.url));
  put('resume', left.slice(0, 5).map(upload => h('p.notice',
    h('span', code(upload.filename, 120), ` is on the service to ${percent(upload.offset, upload.size) ?? 0} %. Choose the same file again to go on.`))));
}

const release = format => { const parts = /^cs-(\d+)\.(\d+)$/.exec(format); return parts ? Number(parts[1]) * 1000 + Number(parts[2]) : -1; };
const newest = formats => formats.find(format => release(format) > 0) ?? '';

async function pairs() {
  const model = $('model').value;
  if (model === 'auto') return null;
  if (!conversions.has(model)) conversions.set(model, (await get(`/v1/models/${encodeURIComponent(model)}`)).conversions);
  return conversions.get(model);
}

// Each format once: Hugging Face, releases from the newest on, variants.
const rank = format => (format === 'hf' ? 1e9 : release(format));
const ordered = formats => [...new Set(formats)].sort((a, b) => rank(b) - rank(a) || b.localeCompare(a, 'en', { numeric: true }));

function choices(select, list, wanted) {
  fill(select, list.map(([value, label]) => h('option', { value, selected: value === wanted }, label)));
  if (!list.some(([value]) => value === select.value)) select.selectedIndex = 0;
}

// Offers the formats that the model has, and the targets that the source has.
async function drawFormats(wanted = {}) {
  const known = await pairs();
  const all = models.flatMap(model => model.formats);
  const sources = ordered(known ? known.map(pair => pair.src_fmt) : all);
  choices($('src'), [['auto', 'Detect'], ...sources.map(format => [format, formatName(format)])], wanted.src ?? $('src').value);
  const source = $('src').value;
  const targets = ordered(known ? known.filter(pair => source === 'auto' || pair.src_fmt === source).map(pair => pair.tgt_fmt) : all.filter(format => format !== source));
  const target = wanted.tgt ?? (touchedTarget ? $('tgt').value : defaultTarget(targets));
  choices($('tgt'), [['', 'Choose …'], ...targets.map(format => [format, formatName(format)])], target);
}

// Where a source most likely goes: the newest release from Hugging Face, Hugging Face from a release.
function defaultTarget(targets) {
  const source = $('src').value;
  const config = files.find(entry => entry.role === 'config')?.name ?? '';
  const isZoo = source.startsWith('cs') || (source === 'auto' && /\.ya?ml$/i.test(config));
  if (isZoo) return targets.includes('hf') ? 'hf' : '';
  return files.length || $('hub').value || source === 'hf' ? newest(targets) : '';
}

const guessTarget = () => { if (touchedTarget) changed(); else drawFormats().then(changed); };

function drawOptions(schema) {
  const title = name => name.replaceAll('_', ' ').replace(/^./, letter => letter.toUpperCase());
  const set = (name, value) => {
    if (value === null || value === '' || value === false) delete options[name]; else options[name] = value;
    changed();
  };
  const control = ([name, field]) => {
    const values = (field.anyOf ?? [field]).find(kind => kind.enum)?.enum;
    const id = `option-${name}`;
    const hint = field.description ? h('small', { id: `${id}-hint` }, field.description.replaceAll('`', '').replaceAll(/\bnull\b/gi, 'Default')) : null;
    const common = { id, 'aria-describedby': hint?.id };
    if (field.type === 'boolean') {
      return h('label.check', h('input', { ...common, type: 'checkbox', onchange: event => set(name, event.target.checked) }),
        h('span', title(name)), hint);
    }
    const onchange = ({ target }) => set(name, /^\d+$/.test(target.value) ? Number(target.value) : target.value.trim());
    return h('div.field', h('label', { for: id }, title(name)), values
      ? h('select', { ...common, onchange }, h('option', { value: '' }, 'Default'), values.map(value => h('option', { value }, value)))
      : h('input', { ...common, type: 'text', placeholder: 'Default', onchange }), hint);
  };
  const all = Object.entries(schema.properties);
  const isBox = ([, field]) => field.type === 'boolean';
  put('options', h('div.fields', all.filter(entry => !isBox(entry)).map(control)), all.filter(isBox).map(control));
}

function setOption(name, value) {
  const input = $(`option-${name}`);
  if (!input) return;
  if (input.type === 'checkbox') input.checked = value === true; else input.value = value ?? '';
  if (value === null || value === false || value === '' || value === undefined) delete options[name]; else options[name] = value;
}

const text = id => $(id).value.trim();

function hubInput() {
  // As browsers show an address: HOST/OWNER/NAME.
  const source = text('hub').replace(/^(?=[\w-]+(\.[\w-]+)+\/.+\/)/, 'https://');
  if (!source) return null;
  const extra = Object.fromEntries(Object.entries({
    revision: text('revision'), subfolder: text('subfolder'), carry: $('carry').checked, token: text('hub-token'),
  }).filter(([, value]) => value));
  const isPlainURL = /^https?:\/\//i.test(source) && !Object.keys(extra).length;
  return isPlainURL ? { url: source } : { hub: source, ...extra };
}

// What stands in the form; `missing` says what does not.
function read() {
  const hub = hubInput();
  const used = files.filter(entry => entry.role !== 'none');
  const config = used.filter(entry => entry.role === 'config');
  const checkpoint = used.filter(entry => entry.role === 'checkpoint');
  const inputs = entries => entries.map(entry => ({ upload: entry.upload.id }));
  const command = hub || checkpoint.length ? 'convert' : 'convert-config';
  const body = { command, model: $('model').value, src_fmt: $('src').value, tgt_fmt: $('tgt').value };
  const configURL = text('config-url');
  if (config.length) body.config = config.length === 1 ? inputs(config)[0] : inputs(config);
  else if (configURL) body.config = { url: configURL };
  if (hub) body.checkpoint = hub;
  else if (checkpoint.length) body.checkpoint = inputs(checkpoint);
  if (Object.keys(options).length && command === 'convert') body.options = { ...options };
  const sending = used.filter(entry => entry.upload.state !== 'done');
  let missing = '';
  if (!hub && !used.length) missing = 'Choose a checkpoint and its config, or name a model.';
  else if (hub && checkpoint.length) missing = 'Both files and a repository are given as checkpoint. Remove one of them.';
  else if (!hub && !config.length && !configURL) missing = 'The config is missing: choose config.json or the params file as well.';
  else if (!body.tgt_fmt) missing = 'Choose the format to convert to.';
  return { body, hub, config, checkpoint, configURL, sending, missing, used };
}

function described() {
  const { body, hub, used, configURL } = read();
  const source = hub ? (hub.url ?? (/:\/\//.test(hub.hub) ? hub.hub : `hub://${hub.hub}${hub.revision ? `@${hub.revision}` : ''}`)) : null;
  const shown = structuredClone(body);
  if (shown.checkpoint?.token) delete shown.checkpoint.token;
  return { ...body, body: shown, hub, source, configURL, hasToken: hasToken(), options: body.options ?? {},
    files: used.map(entry => ({ name: entry.name, role: entry.role })) };
}

function drawReady() {
  const { sending, missing, body, used } = read();
  const failed = sending.find(entry => entry.upload.state === 'failed');
  const paused = sending.every(entry => entry.upload.state === 'paused');
  let state = missing;
  if (!state && failed) state = `${clean(failed.name, 80)} could not be sent.`;
  else if (!state && sending.length) {
    const part = percent(sum(sending, entry => entry.upload.sent), sum(sending, entry => entry.upload.size)) ?? 0;
    state = paused ? 'The upload is paused.' : `${plural(sending.length, 'file')} on the way to the service: ${part} %.`;
  }
  const { result } = planning;
  const isPlanned = planning.body === JSON.stringify(body);
  const refused = isPlanned && result?.convertible === false;
  $('submit').disabled = Boolean(missing) || sending.length > 0 || refused;
  $('show-plan').disabled = Boolean(missing) || sending.length > 0;
  $('ready').textContent = state || (refused ? 'The plan below says why this does not convert.'
    : body.command === 'convert-config' && used.length ? 'No checkpoint: the config alone is converted.'
    : !isPlanned ? '' : result ? 'This converts. The plan below says how.' : 'Making the plan …');
}

// Called after each change: shows what follows from it, and asks for a plan when there is enough for one.
export function changed() {
  $('hub-more').hidden = !text('hub');
  if (!$('commands').hidden) put('commands-body', showCommands(described()));
  const { body, missing, sending } = read();
  if (JSON.stringify(body) === planning.body) { drawReady(); return; }
  planning.stop?.abort();
  clearTimeout(planning.timer);
  Object.assign(planning, { body: '', result: null });
  $('hub-error').textContent = '';
  drawReady();
  if (missing || sending.length) {
    if (!missing) showNoPlan('The plan comes as soon as the files are on the service.');
    else showNoPlan('The plan shows which tensor becomes which, what is left out, both configs, and the cost. It is made from headers alone, so it takes seconds for a model of any size.');
    return;
  }
  planning.timer = setTimeout(makePlan, 800);
}

async function makePlan(isWanted = false) {
  const { body, missing, sending } = read();
  if (missing || sending.length || !maySubmit()) return;
  clearTimeout(planning.timer);
  planning.stop?.abort();
  const stop = new AbortController();
  Object.assign(planning, { body: JSON.stringify(body), stop, result: null });
  $('plan').ariaBusy = true;
  showNoPlan('Reading the headers …');
  drawReady();
  try {
    const [plan] = await Promise.all([post('/v1/plans', body, { signal: stop.signal }), askCaller()]);
    planning.result = plan;
    showPlan(plan, () => { setOption('drop_unmatched_keys', true); changed(); });
    if (isWanted) { $('plan-title').focus(); $('plan').scrollIntoView({ block: 'start' }); }
  } catch (error) {
    if (stop.signal.aborted) return;
    // What the service finds wrong stays wrong; what it cannot reach now may be there for the job.
    if (error.status === 400 || error.status === 422) planning.result = { convertible: false }; else planning.body = '';
    const isBare = error.message === 'config is missing';
    if (isBare) Object.assign(error, { message: 'the config is missing: choose its file as well, or give its URL', diagnostics: [] });
    showNoPlan('', error);
    if (text('hub')) $('hub-error').textContent = clean(error.message).replace(/^checkpoint: /, '');
    if (isBare || /^(source|token)_/.test(error.code)) $('hub-more').open = true;
  } finally {
    if (planning.stop === stop) $('plan').ariaBusy = null;
    drawReady();
  }
}

async function submit(event) {
  event.preventDefault();
  const { body, missing, sending } = read();
  put('form-error');
  if (missing || sending.length) { drawReady(); return; }
  const now = JSON.stringify(body);
  // One key for one content: pressing twice, or again after a lost answer, makes one job.
  if (key.body !== now) key = { body: now, text: newKey() };
  $('submit').disabled = true;
  try {
    // What the plan has found is said, so that the job has a name.
    const found = planning.body === now && planning.result?.convertible ? planning.result : {};
    const said = { ...body, model: found.model ?? body.model, src_fmt: found.src_fmt ?? body.src_fmt };
    const job = await post('/v1/jobs', said, { headers: { 'Idempotency-Key': key.text } });
    key = { body: '', text: '' };
    onSubmitted(job);
  } catch (error) {
    put('form-error', problemBox(error));
  } finally {
    drawReady();
  }
}

export function allow() {
  const may = maySubmit();
  $('form').hidden = !may;
  $('read-only').hidden = may;
  $('read-only').textContent = may ? '' : `The token ${caller.me.token} may look at jobs but not submit any: it lacks the scope submit.`;
  if (may) drawUnfinished();
}

export async function fillFrom(job) {
  files.length = 0;
  const { checkpoint } = job.inputs;
  const config = [job.inputs.config].flat();
  const hub = checkpoint.find(input => input.hub || input.url);
  $('hub').value = hub ? hub.hub ?? hub.url : '';
  $('revision').value = hub?.revision ?? '';
  $('subfolder').value = hub?.subfolder ?? '';
  $('carry').checked = hub?.carry ?? false;
  const own = config.find(input => input.url);
  $('config-url').value = own && own !== hub ? own.url : '';
  for (const [role, inputs] of Object.entries({ config, checkpoint })) {
    for (const { upload: id, filename: name } of inputs) if (id) files.push({ name, role, upload: { id, size: 0, state: 'done', start() {}, remove() {} } });
  }
  $('model').value = job.model;
  if ($('model').selectedIndex < 0) $('model').value = 'auto';
  touchedTarget = true;
  await drawFormats({ src: job.src_fmt, tgt: job.tgt_fmt });
  for (const [name, value] of Object.entries(job.options)) setOption(name, value === 'keep' ? null : value);
  drawFiles();
  changed();
}

export const isSending = () => files.some(entry => entry.upload.state === 'sending');

export function start(submitted) {
  onSubmitted = submitted;
  const drop = $('drop');
  for (const id of ['files', 'folder-files']) on(id, 'change', ({ target }) => { addFiles([...target.files]); target.value = ''; });
  on('folder', 'click', () => $('folder-files').click());
  for (const name of ['dragover', 'drop']) window.addEventListener(name, event => event.preventDefault());
  for (const name of ['dragover', 'dragleave', 'drop']) on('drop', name, () => drop.classList.toggle('over', name === 'dragover'));
  on('drop', 'drop', event => dropped(event.dataTransfer));
  for (const id of ['hub', 'revision', 'subfolder', 'hub-token', 'config-url', 'carry']) on(id, 'input', guessTarget);
  for (const id of ['model', 'src']) on(id, 'change', async () => { await drawFormats(); changed(); });
  on('tgt', 'change', () => { touchedTarget = $('tgt').value !== ''; changed(); });
  on('show-plan', 'click', () => makePlan(true));
  on('form', 'submit', submit);
  on('show-commands', 'click', ({ currentTarget }) => {
    $('commands').hidden = !$('commands').hidden;
    currentTarget.ariaExpanded = !$('commands').hidden;
    changed();
  });
  changed();
}

// Loads models and options; again after a token was given.
export async function load() {
  const [list, api] = await Promise.all([get('/v1/models'), get('/openapi.json')]);
  models = list.models;
  const chosen = $('model').value;
  choices($('model'), [['auto', 'Detect'], ...models.map(model => [model.name, model.name])], chosen);
  if (!$('options').childElementCount) drawOptions(api.components.schemas.Options);
  await drawFormats();
  changed();
}

async function dropped(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(entry => entry.isDirectory)) { addFiles(transfer.files); return; }
  const found = [];
  async function walk(entry, path, depth) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      Object.defineProperty(file, 'webkitRelativePath', { value: path + entry.name });
      found.push(file);
    } else if (depth < 3) {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!part.length) break;
        for (const inner of part) await walk(inner, `${path}${entry.name}/`, depth + 1);
      }
    }
  }
  for (const entry of entries) await walk(entry, '', 0);
  addFiles(found);
}
