import { download, follow, get, maySubmit, now, outputPath, post, request, since } from './api.js';
import { $, clean, code, copyButton, fill, h, put, problemBox, say } from './dom.js';
import { fillFrom } from './form.js';
import { badge, refresh, removeAll, title } from './jobs.js';
import { flow } from './plan.js';
import { PHASES, ago, bytes, duration, formatName, number, percent, plural, sum } from './text.js';

// One job, followed live: what went in, what happens, what came of it and what can be done.

let stop = null;
let sample = null;
let spoken = '';
let shown = null;

// Opens a job, or goes on with the one that is open.
export async function open(id) {
  const isNew = shown?.id !== id;
  rest();
  const own = stop = new AbortController();
  sample = null;
  spoken = '';
  const section = $('detail');
  section.hidden = false;
  if (isNew) { shown = null; fill(section, h('p.muted', 'Loading …')); }
  try {
    draw(await get(`/v1/jobs/${encodeURIComponent(id)}`, { signal: own.signal }), own, isNew);
    if (!shown.finished_at) await follow(id, job => draw(job, own), own.signal);
  } catch (error) {
    if (own.signal.aborted) return;
    shown = null;
    fill(section, h('h2', { id: 'detail-title' }, 'Job'), problemBox(error), h('p', h('a', { href: '#/' }, 'Back')));
  }
}

// Follows no longer, while nobody looks.
export const rest = () => stop?.abort();

export function close() { rest(); shown = null; $('detail').hidden = true; document.title = 'Zooport'; }

// Bytes a second, from two samples at least a second apart.
function rate(job) {
  const at = { time: performance.now(), bytes: job.progress.bytes_done, phase: job.progress.phase };
  if (sample?.phase !== at.phase || at.bytes < sample.bytes) sample = { ...at, rate: 0 };
  else if (at.time - sample.time > 1000) sample = { ...at, rate: (at.bytes - sample.bytes) / (at.time - sample.time) * 1000 };
  return sample.rate;
}

// Says changes of the phase and every tenth, not each event.
function speak(job, part) {
  const text = job.status === 'running'
    ? `${job.progress.phase ?? 'starting'}${part === null ? '' : `, ${Math.floor(part / 10) * 10} %`}` : `The job is ${badge(job.status).lastChild.textContent}`;
  if (text !== spoken) { spoken = text; say(text); }
}

function draw(job, own, isFirst = false) {
  if (own.signal.aborted) return;
  const ended = shown && !shown.finished_at && job.finished_at;
  shown = job;
  const { progress } = job;
  const part = percent(progress.bytes_done, progress.bytes_total);
  document.title = `${job.status === 'running' && part !== null ? `${part} % ` : ''}${title(job)} – Zooport`;
  speak(job, part);
  // While it runs only the live part changes, so that nothing else moves or loses the focus.
  const key = JSON.stringify([job.id, job.status, job.attempt, job.pinned, job.error, job.outputs.length, job.warnings.length, job.inputs]);
  if (!isFirst && $('detail').dataset.key === key) { put('job-live', live(job)); return; }
  $('detail').dataset.key = key;
  const focused = document.activeElement?.closest('#detail') ? document.activeElement.textContent : null;
  put('detail',
    h('p', h('a', { href: '#/' }, '← New conversion')),
    h('div.head', h('h2', { id: 'detail-title', tabindex: '-1' }, clean(title(job))), badge(job.status)),
    h('p.muted', code(job.id), ' ', copyButton(job.id, 'Copy the id')),
    actions(job), h('div', { id: 'job-error', role: 'alert' }),
    h('div.block', flow(
      [formatName(job.src_fmt), plural(inputs(job).length, 'input'), [...new Set(inputs(job).map(([, input]) => input.filename))].slice(0, 3).join(', ').slice(0, 90)],
      [formatName(job.tgt_fmt), job.outputs.length ? `${plural(job.outputs.length, 'file')}, ${bytes(sum(job.outputs, output => output.size))}` : job.finished_at ? 'nothing was written' : 'not written yet'], null)),
    h('div', { id: 'job-live' }, live(job)),
    job.error && h('div.block', problemBox({ ...job.error, message: job.error.detail })),
    job.warnings.length > 0 && warnings(job), job.outputs.length > 0 && outputs(job), facts(job));
  if (isFirst) { $('detail-title').focus(); } else if (focused !== null) {
    ([...$('detail').querySelectorAll('button, a')].find(element => element.textContent === focused) ?? $('detail-title')).focus();
  }
  if (ended) refresh();
}

