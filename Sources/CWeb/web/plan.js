import { caller } from './api.js';
import { clean, code, copyButton, fill, h, problemBox, put, segments, svg, tabs } from './dom.js';
import { KINDS, bytes, formatName, kindOf, large, number, plural, sum } from './text.js';

// The plan made visible: a sentence, a picture, the costs, and then every tensor, key and config line.

const ROWS = 200;

// The picture of a conversion. Both ends are lines, a title first; `counts` are tensors by kind, or null while unknown.
export function flow(source, target, counts, caption) {
  const end = (kicker, lines) => h('div.end', h('small', kicker),
    h('strong', lines[0]), lines.slice(1).filter(Boolean).map(line => h('small', line)));
  return h('figure', {},
    h('div.flow', end('Source', source), h('div.ribbons', ribbons(counts)), end('Outputs', target)),
    counts ? h('ul.legend', Object.entries(counts).filter(([, count]) => count > 0).map(([kind, count]) =>
      h('li', h('span', { class: `dot ${kind}`, 'aria-hidden': 'true' }), h('span', h('b', number(count)), ` ${KINDS[kind]}`)))) : null,
    caption && h('figcaption.muted', caption));
}

// Bands as thick as their share of tensors; what is dropped ends, what is new begins on the way.
function ribbons(counts) {
  const drawing = svg('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' });
  const total = counts ? sum(Object.values(counts)) : 0;
  if (!total) {
    drawing.append(svg('path', { class: 'plain', d: 'M8 50 H90 M84 44 L90 50 L84 56' }));
    return drawing;
  }
  const kinds = Object.entries(counts).filter(([, count]) => count > 0);
  const gap = 4;
  const room = 84 - gap * (kinds.length - 1);
  // One tensor among thousands is still seen.
  const weights = kinds.map(([, count]) => Math.max(count / total, 0.03));
  const all = sum(weights);
  let at = 8;
  kinds.forEach(([kind], index) => {
    const height = room * weights[index] / all;
    const [top, bottom, middle] = [at, at + height, at + height / 2];
    const path = kind === 'dropped' ? `M0 ${top} H48 L56 ${middle} L48 ${bottom} H0 Z`
      : kind === 'new' ? `M44 ${middle} L52 ${top} H94 L100 ${middle} L94 ${bottom} H52 Z`
      : `M0 ${top} H94 L100 ${middle} L94 ${bottom} H0 Z`;
    drawing.append(svg('path', { class: kind, d: path }));
    at += height + gap;
  });
  return drawing;
}

function countKinds(plan) {
  const counts = { copied: 0, changed: 0, new: 0, dropped: plan.unmatched_keys.length };
  for (const tensor of plan.tensors) counts[kindOf(tensor)] += 1;
  return counts;
}

function verdict(plan, counts) {
  const pair = `${plan.model}, ${formatName(plan.src_fmt)} to ${formatName(plan.tgt_fmt)}`;
  if (!plan.convertible) {
    return [false, plan.error?.code === 'keys_unmatched'
      ? `${plural(counts.dropped, 'key')} of the checkpoint ${counts.dropped === 1 ? 'matches' : 'match'} no rule, so this does not convert as it is.`
      : plan.error?.message.split(' Name the model and')[0] ?? 'This does not convert.'];
  }
  const warnings = findingsOf(plan).length;
  const rest = counts.dropped ? `${plural(counts.dropped, 'key')} will be left out.` : 'No tensor is left out.';
  const said = warnings ? ` ${plural(warnings, 'warning')} below.` : '';
  return [true, plan.tensors.length
    ? `This converts: ${plural(plan.totals.tensors_out, 'tensor')} for ${pair}. ${rest}${said}`
    : `This config converts: ${pair}.${said}`];
}

// Errors first. Unmatched keys are among the tensors; what was detected (`usage`) is in the verdict.
const findingsOf = plan => ['error', 'warning'].flatMap(severity => plan.diagnostics.filter(finding => finding.severity === severity
  && finding.code !== 'keys_unmatched' && (severity === 'error' || finding.code !== 'usage')));

const fact = (name, value, note) => h('div', h('dt', name), h('dd', value, note && h('small', ` ${note}`)));

