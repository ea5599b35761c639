import { maySubmit, request, since } from './api.js';
import { $, clean, dialog, fill, h, put, on, say, segments } from './dom.js';
import { STATUS, ago, formatName, number, percent, plural, sum } from './text.js';

// The list of jobs: asked for every two seconds while somebody looks, and redrawn only where it changed.

const state = { status: '', search: '', limit: 50, tag: null, list: null, timer: 0, stop: null };
const rows = new Map();
const chosen = new Set();
let lastPicked = null;
let onList = () => {};

const isEnded = job => !['queued', 'running'].includes(job.status);

export const badge = status => h('span', { class: `status ${status}` },
  h('span', { 'aria-hidden': 'true' }, STATUS[status]?.[0] ?? '?'), STATUS[status]?.[1] ?? status);

export const title = job => `${job.model === 'auto' ? '' : `${job.model}: `}${/auto/.test(job.src_fmt) ? 'to' : `${formatName(job.src_fmt)} →`} ${formatName(job.tgt_fmt)}`;

function detail(job) {
  const done = percent(job.progress.bytes_done, job.progress.bytes_total);
  if (job.status === 'running') return [job.progress.phase ?? 'starting', done === null ? null : `${done} %`].filter(Boolean).join(', ');
  if (job.status === 'queued') return job.not_before ? 'waits before it is tried again' : job.queue_position === 1 ? 'next' : job.queue_position ? `number ${job.queue_position} in the queue` : 'waits';
  const name = job.outputs[0]?.name ?? job.error?.detail ?? '';
  return clean(name, 120);
}

function row(job) {
  const current = location.hash === `#/jobs/${job.id}`;
  const text = JSON.stringify([job.status, job.progress, job.queue_position, job.pinned, ago(since(job.created_at)), current, maySubmit(), chosen.has(job.id)]);
  const known = rows.get(job.id);
  if (known?.text === text) return known.element;
  const pick = h('input', { type: 'checkbox', checked: chosen.has(job.id), 'aria-label': `Select ${title(job)}, ${job.id}`, onclick: event => choose(job.id, event) });
  const total = job.progress.bytes_total;
  const content = [
    maySubmit() ? h('label.pick', pick) : h('span'),
    h('a', { href: `#/jobs/${job.id}`, 'aria-current': current ? 'page' : null },
      h('span.title', clean(title(job))), h('span.side', badge(job.status)),
      h('small', [ago(since(job.created_at)), job.owner, job.pinned ? 'pinned' : null, detail(job)].filter(Boolean).join(' · ')),
      job.status === 'running' ? h('progress', { max: total || 1, value: total ? job.progress.bytes_done : 0, 'aria-label': 'Progress' }) : null),
  ];
  const element = known?.element ?? h('li');
  // The link or box that has the focus keeps it.
  const at = [...element.querySelectorAll('a, input')].indexOf(document.activeElement);
  element.className = current ? 'current' : '';
  fill(element, content);
  if (at >= 0) element.querySelectorAll('a, input')[at]?.focus();
  rows.set(job.id, { element, text });
  return element;
}

// Selects one job, or with Shift all from the one before.
function choose(id, event) {
  const ids = state.list.jobs.map(job => job.id);
  const on = event.target.checked;
  const [from, to] = [ids.indexOf(event.shiftKey && lastPicked ? lastPicked : id), ids.indexOf(id)].sort((a, b) => a - b);
  for (const one of ids.slice(Math.max(from, 0), to + 1)) if (on) chosen.add(one); else chosen.delete(one);
  lastPicked = id;
  draw();
}

function drawBulk() {
  const jobs = state.list.jobs.filter(job => chosen.has(job.id));
  const active = jobs.filter(job => !isEnded(job));
  const ended = jobs.filter(isEnded);
  $('bulk').hidden = !jobs.length;
  put('bulk', h('span', `${number(jobs.length)} selected`),
    active.length ? h('button', { onclick: () => cancelAll(active) }, `Cancel ${number(active.length)}`) : null,
    ended.length ? h('button.danger', { onclick: () => removeAll(ended) }, `Delete ${number(ended.length)}`) : null,
    h('button.quiet', { onclick: () => { chosen.clear(); draw(); } }, 'Select none'));
}

// Does something with each job, once somebody has said yes to it.
async function ask(verb, jobs, loss, labels, work, done) {
  const count = plural(jobs.length, 'job');
  const answer = await dialog(`${verb} ${count}?`, h('p', loss), labels);
  if (!answer) return null;
  let failed = 0;
  for (const job of jobs) await work(job).catch(() => { failed += 1; });
  chosen.clear();
  say(failed ? `${plural(failed, 'job')} could not be changed` : `${count} ${done}`);
  await refresh();
  return answer;
}
const cancelAll = jobs => ask('Cancel', jobs, 'What was converted so far is thrown away.',
  [['close', 'Keep running'], ['yes', 'Cancel them', 'primary']], job => request('POST', `/v1/jobs/${job.id}/cancel`), 'cancelled');
export const removeAll = jobs => ask('Delete', jobs, 'Outputs are deleted as well. This cannot be undone.',
  [['close', 'Keep'], ['yes', 'Delete', 'danger']], job => request('DELETE', `/v1/jobs/${job.id}`), 'deleted');

function draw() {
  const { jobs, counts, next_cursor } = state.list;
  const ids = new Set(jobs.map(job => job.id));
  for (const id of rows.keys()) if (!ids.has(id)) { rows.delete(id); chosen.delete(id); }
  const list = $('job-list');
  const wanted = jobs.map(row);
  wanted.forEach((element, index) => { if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null); });
  while (list.children.length > wanted.length) list.lastElementChild.remove();
  const all = sum(Object.values(counts));
  segments($('statuses'), [['', 'all', all], ...Object.entries(STATUS).map(([status, [, word]]) => [status, word, counts[status]])], state.status,
    status => { Object.assign(state, { status, tag: null, limit: 50 }); refresh(); });
  $('jobs-empty').hidden = jobs.length > 0;
  $('jobs-empty').textContent = all || state.search ? 'No job fits.' : 'No jobs yet. All jobs of this service appear here, however they were submitted.';
  $('more-jobs').hidden = !next_cursor || state.limit >= 200;
  drawBulk();
}

// Asks for the list now, and then every two seconds. One request is under way at a time.
export async function refresh() {
  clearTimeout(state.timer);
  state.stop?.abort();
  const stop = state.stop = new AbortController();
  if (document.hidden) return;
  let wait = 2000;
  try {
    const query = new URLSearchParams({ counts: 'true', limit: String(state.limit) });
    if (state.status) query.set('status', state.status);
    if (state.search) query.set('q', state.search);
    const answer = await request('GET', `/v1/jobs?${query}`, { signal: stop.signal, accept: [304], headers: state.tag ? { 'If-None-Match': state.tag } : {} });
    if (answer.status !== 304) {
      state.tag = answer.headers.get('ETag');
      state.list = await answer.json();
    }
    draw();
    onList(state.list, null);
  } catch (error) {
    if (stop.signal.aborted) return;
    if ([401, 403].includes(error.status)) return;
    wait = 5000;
    onList(null, error);
  }
  if (state.stop === stop) state.timer = setTimeout(refresh, wait);
}

export function start(listed) {
  onList = listed;
  let timer = 0;
  on('search', 'input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => { Object.assign(state, { search: $('search').value.trim(), tag: null }); refresh(); }, 200);
  });
  on('more-jobs', 'click', () => { Object.assign(state, { limit: 200, tag: null }); refresh(); });
}