const block = (title, ...content) => h('section.block', { 'aria-label': title }, h('h3', title), content);

const inputs = job => [...[job.inputs.config].flat().map(input => ['Config', input]), ...job.inputs.checkpoint.map(input => ['Checkpoint', input])];

function live(job) {
  const { progress } = job;
  if (job.status === 'queued') {
    return h('p', job.not_before ? `A fault that may pass stopped it. It is tried again ${Date.parse(job.not_before) > now() ? `in ${duration(Date.parse(job.not_before) - now())}` : 'now'}.`
      : job.queue_position > 1 ? `${plural(job.queue_position - 1, 'job')} before it.` : job.queue_position ? 'It is next.' : 'It waits.');
  }
  const part = percent(progress.bytes_done, progress.bytes_total);
  const speed = job.status === 'running' ? rate(job) : 0;
  const order = job.reused ? [] : PHASES.filter(([phase]) => progress.phases[phase]);
  return [
    job.status === 'running' ? h('div.block',
      h('progress', { max: progress.bytes_total || 1, value: progress.bytes_total ? progress.bytes_done : 0, 'aria-label': 'Progress of the job' }),
      h('p.muted', [progress.bytes_total && `${part} % · ${bytes(progress.bytes_done)} of ${bytes(progress.bytes_total)}`,
        progress.tensors_total && `${number(progress.tensors_done)} of ${plural(progress.tensors_total, 'tensor')}`,
        speed && `${bytes(speed)}/s · ${duration((progress.bytes_total - progress.bytes_done) / speed * 1000)} left`].filter(Boolean).join(' · ') || 'starting')) : null,
    order.length ? h('ol.phases', order.map(([phase, label], index) => {
      const end = order[index + 1] ? Date.parse(progress.phases[order[index + 1][0]]) : job.finished_at ? Date.parse(job.finished_at) : null;
      const isNow = job.status === 'running' && phase === progress.phase;
      const time = (end ?? now()) - Date.parse(progress.phases[phase]);
      return h('li', { class: isNow ? 'now' : null, 'aria-current': isNow ? 'step' : null }, `${isNow ? '' : '✓ '}${label} ${duration(time)}`);
    })) : null,
  ];
}

function actions(job) {
  const act = (label, run, className) => h('button', { class: className, onclick: async event => {
    const button = event.currentTarget;
    // Not disabled: it would lose the focus.
    if (button.ariaBusy) return;
    button.ariaBusy = 'true';
    put('job-error');
    try { await run(); } catch (error) { put('job-error', problemBox(error)); }
    button.ariaBusy = null;
  } }, label);
  const path = `/v1/jobs/${job.id}`;
  const reload = async () => draw(await get(path), stop);
  if (!maySubmit()) return null;
  return h('p.actions',
    !job.finished_at && act('Cancel', async () => { await post(`${path}/cancel`); await reload(); refresh(); }),
    job.finished_at && act('Run again', async () => { location.hash = `#/jobs/${(await post(`${path}/again`)).id}`; refresh(); }),
    act('Convert like this', async () => { await fillFrom(job); location.hash = '#/'; }, 'quiet'),
    act(job.pinned ? 'Let it expire' : 'Keep', async () => { await request(job.pinned ? 'DELETE' : 'PUT', `${path}/pin`); await reload(); }, 'quiet'),
    job.finished_at && act('Delete', async () => { if (await removeAll([job])) location.hash = '#/'; }, 'quiet danger'));
}