// Shows a plan. `drop` asks for one that leaves unmatched keys out.
export function showPlan(plan, drop) {
  const { me } = caller;
  const counts = countKinds(plan);
  const [yes, sentence] = verdict(plan, counts);
  const totals = plan.totals;
  const tight = me && totals.disk_needed > me.free_bytes;
  const findings = findingsOf(plan);
  const panels = [];
  if (plan.tensors.length || counts.dropped) panels.push([`Tensors (${number(plan.tensors.length + counts.dropped)})`, () => tensorTable(plan, counts)]);
  if (plan.config) panels.push(['Config', () => configs(plan)]);
  if (findings.length) panels.push([`Findings (${number(findings.length)})`, () => findingList(findings)]);
  put('plan-body',
    h('p', { class: `verdict ${yes ? 'yes' : 'no'}` }, h('span.mark', { 'aria-hidden': 'true' }, yes ? '✓ ' : '✕ '), clean(sentence, 600)),
    ['unknown_model', 'unsupported_pair'].includes(plan.error?.code) && h('p.notice', 'Choose the model under Conversion, and the format it is in.'),
    !yes && counts.dropped > 0 && h('p.actions', h('button', { onclick: drop }, 'Leave these keys out'),
      h('span.muted', 'Only if the model does not need them.')),
    tight ? h('p.notice.warning', h('span', h('strong', 'Not enough disk: '), `the job needs ${bytes(totals.disk_needed)} and the service has ${bytes(me.free_bytes)} free.`)) : null,
    flow(
      [formatName(plan.src_fmt), plan.inputs.length ? `${plural(plan.inputs.length, 'file')}, ${bytes(sum(plan.inputs, input => input.size))}` : null,
        totals.tensors_in ? `${plural(totals.tensors_in, 'tensor')}, ${large(totals.parameters)} parameters` : null],
      [formatName(plan.tgt_fmt), totals.tensors_out ? `${plural(totals.tensors_out, 'tensor')}, ${bytes(totals.bytes_out)}` : 'a config', plan.convertible ? null : 'nothing would be written'],
      plan.tensors.length || counts.dropped ? counts : null,
      plan.hops.length > 2 ? `By way of ${plan.hops.slice(1, -1).map(formatName).join(', ')}.` : null),
    plan.convertible ? h('dl.totals',
      fact('Reads', bytes(totals.bytes_in)), fact('Writes', bytes(totals.bytes_out)),
      fact('Downloads', totals.bytes_to_download ? bytes(totals.bytes_to_download) : 'nothing'),
      fact('Memory', bytes(totals.peak_memory)),
      fact('Disk', bytes(totals.disk_needed), me ? `of ${bytes(me.free_bytes)} free` : null),
      fact('Container', plan.container ?? '–'),
      plan.commits.length > 0 && fact('Commit', code(plan.commits.map(commit => commit.slice(0, 12)).join(', ')))) : null,
    panels.length ? tabs('Plan', panels) : null);
}

function tensorTable(plan, counts) {
  const rows = plan.tensors.map(tensor => ({
    key: tensor.key, kind: kindOf(tensor), from: tensor.sources.join(', '), how: tensor.transform, type: tensor.dtype,
    shape: tensor.shape.length ? tensor.shape.join(' × ') : 'scalar',
  })).concat(plan.unmatched_keys.map(key => ({ key, kind: 'dropped', from: key, how: 'matches no rule', type: '', shape: '' })));
  for (const row of rows) row.text = `${row.key}\n${row.from}\n${row.how}\n${row.type}`.toLowerCase();
  let shown = ROWS;
  let kind = '';
  let found;
  const body = h('tbody');
  const status = h('p.muted', { role: 'status' });
  const more = h('button', { onclick: () => { const first = shown; shown += ROWS; show(first); } }, `Show ${ROWS} more`);
  const line = row => h('tr',
    h('th', { scope: 'row' }, code(row.key)),
    h('td', { 'data-label': 'is' }, h('span.kind', h('span', { class: `dot ${row.kind}`, 'aria-hidden': 'true' }),
      row.kind === 'copied' ? (row.from === row.key ? 'copied' : 'copied, renamed') : row.kind === 'changed' ? row.how : row.kind === 'new' ? `new: ${row.how}` : 'dropped: matches no rule')),
    h('td', { 'data-label': 'from' }, row.from && row.kind !== 'dropped' ? code(row.from) : '–'),
    h('td', { 'data-label': 'type' }, row.type || '–'), h('td', { 'data-label': 'shape', class: 'number' }, row.shape || '–'));
  function show(from = 0) {
    const part = found.slice(from, shown).map(line);
    if (from) body.append(...part); else fill(body, part);
    more.hidden = found.length <= shown;
    status.textContent = found.length === rows.length && shown >= found.length ? '' : `${number(Math.min(shown, found.length))} of ${plural(found.length, 'row')}`;
  }
  function search() {
    const words = field.value.toLowerCase().trim();
    found = rows.filter(row => (!kind || row.kind === kind) && (!words || row.text.includes(words)));
    shown = ROWS;
    segments(kinds, choices, kind, name => { kind = name; search(); });
    show();
  }
  const field = h('input', { type: 'search', id: 'tensor-search', oninput: search });
  const kinds = h('div.segments', { role: 'group', 'aria-label': 'Which tensors' });
  const choices = [['', 'all', rows.length], ...Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => [name, name, count])];
  search();
  return [
    h('div.table-tools', kinds,
      h('div.field', h('label', { for: 'tensor-search' }, 'Search keys and transforms'), field),
      h('button.quiet', { onclick: () => saveCSV(found, plan) }, 'Save as CSV')),
    h('table.tensors.stack', h('caption.hidden', 'Tensors of the output and where they come from'),
      h('thead', h('tr', ['Output key', 'What is done', 'From', 'Type'].map(name => h('th', { scope: 'col' }, name)), h('th', { scope: 'col', class: 'number' }, 'Shape'))), body),
    h('div.actions', more, status),
  ];
}

function saveCSV(rows, plan) {
  // A cell that begins like a formula would be one.
  const cell = text => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const lines = [['key', 'kind', 'transform', 'sources', 'dtype', 'shape'], ...rows.map(row => [row.key, row.kind, row.how, row.from, row.type, row.shape])];
  const blob = new Blob([lines.map(line => line.map(cell).join(',')).join('\r\n') + '\r\n'], { type: 'text/csv' });
  const address = URL.createObjectURL(blob);
  h('a', { href: address, download: `${plan.model}-${plan.src_fmt}-to-${plan.tgt_fmt}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// The lines of a config, each with its key and value, to be compared with those of another.
const lines = config => JSON.stringify(config, null, 2).split('\n').slice(1, -1).map(line => {
  const text = line.slice(2).replace(/,$/, '');
  const [, key, value] = /^\s*("(?:[^"\\]|\\.)*"): ([^{[].*|\[\]|{})$/.exec(text) ?? [];
  return { text, key, value };
});

function configs(plan) {
  const signs = { same: [''], differs: ['≠', 'another value: '], only: ['•', 'on this side only: '] };
  const column = (format, config, other) => h('div', h('div.head', h('h3', formatName(format)),
    copyButton(JSON.stringify(config, null, 2), `Copy the config for ${formatName(format)}`)),
    h('ul.lines', lines(config).map(({ text, key, value }) => {
      const mark = !key ? 'same' : !other.has(key) ? 'only' : other.get(key).some(line => line.value === value) ? 'same' : 'differs';
      return h('li', { class: mark }, h('span.sign', { 'aria-hidden': 'true' }, signs[mark][0]),
        h('span', signs[mark][1] && h('span.hidden', signs[mark][1]), clean(text, 2000)));
    })));
  const [source, target] = [plan.source_config ?? {}, plan.config];
  const byKey = config => Map.groupBy(lines(config), line => line.key);
  return [
    h('p.muted', '≠ the other side has another value, • the key is on this side only, under this name. Unmarked lines say the same on both sides.'),
    h('div.side-by-side', column(plan.src_fmt, source, byKey(target)), column(plan.tgt_fmt, target, byKey(source))),
  ];
}

const findingList = findings => [
  h('ul.findings', findings.slice(0, ROWS).map(finding => h('li', { class: `notice ${finding.severity}` },
    h('p', h('strong', finding.severity === 'error' ? 'Error' : 'Warning'), finding.subject ? [' about ', code(finding.subject)] : null),
    h('p', clean(finding.message, 2000)), finding.rule ? h('small', `Rule: ${finding.rule}`) : null))),
  findings.length > ROWS && h('p', `and ${number(findings.length - ROWS)} more`),
];

// What stands in place of a plan: the picture of what is going to happen with a sentence, or why there is none.
export function showNoPlan(state, error) {
  put('plan-body', error ? problemBox(error) : [
    flow(['A checkpoint and its config', 'from Hugging Face or a Model Zoo release'],
      ['The same model, converted', 'weights and config for the other side'], null, state)]);
}