function outputs(job) {
  const error = h('div', { role: 'alert' });
  const save = path => async () => { fill(error); try { await download(path); } catch (problem) { fill(error, problemBox(problem)); } };
  return block('Outputs', error,
    h('table.stack', h('thead', h('tr', h('th', { scope: 'col' }, 'File'), h('th', { scope: 'col', class: 'number' }, 'Size'), h('th', { scope: 'col' }, 'SHA-256'), h('th', { scope: 'col' }, 'Save'))),
      h('tbody', job.outputs.map(output => h('tr', h('th', { scope: 'row', class: 'file-name' }, code(output.name)),
        h('td.number', bytes(output.size)),
        h('td', code(`${output.sha256.slice(0, 12)}…`), ' ', copyButton(output.sha256, `Copy the digest of ${output.name}`)),
        h('td', h('button.small', { 'aria-label': `Download ${output.name}`, onclick: save(outputPath(job, output.name)) }, 'Download')))))),
    job.outputs.length > 1 ? h('p', h('button', { onclick: save(`/v1/jobs/${job.id}/outputs`) }, 'Download all as one archive')) : null,
    report(job));
}

// The report of the conversion made readable: what was done to meet the target where the vendor's tool would not.
function report(job) {
  const output = job.outputs.find(one => one.name.endsWith('.report.json'));
  if (!output || output.size > 50e6) return null;
  const body = h('div');
  return h('details', { ontoggle: async event => {
    if (!event.target.open || body.childElementCount) return;
    try {
      fill(body, h('dl.facts', Object.entries(await get(outputPath(job, output.name))).map(([name, value]) => [h('dt', name.replaceAll('_', ' ')),
        h('dd', code(value?.every?.(one => typeof one === 'string') && value.length ? value.join(', ') : Array.isArray(value) ? number(value.length) : typeof value === 'object' ? JSON.stringify(value) : value, 300))])));
    } catch (error) { fill(body, problemBox(error)); }
  } }, h('summary', 'Report of the conversion'), body);
}

const warnings = job => block(plural(job.warnings.length, 'warning'),
  h('ul.findings', job.warnings.slice(0, 100).map(warning => h('li.notice.warning', clean(warning, 2000)))),
  job.warnings.length > 100 && h('p.muted', `and ${number(job.warnings.length - 100)} more, in the job over REST`));

function facts(job) {
  const options = Object.entries(job.options).filter(([, value]) => value !== null && value !== false && value !== 'keep');
  const where = input => input.hub ? `${input.hub} at ${(input.commit ?? input.revision ?? 'main').slice(0, 12)}` : input.url ?? (input.inline ? 'given with the job' : `upload ${input.upload}`);
  const rows = [
    ...inputs(job).map(([role, input]) => [role, [code(input.filename, 120), ` ${where(input)}`]]),
    ['Options', options.length ? options.map(([name, value]) => `${name.replaceAll('_', ' ')}: ${value}`).join(', ') : 'default'],
    ['Submitted', `${ago(since(job.created_at))}${job.owner ? ` by ${job.owner}` : ''}`],
    job.attempt > 1 ? ['Attempts', number(job.attempt)] : null,
    job.finished_at && job.started_at ? ['Took', duration(Date.parse(job.finished_at) - Date.parse(job.started_at))] : null,
    job.reused ? ['Reused', 'The outputs are those of an equal job.'] : null,
    job.webhook ? ['Webhook', `${job.webhook.host}: ${job.webhook.state}`] : null,
  ].filter(Boolean);
  return block('Details',
    h('dl.facts', rows.map(([name, value]) => [h('dt', name), h('dd', value)])));
}
